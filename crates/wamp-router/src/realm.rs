//! A realm among its links: the machine of `wamp-core` behind a lock, and a task for its deadlines.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::router::{Config, Event, Feed, Realm as Machine, Seeds, SessionKey, Sizes, Stats};
use wamp_proto::{Message, Uri};
use wamp_transport::COPIED_BELOW;

use crate::express::Express;
use crate::links::Links;
use crate::lock::FairLock;
use crate::outbound::{Outbound, Pushed};
use crate::wakes::Wakes;

/// A realm that links share.
#[derive(Debug)]
pub(crate) struct Realm {
    name: Uri,
    start: Instant,
    inner: FairLock<Inner>,
    /// The earliest deadline may have changed.
    deadline: Notify,
}

struct Inner {
    machine: Machine,
    links: Links,
    /// What the deadline task waits for.
    armed: Option<Time>,
    events_dropped: u64,
}

impl Inner {
    /// What is left to do when something has happened: sends what there is to send, hands out events, holds the
    /// sender if it has filled a link, and sees to the next deadline. Says whether the sender is held for that.
    fn settle(&mut self, now: Time, mut fed: Fed, deadline: &Notify) -> bool {
        let Inner { machine, links, armed, events_dropped } = self;
        loop {
            transmit(machine, links, &mut fed, events_dropped, &mut Wakes::default());
            let Some(event) = machine.poll_event() else { break };
            match event {
                Event::Closed { session, closing } => {
                    if let Some(link) = links.remove(session) {
                        link.untie();
                        link.set_fate(closing);
                    }
                }
                Event::Released { session } => {
                    if let Some(link) = links.get(session) {
                        link.wake();
                    }
                }
                // It has left already.
                Event::Watch { session, watch }
                    if links.get(session).is_some_and(|link| !link.watch(watch)) =>
                {
                    machine.handle_left(now, watch);
                }
                _ => {}
            }
        }
        for full in fed.newly_full {
            machine.set_full(now, full);
        }
        let mut held = false;
        if let Some(sender) = fed.sender {
            for (by, feed) in fed.full {
                held |= machine.hold(now, sender, by, feed);
            }
        }
        let next = machine.poll_timeout();
        let has_ended = machine.has_ended();
        if next != *armed || has_ended {
            let sooner = next.is_some_and(|next| armed.is_none_or(|armed| next < armed));
            *armed = next;
            if sooner || has_ended {
                deadline.notify_one();
            }
        }
        held
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("links", &self.links.len()).finish_non_exhaustive()
    }
}

impl Realm {
    pub(crate) fn new(config: Config, seeds: Seeds) -> Self {
        Self {
            name: config.name.clone(),
            start: Instant::now(),
            inner: FairLock::new(Inner {
                machine: Machine::new(config, seeds),
                links: Links::default(),
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

    /// Does something with the machine when it is this task's turn, and puts what comes out into the queues of its
    /// receivers. Returns what `act` does.
    pub(crate) async fn with<T>(&self, act: impl FnOnce(&mut Machine, Time) -> T) -> T {
        let _turn = self.inner.turn().await;
        self.with_at_once(act)
    }

    /// Like [`with`](Self::with), out of turn: for code that is no task.
    pub(crate) fn with_at_once<T>(&self, act: impl FnOnce(&mut Machine, Time) -> T) -> T {
        self.with_links(|machine, now, _| act(machine, now))
    }

    /// Lets a session in and ties it to its link.
    pub(crate) async fn join(
        self: &Arc<Self>,
        link: &Arc<Outbound>,
        act: impl FnOnce(&mut Machine, Time) -> Result<SessionKey, (Uri, String)>,
    ) -> Result<SessionKey, (Uri, String)> {
        let _turn = self.inner.turn().await;
        self.with_links(|machine, now, links| {
            let key = act(machine, now)?;
            links.insert(key, link.clone());
            if link.tie(Arc::downgrade(self), key) {
                machine.set_full(now, key);
            }
            Ok(key)
        })
    }

    fn with_links<T>(&self, act: impl FnOnce(&mut Machine, Time, &mut Links) -> T) -> T {
        let now = self.now();
        let mut inner = self.inner.value();
        let Inner { machine, links, .. } = &mut *inner;
        let result = act(machine, now, links);
        inner.settle(now, Fed::nobody(), &self.deadline);
        result
    }

    /// Like [`with`](Self::with), for what has come from a session, with the [express lane](Express) for plain
    /// results. If it has filled a link, the session is held from this moment on; whether it is comes second.
    pub(crate) async fn with_express<T>(
        &self,
        sender: SessionKey,
        wakes: &mut Wakes,
        act: impl FnOnce(&mut Express<'_>) -> T,
    ) -> (T, bool) {
        let _turn = self.inner.turn().await;
        let now = self.now();
        let mut inner = self.inner.value();
        let Inner { machine, links, events_dropped, .. } = &mut *inner;
        let mut express = Express::new(machine, links, events_dropped, wakes, now, sender);
        let result = act(&mut express);
        self.inner.ends(express.is_used_up());
        let fed = express.finish();
        let held = inner.settle(now, fed, &self.deadline);
        (result, held)
    }

    /// Whether a session is not to be read from. When that ends its link is woken up.
    pub(crate) async fn is_held(&self, session: SessionKey) -> bool {
        let _turn = self.inner.turn().await;
        self.inner.value().machine.is_held(session)
    }

    pub(crate) fn stats(&self) -> (Stats, Sizes) {
        let inner = self.inner.value();
        let mut stats = inner.machine.stats();
        stats.events -= inner.events_dropped;
        stats.events_dropped += inner.events_dropped;
        (stats, inner.machine.sizes())
    }

    /// For how long sessions have been held.
    pub(crate) fn held_time(&self) -> Duration {
        let now = self.now();
        self.inner.value().machine.held_time(now)
    }

    /// Calls the machine when its deadlines pass, until the realm has been shut down and all sessions have ended.
    pub(crate) async fn watch_deadlines(self: Arc<Self>) {
        loop {
            let (armed, has_ended) = {
                let inner = self.inner.value();
                (inner.armed, inner.machine.has_ended())
            };
            match armed {
                _ if has_ended => return,
                None => self.deadline.notified().await,
                Some(at) if at <= self.now() => {
                    self.with(|machine, now| machine.handle_timeout(now)).await;
                    // There may be much more to do, and there are others.
                    tokio::task::yield_now().await;
                }
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(self.start + at.since_origin()) => {}
                        () = self.deadline.notified() => {}
                    }
                }
            }
        }
    }
}

/// Puts what a machine has to say into the queues of its receivers, and says how many messages that were.
pub(crate) fn transmit(
    machine: &mut Machine,
    links: &Links,
    fed: &mut Fed,
    events_dropped: &mut u64,
    wakes: &mut Wakes,
) -> usize {
    let mut count = 0;
    while let Some(transmission) = machine.poll_transmit_to_all() {
        count += transmission.len();
        let message = transmission.message();
        let feed = feed(message);
        let mut note = |to, pushed| match pushed {
            Pushed::Dropped => *events_dropped += 1,
            pushed => fed.note(to, pushed, feed),
        };
        if transmission.len() > 1
            && message.payload().len() < COPIED_BELOW
            && let Some(link) = transmission.receivers().find_map(|to| links.get(to))
            && let Ok(event) = message.encode(link.serializer())
        {
            for to in transmission.receivers() {
                let Some(link) = links.get(to) else { continue };
                note(to, link.push_event(&event, wakes));
            }
            continue;
        }
        for to in transmission.receivers() {
            let Some(link) = links.get(to) else { continue };
            note(to, link.push(message));
        }
    }
    count
}

/// How a message is fed to its receiver by the other end of a call. A message that merely tells it of an end
/// holds nobody, nor do events.
fn feed(message: &Message) -> Option<Feed> {
    let more = match message {
        Message::Result(result) => result.details.progress == Some(true),
        Message::Invocation(invocation) => invocation.details.progress == Some(true),
        Message::Error(_) => false,
        _ => return None,
    };
    Some(if more { Feed::Stream } else { Feed::Last })
}

/// What a sender has filled with all that one read brought. The machine learns of it at the end: whoever has
/// filled a link is kept waiting, and not refused what came in the same breath.
pub(crate) struct Fed {
    sender: Option<SessionKey>,
    /// Full links that it has fed, and how.
    full: Vec<(SessionKey, Feed)>,
    newly_full: Vec<SessionKey>,
}

impl Fed {
    /// By what this session has sent.
    pub(crate) fn by(sender: SessionKey) -> Self {
        Self { sender: Some(sender), full: Vec::new(), newly_full: Vec::new() }
    }

    /// By nobody who could be held for it.
    fn nobody() -> Self {
        Self { sender: None, full: Vec::new(), newly_full: Vec::new() }
    }

    /// Takes note of what became of something that was put into the queue of a receiver.
    pub(crate) fn note(&mut self, to: SessionKey, pushed: Pushed, feed: Option<Feed>) {
        let Pushed::Full { newly } = pushed else { return };
        if newly {
            self.newly_full.push(to);
        }
        let feed = feed.or_else(|| (self.sender == Some(to)).then_some(Feed::Stream));
        let Some(feed) = feed.filter(|_| self.sender.is_some()) else { return };
        match self.full.iter_mut().find(|(full, _)| *full == to) {
            Some((_, known)) if feed == Feed::Stream => *known = feed,
            Some(_) => {}
            None => self.full.push((to, feed)),
        }
    }
}
