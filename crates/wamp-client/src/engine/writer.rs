//! The task that writes.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use wamp_transport::{Batch, WriteHalf};

use crate::engine::shared::{Engine, GRACE, Step, WriteAtOnce};

/// After a failed write, the time in which the reader may still receive messages that the router sent before.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The number of checks, within the patience, whether a connection accepts anything.
const LOOKS: u32 = 8;

/// The shortest interval of these checks.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// Ends the session when its writer ends, also when the runtime drops it, and reports that.
struct Writer(Arc<Engine>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.set_write_at_once(None);
        self.0.publish_end();
    }
}

/// Lets the tasks run that are ready now. Unlike with `yield_now`, any idle thread may continue this task.
async fn after_ready_tasks() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The task that writes. It also keeps the deadlines, and closes the connection in the end. One that accepts nothing
/// for as long as `patience` says is given up.
pub(crate) async fn write<W: WriteHalf>(engine: Arc<Engine>, half: W, patience: Option<Duration>) {
    let _writer = Writer(engine.clone());
    let half = Arc::new(Mutex::new(half));
    engine.set_write_at_once(Some(at_once_on_any_thread(half.clone())));
    loop {
        match engine.next() {
            Step::End => break,
            Step::Wait(deadline) => {
                tokio::select! {
                    () = engine.writer.notified() => {
                        // The tasks that are ready now may add answers of other handlers and calls of other
                        // tasks. One write for all of them is much cheaper.
                        if engine.gathers() {
                            after_ready_tasks().await;
                        }
                    }
                    () = until(deadline) => drop(engine.handle_deadline()),
                }
            }
            Step::Write(mut batch) => {
                let written = write_batch(&engine, &mut *half.lock().await, &mut batch, patience).await;
                engine.written(batch);
                if !written {
                    // The reader may still find the reason.
                    let _ = tokio::time::timeout(LAST_WORDS, engine.ended()).await;
                    engine.with(|state, now| state.session.handle_closed(now));
                    break;
                }
            }
        }
    }
    engine.with(|state, _| state.fail_all());
    if !engine.is_given_up() {
        // Bounded, since a peer that does not read would block it for ever.
        let _ = tokio::time::timeout(GRACE, async { half.lock().await.close().await }).await;
    }
}

/// Writes the part of a batch that the connection accepts at once, while the writer is idle.
fn at_once_on_any_thread<W: WriteHalf>(half: Arc<Mutex<W>>) -> WriteAtOnce {
    Box::new(move |batch| {
        let Ok(mut half) = half.try_lock() else { return false };
        // The writer finds the error, or continues when the connection accepts more.
        let mut cx = Context::from_waker(Waker::noop());
        matches!(pin!(half.write(batch)).poll(&mut cx), Poll::Ready(Ok(())))
    })
}

/// Writes a batch, and handles deadlines meanwhile. Returns `false` if it cannot be written.
async fn write_batch<W: WriteHalf>(
    engine: &Arc<Engine>,
    half: &mut W,
    batch: &mut Batch,
    patience: Option<Duration>,
) -> bool {
    // Most batches are accepted at once.
    let mut result = at_once(half.write(batch)).await;
    let mut stall = patience.map(|patience| Stall::new(half.accepted(), patience));
    loop {
        if let Poll::Ready(result) = result {
            if let Err(error) = &result {
                tracing::debug!(%error, "cannot write to the connection");
            }
            return result.is_ok();
        }
        let deadline = engine.deadline();
        let look = stall.as_ref().map(|stall| stall.next_look);
        result = tokio::select! {
            biased;
            result = half.write(batch) => Poll::Ready(result),
            () = engine.writer.notified() => Poll::Pending,
            () = until(earlier(deadline, look)) => Poll::Pending,
        };
        if result.is_ready() {
            continue;
        }
        let now = Instant::now();
        if let Some(stall) = &mut stall
            && stall.has_lasted(now, half.accepted(), engine)
        {
            let text = format!("it has taken nothing for {} s", stall.patience.as_secs_f64());
            engine.with(|state, now| state.session.handle_silence(now, text));
        }
        let is_due = deadline.is_some_and(|deadline| deadline <= now);
        if engine.is_given_up() || (is_due && !engine.handle_deadline()) {
            return false;
        }
    }
}

/// A write that the connection does not accept at once.
struct Stall {
    accepted: u64,
    since: Instant,
    patience: Duration,
    next_look: Instant,
}

impl Stall {
    fn new(accepted: u64, patience: Duration) -> Self {
        let since = Instant::now();
        Self { accepted, since, patience, next_look: since + patience / LOOKS }
    }

    /// Checks now and then whether the connection has accepted anything. Returns whether it has accepted
    /// nothing for too long.
    fn has_lasted(&mut self, now: Instant, accepted: u64, engine: &Engine) -> bool {
        if now < self.next_look {
            return false;
        }
        self.next_look = now + (self.patience / LOOKS).max(SHORTEST_LOOK);
        if accepted != self.accepted {
            (self.accepted, self.since) = (accepted, now);
            engine.note_moved();
        }
        now >= self.since + self.patience
    }
}

/// Polls a future once and returns its result, if it is ready.
async fn at_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
