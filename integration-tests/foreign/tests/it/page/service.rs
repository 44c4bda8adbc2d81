//! The router with its admin listener, and clients that keep it busy.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use wamp_client::{Invocation, Session, connect};

use crate::log::Log;
use crate::process::Process;
use crate::tools::Tools;

pub const TOKEN: &str = "correct-horse-battery";

/// Markup as the name of a client.
pub const HOSTILE: &str = "<img src=x onerror=\"document.title='broken'\">";

/// A router in a process of its own.
pub struct Service {
    _process: Process,
    _folder: tempfile::TempDir,
    /// As `127.0.0.1:1234`.
    pub router: String,
    pub admin: String,
}

impl Service {
    pub async fn start(tools: &Tools, with_token: bool, log: &Log) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let token = if with_token { format!("token = \"{TOKEN}\"\n") } else { String::new() };
        // A link that accepts nothing holds others for longer than the tests take.
        let text = format!(
            "listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n{token}[limits]\nstall = \"10m\"\ngive_up = \"10m\"\n\
             [[realm]]\nname = \"realm1\"\nanonymous = \"all\"\n[[realm.role]]\nname = \"all\"\ncall = [\"**\"]\nregister = [\"**\"]\n\
             publish = [\"**\"]\nsubscribe = [\"**\"]\n[[realm.principal]]\nauthid = {HOSTILE:?}\nrole = \"all\"\nticket = \"ticket\"\n"
        );
        let file: PathBuf = folder.path().join("router.toml");
        std::fs::write(&file, text).map_err(|error| error.to_string())?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, private).map_err(|error| error.to_string())?;
        let mut command = Command::new(&tools.wamp_router);
        command.arg("--config").arg(&file);
        let (process, mut lines) = Process::start("wamp-router", command, log)?;
        let mut address = async |prefix: &str| {
            let line = lines.next().await?.ok_or("wamp-router has ended")?;
            let rest = line.strip_prefix(prefix).ok_or_else(|| format!("wamp-router says {line:?}"))?;
            Ok::<_, String>(rest.split([' ', '/']).next().unwrap_or_default().to_owned())
        };
        let (router, admin) =
            (address("Listening on ws://").await?, address("Admin listener on http://").await?);
        lines.record(log);
        Ok(Self { _process: process, _folder: folder, router, admin })
    }

    pub async fn join(&self) -> Result<Session, String> {
        let client = connect(format!("ws://{}/ws", self.router)).no_reconnect();
        client.await.map_err(|error| error.to_string())
    }

    pub fn page(&self) -> String {
        format!("http://{}/", self.admin)
    }

    /// Opens a session over RawSocket, in JSON, of a client that says only this.
    pub async fn raw(&self, messages: &[&str]) -> Result<TcpStream, String> {
        let talk = async {
            let mut stream = TcpStream::connect(&self.router).await?;
            stream.write_all(&[0x7f, 0xf1, 0, 0]).await?;
            stream.read_exact(&mut [0; 4]).await?;
            for message in messages {
                let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
                stream.write_all(&[&length, message.as_bytes()].concat()).await?;
                // Its answer.
                let mut length = [0; 4];
                stream.read_exact(&mut length).await?;
                stream.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize]).await?;
            }
            Ok::<_, std::io::Error>(stream)
        };
        talk.await.map_err(|error| error.to_string())
    }
}

/// Sends progressive results at the rate that the argument says, until the call is canceled.
pub async fn paced(invocation: Invocation) -> Result<(), wamp_client::Failure> {
    let (rate,): (f64,) = invocation.args()?;
    let Some(progress) = invocation.progress() else { return Ok(()) };
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    for number in 0_u64.. {
        ticks.tick().await;
        if invocation.cancel_reason().is_some() || progress.send(number).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The HELLO of a client that knows neither credit nor canceling.
pub const HELLO: &str =
    r#"[1,"realm1",{"roles":{"caller":{"features":{"progressive_call_results":true}},"callee":{}}}]"#;

/// Answers the first call with large progressive results, as fast as the router reads them.
pub async fn flood(mut callee: TcpStream) -> std::io::Result<()> {
    let mut length = [0; 4];
    callee.read_exact(&mut length).await?;
    callee.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize]).await?;
    let result = format!("[70,1,{{\"progress\":true}},[\"{}\"]]", "x".repeat(64 << 10));
    let length = u32::try_from(result.len()).unwrap_or(u32::MAX).to_be_bytes();
    loop {
        callee.write_all(&[&length, result.as_bytes()].concat()).await?;
    }
}

/// Answers nothing until the call is canceled.
pub async fn endless(invocation: Invocation) -> Result<(), wamp_client::Failure> {
    invocation.canceled().await;
    Ok(())
}

/// Calls a paced stream, and reads it until the task is aborted.
pub fn watch_stream(caller: &Session, procedure: &'static str, rate: f64) -> tokio::task::JoinHandle<()> {
    let call = caller.call(procedure).args((rate,)).progressive::<u64>();
    tokio::spawn(async move {
        if let Ok(mut results) = call.await {
            while let Ok(Some(_)) = results.try_next().await {}
        }
    })
}
