//! `wamp.session.count`, `list`, `get` and the details of a session (Advanced Profile, *Session Meta API*; behaviour
//! [173](crate::behaviour#rule-173), [180](crate::behaviour#rule-180)).

use super::{Answer, Procedure, Request, arguments, lists, reads};
use crate::router::config::Meta;
use crate::router::context::Refused;
use crate::router::meta_event::{SessionDetails, TransportDetails};
use crate::router::realm::Realm;
use crate::router::sessions::{Session, SessionKey};

pub(super) const PROCEDURES: &[Procedure] =
    &[lists("wamp.session.count", count), lists("wamp.session.list", list), reads("wamp.session.get", get)];

/// The details of a session, with the address of its other end or without.
pub(super) fn details(key: SessionKey, session: &Session, with_peer: bool) -> SessionDetails {
    let (identity, transport) = (&session.identity, &session.transport);
    SessionDetails {
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
    let with_peer = realm.cx.allows_meta(request.from, Meta::Control);
    let session = realm.cx.sessions.get(key).map(|session| details(key, session, with_peer));
    Answer::value(request, session)
}
