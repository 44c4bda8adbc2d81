//! `wamp.registration.*`.

use std::collections::BTreeMap;

use wamp_proto::message::MatchPolicy;
use wamp_proto::{RegistrationId, SessionId, Uri, uri};

use super::info::{ByPolicy, PatternInfo, by_policy};
use super::read::{self, Leading, Read};
use super::{Meta, unless_unknown};
use crate::error::CallError;

impl Meta {
    /// Returns the ids of all registrations.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn registrations(&self) -> Result<ByPolicy<RegistrationId>, CallError> {
        let result = self.call("wamp.registration.list").await?;
        Ok(by_policy(result.payload())?)
    }

    /// Returns the ids of the registrations of a session. Routers may not know this restriction, and return all.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn registrations_of(&self, session: SessionId) -> Result<ByPolicy<RegistrationId>, CallError> {
        let result = self.call("wamp.registration.list").arg(session.get()).await?;
        Ok(by_policy(result.payload())?)
    }

    /// Returns the details of a registration; `None` if there is no such registration.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn registration(
        &self,
        id: RegistrationId,
    ) -> Result<Option<PatternInfo<RegistrationId>>, CallError> {
        let got = self.call("wamp.registration.get").arg(id.get()).await;
        let Some(result) = unless_unknown(got, &uri::NO_SUCH_REGISTRATION)? else { return Ok(None) };
        let Leading(Read(info), ..) = read::first(result.payload())?;
        Ok(Some(info))
    }

    /// Returns the registration with exactly this URI and match policy.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn lookup_registration(
        &self,
        uri: impl Into<Uri>,
        policy: MatchPolicy,
    ) -> Result<Option<RegistrationId>, CallError> {
        let options = BTreeMap::from([("match", policy.as_str())]);
        let call = self.call("wamp.registration.lookup").arg(&*uri.into()).arg(options);
        Ok(read::optional_id(call.await?.payload())?)
    }

    /// Returns the registration that a call of this procedure would reach.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn match_registration(
        &self,
        procedure: impl Into<Uri>,
    ) -> Result<Option<RegistrationId>, CallError> {
        let call = self.call("wamp.registration.match").arg(&*procedure.into());
        Ok(read::optional_id(call.await?.payload())?)
    }

    /// Returns the sessions of a registration, in the order in which they registered.
    ///
    /// # Errors
    /// Those of a call; `wamp.error.no_such_registration` among them.
    pub async fn callees(&self, id: RegistrationId) -> Result<Vec<SessionId>, CallError> {
        let result = self.call("wamp.registration.list_callees").arg(id.get()).await?;
        Ok(read::ids(result.payload())?)
    }

    /// Returns the number of sessions of a registration.
    ///
    /// # Errors
    /// Those of a call; `wamp.error.no_such_registration` among them.
    pub async fn count_callees(&self, id: RegistrationId) -> Result<u64, CallError> {
        self.count("wamp.registration.count_callees", id.get()).await
    }

    /// Revokes a registration for one session, which gets the reason if it supports revocation.
    ///
    /// # Errors
    /// Those of a call; `wamp.error.no_such_session` and `wamp.error.no_such_registration` among them.
    pub async fn remove_callee(
        &self,
        id: RegistrationId,
        session: SessionId,
        reason: Option<Uri>,
    ) -> Result<(), CallError> {
        let mut call = self.call("wamp.registration.remove_callee").arg(id.get()).arg(session.get());
        if let Some(reason) = reason {
            call = call.kwarg("reason", &*reason);
        }
        call.await.map(drop)
    }
}
