//! Re-routing and limits of concurrency in the model of the dealer.

use std::time::Duration;

use wamp_core::Time;

use super::{Call, Dealer, Flow, Registration, Upload, end};
use crate::asking::ROUTER;
use crate::coverage::{Coverage, Phase, Seen};
use crate::wire_message::{NO_CALLEE, Tag, UNAVAILABLE, WireMessage};

impl Dealer {
    /// Returns the callees of a registration that can take another call.
    pub(super) fn free(&self, registration: &Registration) -> Vec<(usize, bool)> {
        let running = |callee: usize| {
            let of = |call: &&Call| call.callee == callee && call.registration == registration.id;
            self.calls.iter().filter(|call| call.phase.is_alive()).filter(of).count()
        };
        let limit = crate::setup::concurrency(registration.procedure);
        let is_free = |(callee, _): &(usize, bool)| limit.is_none_or(|limit| running(*callee) < limit);
        registration.callees.iter().copied().filter(is_free).collect()
    }

    /// A callee does not take a call. Returns the error for the caller, if no other callee gets it.
    // behaviour 142 to behaviour 144
    pub(super) fn refused(
        &mut self,
        now: Time,
        from: usize,
        invocation: u64,
        chosen: &dyn Fn(Tag) -> Option<usize>,
        cover: &mut Coverage,
    ) -> Option<&'static str> {
        let index = self.calls.iter().position(|call| call.callee == from && call.invocation == invocation);
        let call = &self.calls[index.expect("every invocation has a call")];
        if call.phase != Phase::Running {
            cover.hit(Seen::RefusedAfterKill);
            return Some(UNAVAILABLE);
        }
        if call.caller == ROUTER {
            return Some(UNAVAILABLE);
        }
        if !self.peers[from].features.callee_reroute {
            cover.hit(Seen::EndRefusedPlain);
            return Some(UNAVAILABLE);
        }
        if !call.fresh {
            cover.hit(Seen::EndRefusedLate);
            return Some(UNAVAILABLE);
        }
        let registration = self.registrations.iter().find(|of| of.id == call.registration);
        let Some(registration) = registration.filter(|_| call.others) else { return Some(NO_CALLEE) };
        let asked = |callee: usize| callee == from || call.refused.contains(&callee);
        let takes_chunks = |callee: usize| {
            let its = self.peers[callee].features;
            its.callee_chunks && its.callee_canceling
        };
        let uploads = call.upload == Upload::Open;
        let mut callees = self.free(registration);
        callees.retain(|(callee, _)| !asked(*callee) && (!uploads || takes_chunks(*callee)));
        let found = callees.iter().find(|(callee, _)| Some(*callee) == chosen(call.tag));
        let Some((callee, _)) = found.or(callees.first()).copied() else { return Some(NO_CALLEE) };
        let others = registration.callees.iter().any(|(other, _)| *other != callee && !asked(*other));
        let index = index.expect("it was found");
        self.again(now, index, callee, others, cover);
        None
    }

    /// Another callee gets a call.
    fn again(&mut self, now: Time, index: usize, callee: usize, others: bool, cover: &mut Coverage) {
        let mut call = self.calls[index].clone();
        let (before, its) = (call.callee, self.peers[callee].features);
        call.refused.push(before);
        cover.hit(if call.refused.len() > 1 { Seen::ReroutedTwice } else { Seen::Rerouted });
        if call.upload == Upload::Open {
            cover.hit(Seen::ReroutedUpload);
        }
        // How long its callees could have answered, and the rest of the time.
        let excused = call.excused(&self.peers, now);
        let waited = now.since(call.since.0).saturating_sub(excused.saturating_sub(call.since.1));
        if let Some(deadline) = call.deadline {
            cover.hit(Seen::ReroutedTimed);
            let left = deadline.since(now) + excused.saturating_sub(call.held);
            call.deadline = Some(now + left.max(Duration::from_millis(1)));
        }
        call.invocation = self.peers[callee].next_invocation;
        self.peers[callee].next_invocation += 1;
        (call.callee, call.others) = (callee, call.others && others);
        let caller = self.peers[call.caller].features;
        call.wants_progress =
            call.asks && (!self.rules.strict || its.callee_progress && its.callee_canceling);
        let more = call.upload == Upload::Open;
        let rule = self.rules.credit;
        let results =
            Flow::new(rule.filter(|_| call.wants_progress), its.callee_credit, caller.caller_credit);
        let chunked = Flow::new(rule.filter(|_| more), caller.caller_credit, its.callee_credit);
        call.results = Flow::to_the_same_caller(results, call.results);
        call.chunked = Flow::to_another_callee(chunked, call.chunked, self.wire, cover);
        call.held = self.peers[callee].held(now);
        let since = now.since_origin().saturating_sub(waited);
        call.since = (Time::after(since), call.held);
        end(&mut self.calls[index], Phase::Over, Seen::Rerouted, cover);
        let (invocation, procedure) = (call.invocation, Some(call.procedure));
        let (wants_progress, tag) = (call.wants_progress, call.tag);
        let said = WireMessage::Invocation { invocation, procedure, more, wants_progress, timeout: 0, tag };
        self.out.push((callee, said));
        self.calls.push(call);
    }
}
