//! What leaves by a link: its queue, and the wake-ups around it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use wamp_core::router::{Closing, Watch};
use wamp_proto::{Message, Serializer};
use wamp_transport::{Batch, Queue};

use crate::Limits;
use crate::realm::Realm;

/// The outbound side of a link, shared by everybody who sends to it, its writer and its reader.
#[derive(Debug)]
pub(crate) struct Outbound {
    queue: Mutex<Queue>,
    /// The writer waits here for something to write.
    ready: Notify,
    /// Those that the link holds wait here until it is below low water.
    room: Notify,
    /// The reader waits here for `fate`, and for the end of a call while it is held.
    changed: Notify,
    fate: Mutex<Option<Closing>>,
    /// The realm of the session that the link carries now.
    realm: Mutex<Option<Arc<Realm>>>,
    /// A writer that is in the middle of writing waits here for the end of the link.
    killed: Notify,
    /// What the realm is told when it has left, by where in the queue that is; in order.
    watches: Mutex<VecDeque<(u64, Watch)>>,
    /// All octets that have left; changed under the lock of the queue.
    left: AtomicU64,
    dead: AtomicBool,
    high_water: usize,
    low_water: usize,
    limit: usize,
}

/// What became of a message that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits for the writer.
    Queued,
    /// It waits for the writer, and the link now holds those that feed it.
    Full,
    /// It was dropped: an event for a link that does not keep up.
    Dropped,
}

impl Outbound {
    pub(crate) fn new(serializer: Serializer, limits: &Limits) -> Self {
        Self {
            queue: Mutex::new(Queue::new(serializer)),
            ready: Notify::new(),
            room: Notify::new(),
            changed: Notify::new(),
            fate: Mutex::new(None),
            realm: Mutex::new(None),
            killed: Notify::new(),
            watches: Mutex::default(),
            left: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            high_water: limits.high_water,
            low_water: limits.low_water,
            limit: limits.queue,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each change of the queue is whole before anything can panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message. It is known to be writable and small enough; the realm has checked that.
    pub(crate) fn push(&self, message: &Message) -> Pushed {
        let mut queue = self.queue();
        let octets = queue.octets();
        let is_event = matches!(message, Message::Event(_));
        if octets >= self.high_water && is_event {
            return Pushed::Dropped;
        }
        let pushed = match message {
            Message::Abort(_) => queue.abort(message),
            _ => queue.push(message),
        };
        if let Err(error) = pushed {
            tracing::error!(message = message.name(), %error, "a message could not be written");
            debug_assert!(false, "the realm lets through what can be written only");
        }
        let octets = queue.octets();
        drop(queue);
        self.ready.notify_one();
        if octets > self.limit {
            self.kill();
        }
        // Nobody waits for a slow subscriber, also not with the event that fills its queue.
        if octets >= self.high_water && !is_event { Pushed::Full } else { Pushed::Queued }
    }

    pub(crate) fn ping(&self) {
        self.queue().ping(Bytes::from_static(b"wamp"));
        self.ready.notify_one();
    }

    pub(crate) fn pong(&self, payload: Bytes) {
        self.queue().pong(payload);
        self.ready.notify_one();
    }

    /// Nothing more will be pushed: the writer writes what there is and closes.
    pub(crate) fn close(&self) {
        self.queue().close();
        self.ready.notify_one();
        self.room.notify_waiters();
    }

    /// The link is given up at once.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Release);
        self.queue().close();
        self.ready.notify_one();
        self.killed.notify_one();
        self.changed.notify_one();
        self.room.notify_waiters();
    }

    /// Waits until the link is given up.
    pub(crate) async fn killed(&self) {
        self.killed.notified().await;
    }

    /// Whether the reader has something else to do than to wait.
    pub(crate) fn is_over(&self) -> bool {
        self.is_dead() || self.fate.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// The realm has ended the session of this link.
    pub(crate) fn set_fate(&self, closing: Closing) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = Some(closing);
        self.changed.notify_one();
    }

    pub(crate) fn set_realm(&self, realm: Option<Arc<Realm>>) {
        *self.realm.lock().unwrap_or_else(PoisonError::into_inner) = realm;
    }

    pub(crate) fn realm(&self) -> Option<Arc<Realm>> {
        self.realm.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something has happened that the reader may wait for.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    pub(crate) fn take_fate(&self) -> Option<Closing> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until the fate of the session or of the link may have changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until the link is below low water, or gone.
    pub(crate) async fn room(&self) {
        loop {
            let notified = self.room.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            {
                let queue = self.queue();
                if queue.octets() < self.low_water || queue.is_closed() {
                    return;
                }
            }
            notified.await;
        }
    }

    /// What to write next; `None` once the queue is closed and empty, or the link is given up.
    pub(crate) async fn next(&self) -> Option<Batch> {
        loop {
            {
                let mut queue = self.queue();
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
            self.ready.notified().await;
        }
    }

    /// Takes a written batch back. Returns what the realm is to be told of.
    pub(crate) fn written(&self, batch: Batch) -> Vec<Watch> {
        let mut queue = self.queue();
        let before = queue.octets();
        queue.recycle(batch);
        let octets = queue.octets();
        let left = self.left.load(Ordering::Relaxed) + (before - octets) as u64;
        self.left.store(left, Ordering::Relaxed);
        let watches = if octets < self.high_water { self.take_watches(left) } else { Vec::new() };
        drop(queue);
        if octets < self.low_water {
            self.room.notify_waiters();
        }
        watches
    }

    /// The realm wants to know when all has left that is in the queue now. `false`: it has left already.
    pub(crate) fn watch(&self, watch: Watch) -> bool {
        let queue = self.queue();
        if queue.octets() == 0 {
            return false;
        }
        let at = self.left.load(Ordering::Relaxed) + queue.octets() as u64;
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).push_back((at, watch));
        true
    }

    fn take_watches(&self, left: u64) -> Vec<Watch> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let count = watches.iter().take_while(|(at, _)| *at <= left).count();
        let taken = watches.drain(..count).map(|(_, watch)| watch).collect();
        if watches.is_empty() {
            *watches = VecDeque::new();
        }
        taken
    }
}
