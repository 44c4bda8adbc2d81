//! Calls in the model of the dealer: CALL, its chunks, answers, CANCEL.

use std::time::Duration;

use wamp_core::Time;

use super::{CANCELED, Call, Dealer, Flow, NewCall, Upload, end};
use crate::asking::ROUTER;
use crate::coverage::{Coverage, Phase, Role, Seen};
use crate::wire_message::{FAILED, Mode, NO_CALLEE, OF_CALL, Tag, UNAVAILABLE, WireMessage};

impl Dealer {
    pub(super) fn call(&mut self, now: Time, call: NewCall, chosen: Option<usize>, cover: &mut Coverage) {
        let NewCall { from, request, procedure, more, wants_progress, timeout, tag } = call;
        let features = self.peers[from].features;
        if request < self.peers[from].next_request && features.caller_chunks {
            return self.chunk(call, cover);
        }
        if !self.takes_id(from, request, cover) {
            return;
        }
        // behaviour 14
        if more && !features.caller_chunks {
            return self.violation(from, cover);
        }
        let Some(registration) = self.registrations.iter().find(|r| r.procedure == procedure) else {
            cover.hit(Seen::RefusedNoProcedure);
            return self.fail_request(from, request, "wamp.error.no_such_procedure");
        };
        // The chosen callee must be one that registered the procedure. Without an INVOCATION it was a callee
        // that accepts no chunks, or the caller itself, whose messages were withdrawn.
        let takes_chunks = |callee: usize| {
            let features = self.peers[callee].features;
            features.callee_chunks && features.callee_canceling
        };
        // behaviour 148
        let (id, others) = (registration.id, registration.callees.len() > 1);
        let callees = self.free(registration);
        if callees.is_empty() {
            cover.hit(Seen::EndBusy);
            return self.fail_request(from, request, UNAVAILABLE);
        }
        let found = match chosen {
            Some(chosen) => callees.iter().find(|(callee, _)| *callee == chosen),
            None => callees
                .iter()
                .find(|(callee, _)| more && !takes_chunks(*callee))
                .or_else(|| callees.iter().find(|(callee, _)| *callee == from)),
        };
        let (callee, forward) = *found.unwrap_or(&callees[0]);
        let its = self.peers[callee].features;
        if more && !takes_chunks(callee) {
            cover.hit(Seen::RefusedChunks);
            return self.fail_request(from, request, "wamp.error.feature_not_supported");
        }
        // behaviour 13, behaviour 17
        let asks = wants_progress && features.caller_progress;
        let wants_progress = asks && (!self.rules.strict || its.callee_progress && its.callee_canceling);
        let invocation = self.peers[callee].next_invocation;
        self.peers[callee].next_invocation += 1;
        // behaviour 39
        let forwarded = if forward { timeout } else { 0 };
        let procedure = Some(procedure);
        self.out.push((
            callee,
            WireMessage::Invocation { invocation, procedure, more, wants_progress, timeout: forwarded, tag },
        ));
        let (rule, wire) = (self.rules.credit, self.wire);
        let results = Flow::new(rule.filter(|_| wants_progress), its.callee_credit, features.caller_credit);
        let mut chunked = Flow::new(rule.filter(|_| more), features.caller_credit, its.callee_credit);
        if let Some(flow) = &mut chunked {
            flow.pass(wire, cover);
        }
        let timeout = (timeout > 0 && !forward).then(|| Duration::from_millis(timeout));
        let since = (now, self.peers[callee].held(now));
        let begun = Call::new((from, request), (callee, invocation), (call.procedure, id), tag, since);
        self.calls.push(Call {
            wants_progress,
            upload: if more { Upload::Open } else { Upload::None },
            timeout,
            forwarded,
            deadline: timeout.map(|timeout| now + timeout),
            asks,
            others,
            results,
            chunked,
            ..begun
        });
    }

    // behaviour 3, behaviour 4, behaviour 18, behaviour 65
    pub(super) fn chunk(&mut self, chunk: NewCall, cover: &mut Coverage) {
        let NewCall { from, request, procedure, more, tag, .. } = chunk;
        let call = self.calls.iter_mut().rfind(|call| call.caller == from && call.request == request);
        let Some(call) = call.filter(|call| call.phase.is_alive()) else {
            cover.hit(Seen::ChunkCrossedAnswer);
            self.counts.late += 1;
            return;
        };
        match call.upload {
            Upload::None => return self.violation(from, cover),
            _ if call.procedure != procedure => {
                self.counts.late += 1;
                return;
            }
            Upload::Finished => return self.violation(from, cover),
            Upload::Open => {}
        }
        if !more {
            call.upload = Upload::Finished;
            let flow = call.chunked.take();
            if flow.as_ref().is_some_and(|flow| flow.starved().is_some()) {
                cover.hit(Seen::StarvedFinal);
            }
        }
        if let Some(flow) = &mut call.chunked {
            flow.pass(self.wire, cover);
        }
        call.chunks += 1;
        call.fresh = false;
        self.counts.chunks += 1;
        let (callee, invocation, wants_progress, timeout) =
            (call.callee, call.invocation, call.wants_progress, call.forwarded);
        match self.registrations.iter().find(|registration| registration.procedure == procedure) {
            Some(registration) if registration.callees.iter().any(|(c, _)| *c == callee) => {
                if registration.callees.len() > 1 {
                    cover.hit(Seen::StickyChunk);
                }
            }
            _ => cover.hit(Seen::ChunkAfterUnregister),
        }
        let procedure = Some(procedure);
        self.out.push((
            callee,
            WireMessage::Invocation { invocation, procedure, more, wants_progress, timeout, tag },
        ));
    }

    #[expect(clippy::too_many_arguments, reason = "the elements of a message")]
    pub(super) fn answer(
        &mut self,
        now: Time,
        from: usize,
        invocation: u64,
        progress: bool,
        (error, chosen): (Option<&'static str>, &dyn Fn(Tag) -> Option<usize>),
        tag: Tag,
        cover: &mut Coverage,
    ) {
        // behaviour 5, behaviour 8
        if invocation >= self.peers[from].next_invocation {
            return self.violation(from, cover);
        }
        let registered =
            self.registrations.iter().any(|r| r.callees.iter().any(|(callee, _)| *callee == from));
        let wire = self.wire;
        let call = self.calls.iter_mut().find(|call| call.callee == from && call.invocation == invocation);
        let call = call.expect("every invocation has a call");
        cover.cell(Role::Dealer, call.phase, call.wants_progress, progress);
        match (call.phase, progress) {
            (Phase::Abandoned | Phase::Over, _) => {
                self.counts.late += 1;
                if progress {
                    cover.hit(Seen::LateProgress);
                } else {
                    cover.hit(if call.phase == Phase::Over { Seen::TwiceAnswered } else { Seen::LateLast });
                    call.phase = Phase::Over;
                }
            }
            // behaviour 16
            (_, true) if !call.wants_progress => self.counts.unsolicited += 1,
            (phase, true) => {
                self.counts.results += 1;
                call.fresh = false;
                let held = call.excused(&self.peers, now);
                if let Some(flow) = &mut call.results {
                    flow.pass(wire, cover);
                }
                // behaviour 36: only while the call runs; the wait after a kill does not begin again.
                if let (Phase::Running, Some(timeout)) = (phase, call.timeout) {
                    call.deadline = Some(now + timeout);
                    call.held = held;
                    call.since = (now, held);
                    call.restarted = true;
                    cover.hit(Seen::TimeoutRestarted);
                }
                if phase == Phase::Canceling {
                    cover.hit(Seen::ProgressAfterKill);
                }
                if call.upload == Upload::Open {
                    cover.hit(Seen::TwoWays);
                }
                if !registered {
                    cover.hit(Seen::UnregisteredMidStream);
                }
                self.out.push((call.caller, WireMessage::Result { request: call.request, progress, tag }));
            }
            (phase, false) => {
                let error = match error {
                    Some(UNAVAILABLE) => match self.refused(now, from, invocation, chosen, cover) {
                        Some(error) => Some(error),
                        None => return,
                    },
                    error => error,
                };
                let call = self.calls.iter_mut().find(|c| c.callee == from && c.invocation == invocation);
                let call = call.expect("it was there");
                self.counts.results += 1;
                let (caller, request) = (call.caller, call.request);
                let wire_message = match error {
                    Some(error) => WireMessage::Error { kind: OF_CALL, request, error, tag },
                    None => WireMessage::Result { request, progress, tag },
                };
                let by = match (error, phase) {
                    (None, Phase::Running) => Seen::EndResult,
                    (None, _) => Seen::EndResultAfterKill,
                    (Some(FAILED), _) => Seen::EndError,
                    (Some("wamp.error.timeout"), _) => Seen::EndTimeoutByCallee,
                    (Some(NO_CALLEE), _) => Seen::EndRefused,
                    (Some(_), Phase::Running) => Seen::EndError,
                    (Some(_), _) => Seen::EndKill,
                };
                if caller == ROUTER {
                    cover.hit(Seen::RouterAnswered);
                }
                end(call, Phase::Over, by, cover);
                self.out.push((caller, wire_message));
            }
        }
    }

    // behaviour 25 to 30
    pub(super) fn cancel(
        &mut self,
        now: Time,
        from: usize,
        request: u64,
        mode: Option<Mode>,
        cover: &mut Coverage,
    ) {
        let index = self.calls.iter().rposition(|call| call.caller == from && call.request == request);
        let Some(index) = index else { return cover.hit(Seen::ForeignCancel) };
        let call = &mut self.calls[index];
        if !call.phase.is_alive() {
            return match call.ended_by {
                Some(Seen::EndTimeout) => cover.hit(Seen::CancelCrossedTimeout),
                Some(Seen::EndResult | Seen::EndError) => cover.hit(Seen::CancelCrossedResult),
                _ => {}
            };
        }
        let asked = mode.unwrap_or(Mode::KillNoWait);
        let interruptible = self.peers[call.callee].features.callee_canceling;
        let mode = if interruptible { asked } else { Mode::Skip };
        match (call.phase, mode) {
            (Phase::Canceling, Mode::Kill) => return cover.hit(Seen::DuplicateCancel),
            (Phase::Canceling, Mode::KillNoWait) => cover.hit(Seen::Upgrade),
            (Phase::Canceling, Mode::Skip) => cover.hit(Seen::UpgradeSkip),
            _ => {}
        }
        self.tell_callee(index, mode, CANCELED);
        let call = &mut self.calls[index];
        if mode == Mode::Kill {
            call.phase = Phase::Canceling;
            call.deadline = Some(now + self.rules.kill_wait);
            call.held = self.peers[call.callee].held(now);
            call.since = (now, call.held);
            return;
        }
        let by = match mode {
            Mode::KillNoWait => Seen::EndKillNoWait,
            _ if asked == Mode::Skip => Seen::EndSkip,
            _ => Seen::EndSkipInstead,
        };
        end(call, Phase::Abandoned, by, cover);
        self.out.push((from, WireMessage::Error { kind: OF_CALL, request, error: CANCELED, tag: 0 }));
    }

    pub(super) fn fail_request(&mut self, to: usize, request: u64, error: &'static str) {
        self.out.push((to, WireMessage::Error { kind: OF_CALL, request, error, tag: 0 }));
    }
}
