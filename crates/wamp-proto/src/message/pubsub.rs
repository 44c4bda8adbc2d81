//! Publish and subscribe: PUBLISH, PUBLISHED, SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, EVENT,
//! EVENT_RECEIVED.

use super::macros::{message, options};
use super::options::{Discloser, MatchPolicy, Millis, Receivers};
use super::ppt::Ppt;
use crate::id::{PublicationId, RequestId, SubscriptionId};
use crate::uri::Uri;

options! {
    /// `PUBLISH.Options`.
    pub struct PublishOptions {
        /// Whether the publisher wants a reply: PUBLISHED or ERROR.
        acknowledge: Option<bool> = "acknowledge",
        /// Whether the publisher itself gets no event; absent means true.
        exclude_me: Option<bool> = "exclude_me",
        /// Whether the publisher wants its identity disclosed to the subscribers.
        disclose_me: Option<bool> = "disclose_me",
        /// Whether the broker keeps the event for later subscribers.
        retain: Option<bool> = "retain",
        @
        /// The sessions that may receive the event.
        receivers: Receivers,
        /// A payload that is opaque to the router.
        ppt: Ppt,
    }
}

impl PublishOptions {
    /// The key of [`retain_ttl`](Self::retain_ttl).
    pub const RETAIN_TTL: &str = "_retain_ttl";

    /// Returns how long a retained event is kept, in milliseconds: an extension, `_retain_ttl`. Since it is
    /// rare, it is among the [extra](Self::extra) keys.
    ///
    /// # Errors
    /// [`PayloadError`](crate::PayloadError) if the value is not an integer between 0 and 2^53.
    pub fn retain_ttl(&self) -> Option<Result<Millis, crate::PayloadError>> {
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
        // Every serializer can express a number.
        let _ = self.extra.insert(Self::RETAIN_TTL, &ttl.0);
    }
}

message! {
    /// `[PUBLISH, Request|id, Options|dict, Topic|uri, Arguments|list, ArgumentsKw|dict]`
    pub struct Publish = 16 "PUBLISH" {
        /// The publisher's id for the request.
        request: RequestId = "Request",
        /// The options dict.
        options: PublishOptions = "Options",
        /// The topic.
        topic: Uri = "Topic",
    } payload
}

message! {
    /// `[PUBLISHED, PUBLISH.Request|id, Publication|id]`
    pub struct Published = 17 "PUBLISHED" {
        /// The id of the request.
        request: RequestId = "PUBLISH.Request",
        /// The id of the publication.
        publication: PublicationId = "Publication",
    }
}

options! {
    /// `SUBSCRIBE.Options`.
    pub struct SubscribeOptions {
        /// The matching policy of the topic.
        policy: Option<MatchPolicy> = "match",
        /// Whether the subscriber wants the event that the broker has retained.
        get_retained: Option<bool> = "get_retained",
    }
}

message! {
    /// `[SUBSCRIBE, Request|id, Options|dict, Topic|uri]`
    pub struct Subscribe = 32 "SUBSCRIBE" {
        /// The subscriber's id for the request.
        request: RequestId = "Request",
        /// The options dict.
        options: SubscribeOptions = "Options",
        /// The topic or pattern.
        topic: Uri = "Topic",
    }
}

message! {
    /// `[SUBSCRIBED, SUBSCRIBE.Request|id, Subscription|id]`
    pub struct Subscribed = 33 "SUBSCRIBED" {
        /// The id of the request.
        request: RequestId = "SUBSCRIBE.Request",
        /// The id of the subscription.
        subscription: SubscriptionId = "Subscription",
    }
}

message! {
    /// `[UNSUBSCRIBE, Request|id, SUBSCRIBED.Subscription|id]`
    pub struct Unsubscribe = 34 "UNSUBSCRIBE" {
        /// The subscriber's id for the request.
        request: RequestId = "Request",
        /// The id of the subscription.
        subscription: SubscriptionId = "SUBSCRIBED.Subscription",
    }
}

options! {
    /// `UNSUBSCRIBED.Details`, present only when the router revokes a subscription.
    pub struct UnsubscribedDetails {
        /// The id of the revoked subscription.
        subscription: Option<SubscriptionId> = "subscription",
        /// The reason, a URI.
        reason: Option<Uri> = "reason",
    }
}

message! {
    /// `[UNSUBSCRIBED, UNSUBSCRIBE.Request|id]`, or `[UNSUBSCRIBED, 0, Details|dict]` for a revocation.
    pub struct Unsubscribed = 35 "UNSUBSCRIBED" {
        /// The id of the request; `None` for a revocation.
        request: Option<RequestId> = "UNSUBSCRIBE.Request",
        ?
        /// The details of a revocation.
        details: UnsubscribedDetails = "Details",
    }
}

options! {
    /// `EVENT.Details`.
    pub struct EventDetails {
        /// The topic of the publication, if the subscription is a pattern.
        topic: Option<Uri> = "topic",
        /// Whether this is an event that the broker had retained.
        retained: Option<bool> = "retained",
        @
        /// A payload that is opaque to the router.
        ppt: Ppt,
        /// The publisher, if it is disclosed.
        peer: Discloser,
    }
}

message! {
    /// `[EVENT, SUBSCRIBED.Subscription|id, PUBLISHED.Publication|id, Details|dict, PUBLISH.Arguments|list,
    /// PUBLISH.ArgumentsKw|dict]`
    pub struct Event = 36 "EVENT" {
        /// The id of the subscription.
        subscription: SubscriptionId = "SUBSCRIBED.Subscription",
        /// The id of the publication.
        publication: PublicationId = "PUBLISHED.Publication",
        /// The details dict.
        details: EventDetails = "Details",
    } payload
}

message! {
    /// `[EVENT_RECEIVED, EVENT.Publication|id]`: a subscriber acknowledges an event.
    pub struct EventReceived = 337 "EVENT_RECEIVED" {
        /// The id of the publication.
        publication: PublicationId = "EVENT.Publication",
    }
}
