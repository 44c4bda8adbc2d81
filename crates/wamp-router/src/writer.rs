//! The writer of a link: writes the batches of its queue to the connection.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use wamp_transport::{Batch, WriteError, WriteHalf};

use crate::outbound::Outbound;

/// The time for which a link that ends may still write, or be read after ABORT, so that the ABORT arrives.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// The number of checks within each limit whether a peer still accepts data.
const STALL_CHECKS: u32 = 8;

/// A link that has accepted nothing for this time holds no publishers, and its events are dropped while it is full.
const STANDSTILL: Duration = Duration::from_millis(250);

/// The writer of a link.
pub(crate) struct Writer<W> {
    write: W,
    outbound: Arc<Outbound>,
}

impl<W: WriteHalf> Writer<W> {
    pub(crate) fn new(write: W, outbound: Arc<Outbound>) -> Self {
        Self { write, outbound }
    }

    /// Writes the queue until it is closed, and then closes the connection. Futures of long operations are
    /// boxed, since most links are idle.
    pub(crate) async fn run(&mut self) {
        while let Some(mut batch) = self.outbound.next().await {
            let written = at_once(self.write.write(&mut batch)).await;
            self.outbound.end_turn();
            let written = match written {
                Poll::Ready(written) => written.map_err(Some),
                Poll::Pending => {
                    self.outbound.set_takes_turns(false);
                    let written = Box::pin(self.write_on(&mut batch)).await;
                    self.outbound.set_takes_turns(true);
                    written
                }
            };
            if let Err(why) = written {
                if let Some(error) = why {
                    tracing::debug!(%error, "cannot write to the connection");
                }
                return self.outbound.kill();
            }
            if let Some(written) = self.outbound.written(batch) {
                Box::pin(self.outbound.report(written)).await;
            }
        }
        self.outbound.set_takes_turns(false);
        if !self.outbound.is_dead() {
            if self.outbound.is_going_away() {
                self.write.set_going_away();
            }
            let _ = Box::pin(timeout(LINGER, self.write.close())).await;
        }
    }

    /// Continues with a batch that the connection did not accept at once. A peer that accepts nothing gets no
    /// more events after a moment, is stalled after a while, and dropped after a longer time. Fails with the
    /// error of the connection, or with `None` if the link is dropped.
    async fn write_on(&mut self, batch: &mut Batch) -> Result<(), Option<WriteError>> {
        let Self { write, outbound } = self;
        let limits = &outbound.settings().limits;
        let standstill = STANDSTILL.min(limits.stall);
        let slow_look = limits.stall.min(limits.give_up) / STALL_CHECKS;
        let (mut accepted, mut since, mut stands_still) = (write.accepted(), Instant::now(), false);
        loop {
            let look = if stands_still { slow_look } else { slow_look.min(standstill / STALL_CHECKS) };
            let result = tokio::select! {
                result = timeout(look, write.write(batch)) => result,
                () = outbound.killed() => return Err(None),
            };
            if stands_still && write.accepted() != accepted {
                stands_still = false;
                outbound.set_stands_still(false).await;
            }
            match result {
                Ok(written) => return written.map_err(Some),
                Err(_) if write.accepted() != accepted => {
                    (accepted, since) = (write.accepted(), Instant::now());
                }
                Err(_) if since.elapsed() >= limits.give_up => {
                    tracing::info!("closed a link that accepts nothing");
                    return Err(None);
                }
                Err(_) if !stands_still && since.elapsed() >= standstill => {
                    stands_still = true;
                    outbound.set_stands_still(true).await;
                }
                Err(_) if since.elapsed() >= limits.stall => outbound.stall().await,
                Err(_) => {}
            }
        }
    }
}

impl<W> Drop for Writer<W> {
    fn drop(&mut self) {
        self.outbound.set_takes_turns(false);
    }
}

/// Polls a future once and returns its result, if any.
async fn at_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
