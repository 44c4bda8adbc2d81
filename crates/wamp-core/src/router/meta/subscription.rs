//! `wamp.subscription.*` (Advanced Profile, *Subscription Meta API*; behaviour [181](crate::behaviour#rule-181) to
//! [183](crate::behaviour#rule-183), [187](crate::behaviour#rule-187)).

use wamp_proto::{SubscriptionId, uri};

use super::arguments::{self, MatchOptions, ReasonOptions, ids};
use super::{Answer, ByPolicy, Procedure, Request, acts, lists, reads};
use crate::router::context::Refused;
use crate::router::realm::Realm;

pub(super) const PROCEDURES: &[Procedure] = &[
    lists("wamp.subscription.list", list),
    reads("wamp.subscription.lookup", lookup),
    reads("wamp.subscription.match", matching),
    reads("wamp.subscription.get", get),
    lists("wamp.subscription.list_subscribers", list_subscribers),
    lists("wamp.subscription.count_subscribers", count_subscribers),
    acts("wamp.subscription.remove_subscriber", remove_subscriber),
];

fn list(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let session = arguments::optional_session(realm, request)?;
    let listed = realm.broker.list(&realm.cx, session).into_iter().map(|(id, policy)| (id.get(), policy));
    Answer::value(request, ByPolicy::new(listed))
}

fn lookup(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let (uri, options) = request.arguments::<_, Option<MatchOptions>>()?;
    let (uri, policy) = arguments::pattern(&realm.cx, uri, options)?;
    Answer::value(request, realm.broker.lookup(&realm.cx, &uri, policy).map(SubscriptionId::get))
}

fn matching(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let (uri, _) = arguments::pattern(&realm.cx, request.argument()?, None)?;
    let mut found =
        Vec::from_iter(realm.broker.matching(&realm.cx, &uri).into_iter().map(SubscriptionId::get));
    found.sort_unstable();
    Answer::value(request, (!found.is_empty()).then_some(found))
}

fn get(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let id = request.argument()?;
    let details = SubscriptionId::new(id).and_then(|id| realm.broker.details(&realm.cx, id));
    Answer::value(request, details.ok_or_else(|| unknown(id))?)
}

fn list_subscribers(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    Answer::value(request, subscribers(realm, request)?)
}

fn count_subscribers(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    Answer::value(request, subscribers(realm, request)?.len())
}

fn subscribers(realm: &Realm, request: &Request<'_>) -> Result<Vec<u64>, Refused> {
    let id = request.argument()?;
    let subscribers = SubscriptionId::new(id).and_then(|id| realm.broker.subscribers(&realm.cx, id));
    subscribers.map(ids).ok_or_else(|| unknown(id))
}

/// Takes a session out of a subscription.
fn remove_subscriber(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let (id, session) = request.arguments()?;
    let ReasonOptions { reason } = request.keywords()?;
    let (session, reason) = (arguments::session(realm, session)?, arguments::reason(reason)?);
    let subscription = SubscriptionId::new(id).ok_or_else(|| unknown(id))?;
    let subscribers = realm.broker.subscribers(&realm.cx, subscription).unwrap_or_default();
    if !subscribers.contains(&session) {
        return Err(unknown(id));
    }
    Ok(Answer::then(move |realm| {
        realm.revoke_subscription(realm.cx.now, session, subscription, reason);
    }))
}

fn unknown(id: u64) -> Refused {
    (uri::NO_SUCH_SUBSCRIPTION, format!("no subscription has the id {id}, or not with this session"))
}
