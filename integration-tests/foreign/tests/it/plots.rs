//! The steps of a row, and the expected outcome.

use tokio::time::sleep;
use wamp_client::{CancelReason, Serializer};

use crate::callee::Callee;
use crate::caller::Caller;
use crate::log::Log;
use crate::peer::{Library, Peer, Transport};
use crate::routers::{LONG_SILENCE, Running};
use crate::rows::{Plot, Row};
use crate::tap::Tap;
use crate::tools::Tools;

/// The router and the names of a row.
pub struct Stage<'a> {
    pub tools: &'a Tools,
    pub router: &'a Running,
    /// Each row has its own.
    pub procedure: &'a str,
    pub log: &'a Log,
}

const CANCELED: &str = "wamp.error.canceled";

impl Stage<'_> {
    pub async fn play(&self, row: Row) -> Result<(), String> {
        match row.plot {
            Plot::Streams | Plot::Idles | Plot::Details => self.streams(row).await,
            Plot::CallerCancels(mode) => self.caller_cancels(row, mode).await,
            Plot::CallerDies => self.caller_dies(row).await,
            Plot::CalleeDies | Plot::CalleeLeaves => self.callee_goes(row).await,
        }
    }

    async fn callee(&self, peer: Peer) -> Result<Callee, String> {
        Callee::start(self.tools, peer, &self.router.url(peer.transport), self.procedure, self.log).await
    }

    async fn caller(&self, peer: Peer) -> Result<Caller, String> {
        let url = self.router.url(peer.transport);
        Caller::start(self.tools, peer, &url, self.procedure, &[], self.log).await
    }

    /// behaviour 19: each progressive result arrives before the callee may send the next.
    async fn streams(&self, row: Row) -> Result<(), String> {
        let mut callee = self.callee(row.callee).await?;
        let arguments: &[&str] = if matches!(row.plot, Plot::Details) { &["--details"] } else { &[] };
        let url = self.router.url(row.caller.transport);
        let mut caller =
            Caller::start(self.tools, row.caller, &url, self.procedure, arguments, self.log).await?;
        for i in 0..3 {
            caller.lines.expect(&format!("Progress: {i}")).await?;
            caller.lines.expect_nothing_yet()?;
            if matches!(row.plot, Plot::Idles) && i == 1 {
                sleep(LONG_SILENCE).await;
            }
            callee.nod().await?;
        }
        caller.lines.expect("Final: 3").await?;
        caller.expect_end(true).await?;
        callee.leave().await
    }

    /// behaviour 25: one ERROR in every mode, and no harm to another call of the same callee.
    async fn caller_cancels(&self, row: Row, mode: &str) -> Result<(), String> {
        let mut callee = self.callee(row.callee).await?;
        let ours =
            Peer { library: Library::Ours, transport: Transport::WebSocket, serializer: Serializer::MsgPack };
        let mut bystander = self.caller(ours).await?;
        bystander.lines.expect("Progress: 0").await?;

        let router = self.router.embedded().ok_or("only our own router can be tapped")?;
        let tap = Tap::open(router).await.map_err(|error| format!("no tap: {error}"))?;
        let mut caller =
            Caller::start(self.tools, row.caller, &tap.url(), self.procedure, &["--cancel", mode], self.log)
                .await?;
        caller.lines.expect("Progress: 0").await?;
        let error = error_of(row.callee.library, mode);
        caller.lines.expect(&shown(row.caller.library, mode, error)).await?;
        caller.expect_end(false).await?;
        let replies: Vec<String> = tap.all().await?.into_iter().filter(|message| is_reply(message)).collect();
        match &replies[..] {
            [first, last] if is_progress(first) && is_error(last, error) => {}
            replies => return Err(format!("not a progressive result and one ERROR, but {replies:?}")),
        }
        if mode == "skip" {
            callee.expect_not_canceled()?;
        } else {
            callee.expect_canceled(CancelReason::Canceled).await?;
        }

        // A callee that was not interrupted takes every other release.
        for _ in 0..6 {
            callee.nod().await?;
        }
        for line in ["Progress: 1", "Progress: 2", "Final: 3"] {
            bystander.lines.expect(line).await?;
        }
        bystander.expect_end(true).await?;
        callee.expect_not_canceled()?;
        callee.leave().await
    }

    /// The callee's handler learns that the call was canceled.
    async fn caller_dies(&self, row: Row) -> Result<(), String> {
        let mut callee = self.callee(row.callee).await?;
        let mut caller = self.caller(row.caller).await?;
        caller.lines.expect("Progress: 0").await?;
        callee.expect_not_canceled()?;
        caller.die().await?;
        callee.expect_canceled(CancelReason::CallerGone).await?;
        callee.leave().await
    }

    /// The caller learns it, once.
    async fn callee_goes(&self, row: Row) -> Result<(), String> {
        let mut callee = self.callee(row.callee).await?;
        let mut caller = self.caller(row.caller).await?;
        caller.lines.expect("Progress: 0").await?;
        if matches!(row.plot, Plot::CalleeLeaves) {
            callee.leave().await?;
        } else {
            callee.die().await?;
        }
        caller.lines.expect(&format!("Error: {CANCELED}")).await?;
        caller.expect_end(false).await
    }
}

/// The ERROR that ends a canceled call.
fn error_of(callee: Library, mode: &str) -> &'static str {
    match (callee, mode) {
        // The answer to an INTERRUPT.
        (Library::AutobahnPython, "kill") => "wamp.error.runtime_error",
        _ => CANCELED,
    }
}

/// The reaction of a caller to the ERROR.
fn shown(caller: Library, mode: &str, error: &str) -> String {
    match (caller, mode) {
        // Ends the call by itself and prints nothing about the ERROR.
        (Library::AutobahnPython, _) => "Canceled".to_owned(),
        // Ends the call by itself, does not recognize it when the ERROR arrives, and closes its session.
        (Library::AutobahnJs, "skip" | "killnowait") => "Error: Cancelled".to_owned(),
        _ => format!("Error: {error}"),
    }
}

fn is_reply(message: &str) -> bool {
    message.starts_with("[50,") || message.starts_with("[8,")
}

fn is_progress(message: &str) -> bool {
    message.starts_with("[50,") && message.contains(r#"{"progress":true}"#)
}

fn is_error(message: &str, uri: &str) -> bool {
    message.starts_with("[8,48,") && message.contains(&format!("{uri:?}"))
}
