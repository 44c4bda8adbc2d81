//! A callee: answers n with the results 0 to n-1 and then n; the test releases each result.

use std::io;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use wamp_client::{CancelReason, Failure, Invocation, Session};

use crate::log::Log;
use crate::peer::{Library, Peer};
use crate::process::{Lines, PATIENCE, Process};
use crate::tls::connect;
use crate::tools::Tools;

pub enum Callee {
    Ours(Ours),
    Foreign(Box<Process>, Lines),
}

/// A callee in the test's process, on a runtime of its own, which a test can drop to simulate a crash.
pub struct Ours {
    session: Session,
    nods: Arc<Semaphore>,
    canceled: mpsc::Receiver<CancelReason>,
    runtime: Option<Runtime>,
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Callee {
    /// Starts a callee and waits until it has registered.
    pub async fn start(
        tools: &Tools,
        peer: Peer,
        url: &str,
        procedure: &str,
        log: &Log,
    ) -> Result<Self, String> {
        if peer.library == Library::Ours {
            return Ours::start(peer, url, procedure).await.map(Callee::Ours);
        }
        let mut command = tools.peer(peer, "callee");
        command.args(["--url", url, "--realm", "realm1", "--procedure", procedure]);
        command.args(["--serializer", peer.serializer.name()]);
        let (process, mut lines) = Process::start("the callee", command, log)?;
        lines.expect("Registered").await?;
        Ok(Callee::Foreign(Box::new(process), lines))
    }

    /// Lets the first waiting call go on.
    pub async fn nod(&mut self) -> Result<(), String> {
        match self {
            Callee::Ours(ours) => {
                ours.nods.add_permits(1);
                Ok(())
            }
            Callee::Foreign(process, _) => process.say("").await,
        }
    }

    /// A call was canceled, and its handler knows why. Only our callee can tell.
    pub async fn expect_canceled(&mut self, why: CancelReason) -> Result<(), String> {
        let Callee::Ours(ours) = self else { return Ok(()) };
        match timeout(PATIENCE, ours.canceled.recv()).await {
            Ok(Some(reason)) if reason == why => Ok(()),
            Ok(other) => Err(format!("the callee's call was to be {why:?}, and is {other:?}")),
            Err(_) => Err("the callee's call was not canceled".to_owned()),
        }
    }

    /// No call was canceled.
    pub fn expect_not_canceled(&mut self) -> Result<(), String> {
        let Callee::Ours(ours) = self else { return Ok(()) };
        ours.canceled
            .try_recv()
            .map_or(Ok(()), |reason| Err(format!("a call of the callee was canceled: {reason:?}")))
    }

    /// Leaves with GOODBYE.
    pub async fn leave(&mut self) -> Result<(), String> {
        match self {
            Callee::Ours(ours) => {
                ours.session.leave().await;
                Ok(())
            }
            Callee::Foreign(process, lines) => {
                process.end_input();
                lines.expect_end().await?;
                process.expect_exit(0).await
            }
        }
    }

    /// Breaks its connection.
    pub async fn die(&mut self) -> Result<(), String> {
        match self {
            Callee::Ours(ours) => {
                if let Some(runtime) = ours.runtime.take() {
                    runtime.shutdown_background();
                }
                Ok(())
            }
            Callee::Foreign(process, _) => process.kill().await,
        }
    }
}

impl Ours {
    async fn start(peer: Peer, url: &str, procedure: &str) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        let (url, procedure) = (url.to_owned(), procedure.to_owned());
        let nods = Arc::new(Semaphore::new(0));
        let (cancel, canceled) = mpsc::channel(8);
        let handler = {
            let nods = nods.clone();
            move |call| longop(call, nods.clone(), cancel.clone())
        };
        let joined = runtime.spawn(async move {
            let session = connect(&url).realm("realm1").serializer(peer.serializer).await;
            let session = session.map_err(|error| format!("the callee cannot connect: {error}"))?;
            let registered = session.register(procedure, handler).await;
            registered.map(|_| session).map_err(|error| format!("the callee cannot register: {error}"))
        });
        let joined = joined.await;
        let mut ours = match joined.map_err(|error| error.to_string()).and_then(|joined| joined) {
            Ok(session) => Self { session, nods, canceled, runtime: None },
            Err(why) => {
                runtime.shutdown_background();
                return Err(why);
            }
        };
        ours.runtime = Some(runtime);
        Ok(ours)
    }
}

async fn longop(
    call: Invocation,
    nods: Arc<Semaphore>,
    canceled: mpsc::Sender<CancelReason>,
) -> Result<(i64,), Failure> {
    let (n,): (i64,) = call.args()?;
    let progress =
        call.progress().ok_or_else(|| io::Error::other("progressive results are not asked for"))?;
    let work = async {
        for i in 0..n {
            progress.send((i,)).await?;
            nods.acquire().await?.forget();
        }
        Ok((n,))
    };
    tokio::select! {
        biased;
        reason = call.canceled() => {
            let _ = canceled.send(reason).await;
            Err(Failure::new("com.myapp.error.nobody_hears_this"))
        }
        done = work => done,
    }
}
