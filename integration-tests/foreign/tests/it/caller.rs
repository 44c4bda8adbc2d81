//! A caller: asks for three progressive results and prints `Progress: i` for each, then `Final: n` or `Error:
//! …`.

use tokio::sync::mpsc::Sender;
use wamp_client::{CallError, Session};

use crate::log::Log;
use crate::peer::{Library, Peer};
use crate::process::{Lines, Process};
use crate::tls::connect;
use crate::tools::Tools;

pub struct Caller {
    /// Its output.
    pub lines: Lines,
    /// `None` is our caller, in the test's process.
    process: Option<Process>,
}

impl Caller {
    /// Starts a caller, a foreign one with further arguments.
    pub async fn start(
        tools: &Tools,
        peer: Peer,
        url: &str,
        procedure: &str,
        arguments: &[&str],
        log: &Log,
    ) -> Result<Self, String> {
        if peer.library != Library::Ours {
            let mut command = tools.peer(peer, "caller");
            command.args(["--url", url, "--realm", "realm1", "--procedure", procedure]);
            command.args(["--serializer", peer.serializer.name()]);
            command.args(arguments);
            let (process, lines) = Process::start("the caller", command, log)?;
            return Ok(Self { lines, process: Some(process) });
        }
        let session = connect(url).realm("realm1").serializer(peer.serializer).await;
        let session = session.map_err(|error| format!("the caller cannot connect: {error}"))?;
        let (say, lines) = Lines::new("the caller");
        tokio::spawn(call(session, procedure.to_owned(), say));
        Ok(Self { lines, process: None })
    }

    /// Checks that it prints nothing more, and its exit code.
    pub async fn expect_end(&mut self, well: bool) -> Result<(), String> {
        self.lines.expect_end().await?;
        match &mut self.process {
            None => Ok(()),
            Some(process) => process.expect_exit(if well { 0 } else { 1 }).await,
        }
    }

    /// Breaks its connection.
    pub async fn die(&mut self) -> Result<(), String> {
        match &mut self.process {
            None => Err("our own caller cannot be killed".to_owned()),
            Some(process) => process.kill().await,
        }
    }
}

async fn call(session: Session, procedure: String, say: Sender<String>) {
    // The test may have stopped listening.
    let say = async |line| drop(say.send(line).await);
    let mut failed = false;
    match session.call(procedure).args((3,)).progressive::<i64>().await {
        Ok(mut items) => {
            // Goes on after an error, so that a second end would be noticed.
            while let Some(item) = items.next().await {
                failed |= item.is_err();
                say(item.map_or_else(|error| described(&error), |i| format!("Progress: {i}"))).await;
            }
            match items.finish::<i64>().await {
                Ok(n) => say(format!("Final: {n}")).await,
                Err(error) if !failed => say(described(&error)).await,
                Err(_) => {}
            }
        }
        Err(error) => say(described(&error)).await,
    }
    session.leave().await;
}

fn described(error: &CallError) -> String {
    match error {
        CallError::Canceled { uri, .. } => format!("Error: {uri}"),
        error => format!("Error: {error:?}"),
    }
}
