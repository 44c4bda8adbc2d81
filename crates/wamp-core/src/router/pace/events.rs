//! Back-pressure of events: which publishers are held because of a subscriber that is behind (behaviour 109).
//!
//! While the link of a subscriber is full and keeps accepting bytes, it *holds* the publishers that fill it:
//! the driver does not read from them until it has room. A subscriber that accepts nothing for 250 ms
//! ([`Realm::drop_events`]), or has used up its share, is *slow*: it holds no publisher, and its events are
//! dropped and counted until it has room. Its session stays, and its calls are not affected. Other
//! subscribers miss nothing.
//!
//! ```text
//!            set_full                 drop_events, or a share is used up
//!   ┌──────┐ ───────▶ ┌─────────────┐ ──────────────────────────────────▶ ┌──────────────┐
//!   │ room │          │    full,    │                                     │     slow,    │
//!   └──────┘ ◀─────── │ holds its   │                                     │ its events   │
//!       ▲    set_room │ publishers  │                                     │ are dropped  │
//!       │             └─────────────┘                                     └──────────────┘
//!       └──────────────────────────────── set_room ──────────────────────────────┘
//! ```
//!
//! Publishers are held for 2 s in each 10 s ([`Limits::holding`]), counted on both sides: for the subscriber, whichever
//! publishers it holds, and for the publisher, whichever subscribers hold it. When the share of the subscriber is used
//! up it is slow; when the share of the publisher is, all subscribers that hold it are, and any other that it fills is
//! slow at once. So a publisher is not held for longer, however many subscribers take turns or come back.
//!
//! These shares are separate from those of [calls](super::holds), so that events never end a call.
//!
//! [`Limits::holding`]: crate::router::Limits::holding
//! [`Realm::drop_events`]: crate::router::Realm::drop_events

use super::holds::{Holds, use_share};
use super::session::Side;
use crate::router::context::Context;
use crate::router::sessions::{Session, SessionKey};

impl Session {
    /// Returns whether events for it are dropped, since it is behind and holds no publisher.
    pub(in crate::router) fn drops_events(&self) -> bool {
        self.pace.as_ref().is_some_and(|pace| pace.events.slow)
    }
}

impl Holds {
    /// Holds a publisher that has filled the link of a subscriber. Returns `false` if it must not be held.
    pub(in crate::router) fn hold_publisher(
        &mut self,
        cx: &mut Context,
        publisher: SessionKey,
        by: SessionKey,
    ) -> bool {
        if !cx.sessions.has(publisher) {
            return false;
        }
        let Some(subscriber) = cx.sessions.pace_mut(by).filter(|pace| pace.full) else { return false };
        if subscriber.events.slow {
            return false;
        }
        if subscriber.stalled {
            subscriber.events.slow = true;
            return false;
        }
        if !subscriber.events.holds.insert(publisher) {
            return true;
        }
        let Some(held) = cx.sessions.get_mut(publisher).map(Session::pace_mut) else { return false };
        held.events.held_by.insert(by);
        use_share(cx, by, Side::Subscriber, true);
        use_share(cx, publisher, Side::Publisher, true);
        self.begin(cx, publisher);
        if self.is_used_up(cx, publisher, Side::Publisher) {
            self.drop_events_of_holders(cx, publisher);
        } else if self.is_used_up(cx, by, Side::Subscriber) {
            self.drop_events(cx, by);
        }
        cx.sessions.pace(by).is_some_and(|pace| pace.events.holds.contains(&publisher))
    }

    /// Marks a full subscriber as slow: it does not read, or its share is used up.
    pub(in crate::router) fn drop_events(&mut self, cx: &mut Context, subscriber: SessionKey) {
        if let Some(pace) = cx.sessions.pace_mut(subscriber).filter(|pace| pace.full) {
            pace.events.slow = true;
            self.release_publishers(cx, subscriber);
        }
    }

    /// Handles a publisher whose share is used up.
    pub(in crate::router) fn drop_events_of_holders(&mut self, cx: &mut Context, publisher: SessionKey) {
        let Some(pace) = cx.sessions.pace(publisher) else { return };
        for subscriber in pace.events.held_by.clone() {
            self.drop_events(cx, subscriber);
        }
    }

    /// Ends all holds of a subscriber.
    pub(super) fn release_publishers(&mut self, cx: &mut Context, subscriber: SessionKey) {
        let Some(pace) = cx.sessions.pace(subscriber) else { return };
        for publisher in pace.events.holds.clone() {
            self.release_publisher(cx, publisher, subscriber);
        }
    }

    /// Ends all holds on a publisher.
    pub(super) fn forget_publisher(&mut self, cx: &mut Context, publisher: SessionKey) {
        let Some(pace) = cx.sessions.pace(publisher) else { return };
        for subscriber in pace.events.held_by.clone() {
            self.release_publisher(cx, publisher, subscriber);
        }
    }

    fn release_publisher(&mut self, cx: &mut Context, publisher: SessionKey, subscriber: SessionKey) {
        if let Some(pace) = cx.sessions.pace_mut(subscriber) {
            pace.events.holds.remove(&publisher);
        }
        if let Some(pace) = cx.sessions.pace_mut(publisher) {
            pace.events.held_by.remove(&subscriber);
        }
        use_share(cx, subscriber, Side::Subscriber, false);
        use_share(cx, publisher, Side::Publisher, false);
        self.end(cx, publisher);
    }
}
