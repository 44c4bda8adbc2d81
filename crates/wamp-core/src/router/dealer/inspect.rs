//! The dealer as the meta API sees it: registrations, without those of sessions that have left.

use wamp_proto::message::MatchPolicy;
use wamp_proto::{RegistrationId, Uri};

use super::Dealer;
use super::procedures::{Change, Registration};
use crate::router::context::Context;
use crate::router::meta_event::{Created, Subject};
use crate::router::sessions::SessionKey;

impl Dealer {
    /// A callee has registered.
    pub(super) fn note_registered(&self, cx: &mut Context, session: SessionKey, change: Change) {
        let id = change.registration;
        if change.is_only
            && let Some((_, registration)) = self.procedures.get(id)
        {
            cx.note("wamp.registration.on_create", session, |cx| {
                Subject::Created(Box::new(registration.details(cx.config.epoch)))
            });
        }
        cx.note("wamp.registration.on_register", session, |_| Subject::Id(id.get()));
    }

    /// The registrations of all sessions, or of one.
    pub(in crate::router) fn list(
        &self,
        cx: &Context,
        of: Option<SessionKey>,
    ) -> Vec<(RegistrationId, MatchPolicy)> {
        let is_listed = |registration: &&Registration| {
            is_shown(cx, registration)
                && of.is_none_or(|session| registration.sessions().any(|callee| callee == session))
        };
        let listed = self.procedures.iter().filter(is_listed);
        listed.map(|registration| (registration.id, registration.policy)).collect()
    }

    /// The registration of exactly this URI and policy.
    pub(in crate::router) fn lookup(
        &self,
        cx: &Context,
        uri: &Uri,
        policy: MatchPolicy,
    ) -> Option<RegistrationId> {
        let found = self.procedures.lookup(uri, policy);
        found.filter(|found| is_shown(cx, found)).map(|found| found.id)
    }

    /// The registration that a call of this procedure goes to.
    pub(in crate::router) fn matching(&self, cx: &Context, uri: &Uri) -> Option<RegistrationId> {
        let (_, found) = self.procedures.find(uri)?;
        is_shown(cx, found).then_some(found.id)
    }

    /// A registration as `get` shows it.
    pub(in crate::router) fn details(&self, cx: &Context, id: RegistrationId) -> Option<Created> {
        let (_, found) = self.procedures.get(id).filter(|(_, found)| is_shown(cx, found))?;
        Some(found.details(cx.config.epoch))
    }

    /// The callees of a registration, in the order in which they registered.
    pub(in crate::router) fn callees(&self, cx: &Context, id: RegistrationId) -> Option<Vec<SessionKey>> {
        let (_, found) = self.procedures.get(id).filter(|(_, found)| is_shown(cx, found))?;
        Some(found.sessions().filter(|session| cx.sessions.has(*session)).collect())
    }
}

/// A callee is not registered any more.
pub(super) fn note_unregistered(cx: &mut Context, session: SessionKey, change: Change) {
    let id = change.registration.get();
    cx.note("wamp.registration.on_unregister", session, |_| Subject::Id(id));
    if change.is_only {
        cx.note("wamp.registration.on_delete", session, |_| Subject::Id(id));
    }
}

fn is_shown(cx: &Context, registration: &Registration) -> bool {
    registration.sessions().any(|session| cx.sessions.has(session))
}
