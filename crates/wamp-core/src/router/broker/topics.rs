//! Who subscribes to which topic.

use std::collections::BTreeSet;

use wamp_proto::{SubscriptionId, Uri};

use crate::map::{self, HashSeed, Map, map};
use crate::router::SessionKey;

#[derive(Clone)]
pub(super) struct Topic {
    uri: Uri,
    pub(super) subscribers: BTreeSet<SessionKey>,
}

/// The subscriptions of a realm; a topic is found in O(1). All subscribers of a topic have one subscription.
#[derive(Clone)]
pub(super) struct Topics {
    exact: Map<Uri, SubscriptionId>,
    topics: Map<SubscriptionId, Topic>,
    next: u64,
}

impl Topics {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { exact: map(seed), topics: map(seed), next: 1 }
    }

    pub(super) fn subscribe(&mut self, uri: &Uri, subscriber: SessionKey) -> SubscriptionId {
        let id = match self.exact.get(uri) {
            Some(id) => *id,
            None => {
                let id = SubscriptionId::new(self.next)
                    .expect("2^53 subscriptions take longer than any router lives");
                self.next += 1;
                let uri = uri.detached();
                self.exact.insert(uri.clone(), id);
                self.topics.insert(id, Topic { uri, subscribers: BTreeSet::new() });
                id
            }
        };
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.subscribers.insert(subscriber);
        }
        id
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriptionId, subscriber: SessionKey) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        topic.subscribers.remove(&subscriber);
        if topic.subscribers.is_empty() {
            map::remove(&mut self.exact, &topic.uri);
            map::remove(&mut self.topics, &id);
        }
    }

    /// The topic of a subscription.
    pub(super) fn topic(&self, id: SubscriptionId) -> &str {
        self.topics.get(&id).map_or("", |topic| topic.uri.as_str())
    }

    pub(super) fn find(&self, uri: &Uri) -> Option<(SubscriptionId, &Topic)> {
        let id = self.exact.get(uri)?;
        Some((*id, self.topics.get(id)?))
    }

    pub(super) fn len(&self) -> usize {
        self.topics.len()
    }
}
