//! What drives a session: the task that reads and the task that writes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use wamp_core::Time;
use wamp_proto::{Limits, Message, Serializer};
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, WriteHalf};

use crate::shared::{GRACE, Next, Shared, drain};
use crate::waiters::State;

/// The greatest message before WELCOME.
const BEFORE_WELCOME: usize = 64 << 10;

/// So many messages are read and then handled under one lock; the others that one read brought come after them.
const AT_ONCE: usize = 64;

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

/// Something that one read has brought.
#[expect(clippy::large_enum_variant, reason = "nearly all are messages, and a box for each would cost more")]
enum Input {
    /// A message, and how long it was.
    Message(Message, usize),
    Garbage(String),
    Ping(Bytes),
}

/// The task that reads.
pub(crate) async fn read<R: ReadHalf>(shared: Arc<Shared>, mut half: R, max_message: usize) {
    let _reader = Reader(shared.clone());
    half.set_max_receive(max_message.min(BEFORE_WELCOME));
    let mut limits = Limits::default();
    limits.message = max_message;
    let mut joined = false;
    let (mut incoming, mut inputs) = (Vec::new(), Vec::new());
    loop {
        let read = tokio::select! {
            biased;
            () = shared.stop.notified() => return,
            read = half.read(&mut incoming) => read,
        };
        if let Err(error) = &read {
            tracing::debug!(%error, "nothing more can be read");
        }
        let (mut items, mut end, mut before) = (incoming.drain(..), read.err(), None);
        let (after, open) = loop {
            inputs.extend(
                items.by_ref().take(AT_ONCE).filter_map(|item| input(item, shared.serializer(), &limits)),
            );
            let last = items.len() == 0;
            let (after, open) = shared.with(|state, now| {
                before.get_or_insert(state.session.stats());
                for input in inputs.drain(..) {
                    handle(state, now, input, shared.max_send());
                }
                if let Some(error) = end.take_if(|_| last) {
                    handle_end(state, now, &error);
                }
                (state.session.stats(), state.session.is_open())
            });
            if last {
                break (after, open);
            }
        };
        drop(items);
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

fn input(item: Incoming, serializer: Serializer, limits: &Limits) -> Option<Input> {
    match item {
        Incoming::Message(frame) => Some(match Message::decode(serializer, &frame, limits) {
            Ok(message) => Input::Message(message, frame.len()),
            Err(error) => Input::Garbage(error.to_string()),
        }),
        Incoming::Ping(payload) => Some(Input::Ping(payload)),
        _ => None,
    }
}

fn handle(state: &mut State, now: Time, input: Input, max_send: usize) {
    match input {
        Input::Message(message, octets) => {
            state.session.handle_frame(now, message, octets);
            // Each message's events before the next message, so that a slow consumer is found out in time.
            while drain(state, now, max_send) {}
        }
        Input::Garbage(text) => state.session.handle_garbage(now, text),
        Input::Ping(payload) => state.queue.pong(payload),
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
