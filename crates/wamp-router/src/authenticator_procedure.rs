//! WAMP procedures as authenticators.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use wamp_core::auth::Principal;
use wamp_core::auth::procedure::{NoPrincipal, Question};
use wamp_proto::{Serializer, quoted};

use crate::authentication::PATIENCE;
use crate::authenticator::{Applicant, Rejection};
use crate::own_calls::Procedure;
use crate::router::RouterState;

/// A procedure that knows principals, and the router that calls it.
pub(crate) struct ProcedureOf {
    pub(crate) procedure: Procedure,
    pub(crate) router: Arc<RouterState>,
    /// Places for work that takes long.
    pub(crate) places: Arc<Semaphore>,
}

impl ProcedureOf {
    /// Asks for the principal of a client.
    pub(crate) async fn principal(&self, applicant: &Applicant) -> Result<Principal, Rejection> {
        let uri = self.procedure.uri();
        let failed = |why: String| Rejection::Failed(format!("the procedure {}: {why}", quoted(uri)));
        let name = self.procedure.own_realm().unwrap_or(&applicant.realm);
        let Some(realm) = self.router.realms.get(name) else {
            return Err(failed(format!("there is no realm {}", quoted(name))));
        };
        let question = Question {
            realm: &applicant.realm,
            authid: applicant.authid.as_deref(),
            authrole: applicant.authrole.as_deref(),
            authextra: &applicant.authextra,
            method: applicant.method,
            ticket: applicant.ticket.as_ref(),
            session: applicant.session,
            protocol: applicant.protocol,
            peer: applicant.peer.as_deref(),
            is_confidential: applicant.is_confidential,
        };
        let serializer = *Serializer::ALL.first().expect("a router has a serializer (a Cargo feature)");
        let payload = question.arguments(serializer).map_err(|error| failed(error.to_string()))?;
        let answer = realm.call(uri.clone(), payload, PATIENCE).await;
        let found = question.read(answer).map_err(|none| match none {
            NoPrincipal::Unknown => Rejection::Unknown,
            NoPrincipal::Failed(why) => failed(why),
        })?;
        if !found.is_slow() {
            return Ok(found.principal());
        }
        let stopped = || failed("the router shuts down".to_owned());
        let place = self.places.clone().acquire_owned().await.map_err(|_| stopped())?;
        let deriving = spawn_blocking(move || {
            // It goes on when the client hangs up, and keeps its place.
            let _place = place;
            found.principal()
        });
        deriving.await.map_err(|_| stopped())
    }
}
