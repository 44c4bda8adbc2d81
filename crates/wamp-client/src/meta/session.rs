//! `wamp.session.count`, `list` and `get`.

use wamp_proto::{SessionId, uri};

use super::info::SessionInfo;
use super::read::{self, Leading};
use super::{Meta, unless_unknown};
use crate::error::CallError;

/// The sessions of the realm, all or those with one of some roles.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until they are counted or listed"]
pub struct Sessions {
    meta: Meta,
    roles: Option<Vec<String>>,
}

impl Meta {
    /// The sessions of the realm, to be counted or listed.
    pub fn sessions(&self) -> Sessions {
        Sessions { meta: self.clone(), roles: None }
    }

    /// Returns the details of a session; `None` if there is no such session.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn session(&self, session: SessionId) -> Result<Option<SessionInfo>, CallError> {
        let got = self.call("wamp.session.get").arg(session.get()).await;
        let Some(result) = unless_unknown(got, &uri::NO_SUCH_SESSION)? else { return Ok(None) };
        Ok(Some(SessionInfo::read(result.payload())?))
    }
}

impl Sessions {
    /// Takes the sessions with this role as well, instead of all.
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.roles.get_or_insert_default().push(role.into());
        self
    }

    /// Returns their ids.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn list(&self) -> Result<Vec<SessionId>, CallError> {
        let result = self.meta.call("wamp.session.list").arg(&self.roles).await?;
        Ok(read::ids(result.payload())?)
    }

    /// Returns their number.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn count(&self) -> Result<u64, CallError> {
        let result = self.meta.call("wamp.session.count").arg(&self.roles).await?;
        let Leading(count, ..) = read::first(result.payload())?;
        Ok(count)
    }
}
