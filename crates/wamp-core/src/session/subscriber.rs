//! The subscriber: subscriptions and their events.

use wamp_proto::message::{self, MatchPolicy, SubscribeOptions};
use wamp_proto::{Feature, RequestId, Role, SubscriptionId, Uri};

use super::{Event, Publication, Request, Session};
use crate::map::{Map, map};
use crate::{Misuse, Time};

#[derive(Clone)]
pub(super) struct Subscriber {
    subscriptions: Map<SubscriptionId, Uri>,
}

impl Subscriber {
    pub(super) fn new(seed: u64) -> Self {
        Self { subscriptions: map(seed) }
    }

    pub(super) fn clear(&mut self) {
        self.subscriptions.clear();
    }

    pub(super) fn is_subscribed(&self, subscription: SubscriptionId) -> bool {
        self.subscriptions.contains_key(&subscription)
    }
}

impl Session {
    /// Subscribes to a topic; [`Event::Subscribed`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], [`Misuse::TooLarge`], [`Misuse::Encode`]; [`Misuse::NotSupported`] for patterns and for
    /// `get_retained` if the router did not announce them (behaviour [292](crate::behaviour#rule-292)).
    pub fn subscribe(
        &mut self,
        _now: Time,
        options: SubscribeOptions,
        topic: Uri,
    ) -> Result<RequestId, Misuse> {
        self.check_open()?;
        let is_pattern = !matches!(options.policy, None | Some(MatchPolicy::Exact));
        if is_pattern && !self.router.has(Role::Broker, Feature::PatternBasedSubscription)
            || options.get_retained == Some(true) && !self.router.has(Role::Broker, Feature::EventRetention)
        {
            return Err(Misuse::NotSupported);
        }
        let about = Request::Subscribe(topic.clone());
        self.request(Some(about), |request| message::Subscribe { request, options, topic }.into())
    }

    /// Ends a subscription; [`Event::Unsubscribed`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], or [`Misuse::Unknown`] if there is no such subscription.
    pub fn unsubscribe(&mut self, _now: Time, subscription: SubscriptionId) -> Result<RequestId, Misuse> {
        self.check_open()?;
        if !self.subscriber.subscriptions.contains_key(&subscription) {
            return Err(Misuse::Unknown);
        }
        let about = Request::Unsubscribe(subscription);
        self.request(Some(about), |request| message::Unsubscribe { request, subscription }.into())
    }

    pub(super) fn handle_subscribed(&mut self, subscribed: message::Subscribed) {
        let (request, subscription) = (subscribed.request, subscribed.subscription);
        if let Some(Request::Subscribe(topic)) =
            self.answered(request, |pending| matches!(pending, Request::Subscribe(_)))
        {
            self.subscriber.subscriptions.insert(subscription, topic);
            self.events.push_back(Event::Subscribed { request, subscription });
        }
    }

    pub(super) fn handle_unsubscribed(&mut self, unsubscribed: message::Unsubscribed) {
        let Some(request) = unsubscribed.request else {
            // One that is unknown was revoked before, or has crossed an UNSUBSCRIBE.
            if let Some(details) = unsubscribed.details
                && let Some(subscription) = details.subscription
                && self.subscriber.subscriptions.remove(&subscription).is_some()
            {
                let reason = details.reason;
                self.events.push_back(Event::SubscriptionRevoked { subscription, reason });
            }
            return;
        };
        if let Some(Request::Unsubscribe(subscription)) =
            self.answered(request, |pending| matches!(pending, Request::Unsubscribe(_)))
        {
            self.subscriber.subscriptions.remove(&subscription);
            self.events.push_back(Event::Unsubscribed { request, subscription });
        }
    }

    pub(super) fn handle_event(&mut self, event: message::Event) {
        if !self.subscriber.subscriptions.contains_key(&event.subscription) {
            self.stats.unknown += 1;
            return;
        }
        self.events.push_back(Event::EventReceived(Box::new(Publication {
            subscription: event.subscription,
            publication: event.publication,
            details: event.details,
            payload: event.payload,
        })));
    }
}
