//! The broker's part of a session.

use wamp_proto::SubscriptionId;

use crate::map::{HashSeed, Map, map};

/// The broker's part of a session: its subscriptions.
#[derive(Clone)]
pub(in crate::router) struct SessionPart {
    pub(super) subscriptions: Map<SubscriptionId, ()>,
}

impl SessionPart {
    pub(in crate::router) fn new(seed: HashSeed) -> Self {
        Self { subscriptions: map(seed) }
    }

    /// The number of its subscriptions.
    pub(in crate::router) fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// The ids of its subscriptions, the latest first.
    pub(in crate::router) fn subscription_ids(&self) -> Vec<SubscriptionId> {
        let mut ids = Vec::from_iter(self.subscriptions.keys().copied());
        ids.sort_unstable_by(|one, other| other.cmp(one));
        ids
    }

    /// The remaining subscriptions of a session that is over; they are removed from the end of the list.
    pub(in crate::router) fn into_remains(self) -> Vec<SubscriptionId> {
        self.subscription_ids()
    }
}
