//! What drives a session: the task that reads and the task that writes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::session::Stats;
use wamp_proto::Limits;
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, WriteHalf};

use crate::arrived::{AT_ONCE, Arrived, pieces};
use crate::shared::{GRACE, Next, Shared};
use crate::waiters::State;

/// The greatest message before WELCOME.
const BEFORE_WELCOME: usize = 64 << 10;

/// How long after a failed write the reader may bring what the router said before.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
pub(crate) async fn read<R: ReadHalf>(shared: Arc<Shared>, mut half: R, max_message: usize) {
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
        };
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

/// The task that writes. It also keeps the deadlines, and closes the connection in the end.
pub(crate) async fn write<W: WriteHalf>(shared: Arc<Shared>, mut half: W) {
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
                let written = write_batch(&shared, &mut half, &mut batch).await;
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
    // Bounded, since a peer that does not read may never let it end.
    let _ = tokio::time::timeout(GRACE, half.close()).await;
}

/// Writes a batch while the deadlines go on. `false`: it cannot be written.
async fn write_batch<W: WriteHalf>(shared: &Arc<Shared>, half: &mut W, batch: &mut Batch) -> bool {
    loop {
        let deadline = shared.deadline();
        tokio::select! {
            biased;
            result = half.write(batch) => {
                if let Err(error) = &result {
                    tracing::debug!(%error, "nothing more can be written");
                }
                return result.is_ok();
            }
            () = shared.writer.notified() => {}
            () = until(deadline) => {
                if !shared.handle_deadline() {
                    return false;
                }
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
