//! A realm with its links: the machine of `wamp-core` behind a lock, and a task for its deadlines.

use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use wamp_core::router::{
    Event, Feed, Realm as Machine, RouterCall, RouterCallId, Seeds, SessionKey, Sizes, Stats, Ticket, Verdict,
};
use wamp_core::{Failure, Time};
use wamp_proto::{Payload, Uri};

use crate::authentication::Authentication;
use crate::authorizer::{Deciders, New, Questions};
use crate::lanes::{Fed, Lanes, append_events};
use crate::links::Links;
use crate::lock::{FairLock, Turn};
use crate::outbound::Outbound;
use crate::own_calls::Unanswered;
use crate::realm_config::RealmConfig;
use crate::rests::Rests;
use crate::router::RouterState;
use crate::snapshot::RealmFigures;
use crate::turn::RealmTurn;
use crate::wakes::Wakes;

/// A publisher is held by this many of the subscribers that it has filled in one turn, which takes half a millisecond.
/// The others usually have room when these do.
const HOLDERS: usize = 1024;

/// The outcome of a turn.
pub(crate) struct Turned<T> {
    pub(crate) result: T,
    /// Whether the session is held from now on.
    pub(crate) held: bool,
    /// Whether some of its events are left for its next turn.
    pub(crate) has_rest: bool,
    /// Whether requests that an authorizer has decided about are left for its next turn.
    pub(crate) can_advance: bool,
    /// Whether the turn was as long as a turn may be.
    pub(crate) was_long: bool,
}

/// The state of a session that may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// There is nothing to do for its link.
    Waits {
        /// Whether a request that its authorizer has decided about waits for the end of the hold.
        asks: bool,
    },
    /// It is not held, or requests can leave its queue.
    Over {
        /// Whether requests that its authorizer has decided about can be handled.
        can_advance: bool,
    },
}

/// A realm that links share.
#[derive(Debug)]
pub(crate) struct Realm {
    name: Uri,
    authentication: RwLock<Arc<Authentication>>,
    /// The authorizers of roles.
    authorizers: RwLock<Arc<Deciders>>,
    this: Weak<Self>,
    /// The router that it belongs to.
    router: Weak<RouterState>,
    start: Instant,
    inner: FairLock<Inner>,
    /// Notified when the earliest deadline may have changed.
    deadline: Notify,
}

struct Inner {
    machine: Machine,
    links: Links,
    unanswered: Unanswered,
    /// Questions for authorizers.
    questions: Questions,
    /// The deadline that the deadline task waits for.
    armed: Option<Time>,
    events_dropped: u64,
    rests: Rests,
}

impl Inner {
    /// Runs after every call into the machine: transmits, dispatches events, holds the sender if it has filled a
    /// link, and re-arms the deadline. Returns whether the sender is held for that.
    fn settle(&mut self, now: Time, mut fed: Fed, wakes: &mut Wakes, deadline: &Notify) -> bool {
        let Inner { machine, links, unanswered, questions, armed, events_dropped, rests } = self;
        loop {
            // The turn of the sender has delivered a portion already.
            let mut lanes = Lanes::new(links, events_dropped, rests, wakes, fed).without_rests();
            lanes.transmit(machine);
            fed = lanes.finish();
            let Some(event) = machine.poll_event() else { break };
            match event {
                Event::Closed { session, closing } => {
                    if let Some(link) = links.get(session) {
                        // It may still read the events that were published before.
                        rests.take(session, |events| {
                            append_events(link, events, wakes, events_dropped);
                        });
                    }
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
                Event::Probe { session, within } => {
                    if let Some(link) = links.get(session) {
                        link.probe(within);
                    }
                }
                Event::Answered { call, outcome } => {
                    if let Some(sender) = unanswered.remove(&call) {
                        // The one that asked may be gone.
                        let _ = sender.send(outcome);
                    }
                }
                Event::Authorize { ticket, question } => questions.add(ticket, *question),
                Event::Void { ticket } => questions.end(ticket),
                Event::Decided { session } => {
                    if let Some(link) = links.get(session) {
                        link.set_verdicts();
                    }
                }
                // It is already written.
                Event::Watch { session, watch }
                    if links.get(session).is_some_and(|link| !link.watch(watch)) =>
                {
                    machine.handle_left(now, watch);
                }
                _ => {}
            }
        }
        let sender = fed.sender();
        for full in fed.newly_full {
            machine.set_full(now, full);
            if links.get(full).is_some_and(|link| link.stands_still()) {
                machine.drop_events(now, full);
            }
        }
        let mut held = false;
        if let Some(sender) = sender {
            for (by, feed) in fed.full {
                held |= machine.hold(now, sender, by, feed);
            }
            for by in fed.events.into_iter().take(HOLDERS) {
                held |= machine.hold(now, sender, by, Feed::Events);
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

impl Inner {
    fn decide(&mut self, now: Time, verdicts: impl IntoIterator<Item = (Ticket, Verdict)>) {
        for (ticket, verdict) in verdicts {
            self.questions.end(ticket);
            self.machine.decide(now, ticket, verdict);
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("links", &self.links.len()).finish_non_exhaustive()
    }
}

impl Realm {
    /// Creates a realm. `this` and `router` point to it and to its router.
    pub(crate) fn new(
        mut config: RealmConfig,
        seeds: Seeds,
        this: Weak<Self>,
        router: Weak<RouterState>,
    ) -> Self {
        let authorizers = config.take_authorizers();
        let RealmConfig { machine: mut config, principals, authenticator, procedures, .. } = config;
        config.epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            name: config.name.clone(),
            authentication: RwLock::new(Arc::new(Authentication::new(principals, authenticator, procedures))),
            authorizers: RwLock::new(Arc::new(authorizers)),
            this,
            router,
            start: Instant::now(),
            inner: FairLock::new(Inner {
                machine: Machine::new(config, seeds),
                links: Links::default(),
                unanswered: Unanswered::new(),
                questions: Questions::default(),
                armed: None,
                events_dropped: 0,
                rests: Rests::default(),
            }),
            deadline: Notify::new(),
        }
    }

    pub(crate) fn name(&self) -> &Uri {
        &self.name
    }

    /// Returns the current authentication. It is replaced under the realm's lock.
    pub(crate) fn authentication(&self) -> Arc<Authentication> {
        // Nothing panics while holding it.
        self.authentication.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the current authorizers of roles.
    pub(crate) fn authorizers(&self) -> Arc<Deciders> {
        self.authorizers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns this realm and its router, as long as they are there.
    pub(crate) fn with_router(&self) -> Option<(Arc<Self>, Arc<RouterState>)> {
        self.this.upgrade().zip(self.router.upgrade())
    }

    /// Changes the configuration, and ends the sessions that it does not admit.
    pub(crate) async fn reconfigure(&self, mut config: RealmConfig) {
        let authorizers = Arc::new(config.take_authorizers());
        let RealmConfig { machine: config, principals, authenticator, procedures, .. } = config;
        let before = self.authentication();
        let new = Arc::new(before.replaced(principals, authenticator, procedures));
        self.with(|machine, now| {
            *self.authentication.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
            *self.authorizers.write().unwrap_or_else(PoisonError::into_inner) = authorizers;
            machine.reconfigure(now, config, move |identity| new.still_admits(&before, identity));
        })
        .await;
    }

    /// Ends all sessions: the realm is removed.
    pub(crate) async fn close(&self) {
        self.with(|machine, now| machine.close_realm(now)).await;
    }

    fn now(&self) -> Time {
        Time::after(self.start.elapsed())
    }

    /// Runs `act` on the machine when it is this task's turn, and puts the resulting messages into the queues
    /// of their receivers. Returns the result of `act`.
    pub(crate) async fn with<T>(&self, act: impl FnOnce(&mut Machine, Time) -> T) -> T {
        let turn = self.inner.turn(false).await;
        self.with_inner(Some(turn), |inner, now| act(&mut inner.machine, now))
    }

    /// Like [`with`](Self::with), without waiting for a turn: for code outside of tasks.
    pub(crate) fn with_at_once<T>(&self, act: impl FnOnce(&mut Machine, Time) -> T) -> T {
        self.with_inner(None, |inner, now| act(&mut inner.machine, now))
    }

    /// Looks at the machine and its links, when it is this task's turn.
    pub(crate) async fn look<T>(&self, look: impl FnOnce(&Machine, &Links, Time) -> T) -> T {
        let turn = self.inner.turn(false).await;
        let now = self.now();
        let inner = self.inner.value();
        let result = look(&inner.machine, &inner.links, now);
        drop(inner);
        drop(turn);
        result
    }

    /// Opens a session and ties it to its link.
    pub(crate) async fn join(
        self: &Arc<Self>,
        link: &Arc<Outbound>,
        act: impl FnOnce(&mut Machine, Time) -> Result<SessionKey, (Uri, String)>,
    ) -> Result<SessionKey, (Uri, String)> {
        let turn = self.inner.turn(false).await;
        self.with_inner(Some(turn), |Inner { machine, links, .. }, now| {
            let key = act(machine, now)?;
            links.insert(key, link.clone());
            if link.tie(Arc::downgrade(self), key) {
                machine.set_full(now, key);
            }
            Ok(key)
        })
    }

    /// Begins a call of the router. `sender` gets its end.
    pub(crate) async fn begin(
        &self,
        call: &RouterCall,
        sender: oneshot::Sender<Result<Payload, Failure>>,
    ) -> Result<RouterCallId, Failure> {
        let turn = self.inner.turn(false).await;
        self.with_inner(Some(turn), |Inner { machine, unanswered, .. }, now| {
            let call = machine.call(now, call)?;
            unanswered.insert(call, sender);
            Ok(call)
        })
    }

    /// Delivers verdicts of authorizers.
    pub(crate) async fn decide(&self, verdicts: impl IntoIterator<Item = (Ticket, Verdict)>) {
        let turn = self.inner.turn(false).await;
        self.with_inner(Some(turn), |inner, now| inner.decide(now, verdicts));
    }

    /// Delivers verdicts of authorizers without waiting for a turn. Returns the questions that follow.
    pub(crate) fn decide_at_once(&self, verdicts: Vec<(Ticket, Verdict)>) -> Vec<New> {
        self.with_questions(None, |inner, now| inner.decide(now, verdicts)).1
    }

    /// Ends a call of the router that nothing waits for any more.
    pub(crate) fn abandon(&self, call: RouterCallId) {
        self.with_inner(None, |Inner { machine, unanswered, .. }, now| {
            unanswered.remove(&call);
            machine.abandon(now, call);
        });
    }

    fn with_inner<T>(&self, turn: Option<Turn<'_>>, act: impl FnOnce(&mut Inner, Time) -> T) -> T {
        let (result, questions) = self.with_questions(turn, act);
        self.ask(questions);
        result
    }

    fn with_questions<T>(
        &self,
        turn: Option<Turn<'_>>,
        act: impl FnOnce(&mut Inner, Time) -> T,
    ) -> (T, Vec<New>) {
        // Dropped after the lock; then it wakes the writers.
        let mut wakes = Wakes::default();
        let now = self.now();
        let mut inner = self.inner.value();
        let result = act(&mut inner, now);
        inner.settle(now, Fed::by_none(), &mut wakes, &self.deadline);
        let questions = inner.questions.take();
        drop(inner);
        drop(turn);
        drop(wakes);
        (result, questions)
    }

    /// Like [`with`](Self::with), for the messages of a session: a turn of its link. `was_long` tells that its last turn
    /// was. If the messages have filled a link, the session is held from now on. Writers that have only events are
    /// woken up by the caller.
    pub(crate) async fn with_turn<T>(
        &self,
        sender: SessionKey,
        wakes: &mut Wakes,
        was_long: bool,
        act: impl FnOnce(&mut RealmTurn<'_>) -> T,
    ) -> Turned<T> {
        let permit = self.inner.turn(was_long).await;
        let now = self.now();
        let mut inner = self.inner.value();
        let Inner { machine, links, events_dropped, rests, .. } = &mut *inner;
        let mut turn = RealmTurn::new(machine, links, (events_dropped, rests), wakes, now, sender);
        let result = act(&mut turn);
        let (is_used_up, has_authorizer) = (turn.is_used_up(), turn.has_authorizer());
        let waits = turn.must_wait();
        let fed = turn.finish();
        let held = inner.settle(now, fed, wakes, &self.deadline) || waits;
        let has_rest = inner.rests.has(sender);
        let can_advance = has_authorizer && inner.machine.can_advance(sender);
        let was_long = is_used_up || has_rest;
        let questions = inner.questions.take();
        self.inner.ends(was_long);
        drop(inner);
        drop(permit);
        wakes.wake_urgent();
        self.ask(questions);
        Turned { result, held, has_rest, can_advance, was_long }
    }

    /// Returns the state of a session that may be held. When the hold ends, and when requests can leave the queue, its
    /// link is woken.
    pub(crate) async fn hold(&self, session: SessionKey) -> Hold {
        let _turn = self.inner.turn(false).await;
        let machine = &self.inner.value().machine;
        let can_advance = machine.can_advance(session);
        match machine.is_held(session) && !can_advance {
            true => Hold::Waits { asks: machine.has_decided_request(session) },
            false => Hold::Over { can_advance },
        }
    }

    pub(crate) fn stats(&self) -> (Stats, Sizes) {
        let inner = self.inner.value();
        let mut stats = inner.machine.stats();
        stats.events -= inner.events_dropped;
        stats.events_dropped += inner.events_dropped;
        (stats, inner.machine.sizes())
    }

    /// Returns the counters and sizes, the times of calls, and the joins.
    pub(crate) fn figures(&self) -> RealmFigures {
        let (total, now) = self.stats();
        let held_time = self.held_time();
        let inner = self.inner.value();
        let (timings, joins) = (inner.machine.timings(), inner.machine.joins());
        RealmFigures { name: self.name.clone(), total, now, held_time, timings, joins }
    }

    #[cfg(feature = "lock-times")]
    pub(crate) fn lock_times(&self) -> crate::LockTimes {
        self.inner.times()
    }

    /// Returns for how long sessions have been held.
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
                    // There may be much more to do, and other tasks need the thread.
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

#[cfg(test)]
mod tests;
