//! What drives a session: its lock, the task that reads and the task that writes.
//!
//! There is no channel of commands: whoever wants something of the session takes the lock for as long as
//! the core needs to say what is to be sent, which is written into the outbound queue before the lock is
//! released. Nothing waits under the lock and no code of the application runs under it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::session::{Closed, Joined};
use wamp_proto::{Limits, Message, RequestId, Serializer, Uri};
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, WriteHalf};

use crate::error::{TooLarge, Unsent};
use crate::waiters::State;

/// A queue with this many octets takes no more calls, publications and progressive results.
const HIGH_WATER: usize = 1 << 20;

/// They go on when it has fallen to this.
const LOW_WATER: usize = 768 << 10;

/// What a message may have beside its payload and its URI without being measured.
const HEAD: usize = 512;

/// The greatest message before WELCOME.
const BEFORE_WELCOME: usize = 64 << 10;

/// How long the end of a session may take to be written.
const GRACE: Duration = Duration::from_secs(5);

/// How long after a failed write the reader may bring what the router said before.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What all handles and tasks of a session share.
pub(crate) struct Shared {
    state: Mutex<State>,
    serializer: Serializer,
    max_send: usize,
    start: Instant,
    runtime: Handle,
    /// Something is to be written, or the deadlines have changed.
    writer: Notify,
    /// The reader is to stop.
    stop: Notify,
    /// There is room in the queue. Each waiter that it lets in lets in the next one.
    room: Notify,
    closed: watch::Sender<Option<Closed>>,
    joined: OnceLock<Joined>,
}

impl Shared {
    /// Must be called inside a runtime.
    pub(crate) fn new(state: State, max_send: usize, start: Instant) -> Arc<Self> {
        Arc::new(Self {
            serializer: state.queue.serializer(),
            state: Mutex::new(state),
            max_send,
            start,
            runtime: Handle::current(),
            writer: Notify::new(),
            stop: Notify::new(),
            room: Notify::new(),
            closed: watch::Sender::new(None),
            joined: OnceLock::new(),
        })
    }

    pub(crate) fn serializer(&self) -> Serializer {
        self.serializer
    }

    /// The greatest message that the router takes.
    pub(crate) fn max_send(&self) -> usize {
        self.max_send
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(crate) fn joined(&self) -> Option<&Joined> {
        self.joined.get()
    }

    pub(crate) fn set_joined(&self, joined: Joined) {
        // It is set once, by the one who joined.
        let _ = self.joined.set(joined);
    }

    pub(crate) fn closed(&self) -> watch::Receiver<Option<Closed>> {
        self.closed.subscribe()
    }

    /// Does something with the session, and all that follows from it.
    pub(crate) fn with<R>(self: &Arc<Self>, op: impl FnOnce(&mut State, Time) -> R) -> R {
        self.settle(self.lock(), op)
    }

    /// Does something that adds to the queue, if there is room in it; else gives it back.
    pub(crate) fn if_room<R, F>(self: &Arc<Self>, op: F) -> Result<R, F>
    where
        F: FnOnce(&mut State, Time) -> R,
    {
        let state = self.lock();
        if state.full { Err(op) } else { Ok(self.settle(state, op)) }
    }

    /// Does something that adds to the queue, as soon as there is room in it. Dropped before, it has not
    /// done it.
    pub(crate) async fn with_room<R>(self: &Arc<Self>, op: impl FnOnce(&mut State, Time) -> R) -> R {
        let mut op = match self.if_room(op) {
            Ok(result) => return result,
            Err(op) => op,
        };
        loop {
            // Made before the look at the queue, so that it hears of everything after that.
            let room = self.room.notified();
            if self.lock().full {
                room.await;
            }
            match self.if_room(op) {
                Ok(result) => {
                    self.let_in();
                    return result;
                }
                Err(back) => op = back,
            }
        }
    }

    /// Waits for room in the queue. It may be gone again.
    pub(crate) async fn room(self: &Arc<Self>) {
        self.with_room(|_, _| ()).await;
    }

    /// Lets in the next one of those that wait for room.
    fn let_in(&self) {
        if !self.lock().full {
            self.room.notify_one();
        }
    }

    /// Whether a message with this payload and this URI can be written and is not too long. It is only made,
    /// with an id that it could have, where that is not plain to see.
    pub(crate) fn check_size(
        &self,
        payload: usize,
        uri: &Uri,
        message: impl FnOnce(RequestId) -> Message,
    ) -> Result<(), Unsent> {
        // A character may be escaped. U+0000 in front is what cannot be written.
        let octets = payload.saturating_add(6 * uri.len() + HEAD);
        if octets <= self.max_send && !uri.starts_with('\0') {
            return Ok(());
        }
        let message = message(self.lock().session.next_request());
        let mut head = Vec::new();
        message.encode_head(self.serializer, &mut head)?;
        let octets = head.len() + message.payload().len() + self.serializer.end().len();
        if octets > self.max_send {
            return Err(TooLarge { octets, limit: self.max_send }.into());
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug of ours; the tables hold what they held, and others go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        Time::after(self.start.elapsed())
    }

    fn settle<R>(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        op: impl FnOnce(&mut State, Time) -> R,
    ) -> R {
        let now = self.now();
        let deadline = state.session.poll_timeout();
        let result = op(&mut state, now);
        while drain(&mut state, now, self.max_send) {}
        let moved = state.session.poll_timeout() != deadline;
        let wanted = state.writer_idle && !state.queue.is_empty();
        if wanted {
            state.writer_idle = false;
        }
        let after = std::mem::take(&mut state.after);
        drop(state);

        if after.closed {
            self.stop.notify_one();
            self.room.notify_waiters();
        }
        if wanted || moved || after.closed {
            self.writer.notify_one();
        }
        for (procedure, job) in after.jobs {
            procedure.run(self, job);
        }
        result
    }
}

/// Writes what is to be sent, and handles one event. `false`: there was none.
fn drain(state: &mut State, now: Time, max_send: usize) -> bool {
    while let Some(message) = state.session.poll_transmit() {
        let pushed = match &message {
            Message::Abort(_) => state.queue.abort(&message).map(drop).map_err(|e| e.to_string()),
            _ => state.queue.push_within(&message, max_send).map(drop).map_err(|e| e.to_string()),
        };
        if let Err(error) = pushed {
            // Everything with a payload or a URI of the application was measured before.
            tracing::error!(message = message.name(), error, "a message cannot be written; the session ends");
            state.session.handle_closed(now);
        }
    }
    if state.queue.octets() >= HIGH_WATER && state.closed.is_none() {
        state.full = true;
    }
    match state.session.poll_event() {
        Some(event) => {
            state.handle_event(now, event);
            true
        }
        None => false,
    }
}

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
        let closed = self.0.with(|state, now| {
            state.session.handle_closed(now);
            state.closed.as_ref().map(|(closed, _)| closed.clone())
        });
        self.0.closed.send_replace(closed);
    }
}

/// Something that one read has brought.
enum Input {
    Message(Box<Message>),
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
    let mut incoming = Vec::new();
    loop {
        let read = tokio::select! {
            () = shared.stop.notified() => return,
            read = half.read(&mut incoming) => read,
        };
        let inputs: Vec<Input> =
            incoming.drain(..).filter_map(|item| input(item, shared.serializer, &limits)).collect();
        let (open, closed) = shared.with(|state, now| {
            for input in inputs {
                handle(state, now, input, shared.max_send);
            }
            if let Err(error) = read {
                handle_end(state, now, &error);
            }
            (state.session.is_open(), state.session.is_closed())
        });
        if closed {
            return;
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
            Ok(message) => Input::Message(Box::new(message)),
            Err(error) => Input::Garbage(error.to_string()),
        }),
        Incoming::Ping(payload) => Some(Input::Ping(payload)),
        _ => None,
    }
}

fn handle(state: &mut State, now: Time, input: Input, max_send: usize) {
    match input {
        Input::Message(message) => {
            let before = state.session.stats();
            state.session.handle_message(now, *message);
            let ignored = state.session.stats();
            if ignored != before {
                tracing::debug!(
                    late = ignored.late,
                    unsolicited = ignored.unsolicited,
                    unknown = ignored.unknown,
                    "ignored what came too late, or unasked"
                );
            }
            // Each message's events before the next message, so that a slow consumer is found out in time.
            while drain(state, now, max_send) {}
        }
        Input::Garbage(text) => state.session.handle_garbage(now, text),
        Input::Ping(payload) => state.queue.pong(payload),
    }
}

fn handle_end(state: &mut State, now: Time, error: &ReadError) {
    tracing::debug!(%error, "nothing more can be read");
    match error {
        ReadError::TooLarge { .. } | ReadError::Violation(_) => {
            state.session.handle_garbage(now, error.to_string());
        }
        _ => state.session.handle_closed(now),
    }
}

/// What the writer is to do.
enum Next {
    Write(Batch),
    Wait(Option<Instant>),
    End,
}

impl Shared {
    fn next(&self) -> Next {
        let mut state = self.lock();
        match state.queue.pop() {
            Some(batch) => Next::Write(batch),
            None if state.queue.is_closed() => Next::End,
            None => {
                state.writer_idle = true;
                Next::Wait(self.deadline(&state))
            }
        }
    }

    /// The next deadline of the session, or of what it has left behind.
    fn deadline(&self, state: &State) -> Option<Instant> {
        let deadline = match &state.closed {
            Some((_, at)) => Some(*at + GRACE),
            None => state.session.poll_timeout(),
        };
        deadline.map(|time| self.start + time.since_origin())
    }

    /// A deadline has passed. `false`: it was the last one.
    fn handle_deadline(self: &Arc<Self>) -> bool {
        self.with(|state, now| match &state.closed {
            Some((_, at)) => now < *at + GRACE,
            None => {
                state.session.handle_timeout(now);
                true
            }
        })
    }

    /// Waits until the session is over.
    async fn ended(&self) {
        while self.lock().closed.is_none() {
            self.writer.notified().await;
        }
    }

    /// A batch is written, or never will be.
    fn written(&self, batch: Batch) {
        let mut state = self.lock();
        state.queue.recycle(batch);
        if state.full && state.queue.octets() <= LOW_WATER {
            state.full = false;
            drop(state);
            self.room.notify_one();
        }
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
        let deadline = {
            let state = shared.lock();
            shared.deadline(&state)
        };
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
