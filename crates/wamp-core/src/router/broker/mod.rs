//! The broker: subscriptions, and the delivery of publications to subscribers.

mod delivery;
pub(in crate::router) mod history;
mod inspect;
mod publish;
pub(in crate::router) mod receivers;
mod retention;
mod session;
mod subscribe;
mod testament;
mod topics;

use wamp_proto::{Serializer, SubscriptionId, message};

use self::history::{Histories, Log};
use self::retention::Retained;
pub(in crate::router) use self::session::SessionPart;
use self::topics::Topics;
use crate::map::HashSeed;
use crate::router::config::Config;
use crate::router::context::Context;
use crate::router::sessions::SessionKey;
use crate::router::snapshot::{Portion, SubscriptionInfo};

#[derive(Clone)]
pub(in crate::router) struct Broker {
    topics: Topics,
    retained: Retained,
    histories: Histories,
}

impl Broker {
    pub(in crate::router) fn new(seed: HashSeed, config: &Config) -> Self {
        let mut topics = Topics::new(seed);
        let histories = Histories::new(&config.history, &mut topics);
        Self { topics, retained: Retained::default(), histories }
    }

    /// Returns the history of a subscription, if the realm keeps one.
    pub(in crate::router) fn history(&self, subscription: SubscriptionId) -> Option<&Log> {
        self.histories.get(subscription)
    }

    /// Returns the number of events in all histories, and their bytes.
    pub(in crate::router) fn past(&self) -> (usize, usize) {
        self.histories.sizes()
    }

    /// Returns the number of topics and patterns with subscribers or a history.
    pub(in crate::router) fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Returns the subscriptions at the places from `from` on, of which `places` are looked at.
    pub(in crate::router) fn subscriptions_from(
        &self,
        from: usize,
        places: usize,
    ) -> Portion<SubscriptionInfo> {
        self.topics.portion(from, places)
    }

    /// Removes one subscription of a session that is over. Returns `false` if none was left.
    pub(in crate::router) fn remove_one(
        &mut self,
        cx: &mut Context,
        session: SessionKey,
        remains: &mut Vec<SubscriptionId>,
    ) -> bool {
        let subscription = remains.pop();
        if let Some(subscription) = subscription {
            self.unsubscribe(cx, session, subscription);
        }
        subscription.is_some()
    }

    pub(in crate::router) fn serializers_of_subscribers(
        &self,
        cx: &Context,
        publish: &message::Publish,
    ) -> Vec<Serializer> {
        let mut serializers = Vec::new();
        self.topics.each(&publish.topic, |topic| {
            for session in topic.subscribers.iter().filter_map(|key| cx.sessions.get(*key)) {
                if !serializers.contains(&session.serializer) {
                    serializers.push(session.serializer);
                }
            }
        });
        serializers
    }
}
