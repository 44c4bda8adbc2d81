//! Ctrl-C, SIGTERM, SIGHUP and SIGQUIT: the first one ends what runs, the second one leaves at once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use wamp_client::Session;

use crate::fail::{Code, Fail};
use crate::groups;

/// Time for GOODBYE after the second signal.
const GOODBYE: Duration = Duration::from_secs(1);

/// The signals that end the program.
#[derive(Clone)]
pub(crate) struct Signals {
    first: watch::Receiver<Option<Code>>,
    session: Arc<OnceLock<Session>>,
}

impl Signals {
    /// Installs the handlers.
    pub(crate) fn listen() -> Result<Self, Fail> {
        let failed = |error| Fail::usage(format!("cannot install signal handlers: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut quit = signal(SignalKind::quit()).map_err(failed)?;
        let mut hang_up = match ignores_hang_up() {
            true => None,
            false => Some(signal(SignalKind::hangup()).map_err(failed)?),
        };
        let (send, first) = watch::channel(None);
        let session = Arc::new(OnceLock::<Session>::new());
        let left = session.clone();
        tokio::spawn(async move {
            loop {
                let code = tokio::select! {
                    _ = interrupt.recv() => Code::Interrupted,
                    _ = terminate.recv() => Code::Terminated,
                    _ = quit.recv() => Code::Quit,
                    () = received(&mut hang_up) => Code::HungUp,
                };
                if send.borrow().is_none() {
                    send.send_replace(Some(code));
                    continue;
                }
                if let Some(session) = left.get() {
                    let _ = tokio::time::timeout(GOODBYE, session.leave()).await;
                }
                groups::kill_all();
                std::process::exit(code as i32);
            }
        });
        Ok(Self { first, session })
    }

    /// Sets the session to leave on the second signal.
    pub(crate) fn set_session(&self, session: &Session) {
        let _ = self.session.set(session.clone());
    }

    /// Waits for the first signal and returns its exit code. Ready at once if it has arrived before.
    pub(crate) async fn received(&mut self) -> Code {
        match self.first.wait_for(Option::is_some).await {
            Ok(code) => code.unwrap_or(Code::Interrupted),
            // The task with the handlers ends with the program.
            Err(_) => std::future::pending().await,
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether this program was started with SIGHUP ignored, as by `nohup`. That is known on Linux only.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 != 0)
}
