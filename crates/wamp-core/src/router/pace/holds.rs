//! Back-pressure of calls: which session holds which, for how long, and how that ends.
//!
//! A session is *full* from the time when its queue is above high water ([`Realm::set_full`]) until there is
//! room again ([`Realm::set_room`]); the driver reports both. A full session *holds* the sessions that feed
//! it: the driver does not read from them ([`Realm::hold`]) until none holds them any more
//! ([`Event::Released`]). A session is *stalled* when it has held others for too long: all its calls end at
//! once, and until it has room it holds no others.
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
//! | a last reply | holds its sender | holds none; ends its call if it is longer than 1 KiB |
//! | a last chunk | holds its sender | holds none |
//!
//! A hold ends when there is room, when the last call between the two ends (if there was one at its
//! beginning), or when the holder is stalled or gone.
//!
//! A hold is *contested* when it harms a session that is not its cause, or serves nothing:
//!
//! * the held session has calls of others to answer;
//! * it has requests of its own that are not read ([`Realm::set_waiting`]);
//! * it has fed the holder last replies and whole calls only ([`Feed::Last`]), so that nothing is held back.
//!
//! Contested holds last for 2 s in each 10 s ([`Limits::holding`]), counted on both sides: for the session that holds,
//! whichever it holds, and for the session that is held, whichever holds it. When the share of the holder is used up it
//! is stalled; when the share of the held session is, all its holders are, and any other that fills up is stalled at
//! once. So no session waits longer, however many take turns.
//!
//! [`Limits::holding`]: crate::router::Limits::holding
//! [`Realm::hold`]: crate::router::Realm::hold
//! [`Realm::set_full`]: crate::router::Realm::set_full
//! [`Realm::set_room`]: crate::router::Realm::set_room
//! [`Realm::set_waiting`]: crate::router::Realm::set_waiting

use std::collections::BTreeSet;
use std::time::Duration;

use super::session::{Hold, SessionPart, Side, Usage};
use crate::Time;
use crate::router::context::{Context, Due};
use crate::router::event::Event;
use crate::router::sessions::{Session, SessionKey, Sessions};

/// The kind of messages that a session was fed by the session it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Parts of running calls: progressive results, chunks.
    Stream,
    /// Last replies, last chunks and whole calls only.
    Last,
    /// Events.
    Events,
}

/// The holds of a realm. Those of a session are in its [part](SessionPart).
#[derive(Clone, Copy, Default)]
pub(in crate::router) struct Holds {
    /// The number of sessions that are held now, and the sum of the times at which their holds began.
    now: usize,
    since: Duration,
    /// The time for which others were held.
    over: Duration,
}

impl Session {
    pub(super) fn pace_mut(&mut self) -> &mut SessionPart {
        self.pace.get_or_insert_default()
    }
}

impl Sessions {
    pub(super) fn pace(&self, key: SessionKey) -> Option<&SessionPart> {
        self.get(key)?.pace.as_deref()
    }

    pub(super) fn pace_mut(&mut self, key: SessionKey) -> Option<&mut SessionPart> {
        self.get_mut(key)?.pace.as_deref_mut()
    }

    /// Returns whether no new call should go to a session.
    pub(in crate::router) fn is_full(&self, key: SessionKey) -> bool {
        self.pace(key).is_some_and(|pace| pace.full)
    }

    /// Returns whether a session is stalled: it has held others for too long.
    pub(in crate::router) fn is_stalled(&self, key: SessionKey) -> bool {
        self.pace(key).is_some_and(|pace| pace.stalled)
    }

    /// Whether a session is held.
    pub(in crate::router) fn is_held(&self, key: SessionKey) -> bool {
        self.pace(key).is_some_and(|pace| pace.held_since.is_some())
    }

    /// Whether a session is held by this one.
    pub(in crate::router) fn is_held_by(&self, key: SessionKey, by: SessionKey) -> bool {
        self.hold(key, by).is_some()
    }

    /// Whether a session is held by this one, and the hold is contested.
    pub(in crate::router) fn is_contested(&self, key: SessionKey, by: SessionKey) -> bool {
        self.hold(key, by).is_some_and(|hold| hold.contested)
    }

    fn hold(&self, key: SessionKey, by: SessionKey) -> Option<Hold> {
        self.pace(by)?.holds.get(&key).copied()
    }

    /// The session that has held this one for the longest time because of calls.
    pub(in crate::router) fn longest_holder(&self, key: SessionKey) -> Option<SessionKey> {
        let held_by = self.pace(key)?.held_by.iter().copied();
        held_by.min_by_key(|by| self.hold(key, *by).map(|hold| hold.since))
    }

    /// The sessions that hold this one, the longest hold first.
    pub(in crate::router) fn holders(&self, key: SessionKey) -> Vec<SessionKey> {
        let Some(pace) = self.pace(key) else { return Vec::new() };
        let mut holders = Vec::from_iter(pace.held_by.iter().copied());
        holders.sort_by_cached_key(|by| self.hold(key, *by).map(|hold| hold.since));
        holders
    }
}

impl Holds {
    /// The number of sessions that are held.
    pub(in crate::router) fn len(&self) -> usize {
        self.now
    }

    /// Returns the time for which sessions have been held, summed over the sessions.
    pub(in crate::router) fn time(&self, now: Time) -> Duration {
        let sum = now.since_origin().saturating_mul(u32::try_from(self.now).unwrap_or(u32::MAX));
        self.over + sum.saturating_sub(self.since)
    }

    /// Marks a session as full.
    pub(in crate::router) fn set_full(&mut self, cx: &mut Context, session: SessionKey) {
        if let Some(session) = cx.sessions.get_mut(session) {
            session.pace_mut().full = true;
        }
    }

    /// Marks a session as having room again, and releases the sessions that it held.
    pub(in crate::router) fn set_room(&mut self, cx: &mut Context, session: SessionKey) {
        let Some(pace) = cx.sessions.pace_mut(session) else { return };
        (pace.full, pace.stalled, pace.events.slow) = (false, false, false);
        self.release_all(cx, session);
        self.release_publishers(cx, session);
    }

    /// Starts a hold of one session on another. Returns `false` if there must be none.
    pub(in crate::router) fn hold(
        &mut self,
        cx: &mut Context,
        session: SessionKey,
        by: SessionKey,
        feed: Feed,
    ) -> bool {
        let (now, bound) = (cx.now, cx.sessions.is_tied(session, by));
        if !cx.sessions.has(session) {
            return false;
        }
        let Some(holder) = cx.sessions.get_mut(by).map(Session::pace_mut) else { return false };
        if holder.stalled && session != by {
            return false;
        }
        if holder.holds.contains_key(&session) {
            return true;
        }
        holder.holds.insert(session, Hold { bound, last: feed == Feed::Last, since: now, contested: false });
        let Some(held) = cx.sessions.get_mut(session).map(Session::pace_mut) else { return false };
        held.held_by.insert(by);
        self.begin(cx, session);
        self.recheck_hold(cx, session, by);
        true
    }

    /// Records that a held session has requests of its own that are not handled until it is released.
    pub(in crate::router) fn set_waiting(&mut self, cx: &mut Context, session: SessionKey) {
        let Some(pace) = cx.sessions.pace_mut(session) else { return };
        if pace.held_since.is_some() && !std::mem::replace(&mut pace.waits, true) {
            self.recheck(cx, session);
        }
    }

    /// Stalls a session that has accepted nothing for too long, or whose share is used up. Returns the
    /// sessions that it held; until it has room it holds no others. Returns `None`, without effect, if it
    /// holds none, or only itself for anything but a call to itself.
    pub(in crate::router) fn stall(
        &mut self,
        cx: &mut Context,
        session: SessionKey,
    ) -> Option<BTreeSet<SessionKey>> {
        let pace = cx.sessions.pace_mut(session)?;
        if !pace.holds.iter().any(|(held, hold)| *held != session || hold.bound) {
            return None;
        }
        pace.stalled = true;
        let held = pace.holds.keys().copied().collect();
        self.release_all_others(cx, session);
        self.drop_events(cx, session);
        Some(held)
    }

    /// Handles the deadline of a share, which is now used up.
    pub(in crate::router) fn share_passed(&mut self, cx: &mut Context, session: SessionKey, side: Side) {
        if let Some(pace) = cx.sessions.pace_mut(session) {
            pace.usage(side).deadline = None;
        }
    }

    /// Returns whether a session has used up its share, so that none of its contested holds may go on.
    pub(in crate::router) fn is_used_up(&self, cx: &mut Context, session: SessionKey, side: Side) -> bool {
        let limits = &cx.config.limits;
        cx.sessions.pace_mut(session).is_some_and(|pace| {
            let Usage { contested, share, .. } = pace.usage(side);
            *contested > 0 && share.used(cx.now, limits.holding_window) >= limits.holding
        })
    }

    /// Handles the begin of the first call between two sessions, or the end of the last one. After the end
    /// neither holds the other because of calls.
    pub(in crate::router) fn handle_tie(&mut self, cx: &mut Context, caller: SessionKey, callee: SessionKey) {
        // With three callers each already has competition.
        if cx.sessions.get(callee).is_some_and(|callee| callee.dealer.callers() <= 2) {
            self.recheck(cx, callee);
        }
        if !cx.sessions.is_tied(caller, callee) {
            for (held, by) in [(callee, caller), (caller, callee)] {
                if cx.sessions.hold(held, by).is_some_and(|hold| hold.bound) {
                    self.release(cx, held, by);
                }
            }
        }
    }

    /// Removes all holds of and on a session that is over.
    pub(in crate::router) fn forget(&mut self, cx: &mut Context, session: SessionKey) {
        self.release_all(cx, session);
        self.release_publishers(cx, session);
        self.forget_publisher(cx, session);
        let Some(pace) = cx.sessions.pace(session) else { return };
        for by in pace.held_by.clone() {
            self.release(cx, session, by);
        }
    }

    fn release_all(&mut self, cx: &mut Context, by: SessionKey) {
        self.release(cx, by, by);
        self.release_all_others(cx, by);
    }

    /// Keeps the hold of a session on itself; without it the session could answer its own requests without
    /// end.
    fn release_all_others(&mut self, cx: &mut Context, by: SessionKey) {
        let Some(pace) = cx.sessions.pace(by) else { return };
        let held: Vec<SessionKey> = pace.holds.keys().copied().filter(|held| *held != by).collect();
        for session in held {
            self.release(cx, session, by);
        }
    }

    /// Ends the hold of one session on another, which is released if no other session holds it.
    pub(in crate::router) fn release(&mut self, cx: &mut Context, session: SessionKey, by: SessionKey) {
        if !cx.sessions.is_held_by(session, by) {
            return;
        }
        self.set_contested(cx, session, by, false);
        if let Some(pace) = cx.sessions.pace_mut(by) {
            pace.holds.remove(&session);
        }
        let Some(held) = cx.sessions.pace_mut(session) else { return };
        held.held_by.remove(&by);
        self.end(cx, session);
    }

    /// Adds a holder to a session.
    pub(super) fn begin(&mut self, cx: &mut Context, session: SessionKey) {
        let Some(held) = cx.sessions.pace_mut(session) else { return };
        if held.held_since.is_none() {
            held.held_since = Some(cx.now);
            self.now += 1;
            self.since += cx.now.since_origin();
            cx.stats.holds += 1;
        }
    }

    /// Removes a holder from a session.
    pub(super) fn end(&mut self, cx: &mut Context, session: SessionKey) {
        let Some(held) = cx.sessions.pace_mut(session) else { return };
        if held.held_by.is_empty()
            && held.events.held_by.is_empty()
            && let Some(since) = held.held_since.take()
        {
            held.held += cx.now.since(since);
            held.waits = false;
            self.now -= 1;
            self.since -= since.since_origin();
            self.over += cx.now.since(since);
            cx.events.push_back(Event::Released { session });
        }
    }

    /// Determines anew which of the holds of a session are contested.
    fn recheck(&mut self, cx: &mut Context, session: SessionKey) {
        let Some(pace) = cx.sessions.pace(session) else { return };
        for by in pace.held_by.clone() {
            self.recheck_hold(cx, session, by);
        }
    }

    fn recheck_hold(&mut self, cx: &mut Context, session: SessionKey, by: SessionKey) {
        let Some(held) = cx.sessions.get(session) else { return };
        let harms = held.dealer.is_called_by_others(by) || held.pace.as_ref().is_some_and(|pace| pace.waits);
        let Some(hold) = cx.sessions.hold(session, by) else { return };
        self.set_contested(cx, session, by, session != by && (harms || hold.last));
    }

    /// Records whether a hold is contested; as long as one is, both sides use up their shares.
    fn set_contested(&mut self, cx: &mut Context, session: SessionKey, by: SessionKey, contested: bool) {
        let Some(hold) = cx.sessions.pace_mut(by).and_then(|pace| pace.holds.get_mut(&session)) else {
            return;
        };
        if std::mem::replace(&mut hold.contested, contested) != contested {
            use_share(cx, by, Side::Holder, contested);
            use_share(cx, session, Side::Held, contested);
        }
    }
}

/// Counts one more, or one less, contested hold of a session.
pub(super) fn use_share(cx: &mut Context, session: SessionKey, side: Side, more: bool) {
    let (now, limits) = (cx.now, &cx.config.limits);
    let Some(pace) = cx.sessions.pace_mut(session) else { return };
    let usage = pace.usage(side);
    if more {
        usage.contested += 1;
        if usage.contested == 1 {
            usage.share.begin(now, limits.holding_window);
            let at = usage.share.used_up(now, limits.holding_window, limits.holding);
            usage.deadline = at.map(|at| cx.deadlines.set(at, Due::Share(session, side)));
        }
    } else {
        usage.contested -= 1;
        if usage.contested == 0 {
            usage.share.end(now);
            if let Some(deadline) = usage.deadline.take() {
                cx.deadlines.clear(deadline);
            }
        }
    }
}
