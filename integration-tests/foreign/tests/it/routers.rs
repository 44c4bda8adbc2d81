//! The routers between the peers: ours in the test's process, ours as a program, and Crossbar.io.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use wamp_router::{Address, Builder, Limits, Router, TlsMode};

use crate::log::Log;
use crate::peer::Transport;
use crate::process::{PATIENCE, Process};
use crate::tls;
use crate::tools::{Tools, here, in_python};

/// The silence after which an impatient router sends a PING, and after it closes the link.
const SILENCE: Duration = Duration::from_secs(1);

/// Enough silence for an impatient router to close the link of a peer that does not answer a PING.
pub const LONG_SILENCE: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// `wamp-router`, the library.
    Embedded,
    /// The same, with short limits of silence.
    Impatient,
    /// `wamp-router`, the program.
    Program,
    Crossbar,
    /// Crossbar.io with principals.
    CrossbarWithLogins,
    /// `wamp-router`, the library, over TLS.
    EmbeddedTls,
    /// Crossbar.io over TLS.
    CrossbarTls,
}

/// A router that listens.
pub struct Running {
    address: SocketAddr,
    has_tls: bool,
    keeper: Keeper,
    pub log: Log,
}

enum Keeper {
    Embedded(Router),
    Program(Process),
    Crossbar { process: Process, _folder: TempDir },
}

impl Running {
    pub async fn start(which: Which, tools: &Tools) -> Result<Self, String> {
        Self::start_with(which, tools, &[]).await
    }

    /// Starts it; if it is our program, with these arguments.
    pub async fn start_with(which: Which, tools: &Tools, arguments: &[&str]) -> Result<Self, String> {
        let log = Log::default();
        let has_tls = matches!(which, Which::EmbeddedTls | Which::CrossbarTls);
        let (address, keeper) = match which {
            Which::Embedded => embedded(Router::builder()).await?,
            Which::Impatient => embedded(Router::builder().limits(impatient())).await?,
            Which::EmbeddedTls => embedded(Router::builder().tls(tls::server()?, TlsMode::default())).await?,
            Which::Program => program(tools, arguments, &log).await?,
            Which::Crossbar | Which::CrossbarTls => {
                crossbar("crossbar/config.json", None, has_tls, &log).await?
            }
            Which::CrossbarWithLogins => crossbar("crossbar/logins.json", None, has_tls, &log).await?,
        };
        Ok(Self { address, has_tls, keeper, log })
    }

    /// Starts Crossbar.io where another one has ended.
    pub async fn restart_crossbar(address: SocketAddr, log: Log) -> Result<Self, String> {
        let (address, keeper) = crossbar("crossbar/config.json", Some(address), false, &log).await?;
        Ok(Self { address, has_tls: false, keeper, log })
    }

    /// Sends a signal to all processes of Crossbar.io.
    pub async fn signal(&self, signal: &str) -> Result<(), String> {
        match &self.keeper {
            Keeper::Crossbar { process, .. } => process.signal(signal).await,
            _ => Err("it is not Crossbar.io".to_owned()),
        }
    }

    /// Kills all processes of Crossbar.io without warning.
    pub async fn kill(self) -> Result<(), String> {
        self.signal("KILL").await?;
        match self.keeper {
            Keeper::Crossbar { mut process, .. } => process.exited().await.map(|_| ()),
            _ => Ok(()),
        }
    }

    pub fn url(&self, transport: Transport) -> String {
        let (ws, rs) = if self.has_tls { ("wss", "rss") } else { ("ws", "rs") };
        match transport {
            Transport::WebSocket => format!("{ws}://{}/ws", self.address),
            Transport::RawSocket => format!("{rs}://{}", self.address),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The router itself, if it is in this process.
    pub fn embedded(&self) -> Option<&Router> {
        match &self.keeper {
            Keeper::Embedded(router) => Some(router),
            _ => None,
        }
    }

    /// Ends it in an orderly way.
    pub async fn stop(self) -> Result<(), String> {
        match self.keeper {
            Keeper::Embedded(router) => {
                router.shut_down().await;
                Ok(())
            }
            Keeper::Program(mut process) => {
                process.end_input();
                process.expect_exit(0).await
            }
            Keeper::Crossbar { mut process, .. } => {
                process.end_input();
                // Its exit code is 1 after SIGTERM, as always.
                process.exited().await.map(|_| ())
            }
        }
    }
}

fn impatient() -> Limits {
    Limits { silence: SILENCE, pong: SILENCE, ..Limits::default() }
}

async fn embedded(builder: Builder) -> Result<(SocketAddr, Keeper), String> {
    let router = builder.realm("realm1").build();
    match router.listen("127.0.0.1:0").await {
        Ok(Address::Tcp(address) | Address::Tls(address)) => Ok((address, Keeper::Embedded(router))),
        Ok(address) => Err(format!("the router listens on {address}")),
        Err(error) => Err(error.to_string()),
    }
}

async fn program(tools: &Tools, arguments: &[&str], log: &Log) -> Result<(SocketAddr, Keeper), String> {
    let mut command = until_eof();
    command.arg(&tools.wamp_router).args(arguments);
    if !arguments.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    let (process, mut lines) = Process::start("wamp-router", command, log)?;
    let line = lines.next().await?.ok_or("wamp-router has ended without output")?;
    let address = line.rsplit_once("rs://").and_then(|(_, address)| address.parse().ok());
    let address = address.ok_or_else(|| format!("wamp-router says {line:?}"))?;
    Ok((address, Keeper::Program(process)))
}

async fn crossbar(
    config: &str,
    address: Option<SocketAddr>,
    has_tls: bool,
    log: &Log,
) -> Result<(SocketAddr, Keeper), String> {
    // It writes keys beside its configuration, and does not support port 0.
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let address = match address {
        Some(address) => address,
        None => free_port().map_err(|error| format!("no free port: {error}"))?,
    };
    let tls = if has_tls { r#", "tls": {"certificate": "chain.pem", "key": "key.pem"}"# } else { "" };
    tls::write(folder.path()).map_err(|error| format!("no certificate: {error}"))?;
    let copied = std::fs::read_to_string(here(config))
        .map(|config| config.replace("8080", &format!("{}{tls}", address.port())))
        .and_then(|config| std::fs::write(folder.path().join("config.json"), config));
    copied.map_err(|error| format!("{config} cannot be copied: {error}"))?;

    let mut command = until_eof();
    command.arg(in_python("crossbar")).args(["start", "--color", "false", "--cbdir"]).arg(folder.path());
    command.env("PYTHONUNBUFFERED", "1").env_remove("CROSSBAR_FABRIC_URL");
    let (process, mut lines) = Process::start_group("Crossbar.io", command, log)?;
    loop {
        let line =
            lines.next_within(3 * PATIENCE).await?.ok_or("Crossbar.io has ended before it was ready")?;
        let ready = line.contains("NODE_BOOT_COMPLETE");
        log.add(format!("Crossbar.io: {line}"));
        if ready {
            break;
        }
    }
    lines.record(log);
    Ok((address, Keeper::Crossbar { process, _folder: folder }))
}

/// Runs the following until the end of its input, or of this process.
fn until_eof() -> Command {
    Command::new(here("until-eof.sh"))
}

fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
