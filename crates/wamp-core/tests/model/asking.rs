//! Calls that the router makes itself.

use std::time::Duration;

use wamp_core::Failure;
use wamp_core::router::{RouterCall, RouterCallId};
use wamp_proto::message::{Error, ErrorDetails, RequestKind, Result as ResultMessage, ResultDetails};
use wamp_proto::{Message, Payload, Serializer};

use crate::coverage::Coverage;
use crate::ledger::Broken;
use crate::wire_message::{Procedure, Tag, WireMessage, id, name, payload, wire_message};
use crate::world::World;

/// The router as the caller of its own calls.
pub const ROUTER: usize = usize::MAX;

/// The tags of these calls begin here.
const TAGS: Tag = 900_000;

impl World {
    /// Lets the router call a procedure.
    pub fn ask(&mut self, procedure: Procedure, timeout: u64, cover: &mut Coverage) -> Result<(), Broken> {
        let request = self.asks.len() as u64 + 1;
        let tag = TAGS + request;
        let call = RouterCall {
            procedure: name(procedure),
            payload: payload(Serializer::Json, tag),
            timeout: Duration::from_millis(timeout),
        };
        self.record(self.clients.len(), ("ask", procedure, timeout));
        self.ledger.asked(request, tag);
        let made = self.realm.call(self.now, &call);
        let refused = made.as_ref().err().cloned();
        self.asks.push(made.ok());
        let mut written = self.written()?;
        if let Some(failure) = refused {
            written.push(self.answered(request, Err(failure))?);
        }
        let invoked =
            |said: &WireMessage| matches!(said, WireMessage::Invocation { tag: of, .. } if *of == tag);
        let chosen = written.iter().find(|(_, said)| invoked(said)).map(|(to, _)| *to);
        self.dealer.ask(self.now, (request, procedure, timeout, tag), chosen, cover);
        self.compare(written, cover)
    }

    /// Lets the router give up a call.
    pub fn abandon(&mut self, ask: usize, cover: &mut Coverage) -> Result<bool, Broken> {
        let Some(Some(call)) = self.asks.get(ask).copied() else { return Ok(false) };
        let request = ask as u64 + 1;
        self.record(self.clients.len(), ("abandon", ask));
        self.ledger.abandoned(request);
        self.realm.abandon(self.now, call);
        let written = self.written()?;
        self.dealer.abandon(request, cover);
        self.compare(written, cover)?;
        Ok(true)
    }

    /// The number of a call of the router.
    pub fn ask_of(&self, call: RouterCallId) -> Result<u64, Broken> {
        let ask = self.asks.iter().position(|of| *of == Some(call));
        ask.map(|ask| ask as u64 + 1)
            .ok_or_else(|| "an answer to a call that the router never made".to_owned())
    }

    /// The end of a call of the router, as the message that another caller would get.
    pub fn answered(
        &mut self,
        request: u64,
        outcome: Result<Payload, Failure>,
    ) -> Result<(usize, WireMessage), Broken> {
        self.note(|| format!("    router: its call {request} ends: {outcome:?}"));
        let message: Message = match outcome {
            Ok(payload) => {
                ResultMessage { request: id(request), details: ResultDetails::default(), payload }.into()
            }
            Err(Failure { error, payload }) => {
                let details = ErrorDetails::default();
                Error { kind: RequestKind::Call, request: id(request), details, error, payload }.into()
            }
        };
        let said = wire_message(&message, &self.names);
        self.ledger.heard_by_router(&said)?;
        Ok((ROUTER, said))
    }
}
