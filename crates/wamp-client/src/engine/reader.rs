//! What drives a session: the task that reads and the task that writes.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::session::Stats;
use wamp_proto::Limits;
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, WriteHalf};

use crate::engine::inbound::{AT_ONCE, Arrived, pieces};
use crate::engine::shared::{GRACE, Next, Shared};
use crate::engine::silence::Watch;
use crate::engine::state::State;

/// The greatest message before WELCOME.
const BEFORE_WELCOME: usize = 64 << 10;

/// How long after a failed write the reader may bring what the router said before.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often it is looked whether a connection that is being written to accepts anything, in the time after which it is
/// given up.
const LOOKS: u32 = 8;

/// It is not looked more often than this.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// Ends the session when its reader ends, also when the runtime takes it down.
struct Reader(Arc<Shared>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.with(|state, now| state.session.handle_closed(now));
    }
}

/// Ends the session when its writer ends, also when the runtime takes it down, and says so.
struct Writer(Arc<Shared>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.publish_end();
    }
}

/// The task that reads.
pub(crate) async fn read<R: ReadHalf>(
    shared: Arc<Shared>,
    mut half: R,
    max_message: usize,
    mut watch: Watch,
) {
    let _reader = Reader(shared.clone());
    half.set_max_receive(max_message.min(BEFORE_WELCOME));
    let mut limits = Limits::default();
    limits.message = max_message;
    let mut joined = false;
    let mut incoming = Vec::new();
    loop {
        let read = tokio::select! {
            biased;
            () = shared.stop.notified() => return,
            read = half.read_runs(&mut incoming) => read,
            () = watch.deadline() => {
                if let Some(why) = watch.handle_timeout(&half, &shared) {
                    tracing::debug!(why, "the router is given up");
                    shared.with(|state, now| state.session.handle_silence(now, why));
                }
                continue;
            }
        };
        watch.handle_read(&half, &shared, &incoming);
        if let Err(error) = &read {
            tracing::debug!(%error, "nothing more can be read");
        }
        let (mut end, mut before, mut handled) = (read.err(), None, 0);
        let (after, open) = loop {
            let part = handle_part(&shared, &incoming, handled, &limits, &mut end, &mut before);
            if part.must_wait {
                tokio::select! {
                    biased;
                    () = shared.stop.notified() => return,
                    () = shared.with_room(|_, _| ()) => {}
                }
                watch.handle_pause();
            }
            if part.is_last {
                break (part.stats, part.is_open);
            }
            handled = part.handled;
        };
        incoming.clear();
        if before != Some(after) {
            let (late, unsolicited, unknown) = (after.late, after.unsolicited, after.unknown);
            tracing::debug!(late, unsolicited, unknown, "ignored what came too late, or unasked");
        }
        if open && !joined {
            joined = true;
            half.set_max_receive(max_message);
            shared.with(|state, _| watch.begin(&half, &state.session));
        }
    }
}

/// What became of a part of what one read brought.
struct Part {
    /// So many pieces are handled now.
    handled: usize,
    is_last: bool,
    stats: Stats,
    is_open: bool,
    /// Nothing more may be handled until there is room in the queue.
    must_wait: bool,
}

/// Handles what comes after so many pieces, until that is all or the reader has to wait; then the end, if there is one.
fn handle_part(
    shared: &Arc<Shared>,
    incoming: &[Incoming],
    mut handled: usize,
    limits: &Limits,
    end: &mut Option<ReadError>,
    before: &mut Option<Stats>,
) -> Part {
    let mut pieces = incoming.iter().flat_map(pieces).skip(handled).peekable();
    loop {
        let arrived = Arrived::read(&mut pieces, shared.serializer(), limits);
        handled += AT_ONCE;
        let is_last = pieces.peek().is_none();
        let part = shared.with(|state, now| {
            before.get_or_insert(state.session.stats());
            arrived.handle(state, now, limits, shared.max_send());
            if let Some(error) = end.take_if(|_| is_last) {
                handle_end(state, now, &error);
            }
            let (stats, is_open) = (state.session.stats(), state.session.is_open());
            Part { handled, is_last, stats, is_open, must_wait: state.is_overfull() }
        });
        if part.is_last || part.must_wait {
            return part;
        }
    }
}

fn handle_end(state: &mut State, now: Time, error: &ReadError) {
    match error {
        ReadError::TooLarge { .. } | ReadError::Violation(_) => {
            state.session.handle_garbage(now, error.to_string());
        }
        _ => state.session.handle_closed(now),
    }
}

/// The task that writes. It also keeps the deadlines, and closes the connection in the end. One that accepts nothing
/// for as long as `patience` says is given up.
pub(crate) async fn write<W: WriteHalf>(shared: Arc<Shared>, mut half: W, patience: Option<Duration>) {
    let _writer = Writer(shared.clone());
    loop {
        match shared.next() {
            Next::End => break,
            Next::Wait(deadline) => {
                tokio::select! {
                    () = shared.writer.notified() => {}
                    () = until(deadline) => drop(shared.handle_deadline()),
                }
            }
            Next::Write(mut batch) => {
                let written = write_batch(&shared, &mut half, &mut batch, patience).await;
                shared.written(batch);
                if !written {
                    // The reader may still find out why.
                    let _ = tokio::time::timeout(LAST_WORDS, shared.ended()).await;
                    shared.with(|state, now| state.session.handle_closed(now));
                    break;
                }
            }
        }
    }
    if !shared.is_given_up() {
        // Bounded, since a peer that does not read may never let it end.
        let _ = tokio::time::timeout(GRACE, half.close()).await;
    }
}

/// Writes a batch while the deadlines go on. `false`: it cannot be written.
async fn write_batch<W: WriteHalf>(
    shared: &Arc<Shared>,
    half: &mut W,
    batch: &mut Batch,
    patience: Option<Duration>,
) -> bool {
    // Most are accepted at once.
    let mut result = at_once(half.write(batch)).await;
    let mut stall = patience.map(|patience| Stall::new(half.accepted(), patience));
    loop {
        if let Poll::Ready(result) = result {
            if let Err(error) = &result {
                tracing::debug!(%error, "nothing more can be written");
            }
            return result.is_ok();
        }
        let deadline = shared.deadline();
        let look = stall.as_ref().map(|stall| stall.next_look);
        result = tokio::select! {
            biased;
            result = half.write(batch) => Poll::Ready(result),
            () = shared.writer.notified() => Poll::Pending,
            () = until(earlier(deadline, look)) => Poll::Pending,
        };
        if result.is_ready() {
            continue;
        }
        let now = Instant::now();
        if let Some(stall) = &mut stall
            && stall.has_lasted(now, half.accepted(), shared)
        {
            let text = format!("it has taken nothing for {} s", stall.patience.as_secs_f64());
            shared.with(|state, now| state.session.handle_silence(now, text));
        }
        let is_due = deadline.is_some_and(|deadline| deadline <= now);
        if shared.is_given_up() || (is_due && !shared.handle_deadline()) {
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

    /// Looks whether something has been accepted, now and then. Says whether nothing has for too long.
    fn has_lasted(&mut self, now: Instant, accepted: u64, shared: &Shared) -> bool {
        if now < self.next_look {
            return false;
        }
        self.next_look = now + (self.patience / LOOKS).max(SHORTEST_LOOK);
        if accepted != self.accepted {
            (self.accepted, self.since) = (accepted, now);
            shared.note_moved();
        }
        now >= self.since + self.patience
    }
}

/// What comes out of a future that is polled once.
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
