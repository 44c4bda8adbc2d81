//! The state that all handles and tasks of a session share: its lock, its queue, and the waits for room in
//! it.
//!
//! There is no channel of commands. A handle takes the lock, the core handles its command, and the resulting
//! messages are written into the outbound queue before the lock is released. Nothing waits under the lock,
//! and no code of the application runs under it.

use std::any::Any;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::session::{Closed, Joined};
use wamp_proto::Serializer;
use wamp_transport::Batch;

use crate::engine::budget::Budget;
use crate::engine::events::drain;
use crate::engine::state::State;
use crate::engine::stats::Stats;

/// The length of the queue at which the waiting operations continue.
const LOW_WATER: usize = 768 << 10;

/// The number of progressive results for a unit of the budget of a task, if there is one stream.
const RESULTS_OF_A_UNIT: u32 = 8;

/// A writer that has this many bytes to write does not wait for more.
const GATHERED: usize = 4 << 10;

/// The time for writing the last messages of a session.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// The longest time that pending requests of an aborted session wait until its ABORT is written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A function that writes the part of a batch that the connection accepts at once, and returns whether that
/// was all of it.
pub(crate) type WriteAtOnce = Box<dyn FnMut(&mut Batch) -> bool + Send>;

/// The shared state of all handles and tasks of a session.
pub(crate) struct Engine {
    state: Mutex<State>,
    serializer: Serializer,
    max_send: usize,
    budget: Arc<Budget>,
    start: Instant,
    runtime: Handle,
    /// Notified when there is something to write, or the deadlines have changed.
    pub(crate) writer: Notify,
    /// Writes on any thread; see [`if_room_at_once`](Self::if_room_at_once).
    write_at_once: Mutex<Option<WriteAtOnce>>,
    /// Notified when the reader must stop.
    pub(crate) stop: Notify,
    /// Notified when there is room in the queue. Each waiter that proceeds wakes the next one.
    room: Notify,
    /// Whether the queue is full, or handlers wait for their turn to begin.
    crowded: AtomicBool,
    /// The number of invocations whose callers take progressive results.
    streams: AtomicUsize,
    /// The number of times that the connection has accepted data again after it had accepted none.
    moved: AtomicU64,
    closed: watch::Sender<Option<Closed>>,
    /// Whether the session has ended. Queued messages may still be written.
    over: AtomicBool,
    ended: Notify,
    joined: OnceLock<Arc<Joined>>,
    /// The object above this engine, for handles that are made from the engine.
    above: OnceLock<Weak<dyn Any + Send + Sync>>,
}

impl Engine {
    /// Must be called inside a runtime.
    pub(crate) fn new(state: State, max_send: usize, start: Instant) -> Arc<Self> {
        Arc::new(Self {
            serializer: state.queue.serializer(),
            budget: state.invocations.budget.clone(),
            state: Mutex::new(state),
            max_send,
            start,
            runtime: Handle::current(),
            writer: Notify::new(),
            write_at_once: Mutex::new(None),
            stop: Notify::new(),
            room: Notify::new(),
            crowded: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            closed: watch::Sender::new(None),
            over: AtomicBool::new(false),
            ended: Notify::new(),
            joined: OnceLock::new(),
            above: OnceLock::new(),
        })
    }

    pub(crate) fn serializer(&self) -> Serializer {
        self.serializer
    }

    /// Returns the longest message that the router accepts, in bytes.
    pub(crate) fn max_send(&self) -> usize {
        self.max_send
    }

    /// Returns the budget of memory that the session may hold for its peers.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(crate) fn joined(&self) -> &Arc<Joined> {
        self.joined.get().expect("no handle of a session is given out before WELCOME")
    }

    pub(crate) fn set_joined(&self, joined: Joined) {
        // It is set once, when the session has joined.
        let _ = self.joined.set(Arc::new(joined));
    }

    /// Returns the object above this engine.
    pub(crate) fn above(&self) -> Option<&Weak<dyn Any + Send + Sync>> {
        self.above.get()
    }

    pub(crate) fn set_above(&self, above: Weak<dyn Any + Send + Sync>) {
        // It is always the same one.
        let _ = self.above.set(above);
    }

    /// Whether the session has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Waits until the session has ended. Queued messages may still be written.
    pub(crate) async fn ended(&self) -> Closed {
        loop {
            // Created before the check, so that it notices every later change.
            let ended = self.ended.notified();
            if let Some((closed, _)) = &self.lock().closed {
                return closed.clone();
            }
            ended.await;
        }
    }

    /// Waits until the session has ended and nothing more will be written.
    pub(crate) async fn ended_and_written(&self) -> Closed {
        let mut closed = self.closed.subscribe();
        let closed = closed.wait_for(Option::is_some).await;
        closed.ok().and_then(|closed| closed.clone()).unwrap_or(Closed::Lost)
    }

    /// Waits until no handler is running in an open session.
    pub(crate) async fn without_invocations(self: &Arc<Self>) {
        poll_fn(|cx| self.with(|state, _| state.poll_without_invocations(cx))).await;
    }

    /// Returns the counters of ignored messages.
    pub(crate) fn stats(self: &Arc<Self>) -> Stats {
        self.with(|state, _| state.stats())
    }

    /// Ends the session; nothing more will be written.
    pub(crate) fn publish_end(self: &Arc<Self>) {
        // Completes only after all effects, including publication of the end.
        self.with(|state, now| {
            state.session.handle_closed(now);
            state.fail_all();
        });
        let closed = self.lock().closed.as_ref().map(|(closed, _)| closed.clone());
        self.closed.send_replace(closed);
    }

    /// Runs an operation on the session, with all its effects.
    pub(crate) fn with<R>(self: &Arc<Self>, op: impl FnOnce(&mut State, Time) -> R) -> R {
        self.after_op(self.lock(), op)
    }

    /// Runs an operation that adds to the queue, if there is room in it; otherwise returns the operation.
    pub(crate) fn if_room<R, F>(self: &Arc<Self>, op: F) -> Result<R, F>
    where
        F: FnOnce(&mut State, Time) -> R,
    {
        let state = self.lock();
        if state.full { Err(op) } else { Ok(self.after_op(state, op)) }
    }

    /// Runs an operation that adds a message to the queue, if there is room in it; otherwise returns the
    /// operation. If nothing else is being written, this thread writes the message at once, without waking
    /// the writer.
    pub(crate) fn if_room_at_once<R, F>(self: &Arc<Self>, op: F) -> Result<R, F>
    where
        F: FnOnce(&mut State, Time) -> R,
    {
        let mut state = self.lock();
        if state.full {
            return Err(op);
        }
        state.after.writes_at_once = true;
        Ok(self.after_op(state, op))
    }

    /// Runs an operation that adds to the queue, as soon as there is room in it. If this is dropped before,
    /// the operation does not run.
    pub(crate) async fn with_room<R>(self: &Arc<Self>, op: impl FnOnce(&mut State, Time) -> R) -> R {
        let mut op = match self.if_room(op) {
            Ok(result) => return result,
            Err(op) => op,
        };
        loop {
            // Created before the check of the queue, so that it notices every later change.
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

    /// Returns whether a handler that is about to begin must wait for room.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    fn note_crowded(&self, state: &State) {
        let crowded = state.full || state.invocations.has_delayed();
        if self.crowded.load(Ordering::Relaxed) != crowded {
            self.crowded.store(crowded, Ordering::Relaxed);
        }
        let streams = state.invocations.streams;
        if self.streams.load(Ordering::Relaxed) != streams {
            self.streams.store(streams, Ordering::Relaxed);
        }
    }

    /// Returns the number of progressive results that a sender may send for a unit of the budget of its task. A stream that
    /// has the session for itself has longer turns, since each turn is a write; with many streams all turns are short.
    pub(crate) fn results_of_a_unit(&self) -> u32 {
        let streams = self.streams.load(Ordering::Relaxed).max(1) as u32;
        (RESULTS_OF_A_UNIT / streams).max(1)
    }

    /// Wakes the next task that waits for room.
    fn let_in(&self) {
        if !self.lock().full {
            self.room.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a bug; the tables stay valid, and other operations continue.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Time {
        Time::after(self.start.elapsed())
    }

    /// Runs an operation that itself adds a message to the queue, if there is room in it. The core gets no
    /// message to send and no earlier deadline from it, so there are no further effects.
    pub(crate) fn push_written<R>(&self, op: impl FnOnce(&mut State) -> Option<R>) -> Option<R> {
        let mut state = self.lock();
        if state.full {
            return None;
        }
        let result = op(&mut state);
        state.note_full();
        if state.full {
            self.note_crowded(&state);
        }
        let wanted = state.wants_writer();
        drop(state);
        if wanted {
            self.writer.notify_one();
        }
        result
    }

    fn after_op<R>(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        op: impl FnOnce(&mut State, Time) -> R,
    ) -> R {
        let now = self.now();
        let deadline = state.session.poll_timeout();
        let result = op(&mut state, now);
        while drain(&mut state, now) {}
        let moved = state.session.poll_timeout() != deadline;
        let at_once = state.take_at_once();
        let wanted = state.wants_writer();
        let after = std::mem::take(&mut state.after);
        self.note_crowded(&state);
        drop(state);

        if let Some(batch) = at_once {
            self.write_at_once(batch);
        }

        if after.closed {
            self.over.store(true, Ordering::Release);
            self.ended.notify_waiters();
            self.stop.notify_one();
        }
        if after.freed {
            self.room.notify_waiters();
        }
        if wanted || moved || after.closed {
            self.writer.notify_one();
        }
        after.wakers.into_iter().for_each(Waker::wake);
        after.revoked.iter().for_each(|end| end.forget());
        for (procedure, job) in after.jobs {
            procedure.run(job);
        }
        result
    }
}

/// The next step of the writer.
pub(crate) enum Step {
    Write(Batch),
    Wait(Option<Instant>),
    End,
}

impl Engine {
    pub(crate) fn next(&self) -> Step {
        let mut state = self.lock();
        if state.is_writing_at_once {
            state.writer_idle = true;
            return Step::Wait(self.deadline_of(&state));
        }
        if matches!(state.closed, Some((Closed::Silent(_), _))) {
            return Step::End;
        }
        if let Some(batch) = state.unwritten.take() {
            return Step::Write(batch);
        }
        match state.queue.pop() {
            Some(batch) => {
                state.batches_taken += 1;
                Step::Write(batch)
            }
            None if state.queue.is_closed() => Step::End,
            None => {
                state.writer_idle = true;
                Step::Wait(self.deadline_of(&state))
            }
        }
    }

    /// Returns whether the writer should let other tasks run before it writes: little waits to be written, and several
    /// calls and invocations are under way. A lone one is not delayed. Senders of streams would fill the queue meanwhile.
    pub(crate) fn gathers(&self) -> bool {
        let state = self.lock();
        let (calls, invocations) = state.session.in_flight();
        let waiting = 1..GATHERED;
        waiting.contains(&state.queue.encoded_len())
            && state.invocations.streams == 0
            && calls + invocations > 1
    }

    /// Returns the next deadline of the session, or of the messages that remain after its end.
    fn deadline_of(&self, state: &State) -> Option<Instant> {
        let deadline = match &state.closed {
            Some((_, at)) if state.has_last_words => Some(*at + LAST_WORDS),
            Some((_, at)) => Some(*at + GRACE),
            None => state.session.poll_timeout(),
        };
        // A time that the clock does not have is never.
        deadline.and_then(|time| self.start.checked_add(time.since_origin()))
    }

    /// The next deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline_of(&self.lock())
    }

    /// Handles a deadline that has passed. Returns `false` if it was the last one.
    pub(crate) fn handle_deadline(self: &Arc<Self>) -> bool {
        self.with(|state, now| match state.closed {
            Some((_, at)) => {
                if now >= at + LAST_WORDS {
                    state.fail_all();
                }
                now < at + GRACE
            }
            None => {
                state.session.handle_timeout(now);
                true
            }
        })
    }

    /// Sends a PING to the router.
    pub(crate) fn ping(&self) {
        let mut state = self.lock();
        state.queue.ping(Bytes::new());
        state.writer_idle = false;
        drop(state);
        self.writer.notify_one();
    }

    /// Records that the connection accepts data again.
    pub(crate) fn note_moved(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often [`note_moved`](Self::note_moved) was called.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Returns whether the connection was closed, so that nothing more is written.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self.lock().closed, Some((Closed::Silent(_), _)))
    }

    /// Sets the function that writes a batch on any thread, as far as the connection accepts it at once.
    /// `None` ends this.
    pub(crate) fn set_write_at_once(&self, write: Option<WriteAtOnce>) {
        *self.write_at_once.lock().unwrap_or_else(PoisonError::into_inner) = write;
    }

    /// Writes a batch on this thread. The part that the connection does not accept at once is left to the
    /// writer.
    fn write_at_once(&self, mut batch: Batch) {
        let mut write = self.write_at_once.lock().unwrap_or_else(PoisonError::into_inner);
        let is_written = write.as_mut().is_some_and(|write| write(&mut batch));
        drop(write);
        let mut state = self.lock();
        state.is_writing_at_once = false;
        if !is_written {
            state.unwritten = Some(batch);
            state.writer_idle = false;
            drop(state);
            return self.writer.notify_one();
        }
        let wanted = self.recycle(&mut state, batch);
        let wanted_writer = state.wants_writer();
        drop(state);
        if wanted {
            self.room.notify_one();
        }
        if wanted_writer {
            self.writer.notify_one();
        }
    }

    /// Handles a batch that is written, or never will be.
    pub(crate) fn written(&self, batch: Batch) {
        let mut state = self.lock();
        let has_room = self.recycle(&mut state, batch);
        drop(state);
        if has_room {
            self.room.notify_one();
        }
    }

    /// Removes a batch from the accounting. Returns whether there is room in the queue again.
    fn recycle(&self, state: &mut State, batch: Batch) -> bool {
        state.queue.recycle(batch);
        if state.full && state.queue.encoded_len() <= LOW_WATER {
            (state.full, state.surplus) = (false, 0);
            self.note_crowded(state);
            return true;
        }
        false
    }
}
