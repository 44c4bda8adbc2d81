//! A realm among its links: the machine of `wamp-core` behind a lock, and a task for its deadlines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::router::{Config, Event, Realm as Machine, SessionKey, Sizes, Stats};
use wamp_proto::{Message, Serializer, Uri};

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

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("links", &self.links.len()).finish_non_exhaustive()
    }
}

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
    /// receivers. Returns what `act` does.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Machine, Time) -> T) -> T {
        self.with_link(None, |machine, now, _| act(machine, now)).0
    }

    /// Like [`with`](Self::with), for messages that have come from a session. If they have filled a link, the
    /// session is held from this moment on; whether it is comes second.
    pub(crate) fn with_sender<T>(
        &self,
        sender: SessionKey,
        act: impl FnOnce(&mut Machine, Time) -> T,
    ) -> (T, bool) {
        self.with_link(Some(sender), |machine, now, _| act(machine, now))
    }

    /// Lets a session in and ties it to its link.
    pub(crate) fn join(
        self: &Arc<Self>,
        link: &Arc<Outbound>,
        act: impl FnOnce(&mut Machine, Time) -> Result<SessionKey, (Uri, String)>,
    ) -> Result<SessionKey, (Uri, String)> {
        let (joined, _) = self.with_link(None, |machine, now, links| {
            let key = act(machine, now)?;
            links.insert(key, link.clone());
            if link.tie(Arc::downgrade(self), key) {
                machine.set_full(now, key);
            }
            Ok(key)
        });
        joined
    }

    fn with_link<T>(
        &self,
        sender: Option<SessionKey>,
        act: impl FnOnce(&mut Machine, Time, &mut HashMap<SessionKey, Arc<Outbound>>) -> T,
    ) -> (T, bool) {
        let now = self.now();
        // A panic of the machine would be a defect of ours; the other sessions go on.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { machine, links, armed, events_dropped } = &mut *inner;
        let result = act(machine, now, links);
        // Full links that this sender has fed.
        let mut fed: Vec<SessionKey> = Vec::new();
        loop {
            while let Some((to, message)) = machine.poll_transmit() {
                let Some(link) = links.get(&to) else { continue };
                match link.push(&message) {
                    Pushed::Queued => {}
                    Pushed::Full { newly } => {
                        if newly {
                            machine.set_full(now, to);
                        }
                        if sender.is_some_and(|sender| sender == to || feeds(&message)) && !fed.contains(&to)
                        {
                            fed.push(to);
                        }
                    }
                    Pushed::Dropped => *events_dropped += 1,
                }
            }
            let Some(event) = machine.poll_event() else { break };
            match event {
                Event::Closed { session, closing } => {
                    if let Some(link) = links.remove(&session) {
                        link.untie();
                        link.set_fate(closing);
                    }
                }
                Event::Released { session } => {
                    if let Some(link) = links.get(&session) {
                        link.wake();
                    }
                }
                Event::Watch { session, watch } => {
                    if links.get(&session).is_some_and(|link| !link.watch(watch)) {
                        machine.handle_left(now, watch);
                    }
                }
                _ => {}
            }
        }
        let mut held = false;
        for by in fed {
            held |= sender.is_some_and(|sender| machine.hold(now, sender, by));
        }
        let next = machine.poll_timeout();
        if next != *armed {
            let sooner = next.is_some_and(|next| armed.is_none_or(|armed| next < armed));
            *armed = next;
            if sooner {
                self.deadline.notify_one();
            }
        }
        (result, held)
    }

    /// Whether a session is not to be read from. When that ends its link is woken up.
    pub(crate) fn is_held(&self, session: SessionKey) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).machine.is_held(session)
    }

    /// The serializers that a message from this session will be rewritten in.
    pub(crate) fn transcodings(&self, from: SessionKey, message: &Message) -> Vec<Serializer> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.machine.transcodings(from, message)
    }

    pub(crate) fn stats(&self) -> (Stats, Sizes) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stats = inner.machine.stats();
        stats.events -= inner.events_dropped;
        stats.events_dropped += inner.events_dropped;
        (stats, inner.machine.sizes())
    }

    /// For how long sessions have been held.
    pub(crate) fn held_time(&self) -> Duration {
        let now = self.now();
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).machine.held_time(now)
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

/// Whether a message is fed to its receiver by the other end of a call. What merely tells it of an end holds
/// nobody, nor do events.
fn feeds(message: &Message) -> bool {
    matches!(message, Message::Result(_) | Message::Error(_) | Message::Invocation(_))
}
