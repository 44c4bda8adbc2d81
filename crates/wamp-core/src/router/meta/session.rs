//! `wamp.session.count`, `list`, `get` and the details of a session (Advanced Profile, *Session Meta API*; behaviour
//! [173](crate::behaviour#rule-173), [180](crate::behaviour#rule-180)).

use serde::Serialize;

use super::{Answer, Procedure, Request, allows, arguments, lists, reads};
use crate::router::config::Meta;
use crate::router::context::{Context, Refused};
use crate::router::realm::Realm;
use crate::router::sessions::{Session, SessionKey};

pub(super) const PROCEDURES: &[Procedure] =
    &[lists("wamp.session.count", count), lists("wamp.session.list", list), reads("wamp.session.get", get)];

/// The details of a session in the meta API. They contain neither credentials nor `authextra`. Only a session that may
/// control others gets the address.
#[derive(Clone, Debug, Serialize)]
pub(in crate::router) struct SessionDetails {
    session: u64,
    authid: String,
    authrole: String,
    authmethod: String,
    authprovider: String,
    transport: TransportDetails,
}

#[derive(Clone, Debug, Serialize)]
struct TransportDetails {
    protocol: &'static str,
    serializer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
}

impl SessionDetails {
    fn new(key: SessionKey, session: &Session, with_peer: bool) -> Self {
        let (identity, transport) = (&session.identity, &session.transport);
        Self {
            session: key.id().get(),
            authid: identity.authid.to_string(),
            authrole: identity.authrole.to_string(),
            authmethod: identity.authmethod.to_string(),
            authprovider: identity.authprovider.to_string(),
            transport: TransportDetails {
                protocol: transport.protocol.name(),
                serializer: session.serializer.to_string(),
                peer: transport.peer.as_deref().filter(|_| with_peer).map(str::to_owned),
            },
        }
    }

    /// The details of a session for everybody.
    pub(in crate::router) fn public(cx: &Context, key: SessionKey) -> Option<Self> {
        Some(Self::new(key, cx.sessions.get(key)?, false))
    }
}

/// The sessions with one of these roles; `None` is all.
fn with_roles(realm: &Realm, request: &Request<'_>) -> Result<Vec<u64>, Refused> {
    let roles = request.argument::<Option<Vec<String>>>()?;
    let is_among = |session: &Session| {
        roles.as_ref().is_none_or(|roles| roles.iter().any(|role| **role == *session.identity.authrole))
    };
    let sessions = realm.cx.sessions.iter().filter(|(_, session)| is_among(session));
    Ok(sessions.map(|(key, _)| key.id().get()).collect())
}

fn count(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    Answer::value(request, with_roles(realm, request)?.len())
}

fn list(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    Answer::value(request, with_roles(realm, request)?)
}

fn get(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let id = request.argument()?;
    let key = arguments::session(realm, id)?;
    let with_peer = allows(&realm.cx, request.from, Meta::Control);
    let session = realm.cx.sessions.get(key).map(|session| SessionDetails::new(key, session, with_peer));
    Answer::value(request, session)
}
