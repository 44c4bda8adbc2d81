//! Calls that go to another callee, since the first refuses them with `wamp.error.unavailable` (Advanced Profile, *Call
//! Re-Routing*; behaviour [142](crate::behaviour#rule-142) to [144](crate::behaviour#rule-144)).
//!
//! To its caller it is one call. At the dealer the record of the call is replaced: the timeout runs on, and so does the
//! credit between caller and dealer; the credit between dealer and callee begins anew. The CALL is kept as long as
//! another callee could still be asked.

use std::time::Duration;

use wamp_proto::RegistrationId;
use wamp_proto::message::{self, CallOptions};

use super::Dealer;
use super::call::CallKey;
use super::call_end::standing;
use super::flow::Stream;
use super::plan::NoPlan;
use crate::Time;
use crate::progress::Phase;
use crate::router::config::Disclosure;
use crate::router::context::Context;
use crate::router::outbox::FrameInfo;
use crate::router::sessions::{Session, SessionKey};

/// A CALL that can still go to another callee.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) call: message::Call,
    pub(super) registration: RegistrationId,
    /// The disclosure that its rights have decided.
    pub(super) disclosure: Disclosure,
    /// The callees that have refused it, in the order of their keys.
    refused: Vec<SessionKey>,
    /// Those that cannot take it now, while another one is looked for.
    unfit: Vec<SessionKey>,
    /// How long its result may take from `since` on.
    pub(super) timeout: Option<Duration>,
    since: Time,
    bytes: usize,
}

/// The bytes that a kept call counts in addition to its contents.
const OVERHEAD: usize = 256;

/// The bytes that each refusal counts.
const REFUSAL: usize = 16;

/// The most callees that are passed over after one refusal since they cannot take the call.
const PASSED_OVER: usize = 16;

impl Kept {
    /// Keeps a call that goes to a callee for the first time, in memory of its own. `None` if its
    /// caller has too many such calls.
    pub(super) fn new(
        cx: &Context,
        call: &message::Call,
        caller: &Session,
        registration: RegistrationId,
        disclosure: Disclosure,
        timeout: Option<Duration>,
    ) -> Option<Box<Self>> {
        let message::Call { request, options, procedure, payload } = call;
        let ppt = options.ppt.as_ref().map(|ppt| Box::new(ppt.detached()));
        let options = CallOptions { ppt, extra: options.extra.detached(), ..options.clone() };
        let bytes = OVERHEAD
            + procedure.len()
            + payload.len()
            + options.extra.encoded_len()
            + options.ppt.as_ref().map_or(0, |ppt| ppt.len());
        if caller.dealer.kept_bytes + bytes > cx.config.limits.kept_bytes {
            return None;
        }
        let (procedure, payload) = (procedure.detached(), payload.clone().detached());
        Some(Box::new(Self {
            call: message::Call { request: *request, options, procedure, payload },
            registration,
            disclosure,
            refused: Vec::new(),
            unfit: Vec::new(),
            timeout,
            since: cx.now,
            bytes,
        }))
    }

    /// Whether a callee has refused it.
    pub(super) fn is_refused_by(&self, callee: SessionKey) -> bool {
        self.refused.binary_search(&callee).is_ok()
    }

    /// Whether it is not to go to a callee now.
    pub(super) fn excludes(&self, callee: SessionKey) -> bool {
        self.is_refused_by(callee) || self.unfit.contains(&callee)
    }

    /// Sets how long its result may take from now on.
    pub(super) fn set_time(&mut self, left: Option<Duration>, now: Time) {
        (self.timeout, self.since) = (left.map(|left| left.max(Duration::from_millis(1))), now);
    }

    /// Adds the refusal of a callee.
    fn refuse(&mut self, callee: SessionKey) {
        if let Err(place) = self.refused.binary_search(&callee) {
            self.refused.insert(place, callee);
            self.bytes += REFUSAL;
        }
    }

    /// The bytes that it counts.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Dealer {
    /// Whether an ERROR `wamp.error.unavailable` of its callee means that a call is to go to another. A call of the router
    /// itself stays with its callee.
    pub(super) fn may_go_on(&self, cx: &Context, key: CallKey) -> bool {
        self.calls.get(key).is_some_and(|call| {
            let callee = cx.sessions.get(call.callee);
            call.is_fresh
                && !call.caller.is_router()
                && call.progress.phase() == Phase::Running
                && callee.is_some_and(|callee| callee.announced.callee_reroute)
        })
    }

    /// A callee refuses a call: another one gets it. Returns `false` if there is none; then the refusal is the answer, and the
    /// CALL is not kept any more.
    pub(super) fn reroute(&mut self, cx: &mut Context, key: CallKey) -> bool {
        let Some(call) = self.calls.get_mut(key) else { return false };
        let Some(mut kept) = call.kept.take() else { return false };
        let (caller, callee) = (call.caller, call.callee);
        self.uncount_kept(cx, &kept, caller);
        kept.refuse(callee);
        let Some(call) = self.calls.get(key) else { return false };
        // The rest of the time that the callees have.
        let left = match (call.deadline, kept.timeout) {
            (Some(deadline), _) => {
                let excused = standing(call, &cx.sessions, cx.now).saturating_sub(call.held);
                Some(deadline.at().since(cx.now) + excused)
            }
            (None, timeout) => timeout.map(|timeout| timeout.saturating_sub(cx.now.since(kept.since))),
        };
        kept.set_time(left, cx.now);
        let draw = cx.chance.draw();
        let mut plan = loop {
            match self.plan(cx, caller, &kept.call, &FrameInfo::none(), draw, Some(&kept)) {
                Ok(plan) => break plan,
                Err(NoPlan::Gone(registration, callee)) => self.remove_callee(cx, registration, callee),
                Err(NoPlan::Unfit(callee, _)) if kept.unfit.len() < PASSED_OVER => kept.unfit.push(callee),
                Err(NoPlan::Unfit(..) | NoPlan::Refused(_) | NoPlan::Unavailable(_) | NoPlan::Busy) => {
                    return false;
                }
            }
        };
        let Some(before) = self.end(cx, key) else { return false };
        plan.call.tally = before.tally;
        if let (Some(results), Some(before)) = (&mut plan.call.results, before.results) {
            results.to = before.to;
        }
        let chunks = plan.call.upload.as_deref_mut().and_then(|upload| upload.flow.as_deref_mut());
        let before = before.upload.and_then(|upload| upload.flow);
        let goes_on = match (chunks, before) {
            (Some(chunks), Some(before)) => {
                chunks.from = before.from;
                true
            }
            _ => false,
        };
        kept.unfit = Vec::new();
        plan.keep_again(cx, kept);
        let (key, goes) = self.commit(cx, plan);
        // To its caller it is one call.
        cx.stats.calls -= 1;
        cx.stats.rerouted += 1;
        if goes_on {
            self.pass_again(cx, key, goes);
        }
        true
    }

    /// The CALL of a call is not needed any more, since no other callee can get it.
    pub(super) fn settle(&mut self, cx: &mut Context, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        call.is_fresh = false;
        let (kept, caller) = (call.kept.take(), call.caller);
        self.forget_kept(cx, kept, caller);
    }

    /// Forgets the CALL of a call of this caller.
    pub(super) fn forget_kept(&mut self, cx: &mut Context, kept: Option<Box<Kept>>, caller: SessionKey) {
        if let Some(kept) = kept {
            self.uncount_kept(cx, &kept, caller);
        }
    }

    /// A CALL of this caller is not kept any more, or counts anew.
    pub(super) fn uncount_kept(&mut self, cx: &mut Context, kept: &Kept, caller: SessionKey) {
        self.kept_bytes -= kept.bytes;
        if let Some(caller) = cx.sessions.get_mut(caller) {
            caller.dealer.kept_bytes -= kept.bytes;
        }
    }

    /// Accounts for the first chunk of a call, which was received before and goes to another callee now.
    fn pass_again(&mut self, cx: &mut Context, key: CallKey, goes: usize) {
        if let Some(flow) = self.calls.get_mut(key).and_then(|call| call.flow(Stream::Chunks)) {
            flow.send(goes);
            self.grant_credit(cx, key, Stream::Chunks);
        }
    }
}
