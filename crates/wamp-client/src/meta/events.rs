//! Streams of meta events.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use wamp_proto::{Payload, PayloadError, RegistrationId, SessionId, SubscriptionId, Uri};

use super::Meta;
use super::info::{PatternInfo, SessionInfo};
use super::read::{Id, Leading, Read};
use crate::ended::Ended;
use crate::error::RequestError;
use crate::pubsub::subscribe::EventStream;

/// A session that has left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnLeave {
    /// The session.
    pub session: SessionId,
    /// Its authid, if the router gives it.
    pub authid: Option<String>,
    /// Its role, if the router gives it.
    pub authrole: Option<String>,
}

/// A registration or subscription that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnCreate<Id> {
    /// The session that created it.
    pub session: SessionId,
    /// The registration or subscription.
    pub created: PatternInfo<Id>,
}

/// A registration or subscription that a session has got or lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnId<Id> {
    /// The session; `None` for a registration or subscription that was deleted without one, by some routers.
    pub session: Option<SessionId>,
    /// The registration or subscription.
    pub id: Id,
}

/// Meta events of one topic; it keeps the session. Dropping it ends the subscription. Besides [`next`](Self::next) there
/// is [`Stream`]. An error is an event whose arguments do not fit; others may follow.
#[must_use = "dropping it ends the subscription"]
pub struct MetaEvents<T> {
    events: EventStream,
    read: fn(&Payload) -> Result<T, PayloadError>,
}

impl<T> MetaEvents<T> {
    /// The next event; `None` when the subscription has [ended](Self::closed). May be dropped at any time without
    /// losing one.
    #[allow(clippy::should_implement_trait, reason = "as every stream has it")]
    pub async fn next(&mut self) -> Option<Result<T, PayloadError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for the end of the subscription; see [`Subscription::closed`](crate::Subscription::closed).
    pub async fn closed(&self) -> Ended {
        self.events.closed().await
    }
}

impl<T> Stream for MetaEvents<T> {
    type Item = Result<T, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { events, read } = self.get_mut();
        let event = ready!(Pin::new(events).poll_next(cx));
        Poll::Ready(event.map(|event| read(event.payload())))
    }
}

impl<T> fmt::Debug for MetaEvents<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MetaEvents").field(&self.events).finish()
    }
}

fn left(payload: &Payload) -> Result<OnLeave, PayloadError> {
    let Leading(Read(session), authid, authrole) = payload.args()?;
    Ok(OnLeave { session, authid, authrole })
}

fn created<T: Id>(payload: &Payload) -> Result<OnCreate<T>, PayloadError> {
    let Leading(Read(session), Read(created), ..) =
        payload.args::<Leading<Read<_>, Read<PatternInfo<T>>>>()?;
    Ok(OnCreate { session, created })
}

fn changed<T: Id>(payload: &Payload) -> Result<OnId<T>, PayloadError> {
    let Leading(session, Read(id), ..) = payload.args::<Leading<Option<Read<_>>, Read<T>>>()?;
    Ok(OnId { session: session.map(|Read(session)| session), id })
}

impl Meta {
    async fn events<T>(
        &self,
        topic: &'static str,
        read: fn(&Payload) -> Result<T, PayloadError>,
    ) -> Result<MetaEvents<T>, RequestError> {
        let events = self.session.subscribe_stream(Uri::from_static(topic)).await?;
        Ok(MetaEvents { events, read })
    }

    /// Sessions that join from now on.
    ///
    /// # Errors
    /// Those of a subscription; the same holds for all methods below.
    pub async fn on_join(&self) -> Result<MetaEvents<SessionInfo>, RequestError> {
        self.events("wamp.session.on_join", SessionInfo::read).await
    }

    /// Sessions that leave from now on.
    pub async fn on_leave(&self) -> Result<MetaEvents<OnLeave>, RequestError> {
        self.events("wamp.session.on_leave", left).await
    }

    /// Registrations that are created.
    pub async fn on_registration_create(&self) -> Result<MetaEvents<OnCreate<RegistrationId>>, RequestError> {
        self.events("wamp.registration.on_create", created).await
    }

    /// Sessions that register a procedure.
    pub async fn on_register(&self) -> Result<MetaEvents<OnId<RegistrationId>>, RequestError> {
        self.events("wamp.registration.on_register", changed).await
    }

    /// Sessions that no longer have a registration.
    pub async fn on_unregister(&self) -> Result<MetaEvents<OnId<RegistrationId>>, RequestError> {
        self.events("wamp.registration.on_unregister", changed).await
    }

    /// Registrations whose last callee is gone.
    pub async fn on_registration_delete(&self) -> Result<MetaEvents<OnId<RegistrationId>>, RequestError> {
        self.events("wamp.registration.on_delete", changed).await
    }

    /// Subscriptions that are created.
    pub async fn on_subscription_create(&self) -> Result<MetaEvents<OnCreate<SubscriptionId>>, RequestError> {
        self.events("wamp.subscription.on_create", created).await
    }

    /// Sessions that subscribe to a topic.
    pub async fn on_subscribe(&self) -> Result<MetaEvents<OnId<SubscriptionId>>, RequestError> {
        self.events("wamp.subscription.on_subscribe", changed).await
    }

    /// Sessions that no longer have a subscription.
    pub async fn on_unsubscribe(&self) -> Result<MetaEvents<OnId<SubscriptionId>>, RequestError> {
        self.events("wamp.subscription.on_unsubscribe", changed).await
    }

    /// Subscriptions whose last subscriber is gone.
    pub async fn on_subscription_delete(&self) -> Result<MetaEvents<OnId<SubscriptionId>>, RequestError> {
        self.events("wamp.subscription.on_delete", changed).await
    }
}
