//! WAMP procedures as authenticators.

use std::sync::Arc;

use tokio::sync::Semaphore;
use wamp_core::auth::Principal;
use wamp_core::auth::procedure::{NoPrincipal, Question};
use wamp_proto::quoted;

use crate::authentication::{PATIENCE, at_a_place};
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
        let arguments = |serializer| question.arguments(serializer);
        let answer = self.procedure.call(&self.router, &applicant.realm, arguments, PATIENCE).await;
        let answer = answer.map_err(failed)?;
        let found = question.read(answer).map_err(|none| match none {
            NoPrincipal::Unknown => Rejection::Unknown,
            NoPrincipal::Failed(why) => failed(why),
        })?;
        if !found.is_slow() {
            return Ok(found.principal());
        }
        let stopped = || failed("the router shuts down".to_owned());
        at_a_place(self.places.clone(), move || found.principal()).await.ok_or_else(stopped)
    }
}
