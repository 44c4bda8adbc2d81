//! The broker: subscriptions, and publications on their way to the subscribers.

mod topics;

use wamp_proto::message::{self, EventDetails, MatchPolicy, PublishOptions, Receivers, RequestKind};
use wamp_proto::uri::UriKind;
use wamp_proto::{Message, PublicationId, Serializer, Uri, quoted, uri};

use self::topics::Topics;
use crate::map::{self, HashSeed};
use crate::router::outbox::{Prepared, check};
use crate::router::realm::Realm;
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
    pub(in crate::router) topics: Topics,
}

impl Broker {
    pub(in crate::router) fn new(seed: HashSeed) -> Self {
        Self { topics: Topics::new(seed) }
    }
}

impl Realm {
    pub(in crate::router) fn handle_subscribe(&mut self, from: SessionKey, subscribe: message::Subscribe) {
        let request = subscribe.request;
        if !self.is_next(from, "SUBSCRIBE", request) {
            return;
        }
        if let Err((error, text)) = self.subscribe(from, &subscribe) {
            self.refuse(from, RequestKind::Subscribe, request, error, &text);
        }
    }

    fn subscribe(&mut self, from: SessionKey, subscribe: &message::Subscribe) -> Result<(), (Uri, String)> {
        let Some(session) = self.sessions.get_mut(from) else { return Ok(()) };
        if subscribe.options.extra.contains("match") {
            return Err((
                uri::INVALID_ARGUMENT,
                "the option \"match\" has no value that is known".to_owned(),
            ));
        }
        if !matches!(subscribe.options.policy, None | Some(MatchPolicy::Exact)) {
            let text = "this router has no pattern-based subscriptions";
            return Err((uri::FEATURE_NOT_SUPPORTED, text.to_owned()));
        }
        self.config
            .check_uri(&subscribe.topic, UriKind::Exact)
            .map_err(|error| (uri::INVALID_URI, error.to_string()))?;
        let limit = self.config.limits.subscriptions;
        if session.subscriptions.len() >= limit {
            return Err((uri::UNAVAILABLE, format!("a session may have {limit} subscriptions")));
        }
        let table_bytes = session.check_table(&subscribe.topic, &self.config.limits)?;
        let subscription = self.broker.topics.subscribe(&subscribe.topic, from);
        if session.subscriptions.insert(subscription, ()).is_none() {
            session.table_bytes = table_bytes;
        }
        self.out.send(from, message::Subscribed { request: subscribe.request, subscription });
        Ok(())
    }

    pub(in crate::router) fn handle_unsubscribe(
        &mut self,
        from: SessionKey,
        unsubscribe: message::Unsubscribe,
    ) {
        let message::Unsubscribe { request, subscription } = unsubscribe;
        if !self.is_next(from, "UNSUBSCRIBE", request) {
            return;
        }
        let Some(session) = self.sessions.get_mut(from) else { return };
        if map::remove(&mut session.subscriptions, &subscription).is_none() {
            let text = format!("this session has no subscription {subscription}");
            return self.refuse(from, RequestKind::Unsubscribe, request, uri::NO_SUCH_SUBSCRIPTION, &text);
        }
        session.table_bytes -= table_bytes(self.broker.topics.topic(subscription));
        self.broker.topics.unsubscribe(subscription, from);
        self.out.send(from, message::Unsubscribed { request: Some(request), details: None });
    }

    pub(in crate::router) fn handle_publish(
        &mut self,
        from: SessionKey,
        publish: message::Publish,
        prepared: &Prepared,
    ) {
        let message::Publish { request, options, topic, payload } = publish;
        if !self.is_next(from, "PUBLISH", request) {
            return;
        }
        if options.ppt.is_some() && !self.sessions.get(from).is_some_and(|s| s.announced.publisher_ppt) {
            let text = "PUBLISH with ppt_scheme by a publisher that did not announce payload_passthru_mode";
            return self.violation(from, text);
        }
        let acknowledge = options.acknowledge == Some(true);
        if let Err((error, text)) = self.check_publication(&topic, &options) {
            self.stats.publications_refused += 1;
            if acknowledge {
                self.refuse(from, RequestKind::Publish, request, error, &text);
            }
            return;
        }
        let publication = PublicationId::new(self.chance.id()).expect("drawn from the range of ids");
        if let Some((subscription, found)) = self.broker.topics.find(&topic) {
            let exclude_me = options.exclude_me != Some(false);
            let mut receivers = found.subscribers.iter().copied().filter(|to| !(exclude_me && *to == from));
            let event = |session: &Session| {
                let mut details = EventDetails::default();
                details.ppt = options.ppt.clone();
                let payload = prepared.payload(&payload, session).ok()?;
                Some(Message::from(message::Event { subscription, publication, details, payload }))
            };
            let first_two = (receivers.next(), receivers.next());
            if let (Some(only), None) = first_two {
                if let Some(session) = self.sessions.get(only) {
                    match event(session).filter(|event| check(event, session).is_ok()) {
                        Some(event) => {
                            self.stats.events += 1;
                            self.out.send(only, event);
                        }
                        None => self.stats.events_dropped += 1,
                    }
                }
            } else {
                let mut groups: Vec<Group> = Vec::new();
                let (first, second) = first_two;
                for to in first.into_iter().chain(second).chain(receivers) {
                    let Some(session) = self.sessions.get(to) else { continue };
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
                        _ => self.stats.events_dropped += 1,
                    }
                }
                for Group { event, receivers, .. } in groups {
                    self.stats.events += receivers.len() as u64;
                    if let Some(event) = event {
                        self.out.send_to_all(receivers, event);
                    }
                }
            }
        }
        if acknowledge {
            self.out.send(from, message::Published { request, publication });
        }
    }

    /// Whether there is anything against a publication.
    ///
    /// Options that say who receives it are refused as long as this broker does not have them: an event that is meant
    /// for some sessions never goes to all.
    fn check_publication(&self, topic: &Uri, options: &PublishOptions) -> Result<(), (Uri, String)> {
        let invalid = |text| (uri::INVALID_URI, text);
        self.config.check_uri(topic, UriKind::Exact).map_err(|error| invalid(error.to_string()))?;
        if topic.is_reserved() {
            return Err(invalid(format!("{} is reserved: it begins with \"wamp\"", quoted(topic))));
        }
        if options.receivers.as_ref().is_some_and(|receivers| **receivers != Receivers::default()) {
            let text = "this router does not have the options \"eligible\" and \"exclude\" of PUBLISH";
            return Err((uri::FEATURE_NOT_SUPPORTED, text.to_owned()));
        }
        Ok(())
    }

    pub(in crate::router) fn serializers_of_subscribers(
        &self,
        publish: &message::Publish,
    ) -> Vec<Serializer> {
        let mut serializers = Vec::new();
        if let Some((_, topic)) = self.broker.topics.find(&publish.topic) {
            for session in topic.subscribers.iter().filter_map(|key| self.sessions.get(*key)) {
                if !serializers.contains(&session.serializer) {
                    serializers.push(session.serializer);
                }
            }
        }
        serializers
    }
}
