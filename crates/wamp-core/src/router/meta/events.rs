//! Meta events (behaviour [173](crate::behaviour#rule-173) to [178](crate::behaviour#rule-178)).
//!
//! A part of the realm that changes something notes it in the [`Context`]; the realm publishes what was noted when the
//! reply has been sent. Without a subscriber nothing is noted.

use std::sync::Arc;

use serde::Serialize;
use wamp_proto::{Payload, Serializer, Uri};

use super::session::SessionDetails;
use crate::auth::Identity;
use crate::router::context::Context;
use crate::router::realm::Realm;
use crate::router::sessions::SessionKey;

/// Something that subscribers of a meta topic are told.
#[derive(Clone, Debug)]
pub(in crate::router) struct MetaEvent {
    pub(in crate::router) topic: Uri,
    /// The session that it is about, which does not get it.
    pub(in crate::router) about: SessionKey,
    pub(in crate::router) subject: Subject,
}

/// The arguments of a meta event.
#[derive(Clone, Debug)]
pub(in crate::router) enum Subject {
    /// A session that has joined.
    Joined(Box<SessionDetails>),
    /// A session that has left.
    Left(Arc<Identity>),
    /// A registration or subscription that was created.
    Created(Box<Created>),
    /// The id of a registration or subscription that exists.
    Id(u64),
}

/// A registration or subscription, as `on_create` and `get` show it.
#[derive(Clone, Debug, Serialize)]
pub(in crate::router) struct Created {
    pub(in crate::router) id: u64,
    pub(in crate::router) created: String,
    pub(in crate::router) uri: String,
    pub(in crate::router) r#match: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::router) invoke: Option<&'static str>,
}

impl MetaEvent {
    /// The arguments in a serializer; `None` if they cannot be written in it.
    pub(in crate::router) fn payload(&self, serializer: Serializer) -> Option<Payload> {
        let session = self.about.id().get();
        let payload = match &self.subject {
            Subject::Joined(details) => Payload::new(serializer, &(details,)),
            Subject::Left(identity) => {
                Payload::new(serializer, &(session, &*identity.authid, &*identity.authrole))
            }
            Subject::Created(created) => Payload::new(serializer, &(session, created)),
            Subject::Id(id) => Payload::new(serializer, &(session, id)),
        };
        payload.ok()
    }
}

impl Context {
    /// Notes a meta event, if there is a subscriber that it may concern. Nothing is noted of sessions that end
    /// together with all others (behaviour [177](crate::behaviour#rule-177)).
    pub(in crate::router) fn note(
        &mut self,
        topic: &'static str,
        about: SessionKey,
        subject: impl FnOnce(&Self) -> Subject,
    ) {
        self.note_if(topic, about, |cx| Some(subject(cx)));
    }

    fn note_if(
        &mut self,
        topic: &'static str,
        about: SessionKey,
        subject: impl FnOnce(&Self) -> Option<Subject>,
    ) {
        if self.watchers > 0
            && !self.is_shutting_down
            && !self.silenced.contains(&about)
            && let Some(subject) = subject(self)
        {
            self.noted.push(MetaEvent { topic: Uri::from_static(topic), about, subject });
        }
    }
}

impl Realm {
    /// Publishes that a session has joined.
    pub(in crate::router) fn note_joined(&mut self, session: SessionKey) {
        self.cx.note_if("wamp.session.on_join", session, |cx| {
            SessionDetails::public(cx, session).map(|details| Subject::Joined(Box::new(details)))
        });
        self.publish_noted();
    }

    /// Notes that nothing is left of a session.
    pub(in crate::router) fn note_left(&mut self, session: SessionKey, identity: Arc<Identity>) {
        self.cx.note("wamp.session.on_leave", session, |_| Subject::Left(identity));
        self.cx.silenced.remove(&session);
    }

    /// Publishes what was noted.
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
