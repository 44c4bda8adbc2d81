//! The broker as the meta API sees it: subscriptions, and meta events on their way to the subscribers.
//!
//! Subscriptions of reserved topics are in no list and fire no event (behaviour [176](crate::behaviour#rule-176)).

use std::time::Duration;

use wamp_proto::message::{EventDetails, MatchPolicy};
use wamp_proto::{PublicationId, SubscriptionId, Uri};

use super::Broker;
use super::delivery::{Source, send};
use super::topics::{Change, Topic};
use crate::router::context::Context;
use crate::router::meta_event::{Created, MetaEvent, Subject};
use crate::router::sessions::SessionKey;

impl Broker {
    /// A session has subscribed.
    pub(super) fn note_subscribed(&mut self, cx: &mut Context, change: Change) {
        let Change { subscription, session, is_only } = change;
        let Some(topic) = self.topics.get(subscription) else { return };
        if topic.is_reserved() {
            cx.watchers += 1;
            return;
        }
        if is_only {
            cx.note("wamp.subscription.on_create", session, |cx| {
                Subject::Created(Box::new(topic.details(cx.config.epoch)))
            });
        }
        cx.note("wamp.subscription.on_subscribe", session, |_| Subject::Id(subscription.get()));
    }

    /// A session is not subscribed any more to this URI.
    pub(super) fn note_unsubscribed(&mut self, cx: &mut Context, uri: &Uri, change: Change) {
        let Change { subscription, session, is_only } = change;
        if uri.is_reserved() {
            cx.watchers -= 1;
            return;
        }
        cx.note("wamp.subscription.on_unsubscribe", session, |_| Subject::Id(subscription.get()));
        if is_only {
            cx.note("wamp.subscription.on_delete", session, |_| Subject::Id(subscription.get()));
        }
    }

    /// Sends a meta event to the subscribers of its topic, and of reserved patterns that match it. One whose link is
    /// full does not get it, since no session could be held for it (behaviour [109](crate::behaviour#rule-109)).
    pub(in crate::router) fn publish_meta(&self, cx: &mut Context, event: &MetaEvent) {
        let publication = PublicationId::new(cx.chance.id()).expect("drawn from the range of ids");
        self.topics.each(&event.topic, |topic| {
            let mut receivers =
                Vec::from_iter(topic.subscribers.iter().copied().filter(|to| *to != event.about));
            let all = receivers.len();
            receivers.retain(|to| !cx.sessions.is_full(*to));
            cx.stats.events_dropped += (all - receivers.len()) as u64;
            send(cx, Source::Router, receivers.into_iter(), |session| {
                let payload = event.payload(session.serializer)?;
                Some(topic.event(publication, &event.topic, EventDetails::default(), payload))
            });
        });
    }

    /// The subscriptions of all sessions, or of one.
    pub(in crate::router) fn list(
        &self,
        cx: &Context,
        of: Option<SessionKey>,
    ) -> Vec<(SubscriptionId, MatchPolicy)> {
        let is_listed = |topic: &Topic| {
            is_shown(cx, topic) && of.is_none_or(|session| topic.subscribers.contains(&session))
        };
        let listed = self.topics.iter().filter(|topic| is_listed(topic));
        listed.map(|topic| (topic.id, topic.policy())).collect()
    }

    /// The subscription of exactly this URI and policy.
    pub(in crate::router) fn lookup(
        &self,
        cx: &Context,
        uri: &Uri,
        policy: MatchPolicy,
    ) -> Option<SubscriptionId> {
        self.topics.lookup(policy, uri).filter(|topic| is_shown(cx, topic)).map(|topic| topic.id)
    }

    /// The subscriptions that an event of this topic goes to.
    pub(in crate::router) fn matching(&self, cx: &Context, uri: &Uri) -> Vec<SubscriptionId> {
        let mut found = Vec::new();
        self.topics.each(uri, |topic| {
            if is_shown(cx, topic) {
                found.push(topic.id);
            }
        });
        found
    }

    /// A subscription as `get` shows it.
    pub(in crate::router) fn details(&self, cx: &Context, id: SubscriptionId) -> Option<Created> {
        self.shown(cx, id).map(|topic| topic.details(cx.config.epoch))
    }

    /// The subscribers of a subscription.
    pub(in crate::router) fn subscribers(&self, cx: &Context, id: SubscriptionId) -> Option<Vec<SessionKey>> {
        let topic = self.shown(cx, id)?;
        Some(topic.subscribers.iter().copied().filter(|session| cx.sessions.has(*session)).collect())
    }

    /// The match policy and the URI of a subscription.
    pub(in crate::router) fn pattern(&self, cx: &Context, id: SubscriptionId) -> Option<(MatchPolicy, Uri)> {
        self.shown(cx, id).map(|topic| (topic.policy(), topic.uri().clone()))
    }

    /// A subscription that the meta API shows.
    fn shown(&self, cx: &Context, id: SubscriptionId) -> Option<&Topic> {
        self.topics.get(id).filter(|topic| is_shown(cx, topic))
    }
}

/// Whether the meta API shows a subscription: it is not the meta API's own, and its session is still there, or it has a
/// history.
fn is_shown(cx: &Context, topic: &Topic) -> bool {
    !topic.is_reserved()
        && (topic.is_kept || topic.subscribers.iter().any(|session| cx.sessions.has(*session)))
}

impl Topic {
    fn details(&self, epoch: Duration) -> Created {
        Created {
            id: self.id.get(),
            created: self.created.text(epoch),
            uri: self.uri().to_string(),
            r#match: self.policy().as_str(),
            invoke: None,
        }
    }
}
