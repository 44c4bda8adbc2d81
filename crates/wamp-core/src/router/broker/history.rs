//! The history of events of the patterns that the realm's configuration names (Advanced Profile, *Event History*;
//! behaviour [124](crate::behaviour#rule-124) to [128](crate::behaviour#rule-128)).

use std::collections::VecDeque;
use std::time::Duration;

use wamp_proto::message::{EventDetails, MatchPolicy};
use wamp_proto::uri::{UriKind, UriRules};
use wamp_proto::{Payload, PublicationId, SubscriptionId, Uri};

use super::delivery::Publication;
use super::receivers::Lists;
use super::retention::detached;
use super::topics::Topics;
use crate::Time;
use crate::router::config::History;
use crate::router::roles::Pattern;
use crate::router::sessions::{Session, SessionKey};

/// The histories of a realm.
#[derive(Clone)]
pub(super) struct Histories(Vec<Log>);

/// The history of a subscription: the oldest event first.
#[derive(Clone)]
pub(in crate::router) struct Log {
    pub(in crate::router) subscription: SubscriptionId,
    config: History,
    events: VecDeque<Past>,
    bytes: usize,
}

/// An event that was published.
#[derive(Clone)]
pub(in crate::router) struct Past {
    pub(in crate::router) id: PublicationId,
    /// The details, with the topic.
    pub(in crate::router) details: EventDetails,
    pub(in crate::router) payload: Payload,
    /// Its time, in milliseconds since the origin.
    millis: u64,
    lists: Option<Lists>,
    bytes: usize,
}

impl Past {
    /// Returns whether it may be shown to a session.
    pub(in crate::router) fn is_for(&self, to: SessionKey, session: &Session) -> bool {
        self.lists.as_ref().is_none_or(|lists| lists.admit(to, &session.identity))
    }

    /// Returns the time since 1970-01-01T00:00:00Z, in whole milliseconds.
    pub(in crate::router) fn time(&self, epoch: Duration) -> Duration {
        Duration::from_millis(epoch.as_millis() as u64 + self.millis)
    }

    /// Returns the topic.
    pub(in crate::router) fn topic(&self) -> &str {
        self.details.topic.as_ref().map_or("", |topic| topic)
    }
}

impl Log {
    /// Returns the events, the oldest first.
    pub(in crate::router) fn events(&self) -> &VecDeque<Past> {
        &self.events
    }

    fn keep(&mut self, now: Time, publication: &Publication<'_>) {
        let Publication { id, topic, payload, details, lists, .. } = publication;
        let bytes = publication.kept_bytes();
        if bytes > self.config.bytes || self.config.events == 0 {
            return;
        }
        while self.events.len() >= self.config.events || self.bytes + bytes > self.config.bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
        self.bytes += bytes;
        self.events.push_back(Past {
            id: *id,
            details: EventDetails { topic: Some(topic.detached()), ..detached(details) },
            payload: (*payload).clone().detached(),
            millis: now.since_origin().as_millis() as u64,
            lists: lists.as_ref().map(Lists::detached),
            bytes,
        });
    }
}

impl Histories {
    /// Creates the subscriptions of the patterns whose events are kept. Of two equal patterns the last counts.
    pub(super) fn new(config: &[History], topics: &mut Topics) -> Self {
        let mut logs: Vec<Log> = Vec::new();
        for config in config {
            let (policy, kind, text) = match &config.pattern {
                Pattern::Exact(text) => (MatchPolicy::Exact, UriKind::Exact, text),
                Pattern::Prefix(text) => (MatchPolicy::Prefix, UriKind::Prefix, text),
                Pattern::Wildcard(text) => (MatchPolicy::Wildcard, UriKind::Wildcard, text),
            };
            let uri = Uri::from(text.as_str());
            if uri.is_reserved() || uri.check(UriRules::Loose, kind).is_err() {
                continue;
            }
            let subscription = topics.keep(policy, &uri);
            logs.retain(|log| log.subscription != subscription);
            logs.push(Log { subscription, config: config.clone(), events: VecDeque::new(), bytes: 0 });
        }
        Self(logs)
    }

    pub(super) fn get(&self, subscription: SubscriptionId) -> Option<&Log> {
        self.0.iter().find(|log| log.subscription == subscription)
    }

    /// Keeps the event of a publication. Events for particular sessions are not kept, since the ids of sessions do not
    /// last (behaviour [126](crate::behaviour#rule-126)).
    pub(super) fn keep(&mut self, now: Time, publication: &Publication<'_>) {
        if self.0.is_empty() || publication.lists.as_ref().is_some_and(Lists::name_sessions) {
            return;
        }
        let topic: &str = publication.topic;
        self.0
            .iter_mut()
            .filter(|log| log.config.pattern.matches(topic))
            .for_each(|log| log.keep(now, publication));
    }

    /// Returns the number of events, and their bytes.
    pub(super) fn sizes(&self) -> (usize, usize) {
        self.0.iter().fold((0, 0), |(events, bytes), log| (events + log.events.len(), bytes + log.bytes))
    }
}
