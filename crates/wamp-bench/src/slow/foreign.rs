//! Peers with a foreign library: Autobahn|Python, run with the interpreter of `--python`.
//!
//! They speak WebSocket, unless `--transport rs` is given: over RawSocket this library fails on a PING, and a
//! caller that is silent for half a minute gets one.

use std::process::Stdio;
use std::time::Instant;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::outcome::{End, Outcome, Span};
use crate::Failed;
use crate::options::{Options, Transport};
use crate::order::Wrong;
use crate::target::Target;

const PEER: &str = include_str!("../../peers/peer.py");

/// A foreign peer, which ends with this.
pub(super) struct Foreign {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Foreign {
    fn start(options: &Options, target: &Target, role: &str, bytes: usize) -> Result<Self, Failed> {
        let python = options.python.as_deref().ok_or("a foreign peer needs --python")?;
        let mut child = Command::new(python)
            .args(["-c", PEER, role])
            .args(["--url", target.url(options.transport.unwrap_or(Transport::Ws))])
            .args(["--realm", target.realm()])
            .args(["--serializer", options.serializer.map_or("msgpack", |serializer| serializer.name())])
            .args(["--results", &options.results.to_string(), "--bytes", &bytes.to_string()])
            .args(["--pause", &options.pause.as_secs_f64().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{python}: {error}"))?;
        let output = child.stdout.take().ok_or("no standard output")?;
        Ok(Self { _child: child, lines: BufReader::new(output).lines() })
    }

    /// A callee, registered.
    pub(super) async fn callee(options: &Options, target: &Target, bytes: usize) -> Result<Self, Failed> {
        let mut callee = Self::start(options, target, "callee", bytes)?;
        callee.expect("registered").await?;
        Ok(callee)
    }

    /// Waits for this line of its output.
    async fn expect(&mut self, wanted: &str) -> Result<Instant, Failed> {
        match self.lines.next_line().await? {
            Some(line) if line == wanted => Ok(Instant::now()),
            other => Err(format!("the foreign peer sent {other:?} instead of {wanted:?}").into()),
        }
    }
}

/// A caller that stops reading for a while.
pub(super) async fn call(options: &Options, target: &Target, bytes: usize) -> Result<Outcome, Failed> {
    #[derive(Deserialize)]
    struct Said {
        received: u64,
        lost: u64,
        doubled: u64,
        misordered: u64,
        end: String,
    }

    let mut caller = Foreign::start(options, target, "caller", bytes)?;
    let span = Span { from: caller.expect("paused").await?, to: caller.expect("resumed").await? };
    let line = caller.lines.next_line().await?.ok_or("the foreign caller has ended without a result")?;
    let Said { received, lost, doubled, misordered, end } = serde_json::from_str(&line)?;
    let end = match end.as_str() {
        "result" => End::Result,
        "wamp.error.canceled" => End::Canceled,
        _ => End::Other(end),
    };
    Ok(Outcome { received, wrong: Wrong { lost, doubled, misordered }, end, span })
}
