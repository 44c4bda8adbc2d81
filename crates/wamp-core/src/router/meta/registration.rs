//! `wamp.registration.*` (Advanced Profile, *Registration Meta API*; behaviour [181](crate::behaviour#rule-181) to
//! [183](crate::behaviour#rule-183), [187](crate::behaviour#rule-187)).

use wamp_proto::{RegistrationId, uri};

use super::arguments::{self, MatchOptions, ReasonOptions, ids};
use super::{Answer, ByPolicy, Procedure, Request, acts, lists, reads};
use crate::router::context::Refused;
use crate::router::realm::Realm;

pub(super) const PROCEDURES: &[Procedure] = &[
    lists("wamp.registration.list", list),
    reads("wamp.registration.lookup", lookup),
    reads("wamp.registration.match", matching),
    reads("wamp.registration.get", get),
    lists("wamp.registration.list_callees", list_callees),
    lists("wamp.registration.count_callees", count_callees),
    acts("wamp.registration.remove_callee", remove_callee),
];

fn list(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let session = arguments::optional_session(realm, request)?;
    let listed = realm.dealer.list(&realm.cx, session).into_iter().map(|(id, policy)| (id.get(), policy));
    Answer::value(request, ByPolicy::new(listed))
}

fn lookup(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let (uri, options) = request.arguments::<_, Option<MatchOptions>>()?;
    let (uri, policy) = arguments::pattern(&realm.cx, uri, options)?;
    Answer::value(request, realm.dealer.lookup(&realm.cx, &uri, policy).map(RegistrationId::get))
}

fn matching(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let (uri, _) = arguments::pattern(&realm.cx, request.argument()?, None)?;
    Answer::value(request, realm.dealer.matching(&realm.cx, &uri).map(RegistrationId::get))
}

fn get(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let id = request.argument()?;
    let details = RegistrationId::new(id).and_then(|id| realm.dealer.details(&realm.cx, id));
    Answer::value(request, details.ok_or_else(|| unknown(id))?)
}

fn list_callees(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    Answer::value(request, callees(realm, request)?)
}

fn count_callees(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    Answer::value(request, callees(realm, request)?.len())
}

fn callees(realm: &Realm, request: &Request<'_>) -> Result<Vec<u64>, Refused> {
    let id = request.argument()?;
    let callees = RegistrationId::new(id).and_then(|id| realm.dealer.callees(&realm.cx, id));
    callees.map(ids).ok_or_else(|| unknown(id))
}

/// Takes a callee out of a registration. Its calls go on.
fn remove_callee(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let (id, session) = request.arguments()?;
    let ReasonOptions { reason } = request.keywords()?;
    let (session, reason) = (arguments::session(realm, session)?, arguments::reason(reason)?);
    let registration = RegistrationId::new(id).ok_or_else(|| unknown(id))?;
    let callees = realm.dealer.callees(&realm.cx, registration).unwrap_or_default();
    if !callees.contains(&session) {
        return Err(unknown(id));
    }
    Ok(Answer::then(move |realm| {
        realm.revoke_registration(realm.cx.now, session, registration, reason);
    }))
}

fn unknown(id: u64) -> Refused {
    (uri::NO_SUCH_REGISTRATION, format!("no registration has the id {id}, or not with this session"))
}
