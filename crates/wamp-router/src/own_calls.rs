//! Calls that the router makes itself, of procedures that decide about clients.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::oneshot;
use wamp_core::Failure;
use wamp_core::router::{RouterCall, RouterCallId};
use wamp_proto::{EncodeError, Payload, Serializer, Uri, quoted, uri};

use crate::realm::Realm;
use crate::router::RouterState;

/// The calls of the router that have not ended.
pub(crate) type Unanswered = HashMap<RouterCallId, oneshot::Sender<Result<Payload, Failure>>>;

/// A procedure that the router calls to learn about clients: an authenticator or an authorizer.
///
/// ```
/// let procedure = wamp_router::Procedure::new("com.auth.check").realm("auth");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Procedure {
    uri: Uri,
    realm: Option<Uri>,
}

impl Procedure {
    /// A procedure in the realm whose clients it decides about.
    pub fn new(uri: impl Into<Uri>) -> Self {
        Self { uri: uri.into(), realm: None }
    }

    /// Sets the realm in which the procedure is registered.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<Uri>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Returns its URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the realm in which it is registered; `None` if that is the realm of the clients.
    pub fn own_realm(&self) -> Option<&Uri> {
        self.realm.as_ref()
    }
}

impl Procedure {
    /// Calls the procedure with these arguments, in its realm or else in `realm`.
    ///
    /// # Errors
    /// The reason why it could not be called.
    pub(crate) async fn call(
        &self,
        router: &RouterState,
        realm: &Uri,
        arguments: impl FnOnce(Serializer) -> Result<Payload, EncodeError>,
        timeout: Duration,
    ) -> Result<Result<Payload, Failure>, String> {
        let name = self.realm.as_ref().unwrap_or(realm);
        let realm = router.realms.get(name).ok_or_else(|| format!("there is no realm {}", quoted(name)))?;
        let payload = arguments(any_serializer()).map_err(|error| error.to_string())?;
        Ok(realm.call(self.uri.clone(), payload, timeout).await)
    }
}

/// Returns one of the serializers.
pub(crate) fn any_serializer() -> Serializer {
    *Serializer::ALL.first().expect("a router has a serializer (a Cargo feature)")
}

/// A call that is abandoned when this is dropped, unless it has ended.
struct Pending<'a> {
    realm: &'a Realm,
    call: Option<RouterCallId>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.realm.abandon(call);
        }
    }
}

impl Realm {
    /// Calls a procedure, and ends the call if this is dropped.
    pub(crate) async fn call(
        &self,
        procedure: Uri,
        payload: Payload,
        timeout: Duration,
    ) -> Result<Payload, Failure> {
        let (sender, receiver) = oneshot::channel();
        let call = self.begin(&RouterCall { procedure, payload, timeout }, sender).await?;
        let mut pending = Pending { realm: self, call: Some(call) };
        let outcome = receiver.await;
        pending.call = None;
        outcome.unwrap_or_else(|_| Err(Failure::new(uri::CANCELED)))
    }
}
