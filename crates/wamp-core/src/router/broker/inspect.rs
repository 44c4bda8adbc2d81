//! The broker as the meta API sees it: subscriptions, and meta events on their way to the subscribers.
//!
//! Subscriptions of reserved topics are in no list and fire no event (behaviour [176](crate::behaviour#rule-176)).

use wamp_proto::message::{self, EventDetails, MatchPolicy};
use wamp_proto::{Message, PublicationId, SubscriptionId, Uri};

use super::Broker;
use super::topics::Topic;
use crate::router::context::Context;
use crate::router::meta::{Created, MetaEvent, Subject};
use crate::router::outbox::check;
use crate::router::sessions::SessionKey;

/// A change of a subscription by one session.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) subscription: SubscriptionId,
    pub(super) session: SessionKey,
    /// The session is the first of the subscription, or was the last.
    pub(super) is_only: bool,
}

impl Broker {
    /// A session has subscribed.
    pub(super) fn note_subscribed(&mut self, cx: &mut Context, change: Change) {
        let Change { subscription, session, is_only } = change;
        let Some(topic) = self.topics.get(subscription) else { return };
        if topic.is_reserved() {
            self.watchers += 1;
            cx.meta_watched = true;
            return;
        }
        if is_only {
            cx.note("wamp.subscription.on_create", session, |cx| {
                Subject::Created(Box::new(topic.details(cx, subscription)))
            });
        }
        cx.note("wamp.subscription.on_subscribe", session, |_| Subject::Id(subscription.get()));
    }

    /// A session is not subscribed any more to this URI.
    pub(super) fn note_unsubscribed(&mut self, cx: &mut Context, uri: &Uri, change: Change) {
        let Change { subscription, session, is_only } = change;
        if uri.is_reserved() {
            self.watchers -= 1;
            cx.meta_watched = self.watchers > 0;
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
            if topic.takes(&event.topic) {
                send(cx, topic, publication, event);
            }
        });
    }

    /// The subscriptions of all sessions, or of one.
    pub(in crate::router) fn list(
        &self,
        cx: &Context,
        of: Option<SessionKey>,
    ) -> Vec<(SubscriptionId, MatchPolicy)> {
        let is_listed = |topic: &Topic| {
            !topic.is_reserved()
                && match of {
                    Some(session) => topic.subscribers.contains(&session),
                    None => topic.subscribers.iter().any(|session| cx.sessions.has(*session)),
                }
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
            if is_shown(cx, topic) && topic.takes(uri) {
                found.push(topic.id);
            }
        });
        found
    }

    /// A subscription as `get` shows it.
    pub(in crate::router) fn details(&self, cx: &Context, id: SubscriptionId) -> Option<Created> {
        self.shown(cx, id).map(|topic| topic.details(cx, id))
    }

    /// The subscribers of a subscription.
    pub(in crate::router) fn subscribers(&self, cx: &Context, id: SubscriptionId) -> Option<Vec<SessionKey>> {
        let topic = self.shown(cx, id)?;
        Some(topic.subscribers.iter().copied().filter(|session| cx.sessions.has(*session)).collect())
    }

    /// A subscription that the meta API shows.
    fn shown(&self, cx: &Context, id: SubscriptionId) -> Option<&Topic> {
        self.topics.get(id).filter(|topic| is_shown(cx, topic))
    }
}

/// Whether the meta API shows a subscription: it is not the meta API's own, and its session is still there.
fn is_shown(cx: &Context, topic: &Topic) -> bool {
    !topic.is_reserved() && topic.subscribers.iter().any(|session| cx.sessions.has(*session))
}

fn send(cx: &mut Context, topic: &Topic, publication: PublicationId, event: &MetaEvent) {
    let is_pattern = topic.policy() != MatchPolicy::Exact;
    for to in topic.subscribers.iter().copied().filter(|to| *to != event.about) {
        let Some(session) = cx.sessions.get(to) else { continue };
        let message = (!session.drops_events() && !cx.sessions.is_full(to))
            .then(|| event.payload(session.serializer))
            .flatten()
            .map(|payload| {
                let topic_name = is_pattern.then(|| event.topic.clone());
                let details = EventDetails { topic: topic_name, ..EventDetails::default() };
                Message::from(message::Event { subscription: topic.id, publication, details, payload })
            })
            .filter(|message| check(message, session).is_ok());
        match message {
            Some(message) => {
                cx.stats.events += 1;
                cx.out.send(to, message);
            }
            None => cx.stats.events_dropped += 1,
        }
    }
}

impl Topic {
    fn details(&self, cx: &Context, id: SubscriptionId) -> Created {
        Created {
            id: id.get(),
            created: self.created.text(cx.config.epoch),
            uri: self.uri().to_owned(),
            r#match: self.policy().as_str(),
            invoke: None,
        }
    }
}
