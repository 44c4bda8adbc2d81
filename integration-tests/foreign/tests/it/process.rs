//! A program beside the test: its output, its input and its end.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::log::Log;

/// A test that waits longer than this hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Lines that arrive one after another.
pub struct Lines {
    whose: &'static str,
    lines: mpsc::Receiver<String>,
}

impl Lines {
    pub fn new(whose: &'static str) -> (mpsc::Sender<String>, Self) {
        let (sender, lines) = mpsc::channel(64);
        (sender, Self { whose, lines })
    }

    /// The next line; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<String>, String> {
        self.next_within(PATIENCE).await
    }

    /// The same with another time limit.
    pub async fn next_within(&mut self, patience: Duration) -> Result<Option<String>, String> {
        let silence = |_| format!("{} says nothing", self.whose);
        timeout(patience, self.lines.recv()).await.map_err(silence)
    }

    /// Checks the next line.
    pub async fn expect(&mut self, expected: &str) -> Result<(), String> {
        match self.next().await? {
            Some(line) if line == expected => Ok(()),
            Some(line) => Err(format!("{} says {line:?}, not {expected:?}", self.whose)),
            None => Err(format!("{} has ended without {expected:?}", self.whose)),
        }
    }

    /// Checks that no further line has arrived.
    pub fn expect_nothing_yet(&mut self) -> Result<(), String> {
        match self.lines.try_recv() {
            Ok(line) => Err(format!("{} says {line:?} too early", self.whose)),
            Err(mpsc::error::TryRecvError::Empty) => Ok(()),
            Err(mpsc::error::TryRecvError::Disconnected) => {
                Err(format!("{} has ended too early", self.whose))
            }
        }
    }

    /// Appends all lines to the log.
    pub fn record(mut self, log: &Log) {
        let log = log.clone();
        tokio::spawn(async move {
            while let Some(line) = self.lines.recv().await {
                log.add(format!("{}: {line}", self.whose));
            }
        });
    }

    /// Checks that no more lines follow.
    pub async fn expect_end(&mut self) -> Result<(), String> {
        match self.next().await? {
            None => Ok(()),
            Some(line) => Err(format!("{} goes on and says {line:?}", self.whose)),
        }
    }
}

/// A program that is running. It is killed when this is dropped.
pub struct Process {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
}

impl Process {
    /// Starts a program; its standard error goes to the log.
    pub fn start(name: &'static str, mut command: Command, log: &Log) -> Result<(Self, Lines), String> {
        command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = command.as_std().get_program().to_owned();
        let mut child =
            command.spawn().map_err(|error| format!("{name}: cannot start {program:?}: {error}"))?;
        let (sender, lines) = Lines::new(name);
        if let Some(output) = child.stdout.take() {
            tokio::spawn(async move {
                let mut output = BufReader::new(output).lines();
                while let Ok(Some(line)) = output.next_line().await {
                    // The output is always read to its end, even if no test needs it.
                    let _ = sender.send(line).await;
                }
            });
        }
        if let Some(errors) = child.stderr.take() {
            tokio::spawn(record(name, errors, log.clone()));
        }
        let input = child.stdin.take();
        Ok((Self { name, child, input }, lines))
    }

    /// The same, with all programs that it starts in a group of their own, for [`signal`](Self::signal).
    pub fn start_group(name: &'static str, mut command: Command, log: &Log) -> Result<(Self, Lines), String> {
        command.process_group(0);
        Self::start(name, command, log)
    }

    /// Sends a signal to its group.
    pub async fn signal(&self, signal: &str) -> Result<(), String> {
        let id = self.child.id().ok_or_else(|| format!("{} has ended", self.name))?;
        let kill = format!("kill -s {signal} -- -{id}");
        let status = Command::new("sh").args(["-c", &kill]).status().await;
        match status {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("{} gets no {signal}: {other:?}", self.name)),
        }
    }

    /// Writes a line to its input.
    pub async fn say(&mut self, line: &str) -> Result<(), String> {
        let input = self.input.as_mut().ok_or_else(|| format!("{} has no input any more", self.name))?;
        let written = timeout(PATIENCE, input.write_all(format!("{line}\n").as_bytes())).await;
        let written = written.map_err(|_| format!("{} takes no input", self.name))?;
        written.map_err(|error| format!("{} takes no input: {error}", self.name))
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Kills it without warning.
    pub async fn kill(&mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("{} cannot be killed: {error}", self.name))
    }

    /// Waits until it has exited.
    pub async fn exited(&mut self) -> Result<ExitStatus, String> {
        let exited = timeout(PATIENCE, self.child.wait()).await;
        let exited = exited.map_err(|_| format!("{} does not exit", self.name))?;
        exited.map_err(|error| format!("{}: {error}", self.name))
    }

    /// Waits until it has exited, with this code.
    pub async fn expect_exit(&mut self, code: i32) -> Result<(), String> {
        let status = self.exited().await?;
        if status.code() == Some(code) {
            return Ok(());
        }
        Err(format!("{} has ended with {status}, not with code {code}", self.name))
    }
}

async fn record(name: &'static str, errors: impl AsyncRead + Unpin, log: Log) {
    let mut errors = BufReader::new(errors).lines();
    while let Ok(Some(line)) = errors.next_line().await {
        log.add(format!("{name}: {line}"));
    }
}
