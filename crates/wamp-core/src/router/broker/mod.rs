//! The broker: subscriptions, and publications on their way to the subscribers.

mod topics;

use wamp_proto::message::{self, EventDetails, MatchPolicy, PublishOptions, Receivers, RequestKind};
use wamp_proto::uri::UriKind;
use wamp_proto::{Message, PublicationId, Serializer, SubscriptionId, Uri, quoted, uri};

use self::topics::Topics;
use crate::map::{self, HashSeed, Map, map};
use crate::router::config::Config;
use crate::router::context::{Context, Refused, Violation};
use crate::router::outbox::{Prepared, check};
use crate::router::sessions::{Session, SessionKey, table_bytes};

/// The subscribers of a publication that speak the same serializer.
struct Group {
    serializer: Serializer,
    /// `None` if it cannot be written in it.
    event: Option<Message>,
    receivers: Vec<SessionKey>,
}

#[derive(Clone)]
pub(in crate::router) struct Broker {
    topics: Topics,
}

/// The broker's part of a session: its subscriptions.
#[derive(Clone)]
pub(in crate::router) struct SessionPart {
    subscriptions: Map<SubscriptionId, ()>,
}

impl SessionPart {
    pub(in crate::router) fn new(seed: HashSeed) -> Self {
        Self { subscriptions: map(seed) }
    }

    /// The subscriptions of a session that is over.
    pub(in crate::router) fn into_remains(self) -> Vec<SubscriptionId> {
        self.subscriptions.into_keys().collect()
    }
}

impl Broker {
    pub(in crate::router) fn new(seed: HashSeed) -> Self {
        Self { topics: Topics::new(seed) }
    }

    /// The number of topics with subscribers.
    pub(in crate::router) fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Removes one subscription of a session that is over. `false`: there was none left.
    pub(in crate::router) fn remove_one(
        &mut self,
        session: SessionKey,
        remains: &mut Vec<SubscriptionId>,
    ) -> bool {
        let subscription = remains.pop();
        if let Some(subscription) = subscription {
            self.topics.unsubscribe(subscription, session);
        }
        subscription.is_some()
    }
}

impl Broker {
    pub(in crate::router) fn handle_subscribe(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        subscribe: message::Subscribe,
    ) -> Result<(), Violation> {
        let request = subscribe.request;
        cx.check_request(from, "SUBSCRIBE", request)?;
        if let Err((error, text)) = self.subscribe(cx, from, &subscribe) {
            cx.refuse(from, RequestKind::Subscribe, request, error, &text);
        }
        Ok(())
    }

    fn subscribe(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        subscribe: &message::Subscribe,
    ) -> Result<(), Refused> {
        let Some(session) = cx.sessions.get_mut(from) else { return Ok(()) };
        if subscribe.options.extra.contains("match") {
            return Err((uri::INVALID_ARGUMENT, "unknown value for the option \"match\"".to_owned()));
        }
        if !matches!(subscribe.options.policy, None | Some(MatchPolicy::Exact)) {
            let text = "this router has no pattern-based subscriptions";
            return Err((uri::FEATURE_NOT_SUPPORTED, text.to_owned()));
        }
        cx.config
            .check_uri(&subscribe.topic, UriKind::Exact)
            .map_err(|error| (uri::INVALID_URI, error.to_string()))?;
        let limit = cx.config.limits.subscriptions;
        if session.broker.subscriptions.len() >= limit {
            return Err((uri::UNAVAILABLE, format!("a session may have at most {limit} subscriptions")));
        }
        let table_bytes = session.check_table(&subscribe.topic, &cx.config.limits)?;
        let subscription = self.topics.subscribe(&subscribe.topic, from);
        if session.broker.subscriptions.insert(subscription, ()).is_none() {
            session.table_bytes = table_bytes;
        }
        cx.out.send(from, message::Subscribed { request: subscribe.request, subscription });
        Ok(())
    }

    pub(in crate::router) fn handle_unsubscribe(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        unsubscribe: message::Unsubscribe,
    ) -> Result<(), Violation> {
        let message::Unsubscribe { request, subscription } = unsubscribe;
        cx.check_request(from, "UNSUBSCRIBE", request)?;
        let Some(session) = cx.sessions.get_mut(from) else { return Ok(()) };
        if map::remove(&mut session.broker.subscriptions, &subscription).is_none() {
            let text = format!("this session has no subscription {subscription}");
            cx.refuse(from, RequestKind::Unsubscribe, request, uri::NO_SUCH_SUBSCRIPTION, &text);
            return Ok(());
        }
        session.table_bytes -= table_bytes(self.topics.topic(subscription));
        self.topics.unsubscribe(subscription, from);
        cx.out.send(from, message::Unsubscribed { request: Some(request), details: None });
        Ok(())
    }

    pub(in crate::router) fn handle_publish(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        publish: message::Publish,
        prepared: &Prepared,
    ) -> Result<(), Violation> {
        let message::Publish { request, options, topic, payload } = publish;
        cx.check_request(from, "PUBLISH", request)?;
        if options.ppt.is_some() && !cx.sessions.get(from).is_some_and(|s| s.announced.publisher_ppt) {
            let text = "PUBLISH with ppt_scheme by a publisher that did not announce payload_passthru_mode";
            return Err(text.into());
        }
        let acknowledge = options.acknowledge == Some(true);
        let topic_found = self.topics.find(&topic);
        if let Err((error, text)) = check_publication(&cx.config, &topic, &options, topic_found.is_some()) {
            cx.stats.publications_refused += 1;
            if acknowledge {
                cx.refuse(from, RequestKind::Publish, request, error, &text);
            }
            return Ok(());
        }
        let publication = PublicationId::new(cx.chance.id()).expect("drawn from the range of ids");
        if let Some((subscription, found)) = topic_found {
            let exclude_me = options.exclude_me != Some(false);
            let mut receivers = found.subscribers.iter().copied().filter(|to| !(exclude_me && *to == from));
            let event = |session: &Session| {
                let details = EventDetails { ppt: options.ppt.clone(), ..EventDetails::default() };
                let payload = prepared.payload(&payload, session).ok()?;
                Some(Message::from(message::Event { subscription, publication, details, payload }))
            };
            let first_two = (receivers.next(), receivers.next());
            if let (Some(only), None) = first_two {
                if let Some(session) = cx.sessions.get(only) {
                    let event = if session.drops_events() { None } else { event(session) };
                    match event {
                        Some(event) if check(&event, session).is_ok() => {
                            cx.stats.events += 1;
                            cx.out.send(only, event);
                        }
                        _ => cx.stats.events_dropped += 1,
                    }
                }
            } else {
                let mut groups: Vec<Group> = Vec::new();
                let (first, second) = first_two;
                for to in first.into_iter().chain(second).chain(receivers) {
                    let Some(session) = cx.sessions.get(to) else { continue };
                    if session.drops_events() {
                        cx.stats.events_dropped += 1;
                        continue;
                    }
                    let serializer = session.serializer;
                    let known = groups.iter().position(|group| group.serializer == serializer);
                    let index = known.unwrap_or_else(|| {
                        // Once for all subscribers with this serializer.
                        groups.push(Group { serializer, event: event(session), receivers: Vec::new() });
                        groups.len() - 1
                    });
                    let group = &mut groups[index];
                    match &group.event {
                        Some(event) if check(event, session).is_ok() => group.receivers.push(to),
                        _ => cx.stats.events_dropped += 1,
                    }
                }
                for Group { event, receivers, .. } in groups {
                    cx.stats.events += receivers.len() as u64;
                    if let Some(event) = event {
                        cx.out.send_to_all(receivers, event);
                    }
                }
            }
        }
        if acknowledge {
            cx.out.send(from, message::Published { request, publication });
        }
        Ok(())
    }

    pub(in crate::router) fn serializers_of_subscribers(
        &self,
        cx: &Context,
        publish: &message::Publish,
    ) -> Vec<Serializer> {
        let mut serializers = Vec::new();
        if let Some((_, topic)) = self.topics.find(&publish.topic) {
            for session in topic.subscribers.iter().filter_map(|key| cx.sessions.get(*key)) {
                if !serializers.contains(&session.serializer) {
                    serializers.push(session.serializer);
                }
            }
        }
        serializers
    }
}

/// Whether there is anything against a publication.
///
/// Options that say who receives it are refused as long as this broker does not have them: an event that is meant
/// for some sessions never goes to all.
///
/// The URI of a topic with subscribers was checked when they subscribed.
fn check_publication(
    config: &Config,
    topic: &Uri,
    options: &PublishOptions,
    has_subscribers: bool,
) -> Result<(), Refused> {
    let invalid = |text| (uri::INVALID_URI, text);
    if !has_subscribers {
        config.check_uri(topic, UriKind::Exact).map_err(|error| invalid(error.to_string()))?;
    }
    if topic.is_reserved() {
        return Err(invalid(format!("{} is reserved: it begins with \"wamp\"", quoted(topic))));
    }
    if options.receivers.as_ref().is_some_and(|receivers| **receivers != Receivers::default()) {
        let text = "this router does not have the options \"eligible\" and \"exclude\" of PUBLISH";
        return Err((uri::FEATURE_NOT_SUPPORTED, text.to_owned()));
    }
    Ok(())
}
