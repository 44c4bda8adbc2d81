//! Calls of the router itself in the model of the dealer.

use std::time::Duration;

use wamp_core::Time;

use super::{CANCELED, Call, Dealer, end};
use crate::asking::ROUTER;
use crate::coverage::{Coverage, Phase, Seen};
use crate::wire_message::{Mode, Procedure, Tag, UNAVAILABLE, WireMessage};

impl Dealer {
    // behaviour 266
    pub fn ask(
        &mut self,
        now: Time,
        (request, procedure, timeout, tag): (u64, Procedure, u64, Tag),
        chosen: Option<usize>,
        cover: &mut Coverage,
    ) {
        let Some(registration) = self.registrations.iter().find(|r| r.procedure == procedure) else {
            cover.hit(Seen::RouterRefused);
            return self.fail_request(ROUTER, request, "wamp.error.no_such_procedure");
        };
        let (id, callees) = (registration.id, self.free(registration));
        if callees.is_empty() {
            cover.hit(Seen::RouterRefused);
            return self.fail_request(ROUTER, request, UNAVAILABLE);
        }
        let found = callees.iter().find(|(callee, _)| Some(*callee) == chosen);
        let (callee, _) = *found.unwrap_or(&callees[0]);
        let invocation = self.peers[callee].next_invocation;
        self.peers[callee].next_invocation += 1;
        let (of, more, wants_progress) = (Some(procedure), false, false);
        self.out.push((
            callee,
            WireMessage::Invocation { invocation, procedure: of, more, wants_progress, timeout: 0, tag },
        ));
        let held = self.peers[callee].held(now);
        let timeout = Duration::from_millis(timeout);
        let call = Call::new((ROUTER, request), (callee, invocation), (procedure, id), tag, (now, held));
        self.calls.push(Call { timeout: Some(timeout), deadline: Some(now + timeout), ..call });
    }

    pub fn abandon(&mut self, request: u64, cover: &mut Coverage) {
        let alive = |call: &Call| (call.caller, call.request) == (ROUTER, request) && call.phase.is_alive();
        if let Some(index) = self.calls.iter().position(alive) {
            self.tell_callee(index, Mode::KillNoWait, CANCELED);
            end(&mut self.calls[index], Phase::Abandoned, Seen::EndAbandoned, cover);
        }
    }
}
