//! The driver's side of back-pressure: its reports to a realm about full links. The rules are in
//! [`pace`](super::pace).

use std::time::Duration;

use wamp_proto::RequestId;

use super::pace::{Feed, Side};
use super::realm::Realm;
use super::sessions::SessionKey;
use crate::Time;

impl Realm {
    /// Marks a session as full: its link is above high water. New calls do not go to it until
    /// [`set_room`](Self::set_room).
    pub fn set_full(&mut self, now: Time, session: SessionKey) {
        self.cx.now = now;
        self.holds.set_full(&mut self.cx, session);
    }

    /// Marks a session as having room again. The sessions that it held are released.
    pub fn set_room(&mut self, now: Time, session: SessionKey) {
        self.cx.now = now;
        self.holds.set_room(&mut self.cx, session);
    }

    /// Holds a session, since it has filled the link of another one, or its own: the driver does not read
    /// from it. While any link holds it, the timeouts of calls that it has to answer are paused. Returns
    /// `false` if the session must not be held for this link.
    pub fn hold(&mut self, now: Time, session: SessionKey, by: SessionKey, feed: Feed) -> bool {
        self.cx.now = now;
        if feed == Feed::Events && session != by {
            return self.holds.hold_publisher(&mut self.cx, session, by);
        }
        if !self.holds.hold(&mut self.cx, session, by, feed) {
            return false;
        }
        if self.holds.is_used_up(&mut self.cx, session, Side::Held) {
            self.stall_holders(session);
        }
        self.cx.sessions.is_held_by(session, by)
    }

    /// Records that a held session has requests of its own that the driver does not handle until it is
    /// released.
    pub fn set_waiting(&mut self, now: Time, session: SessionKey) {
        self.cx.now = now;
        self.holds.set_waiting(&mut self.cx, session);
    }

    /// Ends the hold of one session on another, which is released if no other session holds it.
    pub fn release(&mut self, now: Time, session: SessionKey, by: SessionKey) {
        self.cx.now = now;
        self.holds.release(&mut self.cx, session, by);
    }

    /// Whether a session is held.
    pub fn is_held(&self, session: SessionKey) -> bool {
        self.cx.sessions.is_held(session) || self.is_held_by_requests(session)
    }

    /// Whether a session has a call under way, or waiting for authorization, that it made by this request.
    pub fn is_calling(&self, session: SessionKey, request: RequestId) -> bool {
        self.cx.sessions.get(session).is_some_and(|session| session.is_calling(request))
    }

    /// Returns the time for which sessions have been held, summed over the sessions.
    pub fn held_time(&self, now: Time) -> Duration {
        self.holds.time(now)
    }

    /// Stalls a session whose link holds others and has accepted nothing for too long. Its calls whose
    /// callees it holds end, and so do the calls in chunks to it whose callers it holds. Until it has room it
    /// holds no others. This has no effect if it holds none, or only itself for anything but a call to
    /// itself.
    pub fn stall(&mut self, now: Time, session: SessionKey) {
        self.cx.now = now;
        let Some(held) = self.holds.stall(&mut self.cx, session) else { return };
        let calls = self.dealer.calls_with(&self.cx, session, |other| held.contains(&other));
        self.end_all_slow(calls);
    }

    /// Drops events for a session whose link is full and has accepted nothing for a moment. Until it has
    /// room, no publisher is held for it, and events for it are dropped and counted. This has no effect if
    /// its link is not full.
    pub fn drop_events(&mut self, now: Time, session: SessionKey) {
        self.cx.now = now;
        self.holds.drop_events(&mut self.cx, session);
    }

    /// Handles the deadline of a share, which is now used up.
    pub(super) fn handle_share(&mut self, session: SessionKey, side: Side) {
        self.holds.share_passed(&mut self.cx, session, side);
        match side {
            Side::Holder => self.stall(self.cx.now, session),
            Side::Held => self.stall_holders(session),
            Side::Subscriber => self.holds.drop_events(&mut self.cx, session),
            Side::Publisher => self.holds.drop_events_of_holders(&mut self.cx, session),
        }
    }

    /// Stalls the sessions whose holds on this one are contested, beginning with the longest. A hold that is
    /// no longer contested once earlier ones have ended goes on.
    fn stall_holders(&mut self, session: SessionKey) {
        for by in self.cx.sessions.holders(session) {
            if self.cx.sessions.is_contested(session, by) {
                self.stall(self.cx.now, by);
            }
        }
    }
}
