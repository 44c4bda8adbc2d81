//! Subscriptions, by topic.

use std::collections::BTreeSet;

use wamp_proto::message::{self, EventDetails, MatchPolicy};
use wamp_proto::{Message, Payload, PublicationId, SubscriptionId, Uri};

use crate::Time;
use crate::map::{self, HashSeed, Map, map};
use crate::router::SessionKey;
use crate::router::patterns::{NoRoom, Patterns};
use crate::router::snapshot::{Portion, SubscriptionInfo};
use crate::slots::Slots;
use crate::timestamp::Moment;

/// A change of a subscription by one session.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) subscription: SubscriptionId,
    pub(super) session: SessionKey,
    /// The session is the first of the subscription, or was the last.
    pub(super) is_only: bool,
}

/// A subscription: a match policy and a URI, with all its subscribers (behaviour [104](crate::behaviour#rule-104)).
#[derive(Clone)]
pub(super) struct Topic {
    uri: Uri,
    policy: MatchPolicy,
    pub(super) id: SubscriptionId,
    pub(super) created: Moment,
    pub(super) subscribers: BTreeSet<SessionKey>,
    /// It has a history, and stays without subscribers.
    pub(super) is_kept: bool,
}

impl Topic {
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn policy(&self) -> MatchPolicy {
        self.policy
    }

    pub(super) fn is_reserved(&self) -> bool {
        self.uri.is_reserved()
    }

    /// Returns the event of a publication for its subscribers: `topic` is among the details if they do not know it from
    /// the subscription.
    pub(super) fn event(
        &self,
        id: PublicationId,
        topic: &Uri,
        mut details: EventDetails,
        payload: Payload,
    ) -> Message {
        if self.policy != MatchPolicy::Exact {
            details.topic = Some(topic.clone());
        }
        message::Event { subscription: self.id, publication: id, details, payload }.into()
    }

    /// Returns whether an event of this topic goes to its subscribers. A meta event goes only to subscribers
    /// of reserved topics.
    fn takes(&self, topic: &Uri) -> bool {
        !topic.is_reserved() || self.uri.is_reserved()
    }
}

/// The subscriptions of a realm.
#[derive(Clone)]
pub(super) struct Topics {
    topics: Slots<Topic>,
    patterns: Patterns,
    ids: Map<SubscriptionId, usize>,
    next: u64,
}

impl Topics {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { topics: Slots::new(), patterns: Patterns::new(seed), ids: map(seed), next: 1 }
    }

    /// Subscribes a session, with a limit on the shapes of wildcards. Returns the change, and whether the
    /// session was not subscribed before.
    pub(super) fn subscribe(
        &mut self,
        policy: MatchPolicy,
        uri: &Uri,
        subscriber: SessionKey,
        now: Time,
        shapes: usize,
    ) -> Result<(Change, bool), NoRoom> {
        if let Some(entry) = self.patterns.get(policy, uri, |entry| &self.topics[entry].uri) {
            let topic = &mut self.topics[entry];
            let is_new = topic.subscribers.insert(subscriber);
            return Ok((Change { subscription: topic.id, session: subscriber, is_only: false }, is_new));
        }
        self.patterns.check_room(policy, uri, shapes)?;
        let subscription = self.insert(policy, uri.detached(), now, BTreeSet::from([subscriber]), false);
        Ok((Change { subscription, session: subscriber, is_only: true }, true))
    }

    /// Creates a subscription that stays, or returns the existing one.
    pub(super) fn keep(&mut self, policy: MatchPolicy, uri: &Uri) -> SubscriptionId {
        if let Some(topic) = self.lookup(policy, uri) {
            return topic.id;
        }
        self.insert(policy, uri.clone(), Time::ORIGIN, BTreeSet::new(), true)
    }

    /// Adds a subscription that is not there yet. Limits are not checked.
    fn insert(
        &mut self,
        policy: MatchPolicy,
        uri: Uri,
        now: Time,
        subscribers: BTreeSet<SessionKey>,
        is_kept: bool,
    ) -> SubscriptionId {
        let id =
            SubscriptionId::new(self.next).expect("2^53 subscriptions take longer than any router lives");
        self.next += 1;
        let created = Moment::new(now);
        let entry = self.topics.insert(Topic { uri: uri.clone(), policy, id, created, subscribers, is_kept });
        self.patterns.insert(policy, &uri, entry);
        self.ids.insert(id, entry);
        id
    }

    /// Removes a session from a subscription, which ends with its last subscriber. Returns its URI and the
    /// change, if the session was in it.
    pub(super) fn unsubscribe(&mut self, id: SubscriptionId, session: SessionKey) -> Option<(Uri, Change)> {
        let entry = *self.ids.get(&id)?;
        let topic = &mut self.topics[entry];
        if !topic.subscribers.remove(&session) {
            return None;
        }
        let uri = topic.uri.clone();
        let change =
            Change { subscription: id, session, is_only: topic.subscribers.is_empty() && !topic.is_kept };
        if change.is_only {
            let Topic { policy, .. } = self.topics.remove(entry);
            self.patterns.remove(policy, &uri, entry);
            map::remove(&mut self.ids, &id);
        }
        Some((uri, change))
    }

    /// Returns the subscription of exactly this policy and URI.
    pub(super) fn lookup(&self, policy: MatchPolicy, uri: &str) -> Option<&Topic> {
        self.patterns.get(policy, uri, |entry| &self.topics[entry].uri).map(|entry| &self.topics[entry])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter().map(|(_, topic)| topic)
    }

    pub(super) fn get(&self, id: SubscriptionId) -> Option<&Topic> {
        self.ids.get(&id).map(|entry| &self.topics[*entry])
    }

    /// Returns the subscription of exactly this topic, with the policy `exact`.
    pub(super) fn exact(&self, uri: &str) -> Option<&Topic> {
        self.patterns.exact(uri, |entry| &self.topics[entry].uri).map(|entry| &self.topics[entry])
    }

    /// Passes all subscriptions that match a topic to the closure, in the order in which they are served
    /// (behaviour [105](crate::behaviour#rule-105)).
    pub(super) fn each<'a>(&'a self, uri: &Uri, mut show: impl FnMut(&'a Topic)) {
        if let Some(topic) = self.exact(uri) {
            show(topic);
        }
        self.each_pattern(uri, show);
    }

    /// Passes all other subscriptions that match a topic to the closure: prefixes from the longest, then
    /// wildcards.
    #[inline]
    pub(super) fn each_pattern<'a>(&'a self, uri: &Uri, mut show: impl FnMut(&'a Topic)) {
        if self.patterns.has_patterns() {
            let text = |entry: usize| &*self.topics[entry].uri;
            self.patterns.patterns(uri, text, |entry| {
                let topic = &self.topics[entry];
                if topic.takes(uri) {
                    show(topic);
                }
            });
        }
    }

    /// The subscriptions at the places from `from` on, of which `places` are looked at.
    pub(super) fn portion(&self, from: usize, places: usize) -> Portion<SubscriptionInfo> {
        let (rows, next) = self.topics.portion(from, places, |_, topic: &Topic| {
            (!topic.is_reserved()).then(|| SubscriptionInfo {
                id: topic.id,
                uri: topic.uri.clone(),
                policy: topic.policy,
                subscribers: topic.subscribers.len(),
            })
        });
        Portion { rows, next }
    }

    pub(super) fn len(&self) -> usize {
        self.topics.len()
    }
}
