//! SUBSCRIBE and UNSUBSCRIBE.

use wamp_proto::message::{self, MatchPolicy, RequestKind, UnsubscribedDetails};
use wamp_proto::{SubscriptionId, Uri, uri};

use super::Broker;
use crate::map;
use crate::router::config::Meta;
use crate::router::context::{Context, Refused, Violation};
use crate::router::refused::meta_denied;
use crate::router::roles::{Actions, Role};
use crate::router::sessions::{Session, SessionKey, table_bytes};

impl Broker {
    pub(in crate::router) fn handle_subscribe(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        subscribe: message::Subscribe,
    ) -> Result<(), Violation> {
        cx.check_request(from, "SUBSCRIBE", subscribe.request)?;
        self.subscribe_or_refuse(cx, from, &subscribe);
        Ok(())
    }

    /// Handles a SUBSCRIBE whose id has been checked.
    pub(in crate::router) fn subscribe_or_refuse(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        subscribe: &message::Subscribe,
    ) {
        if let Err((error, text)) = self.subscribe(cx, from, subscribe) {
            cx.refuse(from, RequestKind::Subscribe, subscribe.request, error, &text);
        }
    }

    fn subscribe(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        subscribe: &message::Subscribe,
    ) -> Result<(), Refused> {
        let message::Subscribe { request, options, topic } = subscribe;
        if options.extra.contains("match") {
            return Err((uri::INVALID_ARGUMENT, "unknown value for the option \"match\"".to_owned()));
        }
        let policy = options.policy.unwrap_or(MatchPolicy::Exact);
        cx.config.check_uri(topic, policy.into())?;
        let may = |session: &Session| session.authorize_pattern(Actions::SUBSCRIBE, policy, topic);
        authorize(cx, from, policy, topic, may)?;
        let Some(session) = cx.sessions.get_mut(from) else { return Ok(()) };
        let limit = cx.config.limits.subscriptions;
        if session.broker.subscriptions.len() >= limit {
            return Err((uri::UNAVAILABLE, format!("a session may have at most {limit} subscriptions")));
        }
        let table_bytes = session.check_table(topic, &cx.config.limits)?;
        let shapes = cx.config.limits.wildcard_shapes;
        let subscribed = self.topics.subscribe(policy, topic, from, cx.now, shapes);
        let (change, is_new) = subscribed.map_err(|reason| reason.refused(shapes))?;
        let subscription = change.subscription;
        if is_new {
            session.broker.subscriptions.insert(subscription, ());
            session.table_bytes = table_bytes;
        }
        cx.out.send(from, message::Subscribed { request: *request, subscription });
        if options.get_retained == Some(true) {
            self.send_retained(cx, from, subscription);
        }
        if is_new {
            self.note_subscribed(cx, change);
        }
        Ok(())
    }

    pub(in crate::router) fn handle_unsubscribe(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        unsubscribe: message::Unsubscribe,
    ) -> Result<(), Violation> {
        cx.check_request(from, "UNSUBSCRIBE", unsubscribe.request)?;
        self.unsubscribe_or_refuse(cx, from, &unsubscribe);
        Ok(())
    }

    /// Handles an UNSUBSCRIBE whose id has been checked.
    pub(in crate::router) fn unsubscribe_or_refuse(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        unsubscribe: &message::Unsubscribe,
    ) {
        let message::Unsubscribe { request, subscription } = *unsubscribe;
        if self.forget(cx, from, subscription) {
            cx.out.send(from, message::Unsubscribed { request: Some(request), details: None });
            self.unsubscribe(cx, from, subscription);
        } else {
            let text = format!("this session has no subscription {subscription}");
            cx.refuse(from, RequestKind::Unsubscribe, request, uri::NO_SUCH_SUBSCRIPTION, &text);
        }
    }

    /// Revokes a subscription of a session, which gets UNSUBSCRIBED if it announced `subscription_revocation`
    /// (behaviour [131](crate::behaviour#rule-131)). Returns `false` if the session does not have it.
    pub(in crate::router) fn revoke(
        &mut self,
        cx: &mut Context,
        session: SessionKey,
        subscription: SubscriptionId,
        reason: Option<Uri>,
    ) -> bool {
        if !self.forget(cx, session, subscription) {
            return false;
        }
        if cx.sessions.get(session).is_some_and(|session| session.announced.subscription_revocation) {
            let details = UnsubscribedDetails {
                subscription: Some(subscription),
                reason,
                ..UnsubscribedDetails::default()
            };
            cx.out.send(session, message::Unsubscribed { request: None, details: Some(details) });
        }
        self.unsubscribe(cx, session, subscription);
        true
    }

    /// Revokes a subscription of a session if its role, which was `before`, does not allow it any more (behaviour
    /// [267](crate::behaviour#rule-267)).
    pub(in crate::router) fn judge(
        &mut self,
        cx: &mut Context,
        session: SessionKey,
        subscription: SubscriptionId,
        before: Option<&Role>,
    ) {
        let Some(topic) = self.topics.get(subscription) else { return };
        let (policy, uri) = (topic.policy(), topic.uri());
        let may_keep = |session: &Session| session.may_keep(Actions::SUBSCRIBE, policy, uri, before);
        if authorize(cx, session, policy, uri, may_keep).is_err() {
            self.revoke(cx, session, subscription, Some(uri::NOT_AUTHORIZED));
        }
    }

    /// Removes a subscription from the list of its session. Returns `false` if the session does not have it.
    fn forget(&self, cx: &mut Context, session: SessionKey, subscription: SubscriptionId) -> bool {
        let Some(state) = cx.sessions.get_mut(session) else { return false };
        if map::remove(&mut state.broker.subscriptions, &subscription).is_none() {
            return false;
        }
        state.table_bytes -= table_bytes(self.topics.get(subscription).map_or("", |topic| topic.uri()));
        true
    }

    /// Removes a session from a subscription, which ends with its last subscriber.
    pub(super) fn unsubscribe(
        &mut self,
        cx: &mut Context,
        session: SessionKey,
        subscription: SubscriptionId,
    ) {
        if let Some((uri, change)) = self.topics.unsubscribe(subscription, session) {
            self.note_unsubscribed(cx, &uri, change);
        }
    }
}

/// Checks whether a session may subscribe to a topic or pattern; `may` checks that by its role.
fn authorize(
    cx: &Context,
    from: SessionKey,
    policy: MatchPolicy,
    topic: &Uri,
    may: impl FnOnce(&Session) -> Result<(), Refused>,
) -> Result<(), Refused> {
    if topic.is_reserved() && !cx.allows_meta(from, Meta::Read) {
        return Err(meta_denied());
    }
    let Some(session) = cx.sessions.get(from) else { return Ok(()) };
    // The prefix "wamp" also matches topics that are not reserved, such as "wampum.x".
    if !topic.is_reserved() || (policy == MatchPolicy::Prefix && topic.as_str() == "wamp") {
        may(session)?;
    }
    Ok(())
}
