//! Meta events, as the parts of a realm note them. [`meta`](super::meta) has the rest of the meta API.

use std::sync::Arc;

use serde::Serialize;
use wamp_proto::{Payload, Serializer, Uri};

use super::session_key::SessionKey;
use crate::auth::Identity;

/// Something that subscribers of a meta topic are told.
#[derive(Clone, Debug)]
pub(super) struct MetaEvent {
    pub(super) topic: Uri,
    /// The session that it is about, which does not get it.
    pub(super) about: SessionKey,
    pub(super) subject: Subject,
}

/// The arguments of a meta event.
#[derive(Clone, Debug)]
pub(super) enum Subject {
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
pub(super) struct Created {
    pub(super) id: u64,
    pub(super) created: String,
    pub(super) uri: String,
    pub(super) r#match: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invoke: Option<&'static str>,
}

impl MetaEvent {
    /// The arguments in a serializer; `None` if they cannot be written in it.
    pub(super) fn payload(&self, serializer: Serializer) -> Option<Payload> {
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

/// The details of a session in the meta API. They contain neither credentials nor `authextra`. Only a session that may
/// control others gets the address.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SessionDetails {
    pub(super) session: u64,
    pub(super) authid: String,
    pub(super) authrole: String,
    pub(super) authmethod: String,
    pub(super) authprovider: String,
    pub(super) transport: TransportDetails,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct TransportDetails {
    pub(super) protocol: &'static str,
    pub(super) serializer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peer: Option<String>,
}
