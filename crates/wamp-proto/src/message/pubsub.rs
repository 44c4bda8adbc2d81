//! Publish and subscribe: PUBLISH, PUBLISHED, SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, EVENT,
//! EVENT_RECEIVED.

use super::define::{message, options};
use super::options::{Discloser, MatchPolicy, Millis, Ppt, Receivers};
use crate::id::{PublicationId, RequestId, SubscriptionId};
use crate::uri::Uri;

options! {
    /// `PUBLISH.Options`.
    pub struct PublishOptions {
        /// The publisher wants PUBLISHED or ERROR.
        acknowledge: Option<bool> = "acknowledge",
        /// The publisher itself gets no event; so it is unless this is false.
        exclude_me: Option<bool> = "exclude_me",
        /// The publisher wants to be known to the subscribers.
        disclose_me: Option<bool> = "disclose_me",
        /// The broker keeps the event for later subscribers.
        retain: Option<bool> = "retain",
        @
        /// Who receives it.
        receivers: Receivers,
        /// Payload passthru mode.
        ppt: Ppt,
    }
}

impl PublishOptions {
    /// The key of [`retain_ttl`](Self::retain_ttl).
    pub const RETAIN_TTL: &str = "_retain_ttl";

    /// How long a retained event is kept, in milliseconds: an extension, `_retain_ttl`. It is rare, and so it is among
    /// the [extra](Self::extra) keys.
    ///
    /// # Errors
    /// It is no integer between 0 and 2^53.
    pub fn retain_ttl(&self) -> Option<std::result::Result<Millis, crate::PayloadError>> {
        if self.extra.is_empty() {
            return None;
        }
        let ttl = self.extra.get::<Option<u64>>(Self::RETAIN_TTL)?;
        match ttl {
            Ok(None) => None,
            Ok(Some(ttl)) if ttl <= crate::id::MAX_ID => Some(Ok(Millis(ttl))),
            Ok(Some(_)) => Some(Err(serde::de::Error::custom("an integer between 0 and 2^53 is expected"))),
            Err(error) => Some(Err(error)),
        }
    }

    /// Sets how long a retained event is kept, in milliseconds.
    pub fn set_retain_ttl(&mut self, ttl: Millis) {
        // A number can be written in every serializer.
        let _ = self.extra.insert(Self::RETAIN_TTL, &ttl.0);
    }
}

message! {
    /// `[PUBLISH, Request|id, Options|dict, Topic|uri, Arguments|list, ArgumentsKw|dict]`
    pub struct Publish = 16 "PUBLISH" {
        /// The publisher's id for the request.
        request: RequestId = "Request",
        /// How it is to be published.
        options: PublishOptions = "Options",
        /// Where.
        topic: Uri = "Topic",
    } payload
}

message! {
    /// `[PUBLISHED, PUBLISH.Request|id, Publication|id]`
    pub struct Published = 17 "PUBLISHED" {
        /// The request.
        request: RequestId = "PUBLISH.Request",
        /// The publication.
        publication: PublicationId = "Publication",
    }
}

options! {
    /// `SUBSCRIBE.Options`.
    pub struct SubscribeOptions {
        /// How the topic matches.
        policy: Option<MatchPolicy> = "match",
        /// The subscriber wants the event that the broker has kept.
        get_retained: Option<bool> = "get_retained",
    }
}

message! {
    /// `[SUBSCRIBE, Request|id, Options|dict, Topic|uri]`
    pub struct Subscribe = 32 "SUBSCRIBE" {
        /// The subscriber's id for the request.
        request: RequestId = "Request",
        /// How it is to be subscribed.
        options: SubscribeOptions = "Options",
        /// To what.
        topic: Uri = "Topic",
    }
}

message! {
    /// `[SUBSCRIBED, SUBSCRIBE.Request|id, Subscription|id]`
    pub struct Subscribed = 33 "SUBSCRIBED" {
        /// The request.
        request: RequestId = "SUBSCRIBE.Request",
        /// The subscription.
        subscription: SubscriptionId = "Subscription",
    }
}

message! {
    /// `[UNSUBSCRIBE, Request|id, SUBSCRIBED.Subscription|id]`
    pub struct Unsubscribe = 34 "UNSUBSCRIBE" {
        /// The subscriber's id for the request.
        request: RequestId = "Request",
        /// The subscription.
        subscription: SubscriptionId = "SUBSCRIBED.Subscription",
    }
}

options! {
    /// `UNSUBSCRIBED.Details`, there only when the router revokes a subscription.
    pub struct UnsubscribedDetails {
        /// The subscription that was revoked.
        subscription: Option<SubscriptionId> = "subscription",
        /// Why.
        reason: Option<Uri> = "reason",
    }
}

message! {
    /// `[UNSUBSCRIBED, UNSUBSCRIBE.Request|id]`, or `[UNSUBSCRIBED, 0, Details|dict]` for a revocation.
    pub struct Unsubscribed = 35 "UNSUBSCRIBED" {
        /// The request; `None` for a revocation.
        request: Option<RequestId> = "UNSUBSCRIBE.Request",
        ?
        /// What was revoked.
        details: UnsubscribedDetails = "Details",
    }
}

options! {
    /// `EVENT.Details`.
    pub struct EventDetails {
        /// What was published to, where the subscription is a pattern.
        topic: Option<Uri> = "topic",
        /// The broker had kept the event.
        retained: Option<bool> = "retained",
        @
        /// Payload passthru mode.
        ppt: Ppt,
        /// Who published, where it is disclosed.
        peer: Discloser,
    }
}

message! {
    /// `[EVENT, SUBSCRIBED.Subscription|id, PUBLISHED.Publication|id, Details|dict, PUBLISH.Arguments|list,
    /// PUBLISH.ArgumentsKw|dict]`
    pub struct Event = 36 "EVENT" {
        /// The subscription.
        subscription: SubscriptionId = "SUBSCRIBED.Subscription",
        /// The publication.
        publication: PublicationId = "PUBLISHED.Publication",
        /// The rest.
        details: EventDetails = "Details",
    } payload
}

message! {
    /// `[EVENT_RECEIVED, EVENT.Publication|id]`: a subscriber has got an event.
    pub struct EventReceived = 337 "EVENT_RECEIVED" {
        /// The publication.
        publication: PublicationId = "EVENT.Publication",
    }
}
