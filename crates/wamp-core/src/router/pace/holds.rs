//! Somebody does not keep up: who holds whom, for how long, and how that ends.
//!
//! Three words. A session is *full* when its link has more waiting than it should; the driver says so
//! ([`Realm::set_full`]), and when there is room again ([`Realm::set_room`]). It then *holds* those who feed
//! it: the driver does not read from them ([`Realm::hold`]) until nobody holds them any more
//! ([`Event::Released`]). And it is *stalled* when it has held for too long; that ends its calls at once, all
//! of them and not one after another, and from then on it holds nobody else until it has room.
//!
//! ```text
//!            set_full             stall, or its share is used up
//!   ┌──────┐ ───────▶ ┌────────┐ ───────────────────────────────▶ ┌─────────┐
//!   │ room │          │ full,  │   its calls end: "slow consumer"  │ stalled │
//!   └──────┘ ◀─────── │ holds  │                                   └─────────┘
//!       ▲    set_room └────────┘                                        │
//!       └─────────────────────────────── set_room ──────────────────────┘
//! ```
//!
//! | to a session that is | full | stalled |
//! |---|---|---|
//! | a new CALL of another | goes to another callee, or `unavailable` | the same |
//! | a new CALL of its own | goes on | `unavailable` |
//! | a progressive result, a chunk | holds its sender | ends its call |
//! | a last reply | holds its sender | holds nobody; ends its call if it is [long](SMALL_REPLY) |
//! | a last chunk | holds its sender | holds nobody |
//!
//! A hold is over when there is room; when the last call between the two has ended, if it began with one under
//! way; when the one that holds is stalled or gone.
//!
//! A hold is *contested* when somebody is harmed by it who is not its cause, or when it serves nothing:
//!
//! * the session that is held has calls of others to answer;
//! * it has requests of its own that are not read ([`Realm::set_waiting`]);
//! * it was fed last replies and whole calls only ([`Feed::Last`]): holding their sender holds nothing back.
//!
//! Contested holds last for 2 s in each 10 s ([`Limits::holding`](crate::router::Limits::holding)), counted on both
//! sides: for the session that holds, whoever it holds, and for the session that is held, whoever holds it. When
//! the share of the first is used up it is stalled; when the share of the second is, all that hold it are, and
//! any other that fills up is stalled at once. So nobody waits longer, however many take turns.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wamp_proto::message::CancelMode;
use wamp_proto::{RequestId, uri};

use super::share::Share;
use crate::Time;
use crate::deadlines::Deadline;
use crate::map;
use crate::router::dealer::CallKey;
use crate::router::realm::{Due, Event, Realm};
use crate::router::sessions::{Session, SessionKey, Sessions};

/// The argument of the ERROR that ends a call of somebody who does not keep up.
pub(in crate::router) const SLOW_CONSUMER: &str = "slow consumer";

/// A last reply to a stalled session becomes an ERROR if its payload is longer than this, in bytes.
pub(in crate::router) const SMALL_REPLY: usize = 1 << 10;

/// What there is to remember about a session that has been slow, or has been held by one that was.
#[derive(Clone, Default)]
pub(in crate::router) struct Slow {
    full: bool,
    stalled: bool,
    /// Whom its link holds.
    holds: BTreeMap<SessionKey, Hold>,
    /// Its contested holds.
    as_holder: Usage,
    /// Whose links hold it.
    held_by: BTreeSet<SessionKey>,
    /// The contested ones among these holds.
    as_held: Usage,
    /// It has requests of its own that are not read while it is held.
    waits: bool,
    /// Since when it is held without a break.
    held_since: Option<Time>,
    /// How long it was held before that, in all.
    held: Duration,
}

#[derive(Clone, Copy)]
struct Hold {
    /// It ends with the last call between the two.
    bound: bool,
    /// It holds nothing back.
    last: bool,
    since: Time,
    contested: bool,
}

/// The contested holds of a session, on one side.
#[derive(Clone, Default)]
struct Usage {
    /// How many there are.
    contested: usize,
    share: Share,
    /// When the share is used up if nothing changes.
    deadline: Option<Deadline>,
}

/// A side of a hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Side {
    Holder,
    Held,
}

/// What a session was fed by the one that is to be held for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Parts of calls that go on: progressive results, chunks.
    Stream,
    /// Last replies, last chunks and whole calls only.
    Last,
}

/// How much has been held in a realm, by all its sessions.
#[derive(Clone, Copy, Default)]
pub(in crate::router) struct Holding {
    /// How many sessions are held now, and the sum of the times since when.
    now: usize,
    since: Duration,
    /// How long the others have been.
    over: Duration,
}

impl Slow {
    /// How long the router has not read from the session until now, in all.
    pub(in crate::router) fn held(&self, now: Time) -> Duration {
        self.held + self.held_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    fn usage(&mut self, side: Side) -> &mut Usage {
        match side {
            Side::Holder => &mut self.as_holder,
            Side::Held => &mut self.as_held,
        }
    }
}

impl Session {
    fn slow_mut(&mut self) -> &mut Slow {
        self.slow.get_or_insert_default()
    }

    /// Whether it has calls of others than this one to answer.
    fn is_called_by_others(&self, than: SessionKey) -> bool {
        self.callers.len() > usize::from(self.callers.contains_key(&than))
    }
}

impl Sessions {
    /// Whether no new call should go to a session.
    pub(in crate::router) fn is_full(&self, key: SessionKey) -> bool {
        self.get(key).and_then(|session| session.slow.as_ref()).is_some_and(|slow| slow.full)
    }

    /// Whether a session holds nobody any more, since it has done so for too long.
    pub(in crate::router) fn is_stalled(&self, key: SessionKey) -> bool {
        self.get(key).and_then(|session| session.slow.as_ref()).is_some_and(|slow| slow.stalled)
    }
}

impl Realm {
    /// More waits for a session's link than should. New calls do not go there until
    /// [`set_room`](Self::set_room).
    pub fn set_full(&mut self, now: Time, session: SessionKey) {
        self.now = now;
        if let Some(session) = self.sessions.get_mut(session) {
            session.slow_mut().full = true;
        }
    }

    /// There is room again in a session's link. Whom it held it releases.
    pub fn set_room(&mut self, now: Time, session: SessionKey) {
        self.now = now;
        let Some(slow) = self.slow_of(session) else { return };
        (slow.full, slow.stalled) = (false, false);
        self.release_all(session);
    }

    /// From now on the driver does not read from a session, since what it sends has nowhere to go: it has
    /// filled the link of another, or its own. Until nobody holds it any more the timeouts of calls that it is
    /// to answer stand still. `false`: it is not to be held for this one.
    pub fn hold(&mut self, now: Time, session: SessionKey, by: SessionKey, feed: Feed) -> bool {
        self.now = now;
        let bound = self.is_bound(session, by);
        if self.sessions.get(session).is_none() {
            return false;
        }
        let Some(holder) = self.sessions.get_mut(by).map(Session::slow_mut) else { return false };
        if holder.stalled && session != by {
            return false;
        }
        if holder.holds.contains_key(&session) {
            return true;
        }
        holder.holds.insert(session, Hold { bound, last: feed == Feed::Last, since: now, contested: false });
        let Some(held) = self.slow_or_new(session) else { return false };
        held.held_by.insert(by);
        if held.held_since.is_none() {
            held.held_since = Some(now);
            self.holding.now += 1;
            self.holding.since += now.since_origin();
            self.stats.holds += 1;
        }
        self.judge_hold(session, by);
        if self.is_used_up(session) {
            self.stall_holders(session);
        }
        self.slow_of(by).is_some_and(|slow| slow.holds.contains_key(&session))
    }

    /// A session that is held has requests of its own that the driver does not handle, until it is released.
    pub fn set_waiting(&mut self, now: Time, session: SessionKey) {
        self.now = now;
        let Some(slow) = self.slow_of(session) else { return };
        if slow.held_since.is_some() && !std::mem::replace(&mut slow.waits, true) {
            self.judge(session);
        }
    }

    /// A session does not hold another any more, which can be read from again if nobody else does.
    pub fn release(&mut self, now: Time, session: SessionKey, by: SessionKey) {
        self.now = now;
        self.let_go(session, by);
    }

    /// Whether a session is held.
    pub fn is_held(&self, session: SessionKey) -> bool {
        self.sessions
            .get(session)
            .and_then(|session| session.slow.as_ref())
            .is_some_and(|slow| slow.held_since.is_some())
    }

    /// Whether a session has a call under way that it made by this request.
    pub fn is_calling(&self, session: SessionKey, request: RequestId) -> bool {
        self.sessions.get(session).is_some_and(|session| session.calls.contains_key(&request))
    }

    /// Whether two sessions have a call under way with each other.
    pub fn is_bound(&self, session: SessionKey, other: SessionKey) -> bool {
        let calls = |caller, callee| {
            self.sessions.get(callee).is_some_and(|callee| callee.callers.contains_key(&caller))
        };
        calls(session, other) || calls(other, session)
    }

    /// For how long sessions have been held, the time of each counted by itself.
    pub fn held_time(&self, now: Time) -> Duration {
        let Holding { now: count, since, over } = self.holding;
        let sum = now.since_origin().saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        over + sum.saturating_sub(since)
    }

    /// How many sessions are held.
    pub(in crate::router) fn held_now(&self) -> usize {
        self.holding.now
    }

    /// A session's link holds others and has accepted nothing for too long. All its calls whose callees it
    /// holds end, and those that come to it in chunks from callers that it holds; until it has room it holds
    /// nobody else. Nothing happens if it holds nobody, or itself for something else than a call to itself.
    pub fn stall(&mut self, now: Time, session: SessionKey) {
        self.now = now;
        let Some(its) = self.sessions.get_mut(session) else { return };
        let Some(slow) = its.slow.as_mut() else { return };
        if !slow.holds.iter().any(|(held, hold)| *held != session || hold.bound) {
            return;
        }
        slow.stalled = true;
        let mut calls: Vec<(RequestId, CallKey)> = Vec::new();
        for (request, key) in &its.calls {
            if self.dealer.calls.get(*key).is_some_and(|call| slow.holds.contains_key(&call.callee)) {
                calls.push((*request, *key));
            }
        }
        let made = calls.len();
        for (invocation, key) in &its.invocations {
            let Some(call) = self.dealer.calls.get(*key) else { continue };
            let in_chunks = call.upload.as_ref().is_some_and(|upload| !upload.finished);
            if in_chunks && call.caller != session && slow.holds.contains_key(&call.caller) {
                calls.push((*invocation, *key));
            }
        }
        // Each in the order in which they were made.
        calls[..made].sort_unstable_by_key(|(request, _)| *request);
        calls[made..].sort_unstable_by_key(|(invocation, _)| *invocation);
        self.release_all_others(session);
        self.end_all_slow(calls.into_iter().map(|(_, call)| call).collect());
    }

    /// The share of a session is used up: otherwise this deadline would not have passed.
    pub(in crate::router) fn handle_share(&mut self, now: Time, session: SessionKey, side: Side) {
        let Some(slow) = self.slow_of(session) else { return };
        slow.usage(side).deadline = None;
        match side {
            Side::Holder => self.stall(now, session),
            Side::Held => self.stall_holders(session),
        }
    }

    /// Whether a session has been held for so long that nobody may hold it any more to the harm of others.
    fn is_used_up(&mut self, session: SessionKey) -> bool {
        let limits = self.config.limits;
        let now = self.now;
        let Some(slow) = self.slow_of(session) else { return false };
        let Usage { contested, share, .. } = &slow.as_held;
        *contested > 0 && share.used(now, limits.holding_window) >= limits.holding
    }

    /// Stalls all whose holds of a session are contested, beginning with the longest. One that is not contested
    /// any more when those before it have ended goes on.
    fn stall_holders(&mut self, session: SessionKey) {
        let now = self.now;
        let Some(slow) = self.slow_of(session) else { return };
        let mut holders = Vec::from_iter(slow.held_by.clone());
        holders.sort_by_cached_key(|by| self.hold_of(session, *by).map(|hold| hold.since));
        for by in holders {
            if self.hold_of(session, by).is_some_and(|hold| hold.contested) {
                self.stall(now, by);
            }
        }
    }

    fn hold_of(&self, session: SessionKey, by: SessionKey) -> Option<Hold> {
        self.sessions.get(by)?.slow.as_ref()?.holds.get(&session).copied()
    }

    /// Ends a call since one of its ends does not keep up.
    pub(in crate::router) fn end_slow(&mut self, key: CallKey) {
        self.stats.slow_consumers += 1;
        self.interrupt(key, CancelMode::KillNoWait, uri::CANCELED);
        self.fail(key, uri::CANCELED, SLOW_CONSUMER);
    }

    /// A call has begun.
    pub(in crate::router) fn bind(&mut self, caller: SessionKey, callee: SessionKey) {
        let Some(its) = self.sessions.get_mut(callee) else { return };
        let calls = its.callers.entry(caller).or_insert(0);
        *calls += 1;
        // With three callers everybody has others beside him already.
        if *calls == 1 && its.callers.len() <= 2 && its.slow.is_some() {
            self.judge(callee);
        }
    }

    /// A call has ended. If it was the last one between the two, neither holds the other because of it.
    pub(in crate::router) fn unbind(&mut self, caller: SessionKey, callee: SessionKey) {
        let Some(its) = self.sessions.get_mut(callee) else { return };
        let Some(calls) = its.callers.get_mut(&caller) else { return };
        *calls -= 1;
        if *calls > 0 {
            return;
        }
        map::remove(&mut its.callers, &caller);
        if its.slow.is_none() {
            return;
        }
        // With two callers left everybody has others beside him still.
        if its.callers.len() <= 1 {
            self.judge(callee);
        }
        if !self.is_bound(caller, callee) {
            for (held, by) in [(callee, caller), (caller, callee)] {
                let holds = self.slow_of(by).and_then(|slow| slow.holds.get(&held));
                if holds.is_some_and(|hold| hold.bound) {
                    self.let_go(held, by);
                }
            }
        }
    }

    /// A session is over: it holds nobody and nobody holds it.
    pub(in crate::router) fn forget_holds(&mut self, session: SessionKey) {
        self.release_all(session);
        let Some(slow) = self.slow_of(session) else { return };
        for by in slow.held_by.clone() {
            self.let_go(session, by);
        }
    }

    fn slow_of(&mut self, session: SessionKey) -> Option<&mut Slow> {
        self.sessions.get_mut(session)?.slow.as_deref_mut()
    }

    fn slow_or_new(&mut self, session: SessionKey) -> Option<&mut Slow> {
        Some(self.sessions.get_mut(session)?.slow_mut())
    }

    fn release_all(&mut self, by: SessionKey) {
        self.let_go(by, by);
        self.release_all_others(by);
    }

    /// What a session does to itself stays: it would answer its own requests without end.
    fn release_all_others(&mut self, by: SessionKey) {
        let Some(slow) = self.slow_of(by) else { return };
        let held: Vec<SessionKey> = slow.holds.keys().copied().filter(|held| *held != by).collect();
        for session in held {
            self.let_go(session, by);
        }
    }

    fn let_go(&mut self, session: SessionKey, by: SessionKey) {
        if self.slow_of(by).is_none_or(|slow| !slow.holds.contains_key(&session)) {
            return;
        }
        self.set_contested(session, by, false);
        if let Some(slow) = self.slow_of(by) {
            slow.holds.remove(&session);
        }
        let now = self.now;
        let Some(held) = self.slow_of(session) else { return };
        held.held_by.remove(&by);
        if held.held_by.is_empty()
            && let Some(since) = held.held_since.take()
        {
            held.held += now.since(since);
            held.waits = false;
            self.holding.now -= 1;
            self.holding.since -= since.since_origin();
            self.holding.over += now.since(since);
            self.events.push_back(Event::Released { session });
        }
    }

    /// Looks again which of the holds of a session are contested.
    fn judge(&mut self, session: SessionKey) {
        let Some(slow) = self.slow_of(session) else { return };
        for by in slow.held_by.clone() {
            self.judge_hold(session, by);
        }
    }

    fn judge_hold(&mut self, session: SessionKey, by: SessionKey) {
        let Some(held) = self.sessions.get(session) else { return };
        let harms = held.is_called_by_others(by) || held.slow.as_ref().is_some_and(|slow| slow.waits);
        let Some(hold) = self.hold_of(session, by) else { return };
        let contested = session != by && (harms || hold.last);
        self.set_contested(session, by, contested);
    }

    /// Takes note whether a hold is contested; as long as one is, both sides use up their shares.
    fn set_contested(&mut self, session: SessionKey, by: SessionKey, contested: bool) {
        let Some(hold) = self.slow_of(by).and_then(|slow| slow.holds.get_mut(&session)) else { return };
        if std::mem::replace(&mut hold.contested, contested) != contested {
            self.use_share(by, Side::Holder, contested);
            self.use_share(session, Side::Held, contested);
        }
    }

    /// One more, or one less, of the holds of a session is contested.
    fn use_share(&mut self, session: SessionKey, side: Side, more: bool) {
        let (now, limits) = (self.now, self.config.limits);
        let Some(slow) = self.slow_of(session) else { return };
        let usage = slow.usage(side);
        if more {
            usage.contested += 1;
            if usage.contested == 1 {
                usage.share.begin(now, limits.holding_window);
                let at = usage.share.used_up(now, limits.holding_window, limits.holding);
                let deadline = at.map(|at| self.deadlines.set(at, Due::Share(session, side)));
                if let Some(slow) = self.slow_of(session) {
                    slow.usage(side).deadline = deadline;
                }
            }
        } else {
            usage.contested -= 1;
            if usage.contested == 0 {
                usage.share.end(now);
                if let Some(deadline) = usage.deadline.take() {
                    self.deadlines.clear(deadline);
                }
            }
        }
    }
}
