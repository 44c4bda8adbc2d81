//! What all handles and tasks of a session share: its lock, its queue, and the waits for room in it.
//!
//! There is no channel of commands: whoever wants something of the session takes the lock for as long as
//! the core needs to say what is to be sent, which is written into the outbound queue before the lock is
//! released. Nothing waits under the lock and no code of the application runs under it.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// They go on when it has fallen to this.
const LOW_WATER: usize = 768 << 10;

/// How long the end of a session may take to be written.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Writes what the connection accepts of a batch at once. `true`: that is all of it.
pub(crate) type WriteAtOnce = Box<dyn FnMut(&mut Batch) -> bool + Send>;

/// What all handles and tasks of a session share.
pub(crate) struct Engine {
    state: Mutex<State>,
    serializer: Serializer,
    max_send: usize,
    budget: Arc<Budget>,
    start: Instant,
    runtime: Handle,
    /// Something is to be written, or the deadlines have changed.
    pub(crate) writer: Notify,
    /// Writes on any thread; see [`if_room_at_once`](Self::if_room_at_once).
    write_at_once: Mutex<Option<WriteAtOnce>>,
    /// The reader is to stop.
    pub(crate) stop: Notify,
    /// There is room in the queue. Each waiter that it lets in lets in the next one.
    room: Notify,
    /// The queue is full, or handlers wait for their turn to begin.
    crowded: AtomicBool,
    /// How often the connection has gone on after it had not accepted what was written.
    moved: AtomicU64,
    closed: watch::Sender<Option<Closed>>,
    /// The session has ended. What was queued may still be written.
    over: AtomicBool,
    ended: Notify,
    joined: OnceLock<Arc<Joined>>,
    /// What stands on this engine, for what is made out of it.
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

    /// The greatest message that the router takes.
    pub(crate) fn max_send(&self) -> usize {
        self.max_send
    }

    /// What the session may hold for its peers.
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
        // It is set once, by the one who joined.
        let _ = self.joined.set(Arc::new(joined));
    }

    /// What stands on this engine.
    pub(crate) fn above(&self) -> Option<&Weak<dyn Any + Send + Sync>> {
        self.above.get()
    }

    pub(crate) fn set_above(&self, above: Weak<dyn Any + Send + Sync>) {
        // It is the same one each time.
        let _ = self.above.set(above);
    }

    /// Whether the session has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Waits until the session has ended. What was queued may still be written.
    pub(crate) async fn ended(&self) -> Closed {
        loop {
            // Made before the look, so that it hears of everything after that.
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

    /// What the session has met and ignored.
    pub(crate) fn stats(self: &Arc<Self>) -> Stats {
        self.with(|state, _| state.stats())
    }

    /// The session is over and nothing more will be written.
    pub(crate) fn publish_end(self: &Arc<Self>) {
        // What follows from it, as the end being known, has happened only when this returns.
        self.with(|state, now| state.session.handle_closed(now));
        let closed = self.lock().closed.as_ref().map(|(closed, _)| closed.clone());
        self.closed.send_replace(closed);
    }

    /// Does something with the session, and all that follows from it.
    pub(crate) fn with<R>(self: &Arc<Self>, op: impl FnOnce(&mut State, Time) -> R) -> R {
        self.after_op(self.lock(), op)
    }

    /// Does something that adds to the queue, if there is room in it; else gives it back.
    pub(crate) fn if_room<R, F>(self: &Arc<Self>, op: F) -> Result<R, F>
    where
        F: FnOnce(&mut State, Time) -> R,
    {
        let state = self.lock();
        if state.full { Err(op) } else { Ok(self.after_op(state, op)) }
    }

    /// Does something that adds a message to the queue, if there is room in it; else gives it back. With nothing else
    /// under way the message is written on this thread, at once: it need not wait for the writer to wake up.
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

    /// Whether a handler that is about to begin has to wait for room.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    fn note_crowded(&self, state: &State) {
        let crowded = state.full || state.invocations.has_delayed();
        if self.crowded.load(Ordering::Relaxed) != crowded {
            self.crowded.store(crowded, Ordering::Relaxed);
        }
    }

    /// Lets in the next one of those that wait for room.
    fn let_in(&self) {
        if !self.lock().full {
            self.room.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug of ours; the tables hold what they held, and others go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Time {
        Time::after(self.start.elapsed())
    }

    /// Does something that adds a message to the queue by itself, if there is room in it. It gives the core nothing
    /// to say, and no deadline that is sooner than those before; so nothing else follows from it.
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
        for (procedure, job) in after.jobs {
            procedure.run(job);
        }
        result
    }
}

/// What the writer is to do.
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

    /// The next deadline of the session, or of what it has left behind.
    fn deadline_of(&self, state: &State) -> Option<Instant> {
        let deadline = match &state.closed {
            Some((_, at)) => Some(*at + GRACE),
            None => state.session.poll_timeout(),
        };
        deadline.map(|time| self.start + time.since_origin())
    }

    /// The next deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline_of(&self.lock())
    }

    /// A deadline has passed. `false`: it was the last one.
    pub(crate) fn handle_deadline(self: &Arc<Self>) -> bool {
        self.with(|state, now| match &state.closed {
            Some((_, at)) => now < *at + GRACE,
            None => {
                state.session.handle_timeout(now);
                true
            }
        })
    }

    /// Asks the router for a sign of life.
    pub(crate) fn ping(&self) {
        let mut state = self.lock();
        state.queue.ping(Bytes::new());
        state.writer_idle = false;
        drop(state);
        self.writer.notify_one();
    }

    /// The connection goes on.
    pub(crate) fn note_moved(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// How often [`note_moved`](Self::note_moved) was said.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Whether the connection was given up, so that nothing more is to be written.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self.lock().closed, Some((Closed::Silent(_), _)))
    }

    /// Sets how a batch is written on any thread, as far as the connection accepts it at once. `true`: all of it is
    /// written. `None` for the end.
    pub(crate) fn set_write_at_once(&self, write: Option<WriteAtOnce>) {
        *self.write_at_once.lock().unwrap_or_else(PoisonError::into_inner) = write;
    }

    /// Writes a batch on this thread. What the connection does not accept at once is left to the writer.
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

    /// A batch is written, or never will be.
    pub(crate) fn written(&self, batch: Batch) {
        let mut state = self.lock();
        let has_room = self.recycle(&mut state, batch);
        drop(state);
        if has_room {
            self.room.notify_one();
        }
    }

    /// A batch is out of the way. Says whether there is room in the queue again.
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
