//! A link's outbound queue and its wake-ups.
//!
//! A link is full from the moment its queue passes the high water until it is below the low water. Its realm
//! must know that, to hold the sessions that feed the link, and no session may wait for a link with room. Two
//! tasks are involved: the pusher, which has the realm's lock as soon as there is a session, and the writer,
//! which takes that lock only when it may have made room. The flag `full` changes only under *both* locks,
//! the realm's and the queue's, and always together with the realm's machine; so under the realm's lock both
//! agree. The races:
//!
//! * A push fills the link, and the writer makes room before the machine knows: the writer sees the flag,
//!   waits for the realm's lock, which the pusher keeps until the machine has recorded the held sessions, and
//!   then releases them.
//! * The writer finds room, and a push fills the link again before the writer has the realm's lock: the
//!   writer checks again ([`Outbound::take_room`]), finds no room, and changes nothing. The new messages are
//!   still to be written, and the writer checks again afterwards.
//! * The writer makes room before the push that sets the flag: the push has counted the remaining bytes, so
//!   there is more to write, and the writer checks again as above.
//! * The session ends, or another begins on the same link: [`Outbound::tie`] precedes the check of the flag,
//!   both under the realm's lock; a writer that finds no session yet has made room before that check.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use wamp_core::router::{Closing, Realm as Machine, SessionKey, Watch};
use wamp_proto::message::Abort;
use wamp_proto::{Message, Serializer};
use wamp_transport::{Allowance, Batch, Queue, SharedBatch};

use crate::budget::{Budget, Part};
use crate::realm::Realm;
use crate::receiving::Receiving;
use crate::settings::Settings;
use crate::wakes::{EventTurns, Wakes};

/// The outbound side of a link, shared by its senders, its writer and its reader.
#[derive(Debug)]
pub(crate) struct Outbound {
    queue: Mutex<Waiting>,
    /// The session that the messages are for.
    session: Mutex<Option<(Weak<Realm>, SessionKey)>>,
    /// Wakes the writer when there is something to write.
    ready: Notify,
    /// Wakes the reader when `fate` changes, and when a held session is released.
    changed: Notify,
    fate: Mutex<Option<Closing>>,
    /// Wakes a writer in the middle of a write when the link is dropped.
    killed: Notify,
    dead: AtomicBool,
    /// Whether the peer is told at the end that the router will restart.
    going_away: AtomicBool,
    /// Whether its writer is among those that are woken later.
    wakes_later: AtomicBool,
    /// Whether the peer has accepted nothing for a moment.
    stands_still: AtomicBool,
    /// Whether its writer has a turn to write events.
    has_turn: AtomicBool,
    /// Whether an authorizer has decided about requests of the session.
    has_verdicts: AtomicBool,
    /// The time, in milliseconds, within which the peer has to give a sign of life; 0 if it is not probed.
    probe: AtomicU32,
    /// Whether its writer takes no turns, since it waits for the connection or has ended.
    takes_no_turn: AtomicBool,
    /// The bytes received on the connection, as of its last read.
    received: AtomicU64,
    serializer: Serializer,
    budget: Arc<Budget>,
    /// The unfinished message that the link is receiving.
    receiving: Arc<Receiving>,
    /// The settings of the connection, which stay as they were when it began.
    settings: Arc<Settings>,
}

#[derive(Debug)]
struct Waiting {
    queue: Queue,
    /// Whether the queue has passed the high water, and was not found below the low water since.
    full: bool,
    part: Part,
    /// The number of bytes ever written to the connection.
    left: u64,
    /// The reports that the realm asked for, with the number of written bytes at which each is due; in order.
    watches: VecDeque<(u64, Watch)>,
    /// The ABORT that was sent to the peer.
    aborted: Option<Box<Abort>>,
}

impl Waiting {
    fn new(queue: Queue) -> Self {
        Self { queue, full: false, part: Part::default(), left: 0, watches: VecDeque::new(), aborted: None }
    }

    /// Takes the reports that are due.
    fn take_watches(&mut self) -> Vec<Watch> {
        let count = self.watches.iter().take_while(|(at, _)| *at <= self.left).count();
        if count == 0 {
            return Vec::new();
        }
        let taken = self.watches.drain(..count).map(|(_, watch)| watch).collect();
        if self.watches.is_empty() {
            self.watches = VecDeque::new();
        }
        taken
    }
}

/// The result of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The message waits for the writer.
    Queued,
    /// The message waits for the writer, and the link is full.
    Full {
        /// Whether the link was not full before.
        newly: bool,
    },
    /// The events were dropped, since the link has far too much queued.
    Dropped,
}

/// The reports for the realm after a write.
pub(crate) struct Written {
    may_have_room: bool,
    left: Vec<Watch>,
}

impl Outbound {
    pub(crate) fn new(serializer: Serializer, settings: Arc<Settings>, budget: Arc<Budget>) -> Self {
        let queue = Queue::new(serializer);
        Self {
            queue: Mutex::new(Waiting::new(queue)),
            session: Mutex::new(None),
            ready: Notify::new(),
            changed: Notify::new(),
            fate: Mutex::new(None),
            killed: Notify::new(),
            dead: AtomicBool::new(false),
            going_away: AtomicBool::new(false),
            wakes_later: AtomicBool::new(false),
            stands_still: AtomicBool::new(false),
            has_turn: AtomicBool::new(false),
            has_verdicts: AtomicBool::new(false),
            probe: AtomicU32::new(0),
            takes_no_turn: AtomicBool::new(false),
            received: AtomicU64::new(0),
            serializer,
            receiving: Arc::new(Receiving::new(budget.clone())),
            budget,
            settings,
        }
    }

    /// Returns the settings of the connection.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the serializer of its messages.
    pub(crate) fn serializer(&self) -> Serializer {
        self.serializer
    }

    /// Records the bytes received on the connection.
    pub(crate) fn set_received(&self, bytes: u64) {
        self.received.store(bytes, Ordering::Relaxed);
    }

    /// Returns the received and the sent bytes of the connection.
    pub(crate) fn traffic(&self) -> [u64; 2] {
        [self.received.load(Ordering::Relaxed), self.waiting().left]
    }

    /// Returns the queued bytes, and the bytes above which the link is full if no other link is slow.
    pub(crate) fn queued(&self) -> (usize, usize) {
        (self.waiting().queue.encoded_len(), self.settings.limits.high_water)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change of the queue is complete before anything can panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ties the queue to a session. Returns whether the link is full already.
    pub(crate) fn tie(&self, realm: Weak<Realm>, session: SessionKey) -> bool {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some((realm, session));
        self.take_probe();
        self.take_verdicts();
        self.take_room();
        self.waiting().full
    }

    /// Unties the queue from its session, which is over.
    pub(crate) fn untie(&self) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn session(&self) -> Option<(Arc<Realm>, SessionKey)> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.as_ref().and_then(|(realm, session)| Some((realm.upgrade()?, *session)))
    }

    /// Appends a message and wakes the writer. The realm has checked that the message can be written and is
    /// small enough.
    pub(crate) fn push(&self, message: &Message) -> Pushed {
        let mut waiting = self.waiting();
        let Waiting { queue, aborted, .. } = &mut *waiting;
        let pushed = match message {
            Message::Abort(abort) => {
                *aborted = Some(Box::new(abort.clone()));
                queue.abort(message)
            }
            _ => queue.push(message),
        };
        if let Err(error) = pushed {
            tracing::error!(message = message.name(), %error, "a message could not be written");
            debug_assert!(false, "the realm lets through what can be written only");
        }
        let pushed = self.count(waiting);
        self.notify_writer();
        pushed
    }

    /// Converts a batch into events that this link and others can [append](Self::append_events).
    pub(crate) fn share(&self, batch: Batch) -> SharedBatch {
        self.budget.share_events(batch)
    }

    /// Appends events, unless the link does not keep up. The caller wakes the writer.
    pub(crate) fn append_events(&self, events: &SharedBatch) -> Pushed {
        let mut waiting = self.waiting();
        let Waiting { queue, part, .. } = &mut *waiting;
        if self.budget.room_for_events(part, queue.encoded_len()) == 0 {
            return Pushed::Dropped;
        }
        queue.append_shared(events);
        self.count(waiting)
    }

    /// Wakes the writer for events together with the others, or at once if the link is full.
    pub(crate) fn wake_later(self: &Arc<Self>, pushed: Pushed, wakes: &mut Wakes) {
        if pushed != Pushed::Queued {
            self.notify_writer();
        } else if !self.wakes_later.swap(true, Ordering::AcqRel) {
            wakes.add(self);
        }
    }

    /// Wakes the writer.
    pub(crate) fn notify_writer(&self) {
        self.ready.notify_one();
    }

    pub(crate) fn event_turns(&self) -> &EventTurns {
        &self.budget.event_turns
    }

    /// Gives the writer a turn to write the added events. Returns `false` if it takes no turns or has one
    /// already; this turn is then over.
    pub(crate) fn begin_turn(&self) -> bool {
        // The order matters: the writer sees an event that is added in between, or is woken again.
        self.wakes_later.store(false, Ordering::Release);
        let has_one = self.has_turn.swap(true, Ordering::SeqCst);
        self.notify_writer();
        if has_one {
            return false;
        }
        // A writer that takes no turns from this moment on ends this turn here or there.
        !(self.takes_no_turn.load(Ordering::SeqCst) && self.has_turn.swap(false, Ordering::SeqCst))
    }

    /// Records that the writer has written its events, or has none left.
    pub(crate) fn end_turn(&self) {
        if self.has_turn.swap(false, Ordering::SeqCst) {
            self.budget.event_turns.end();
        }
    }

    /// Sets whether the writer takes turns. No events are missed without turns: the writer checks for more
    /// after each write.
    pub(crate) fn set_takes_turns(&self, takes: bool) {
        self.takes_no_turn.store(!takes, Ordering::SeqCst);
        if !takes {
            self.end_turn();
        }
    }

    /// An empty batch, to be filled and then [appended](Self::append), and the length from which on events should
    /// be left out of it.
    pub(crate) fn open(&self) -> (Batch, usize) {
        let Waiting { queue, part, .. } = &mut *self.waiting();
        (queue.spare(), self.budget.room_for_events(part, queue.encoded_len()))
    }

    /// Adds messages. The caller wakes the writer.
    pub(crate) fn append(&self, batch: Batch) -> Pushed {
        let mut waiting = self.waiting();
        waiting.queue.append(batch);
        self.count(waiting)
    }

    /// Returns whether the queue is now above its high water.
    fn count(&self, mut waiting: MutexGuard<'_, Waiting>) -> Pushed {
        let Waiting { queue, full, part, .. } = &mut *waiting;
        let len = queue.encoded_len();
        self.budget.report(part, len, queue.memory());
        let is_full = self.budget.is_full(part, len);
        let newly = is_full && !std::mem::replace(full, *full || is_full);
        if newly {
            self.budget.report_exactly(part, len, queue.memory());
        }
        drop(waiting);
        if len > self.settings.limits.max_link_queue {
            self.kill();
        }
        if is_full { Pushed::Full { newly } } else { Pushed::Queued }
    }

    pub(crate) fn ping(&self) {
        self.waiting().queue.ping(Bytes::from_static(b"wamp"));
        self.ready.notify_one();
    }

    pub(crate) fn pong(&self, payload: Bytes) {
        self.waiting().queue.pong(payload);
        self.ready.notify_one();
    }

    /// Returns the ABORT that was sent to the peer, for the log.
    pub(crate) fn take_abort(&self) -> Option<Box<Abort>> {
        self.waiting().aborted.take()
    }

    /// Closes the queue: the writer writes the remaining messages and closes the connection.
    pub(crate) fn close(&self) {
        self.waiting().queue.close();
        self.ready.notify_one();
    }

    /// Tells the peer, when the connection is closed, that the router will restart.
    pub(crate) fn set_going_away(&self) {
        self.going_away.store(true, Ordering::Release);
    }

    pub(crate) fn is_going_away(&self) -> bool {
        self.going_away.load(Ordering::Acquire)
    }

    /// Drops the link at once.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Release);
        self.waiting().queue.close();
        self.ready.notify_one();
        self.killed.notify_one();
        self.changed.notify_one();
    }

    /// The unfinished message that the link is receiving.
    pub(crate) fn receiving(&self) -> &Arc<Receiving> {
        &self.receiving
    }

    /// Returns the memory that the link holds in all, including its share of shared memory.
    pub(crate) fn memory(&self) -> usize {
        let queued = {
            let waiting = self.waiting();
            waiting.part.memory() + waiting.queue.shared_memory()
        };
        queued + self.receiving.memory()
    }

    /// Drops the link to free its memory, which does not count any more: its two tasks are about to end.
    pub(crate) fn give_way(&self) {
        {
            let mut waiting = self.waiting();
            waiting.queue.clear();
            self.budget.release(&mut waiting.part);
        }
        self.receiving.release();
        self.kill();
    }

    /// Waits until the link is dropped.
    pub(crate) async fn killed(&self) {
        self.killed.notified().await;
    }

    /// Returns whether the reader has something to do.
    pub(crate) fn is_over(&self) -> bool {
        self.is_dead() || self.fate.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Records that the realm has ended the session of this link.
    pub(crate) fn set_fate(&self, closing: Closing) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = Some(closing);
        self.changed.notify_one();
    }

    /// Wakes the reader.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    pub(crate) fn take_fate(&self) -> Option<Closing> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has the reader handle requests that an authorizer has decided about.
    pub(crate) fn set_verdicts(&self) {
        self.has_verdicts.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Returns whether an authorizer has decided about requests, once.
    pub(crate) fn take_verdicts(&self) -> bool {
        self.has_verdicts.load(Ordering::Acquire) && self.has_verdicts.swap(false, Ordering::AcqRel)
    }

    /// Has the reader ask the peer for a sign of life within this time.
    pub(crate) fn probe(&self, within: Duration) {
        let within = u32::try_from(within.as_millis()).unwrap_or(u32::MAX).max(1);
        self.probe.store(within, Ordering::Release);
        self.changed.notify_one();
    }

    /// Returns the time within which the peer has to give a sign of life, once.
    pub(crate) fn take_probe(&self) -> Option<Duration> {
        let within = self.probe.swap(0, Ordering::AcqRel);
        (within > 0).then(|| Duration::from_millis(within.into()))
    }

    /// Waits until the fate of the session or of the link may have changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns whether a full link is now below its low water, and marks it as not full. Called under the
    /// realm's lock.
    pub(crate) fn take_room(&self) -> bool {
        let mut waiting = self.waiting();
        let has_room = waiting.full && self.budget.has_room(waiting.queue.encoded_len());
        waiting.full &= !has_room;
        has_room
    }

    /// Returns whether anything is still to be written.
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting().queue.encoded_len() > 0
    }

    /// Records that the peer has accepted nothing for a moment, or accepts data again. While it accepts
    /// nothing and the link is full, its events are dropped.
    pub(crate) async fn set_stands_still(&self, stands_still: bool) {
        self.stands_still.store(stands_still, Ordering::Release);
        if stands_still
            && self.waiting().full
            && let Some((realm, session)) = self.session()
        {
            realm.with(|machine, now| machine.drop_events(now, session)).await;
        }
    }

    /// Whether the peer has accepted nothing for a moment.
    pub(crate) fn stands_still(&self) -> bool {
        self.stands_still.load(Ordering::Acquire)
    }

    /// Returns whether there is memory for this many bytes that were read and are not handled yet.
    pub(crate) fn may_keep(&self, bytes: usize) -> bool {
        self.budget.has_memory(bytes)
    }

    /// Reports that the peer accepts nothing.
    pub(crate) async fn stall(&self) {
        if let Some((realm, session)) = self.session() {
            realm.with(|machine, now| machine.stall(now, session)).await;
        }
    }

    /// Returns the next batch to write; `None` once the queue is closed and empty, or the link is dropped.
    pub(crate) async fn next(&self) -> Option<Batch> {
        loop {
            {
                let Waiting { queue, .. } = &mut *self.waiting();
                if self.is_dead() {
                    return None;
                }
                if let Some(batch) = queue.pop() {
                    return Some(batch);
                }
                if queue.is_closed() {
                    return None;
                }
            }
            self.end_turn();
            self.ready.notified().await;
        }
    }

    /// Waits until the writer is woken up.
    #[cfg(test)]
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Takes a written batch back. Returns the reports for the realm, if any, to pass to
    /// [`report`](Self::report).
    pub(crate) fn written(&self, batch: Batch) -> Option<Written> {
        let mut waiting = self.waiting();
        let before = waiting.queue.encoded_len();
        waiting.queue.recycle(batch);
        let len = waiting.queue.encoded_len();
        waiting.left += (before - len) as u64;
        let memory = waiting.queue.memory();
        self.budget.report(&mut waiting.part, len, memory);
        // While the link is full, another batch follows.
        let is_full = self.budget.is_full(&waiting.part, len);
        let left = if is_full { Vec::new() } else { waiting.take_watches() };
        let may_have_room = waiting.full && self.budget.has_room(len);
        (may_have_room || !left.is_empty()).then_some(Written { may_have_room, left })
    }

    /// Tells the realm that there is room again, and which messages were written.
    pub(crate) async fn report(&self, written: Written) {
        let Written { may_have_room, left } = written;
        let Some((realm, session)) = self.session() else { return };
        let act = |machine: &mut Machine, now| {
            if may_have_room && self.take_room() {
                machine.set_room(now, session);
            }
            for watch in left {
                machine.handle_left(now, watch);
            }
        };
        realm.with(act).await;
    }

    /// Registers a report for when everything in the queue is written. Returns `false` if that is already so.
    pub(crate) fn watch(&self, watch: Watch) -> bool {
        let mut waiting = self.waiting();
        let len = waiting.queue.encoded_len();
        if len == 0 {
            return false;
        }
        let at = waiting.left + len as u64;
        waiting.watches.push_back((at, watch));
        true
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        let waiting = self.queue.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.budget.add_traffic([*self.received.get_mut(), waiting.left]);
        self.budget.release(&mut waiting.part);
        self.budget.holders.remove(self.receiving.id());
    }
}
