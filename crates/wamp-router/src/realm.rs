//! A realm among its links: the machine of `wamp-core` behind a lock, and a task for its deadlines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::router::{Config, Event, Realm as Machine, SessionKey, Sizes, Stats};
use wamp_proto::relay::PlainYield;
use wamp_proto::{Serializer, Uri};

use crate::express::Express;
use crate::outbound::{Outbound, Pushed};

/// A realm that links share.
#[derive(Debug)]
pub(crate) struct Realm {
    name: Uri,
    start: Instant,
    inner: Mutex<Inner>,
    /// The earliest deadline may have changed.
    deadline: Notify,
}

struct Inner {
    machine: Machine,
    links: HashMap<SessionKey, Arc<Outbound>>,
    /// What the deadline task waits for.
    armed: Option<Time>,
    events_dropped: u64,
}

impl Inner {
    /// What is left to do when all messages are on their way: holds the sender, hands out events, and sees to
    /// the next deadline.
    fn settle(&mut self, now: Time, sender: Option<SessionKey>, held: &Held, deadline: &Notify) {
        if let Some(sender) = sender.filter(|_| !held.is_empty()) {
            self.machine.hold(now, sender);
        }
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::Closed { session, closing } => {
                    if let Some(link) = self.links.remove(&session) {
                        link.set_fate(closing);
                    }
                }
                Event::CallEnded { session } => {
                    if let Some(link) = self.links.get(&session) {
                        link.wake();
                    }
                }
                _ => {}
            }
        }
        let next = self.machine.poll_timeout();
        if next != self.armed {
            let sooner = next.is_some_and(|next| self.armed.is_none_or(|armed| next < armed));
            self.armed = next;
            if sooner {
                deadline.notify_one();
            }
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("links", &self.links.len()).finish_non_exhaustive()
    }
}

/// The links that hold those who fed them, and their sessions.
pub(crate) type Held = Vec<(SessionKey, Arc<Outbound>)>;

impl Realm {
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        Self {
            name: config.name.clone(),
            start: Instant::now(),
            inner: Mutex::new(Inner {
                machine: Machine::new(config, seed),
                links: HashMap::new(),
                armed: None,
                events_dropped: 0,
            }),
            deadline: Notify::new(),
        }
    }

    pub(crate) fn name(&self) -> &Uri {
        &self.name
    }

    fn now(&self) -> Time {
        Time::after(self.start.elapsed())
    }

    /// Does something with the machine, under the lock, and puts what comes out into the queues of its
    /// receivers. Returns what `act` does, and the links that are now full.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Machine, Time) -> T) -> (T, Held) {
        self.with_link(|machine, now, _| act(machine, now))
    }

    /// Lets a session in and ties it to its link.
    pub(crate) fn join(
        &self,
        link: &Arc<Outbound>,
        act: impl FnOnce(&mut Machine, Time) -> Result<SessionKey, (Uri, String)>,
    ) -> Result<SessionKey, (Uri, String)> {
        let (joined, _) = self.with_link(|machine, now, links| {
            let key = act(machine, now)?;
            links.insert(key, link.clone());
            Ok(key)
        });
        joined
    }

    fn with_link<T>(
        &self,
        act: impl FnOnce(&mut Machine, Time, &mut HashMap<SessionKey, Arc<Outbound>>) -> T,
    ) -> (T, Held) {
        let now = self.now();
        // A panic of the machine would be a defect of ours; the other sessions go on.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { machine, links, events_dropped, .. } = &mut *inner;
        let result = act(machine, now, links);
        let mut held = Held::new();
        transmit(machine, links, &mut held, events_dropped);
        inner.settle(now, None, &held, &self.deadline);
        (result, held)
    }

    /// Like [`with`](Self::with), for what has come from a session, with the [express lane](Express) for plain
    /// results. If it has filled a link, the session is held from this moment on.
    pub(crate) fn with_express<T>(
        &self,
        sender: SessionKey,
        act: impl FnOnce(&mut Express<'_>) -> T,
    ) -> (T, Held) {
        let now = self.now();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { machine, links, events_dropped, .. } = &mut *inner;
        let mut express = Express::new(machine, links, events_dropped, now, sender);
        let result = act(&mut express);
        let held = express.finish();
        inner.settle(now, Some(sender), &held, &self.deadline);
        (result, held)
    }

    /// Whether two sessions have a call under way with each other.
    pub(crate) fn is_bound(&self, session: SessionKey, other: SessionKey) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).machine.is_bound(session, other)
    }

    /// The serializers that a message from this session will be rewritten in.
    pub(crate) fn transcodings(&self, from: SessionKey, message: &wamp_proto::Message) -> Vec<Serializer> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.machine.transcodings(from, message)
    }

    /// Whether a plain YIELD from this session can be passed on as it is.
    pub(crate) fn is_express(&self, from: SessionKey, serializer: Serializer, plain: &PlainYield) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.machine.is_express(from, serializer, plain)
    }

    pub(crate) fn stats(&self) -> (Stats, Sizes) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stats = inner.machine.stats();
        stats.events -= inner.events_dropped;
        stats.events_dropped += inner.events_dropped;
        (stats, inner.machine.sizes())
    }

    /// Calls the machine when its deadlines pass, for ever.
    pub(crate) async fn watch_deadlines(self: Arc<Self>) {
        loop {
            let armed = self.inner.lock().unwrap_or_else(PoisonError::into_inner).armed;
            match armed {
                None => self.deadline.notified().await,
                Some(at) => {
                    let at = self.start + at.since_origin();
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {
                            self.with(|machine, now| machine.handle_timeout(now));
                        }
                        () = self.deadline.notified() => {}
                    }
                }
            }
        }
    }
}

/// Puts what a machine has to say into the queues of its receivers, and notes which of these are full.
pub(crate) fn transmit(
    machine: &mut Machine,
    links: &HashMap<SessionKey, Arc<Outbound>>,
    held: &mut Held,
    events_dropped: &mut u64,
) {
    while let Some((to, message)) = machine.poll_transmit() {
        let Some(link) = links.get(&to) else { continue };
        match link.push(&message) {
            Pushed::Queued => {}
            Pushed::Full => note(held, to, link),
            Pushed::Dropped => *events_dropped += 1,
        }
    }
}

/// Notes that a link is full.
pub(crate) fn note(held: &mut Held, to: SessionKey, link: &Arc<Outbound>) {
    if !held.iter().any(|(other, _)| *other == to) {
        held.push((to, link.clone()));
    }
}
