//! Ends of calls without an answer in the model of the dealer: timeouts, departures, shutdown.

use std::time::Duration;

use wamp_core::Time;

use super::{CALLER_GONE, CANCELED, Call, Dealer, Flow, Leaving, Peer, Standing, end};
use crate::asking::ROUTER;
use crate::coverage::{Coverage, Phase, Seen};
use crate::wire_message::{Mode, OF_CALL, WireMessage};

impl Dealer {
    pub fn handle_timeout(&mut self, now: Time, cover: &mut Coverage) {
        self.unordered = true;
        for index in 0..self.calls.len() {
            let call = &self.calls[index];
            let patience = self.rules.credit.map_or(Duration::ZERO, |credit| credit.patience);
            let starved = call.flows().filter_map(|(_, flow)| Some((flow.starved()? + patience, true)));
            let mut due: Vec<_> = starved.chain(call.deadline.map(|deadline| (deadline, false))).collect();
            due.retain(|(deadline, _)| call.phase.is_alive() && *deadline <= now);
            due.sort_unstable();
            for (_, starved) in due {
                if !self.calls[index].phase.is_alive() {
                } else if starved {
                    self.starve(index, cover);
                } else {
                    self.expire(now, index, cover);
                }
            }
        }
        for peer in 0..self.peers.len() {
            if matches!(self.peers[peer].standing, Standing::Closing(until) if until <= now) {
                cover.hit(Seen::GoodbyeUnanswered);
                self.gone(peer);
            }
        }
    }

    fn expire(&mut self, now: Time, index: usize, cover: &mut Coverage) {
        let call = &mut self.calls[index];
        // behaviour 37: the callee cannot be late while the router does not read from it, or while it has no
        // credit.
        let held = call.excused(&self.peers, now);
        let excused = held.saturating_sub(call.held);
        let by_router = call.caller == ROUTER;
        if !excused.is_zero() && !by_router {
            let dry = call.results.as_ref().is_some_and(|flow| !flow.spent(now).is_zero());
            cover.hit(if dry { Seen::TimeoutWithoutCredit } else { Seen::TimeoutExcused });
            // The deadline moves by at least 20 ms, however short the excuse.
            (call.deadline, call.held) = (Some(now + excused.max(Duration::from_millis(20))), held);
            return;
        }
        let (since, before) = call.since;
        let waited = now.since(since).saturating_sub(held.saturating_sub(before));
        let allowed = match (call.phase, call.timeout) {
            (Phase::Running, Some(timeout)) => timeout,
            _ => self.rules.kill_wait,
        };
        if waited < allowed && !by_router {
            self.broken = Some(format!("37: a callee that could answer for only {waited:?} has timed out"));
        }
        let request = call.request;
        if call.phase == Phase::Canceling {
            // behaviour 27
            self.tell_callee(index, Mode::Skip, CANCELED);
            let call = &mut self.calls[index];
            end(call, Phase::Abandoned, Seen::EndKillTimeout, cover);
            self.out
                .push((call.caller, WireMessage::Error { kind: OF_CALL, request, error: CANCELED, tag: 0 }));
            return;
        }
        // behaviour 38
        let reason = "wamp.error.timeout";
        self.tell_callee(index, Mode::KillNoWait, reason);
        let call = &mut self.calls[index];
        if by_router {
            cover.hit(Seen::RouterTimeout);
        }
        if call.chunks > 0 {
            cover.hit(Seen::TimeoutAfterChunk);
        }
        self.counts.timeouts += 1;
        end(call, Phase::Abandoned, Seen::EndTimeout, cover);
        self.out.push((call.caller, WireMessage::Error { kind: OF_CALL, request, error: reason, tag: 0 }));
    }

    /// Ends a call because the receiver of one of its streams has granted nothing for too long.
    fn starve(&mut self, index: usize, cover: &mut Coverage) {
        let call = &self.calls[index];
        let request = call.request;
        self.tell_callee(index, Mode::KillNoWait, CANCELED);
        let call = &mut self.calls[index];
        self.counts.slow_consumers += 1;
        end(call, Phase::Abandoned, Seen::EndStarved, cover);
        self.out.push((call.caller, WireMessage::Error { kind: OF_CALL, request, error: CANCELED, tag: 0 }));
    }

    /// Every caller learns the end of its calls, and then every client gets GOODBYE.
    pub fn shut_down(&mut self, now: Time, cover: &mut Coverage) {
        self.unordered = true;
        for call in self.calls.iter_mut().filter(|call| call.phase.is_alive()) {
            let request = call.request;
            end(call, Phase::Abandoned, Seen::EndShutdown, cover);
            self.out
                .push((call.caller, WireMessage::Error { kind: OF_CALL, request, error: CANCELED, tag: 0 }));
        }
        self.registrations.clear();
        for peer in 0..self.peers.len() {
            self.say_goodbye(now, peer, "wamp.close.system_shutdown");
        }
    }

    // behaviour 41, behaviour 42, behaviour 47
    pub(super) fn dispose(&mut self, peer: usize, leaving: Leaving, cover: &mut Coverage) {
        self.unordered = true;
        for index in 0..self.calls.len() {
            let call = &self.calls[index];
            if !call.phase.is_alive() {
                continue;
            }
            if call.caller == peer {
                if call.callee == peer {
                    cover.hit(Seen::SelfCallLeft);
                } else {
                    self.tell_callee(index, Mode::KillNoWait, CALLER_GONE);
                }
                let call = &mut self.calls[index];
                let by = match leaving {
                    Leaving::Goodbye => Seen::EndCallerGoodbye,
                    Leaving::Lost => Seen::EndCallerLost,
                    Leaving::Abort => Seen::EndCallerAbort,
                    Leaving::Violation => Seen::EndCallerViolation,
                    Leaving::Kicked => Seen::EndCallerKicked,
                };
                if leaving == Leaving::Goodbye {
                    cover.hit(Seen::GoodbyeOfCaller);
                }
                end(call, Phase::Abandoned, by, cover);
            } else if call.callee == peer {
                let by = match leaving {
                    Leaving::Goodbye => Seen::EndCalleeGoodbye,
                    Leaving::Lost => Seen::EndCalleeLost,
                    Leaving::Abort => Seen::EndCalleeAbort,
                    Leaving::Violation => Seen::EndCalleeViolation,
                    Leaving::Kicked => Seen::EndCalleeKicked,
                };
                if leaving == Leaving::Goodbye {
                    cover.hit(Seen::GoodbyeOfCallee);
                }
                let call = &mut self.calls[index];
                let request = call.request;
                end(call, Phase::Over, by, cover);
                self.out.push((
                    call.caller,
                    WireMessage::Error { kind: OF_CALL, request, error: CANCELED, tag: 0 },
                ));
            }
        }
        for registration in &mut self.registrations {
            registration.callees.retain(|(callee, _)| *callee != peer);
        }
        self.registrations.retain(|registration| !registration.callees.is_empty());
    }

    pub(super) fn say_goodbye(&mut self, now: Time, peer: usize, reason: &'static str) {
        if self.peers[peer].standing == Standing::Open {
            self.peers[peer].standing = Standing::Closing(now + self.rules.goodbye_wait);
            self.out.push((peer, WireMessage::Goodbye { reason }));
        }
    }

    // behaviour 45
    pub(super) fn violation(&mut self, peer: usize, cover: &mut Coverage) {
        self.counts.violations += 1;
        self.dispose(peer, Leaving::Violation, cover);
        if self.forget(peer) {
            cover.hit(Seen::ForgottenInBatch);
        }
        self.out.push((peer, WireMessage::Abort { reason: "wamp.error.protocol_violation" }));
        self.gone(peer);
    }

    pub(super) fn forget(&mut self, peer: usize) -> bool {
        let before = self.out.len();
        self.out.retain(|(to, _)| *to != peer);
        before != self.out.len()
    }

    pub(super) fn gone(&mut self, peer: usize) {
        self.peers[peer].standing = Standing::Gone;
        self.closed.push(peer);
    }
}

impl Dealer {
    /// Informs a callee of the end of a call, if it understands that. Otherwise it must not wait for credit.
    pub(super) fn tell_callee(&mut self, index: usize, mode: Mode, reason: &'static str) {
        let call = &self.calls[index];
        if mode != Mode::Skip && self.peers[call.callee].features.callee_canceling {
            let invocation = call.invocation;
            self.out.push((call.callee, WireMessage::Interrupt { invocation, mode, reason }));
        } else if call.results.as_ref().is_some_and(Flow::counts_sender) {
            self.not_informed.push((call.callee, call.invocation));
        }
    }
}

impl Call {
    /// Returns for how long in all the callee could not answer: it was held or had no credit.
    pub(super) fn excused(&self, peers: &[Peer], now: Time) -> Duration {
        let held = peers[self.callee].held(now);
        match &self.results {
            Some(flow) if self.phase == Phase::Running => held + flow.spent(now),
            _ => held,
        }
    }
}
