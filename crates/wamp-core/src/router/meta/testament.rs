//! `wamp.session.add_testament` and `flush_testaments` (Advanced Profile, *Testament Meta API*; behaviour
//! [132](crate::behaviour#rule-132), [133](crate::behaviour#rule-133)).

use serde::Deserialize;
use wamp_proto::message::Publish;
use wamp_proto::uri;

use super::part::{Scope, Testament};
use super::{Answer, Procedure, Request, own};
use crate::router::broker::receivers;
use crate::router::config;
use crate::router::context::Refused;
use crate::router::realm::Realm;

pub(super) const PROCEDURES: &[Procedure] =
    &[own("wamp.session.add_testament", add), own("wamp.session.flush_testaments", flush)];

/// The bytes that a testament counts in addition to the arguments of its call.
const OVERHEAD: usize = 256;

#[derive(Deserialize)]
struct Options {
    #[serde(default)]
    scope: Option<String>,
}

impl Scope {
    fn read(scope: Option<&str>) -> Result<Self, Refused> {
        match scope {
            None => Ok(Self::default()),
            Some("destroyed") => Ok(Self::Destroyed),
            Some("detached") => Ok(Self::Detached),
            Some(_) => {
                Err((uri::INVALID_ARGUMENT, "\"scope\" must be one of destroyed, detached".to_owned()))
            }
        }
    }
}

fn add(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let invalid = |error: wamp_proto::PayloadError| (uri::INVALID_ARGUMENT, error.to_string());
    let Options { scope } = request.keywords()?;
    let scope = Scope::read(scope.as_deref())?;
    let publish = Publish::from_testament(request.payload).map_err(invalid)?;
    // Short elements of lists take more memory than bytes in the message.
    let lists = publish.options.receivers.as_deref().map_or(0, receivers::bytes);
    let bytes = request.payload.len() + lists + OVERHEAD;
    let config::Testaments { count, bytes: limit, all_bytes } = realm.cx.config.testaments;
    let session = realm.cx.sessions.get(request.from).and_then(|session| session.meta.as_ref());
    let (held, held_bytes) =
        session.map_or((0, 0), |part| (part.testaments.count(), part.testaments.bytes()));
    if held >= count || held_bytes + bytes > limit {
        let text = format!("a session may have {count} testaments of {limit} bytes together");
        return Err((uri::UNAVAILABLE, text));
    }
    if realm.testament_bytes + bytes > all_bytes {
        let text = format!("the testaments of all sessions may have {all_bytes} bytes together");
        return Err((uri::UNAVAILABLE, text));
    }
    realm.broker.check_testament(&realm.cx, request.from, &publish)?;
    let from = request.from;
    let verdict = realm.cx.sessions.get(from).and_then(|session| session.verdict_on(&publish.topic));
    let testament = Testament { publish, bytes, verdict };
    Ok(Answer::then(move |realm| {
        if let Some(session) = realm.cx.sessions.get_mut(from) {
            session.meta.get_or_insert_default().testaments.of(scope).push_back(testament);
            realm.testament_bytes += bytes;
        }
    }))
}

fn flush(_realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let Options { scope } = request.keywords()?;
    let argument = request.argument::<Option<String>>()?;
    let scope = Scope::read(scope.or(argument).as_deref())?;
    let from = request.from;
    Ok(Answer::then(move |realm| {
        if let Some(part) = realm.cx.sessions.get_mut(from).and_then(|session| session.meta.as_mut()) {
            let gone = std::mem::take(part.testaments.of(scope));
            realm.testament_bytes -= gone.iter().map(|testament| testament.bytes).sum::<usize>();
        }
    }))
}
