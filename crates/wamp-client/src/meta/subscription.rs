//! `wamp.subscription.*`.

use std::collections::BTreeMap;

use wamp_proto::message::MatchPolicy;
use wamp_proto::{SessionId, SubscriptionId, Uri, uri};

use super::info::{ByPolicy, PatternInfo, by_policy};
use super::read::{self, Leading, Read};
use super::{Meta, unless_unknown};
use crate::error::CallError;

impl Meta {
    /// Returns the ids of all subscriptions.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn subscriptions(&self) -> Result<ByPolicy<SubscriptionId>, CallError> {
        let result = self.call("wamp.subscription.list").await?;
        Ok(by_policy(result.payload())?)
    }

    /// Returns the ids of the subscriptions of a session. Routers may not know this restriction, and return all.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn subscriptions_of(&self, session: SessionId) -> Result<ByPolicy<SubscriptionId>, CallError> {
        let result = self.call("wamp.subscription.list").arg(session.get()).await?;
        Ok(by_policy(result.payload())?)
    }

    /// Returns the details of a subscription; `None` if there is no such subscription.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn subscription(
        &self,
        id: SubscriptionId,
    ) -> Result<Option<PatternInfo<SubscriptionId>>, CallError> {
        let got = self.call("wamp.subscription.get").arg(id.get()).await;
        let Some(result) = unless_unknown(got, &uri::NO_SUCH_SUBSCRIPTION)? else { return Ok(None) };
        let Leading(Read(info), ..) = read::first(result.payload())?;
        Ok(Some(info))
    }

    /// Returns the subscription with exactly this URI and match policy.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn lookup_subscription(
        &self,
        uri: impl Into<Uri>,
        policy: MatchPolicy,
    ) -> Result<Option<SubscriptionId>, CallError> {
        let options = BTreeMap::from([("match", policy.as_str())]);
        let call = self.call("wamp.subscription.lookup").arg(&*uri.into()).arg(options);
        Ok(read::optional_id(call.await?.payload())?)
    }

    /// Returns the subscriptions that an event of this topic would reach.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn match_subscriptions(&self, topic: impl Into<Uri>) -> Result<Vec<SubscriptionId>, CallError> {
        let call = self.call("wamp.subscription.match").arg(&*topic.into());
        Ok(read::ids(call.await?.payload())?)
    }

    /// Returns the sessions of a subscription.
    ///
    /// # Errors
    /// Those of a call; `wamp.error.no_such_subscription` among them.
    pub async fn subscribers(&self, id: SubscriptionId) -> Result<Vec<SessionId>, CallError> {
        let result = self.call("wamp.subscription.list_subscribers").arg(id.get()).await?;
        Ok(read::ids(result.payload())?)
    }

    /// Returns the number of sessions of a subscription.
    ///
    /// # Errors
    /// Those of a call; `wamp.error.no_such_subscription` among them.
    pub async fn count_subscribers(&self, id: SubscriptionId) -> Result<u64, CallError> {
        self.count("wamp.subscription.count_subscribers", id.get()).await
    }

    /// Revokes a subscription for one session, which gets the reason if it supports revocation.
    ///
    /// # Errors
    /// Those of a call; `wamp.error.no_such_session` and `wamp.error.no_such_subscription` among them.
    pub async fn remove_subscriber(
        &self,
        id: SubscriptionId,
        session: SessionId,
        reason: Option<Uri>,
    ) -> Result<(), CallError> {
        let mut call = self.call("wamp.subscription.remove_subscriber").arg(id.get()).arg(session.get());
        if let Some(reason) = reason {
            call = call.kwarg("reason", &*reason);
        }
        call.await.map(drop)
    }
}
