//! Meta events (behaviour [173](crate::behaviour#rule-173) to [178](crate::behaviour#rule-178)).
//!
//! A part of the realm that changes something notes it in the [`Context`](crate::router::context::Context); the realm
//! publishes what was noted when the reply has been sent. Without a subscriber nothing is noted.

use std::sync::Arc;

use super::session::details;
use crate::auth::Identity;
use crate::router::meta_event::Subject;
use crate::router::realm::Realm;
use crate::router::sessions::SessionKey;

impl Realm {
    /// Publishes that a session has joined.
    pub(in crate::router) fn note_joined(&mut self, session: SessionKey) {
        self.cx.note_if("wamp.session.on_join", session, |cx| {
            let details = details(session, cx.sessions.get(session)?, false);
            Some(Subject::Joined(Box::new(details)))
        });
        self.publish_noted();
    }

    /// Records that a session has left completely.
    pub(in crate::router) fn note_left(&mut self, session: SessionKey, identity: Arc<Identity>) {
        self.cx.note("wamp.session.on_leave", session, |_| Subject::Left(identity));
        self.cx.silenced.remove(&session);
    }

    /// Publishes the recorded events.
    #[inline]
    pub(in crate::router) fn publish_noted(&mut self) {
        if !self.cx.noted.is_empty() {
            self.publish_all_noted();
        }
    }

    #[cold]
    fn publish_all_noted(&mut self) {
        for event in std::mem::take(&mut self.cx.noted) {
            self.broker.publish_meta(&mut self.cx, &event);
        }
    }
}
