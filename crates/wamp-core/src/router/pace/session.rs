//! The part of a session that belongs to back-pressure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::share::Share;
use crate::Time;
use crate::deadlines::Deadline;
use crate::router::SessionKey;

/// The back-pressure state of a session that has been slow, or was held by a slow one.
#[derive(Clone, Default)]
pub(in crate::router) struct SessionPart {
    pub(super) full: bool,
    pub(super) stalled: bool,
    /// The sessions that its link holds because of calls.
    pub(super) holds: BTreeMap<SessionKey, Hold>,
    /// Its contested holds.
    pub(super) as_holder: Usage,
    /// The sessions whose links hold it because of calls.
    pub(super) held_by: BTreeSet<SessionKey>,
    /// The contested ones among these holds.
    pub(super) as_held: Usage,
    pub(super) events: EventPart,
    /// Whether it has requests of its own that are not read while it is held.
    pub(super) waits: bool,
    /// The time since which it is held without a break.
    pub(super) held_since: Option<Time>,
    /// The time for which it was held before that.
    pub(super) held: Duration,
}

#[derive(Clone, Copy)]
pub(super) struct Hold {
    /// Whether it ends with the last call between the two.
    pub(super) bound: bool,
    /// Whether it holds nothing back.
    pub(super) last: bool,
    pub(super) since: Time,
    pub(super) contested: bool,
}

/// The contested holds of a session, on one side.
#[derive(Clone, Default)]
pub(super) struct Usage {
    /// Their number.
    pub(super) contested: usize,
    pub(super) share: Share,
    /// The time at which the share is used up if nothing changes.
    pub(super) deadline: Option<Deadline>,
}

/// A side of a hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Side {
    Holder,
    Held,
    /// The holder, for holds because of events.
    Subscriber,
    Publisher,
}

/// The back-pressure of events of a session, in both of its roles.
#[derive(Clone, Default)]
pub(super) struct EventPart {
    /// Whether its events are dropped until its link has room.
    pub(super) slow: bool,
    /// The publishers that its link holds.
    pub(super) holds: BTreeSet<SessionKey>,
    pub(super) as_subscriber: Usage,
    /// The subscribers whose links hold it.
    pub(super) held_by: BTreeSet<SessionKey>,
    pub(super) as_publisher: Usage,
}

impl SessionPart {
    /// Returns for how long in all the session has been held.
    pub(in crate::router) fn held(&self, now: Time) -> Duration {
        self.held + self.held_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    pub(super) fn usage(&mut self, side: Side) -> &mut Usage {
        match side {
            Side::Holder => &mut self.as_holder,
            Side::Held => &mut self.as_held,
            Side::Subscriber => &mut self.events.as_subscriber,
            Side::Publisher => &mut self.events.as_publisher,
        }
    }
}
