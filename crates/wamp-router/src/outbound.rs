//! What leaves by a link: its queue, and the wake-ups around it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use wamp_core::router::Closing;
use wamp_proto::{Message, Serializer};
use wamp_transport::{Batch, Queue};

use crate::Limits;

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
    /// A writer that is in the middle of writing waits here for the end of the link.
    killed: Notify,
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
            killed: Notify::new(),
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
        match self.filled(queue) {
            // Nobody waits for a slow subscriber, also not with the event that fills its queue.
            Pushed::Full if is_event => Pushed::Queued,
            pushed => pushed,
        }
    }

    /// An empty batch, to be filled and then [appended](Self::append).
    pub(crate) fn spare(&self) -> Batch {
        self.queue().spare()
    }

    /// Adds results, like [`push`](Self::push) one after another.
    pub(crate) fn append(&self, batch: Batch) -> Pushed {
        let mut queue = self.queue();
        queue.append(batch);
        self.filled(queue)
    }

    /// Wakes the writer, and says whether the queue has become too full.
    fn filled(&self, queue: MutexGuard<'_, Queue>) -> Pushed {
        let octets = queue.octets();
        drop(queue);
        self.ready.notify_one();
        if octets > self.limit {
            self.kill();
        }
        if octets >= self.high_water { Pushed::Full } else { Pushed::Queued }
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

    /// Takes a written batch back.
    pub(crate) fn written(&self, batch: Batch) {
        let mut queue = self.queue();
        queue.recycle(batch);
        if queue.octets() < self.low_water {
            drop(queue);
            self.room.notify_waiters();
        }
    }
}
