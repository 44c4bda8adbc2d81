//! Ending other sessions.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde::Deserialize;
use wamp_proto::{Payload, PayloadError, SessionId, Uri};

use super::Meta;
use super::read::{self, Leading, Read};
use crate::caller::call::Call;
use crate::deferred::Deferred;
use crate::error::CallError;

/// A request to end other sessions: a future of the sessions that were ended.
#[must_use = "nothing is sent until it is awaited"]
pub struct Kill<T = ()>(Deferred<'static, Settings<T>, Result<T, CallError>>);

struct Settings<T> {
    call: Call<'static>,
    reason: Option<Uri>,
    message: Option<String>,
    read: fn(&Payload) -> Result<T, PayloadError>,
}

/// The sessions that a request has ended. The session that makes the request is never among them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Killed {
    /// Their number.
    pub count: u64,
    /// Their ids, if the router returns them.
    pub ids: Option<Vec<SessionId>>,
}

impl Killed {
    /// Reads a list of ids, or a number: routers differ.
    fn read(payload: &Payload) -> Result<Self, PayloadError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Result {
            Count(u64),
            Ids(Vec<Read<SessionId>>),
        }

        let Leading(result, ..) = read::first::<Option<Result>>(payload)?;
        Ok(match result {
            None => Self { count: 0, ids: None },
            Some(Result::Count(count)) => Self { count, ids: None },
            Some(Result::Ids(ids)) => {
                let ids = Vec::from_iter(ids.into_iter().map(|Read(id)| id));
                Self { count: ids.len() as u64, ids: Some(ids) }
            }
        })
    }
}

impl Meta {
    /// Ends another session. The error is `wamp.error.no_such_session` for this session itself and for one that is
    /// unknown or about to end.
    pub fn kill(&self, session: SessionId) -> Kill {
        Kill::new(self.call("wamp.session.kill").arg(session.get()), |_| Ok(()))
    }

    /// Ends all other sessions with this authid.
    pub fn kill_by_authid(&self, authid: &str) -> Kill<Killed> {
        Kill::new(self.call("wamp.session.kill_by_authid").arg(authid), Killed::read)
    }

    /// Ends all other sessions with this role.
    pub fn kill_by_authrole(&self, authrole: &str) -> Kill<Killed> {
        Kill::new(self.call("wamp.session.kill_by_authrole").arg(authrole), Killed::read)
    }

    /// Ends all other sessions.
    pub fn kill_all(&self) -> Kill<Killed> {
        Kill::new(self.call("wamp.session.kill_all"), Killed::read)
    }
}

impl<T> Kill<T> {
    fn new(call: Call<'static>, read: fn(&Payload) -> Result<T, PayloadError>) -> Self {
        Self(Deferred::new(Settings { call, reason: None, message: None, read }))
    }

    /// Sets the reason of the GOODBYE that they get; `wamp.close.killed` by default.
    pub fn reason(mut self, reason: impl Into<Uri>) -> Self {
        let reason = reason.into();
        self.0.set(|it| it.reason = Some(reason));
        self
    }

    /// Sets the text of the GOODBYE that they get.
    pub fn message(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.0.set(|it| it.message = Some(text));
        self
    }
}

impl<T: 'static> Future for Kill<T> {
    type Output = Result<T, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx, |Settings { mut call, reason, message, read }| {
            if let Some(reason) = reason {
                call = call.kwarg("reason", &*reason);
            }
            if let Some(message) = message {
                call = call.kwarg("message", message);
            }
            Box::pin(async move { Ok(read(call.await?.payload())?) })
        })
    }
}

impl<T> fmt::Debug for Kill<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kill").finish_non_exhaustive()
    }
}
