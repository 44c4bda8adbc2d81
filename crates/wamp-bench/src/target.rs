//! The router that is measured.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use wamp_client::{Serializer, Session};

use crate::options::{Options, Transport};
use crate::{Failed, process, serve};

/// A router: our own, which ends with this, or a running one.
pub(crate) struct Target {
    own: Option<Own>,
    /// The URLs for our client, by transport.
    rs: String,
    ws: String,
    realm: String,
    pid: Option<u32>,
}

/// A process of this program.
pub(crate) struct Own {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// The first line that it printed.
    pub(crate) address: String,
}

impl Own {
    /// Starts this program with a hidden scenario, and waits until it prints its address.
    pub(crate) async fn start(scenario: &str) -> Result<Self, Failed> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(scenario)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let mut output = BufReader::new(output).lines();
        let address = output.next_line().await?.ok_or_else(|| format!("the {scenario} did not start"))?;
        Ok(Self { child, input, output, address })
    }

    #[cfg(feature = "peers")]
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its answer to a line.
    pub(crate) async fn ask(&mut self, line: &str) -> Result<String, Failed> {
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.output.next_line().await?.ok_or("the router has ended")?)
    }
}

impl Target {
    pub(crate) async fn start(options: &Options) -> Result<Self, Failed> {
        if let Some(url) = &options.router {
            // Our client calls it so.
            let url =
                url.strip_prefix("unix://").map_or_else(|| url.clone(), |path| format!("rs+unix://{path}"));
            let realm = options.realm.clone();
            return Ok(Self { own: None, rs: url.clone(), ws: url, realm, pid: options.pid });
        }
        let own = Own::start("router").await?;
        let (ws, rs) = own.address.split_once(' ').ok_or("the router did not print its address")?;
        let (rs, ws, pid) = (rs.to_owned(), format!("{ws}/ws"), own.child.id());
        Ok(Self { own: Some(own), rs, ws, realm: serve::REALM.to_owned(), pid })
    }

    pub(crate) fn url(&self, transport: Transport) -> &str {
        match transport {
            Transport::Rs => &self.rs,
            Transport::Ws => &self.ws,
        }
    }

    pub(crate) fn realm(&self) -> &str {
        &self.realm
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    pub(crate) fn cpu(&self) -> Option<f64> {
        process::cpu(self.pid)
    }

    pub(crate) fn memory(&self) -> Option<u64> {
        process::memory(self.pid)
    }

    /// A session over this transport, or over the only one of a router that was already running.
    pub(crate) async fn join(&self, transport: Transport, serializer: Serializer) -> Result<Session, Failed> {
        self.join_at(self.url(transport), serializer).await
    }

    /// A session by another way, as through a proxy.
    pub(crate) async fn join_at(&self, url: &str, serializer: Serializer) -> Result<Session, Failed> {
        Ok(wamp_client::connect(url).realm(self.realm.as_str()).serializer(serializer).await?)
    }

    /// The times for which the realm's lock was waited for and held; only our own router reports them.
    #[cfg(feature = "lock-times")]
    pub(crate) async fn locks(&mut self) -> Result<Option<crate::locks::Locks>, Failed> {
        let Some(own) = &mut self.own else { return Ok(None) };
        Ok(Some(serde_json::from_str(&own.ask("locks").await?)?))
    }

    /// The number of calls in the router's tables; only our own router reports it.
    pub(crate) async fn calls_in_tables(&mut self) -> Result<Option<u64>, Failed> {
        let Some(own) = &mut self.own else { return Ok(None) };
        let stats: serde_json::Value = serde_json::from_str(&own.ask("stats").await?)?;
        Ok(stats["calls"].as_u64())
    }
}
