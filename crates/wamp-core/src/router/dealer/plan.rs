//! A new call: its callee, and its INVOCATION.
//!
//! [`Dealer::plan`] only looks; a CALL that it refuses has changed nothing, not even the turn of a shared
//! registration. [`Dealer::commit`] cannot fail.

use std::time::Duration;

use wamp_proto::message::{self, CallOptions, Extra, InvocationDetails, MatchPolicy, Millis, RequestKind};
use wamp_proto::uri::UriKind;
use wamp_proto::{Message, Uri, quoted, uri};

use super::call::{Call, CallKey, Upload};
use super::disclosure::disclose;
use super::flow::{Flow, Stream};
use super::procedures::{Callee, Registration, RegistrationKey};
use super::reroute::Kept;
use super::{Dealer, measure, refused};
use crate::progress::Progress;
use crate::router::context::{Context, Refused};
use crate::router::outbox::{FrameInfo, check};
use crate::router::roles::Actions;
use crate::router::sessions::{Session, SessionKey};
use crate::router::stats::Stats;

/// An accepted CALL that has not changed anything yet.
pub(super) struct Plan {
    pub(super) call: Call,
    /// The INVOCATION, and its length where it is counted.
    pub(super) message: Message,
    pub(super) goes: usize,
    /// The callee's place in its registration.
    pub(super) turn: (RegistrationKey, usize),
    /// It counts among the progressive calls of its caller.
    pub(super) is_progressive: bool,
    /// How long the callee may take for the first result, if the dealer watches that.
    pub(super) wait: Option<Duration>,
    /// The callee may refuse it, and then there are others.
    pub(super) keeps: bool,
    /// The call that it continues, whose number it keeps: one that has waited.
    pub(super) continues: Option<CallKey>,
}

impl Plan {
    /// Keeps a CALL that was kept before, if another callee could get it and its caller has not too many such calls.
    pub(super) fn keep_again(&mut self, cx: &Context, kept: Box<Kept>) {
        let counted = cx.sessions.get(self.call.caller).map_or(0, |caller| caller.dealer.kept_bytes);
        let has_room = counted + kept.bytes() <= cx.config.limits.kept_bytes;
        self.call.kept = Some(kept).filter(|_| self.keeps && has_room);
    }
}

/// A callee that has room for a call.
pub(super) struct Found<'a> {
    pub(super) registration: &'a Registration,
    pub(super) callee: Callee,
    pub(super) session: &'a Session,
    /// Its place in the registration.
    pub(super) turn: (RegistrationKey, usize),
}

/// The error text of a call whose callees have no room.
pub(super) const BUSY: &str = "no callee can take another call now";

/// Why there is no plan.
pub(super) enum NoPlan {
    Refused(Refused),
    /// The caller is stalled, which is counted.
    Unavailable(&'static str),
    /// No callee has room.
    Busy,
    /// The callee has left, and its registrations are still being removed.
    Gone(RegistrationKey, SessionKey),
    /// The callee that was chosen cannot take this call.
    Unfit(SessionKey, Refused),
}

impl NoPlan {
    /// Returns the error for the caller. A callee without room and a stalled caller are counted.
    pub(super) fn refusal(self, stats: &mut Stats) -> Refused {
        let text = match self {
            Self::Refused(refused) | Self::Unfit(_, refused) => return refused,
            Self::Unavailable(text) => text,
            Self::Busy | Self::Gone(..) => BUSY,
        };
        stats.unavailable += 1;
        (uri::UNAVAILABLE, text.to_owned())
    }
}

impl From<Refused> for NoPlan {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Dealer {
    /// Places a call, or refuses it.
    pub(in crate::router) fn call(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        call: &message::Call,
        len: usize,
        info: &FrameInfo,
    ) {
        let draw = cx.chance.draw();
        let (error, text) = loop {
            match self.plan(cx, from, call, info, draw, None) {
                Ok(plan) => {
                    let (key, goes) = self.commit(cx, plan);
                    return self.pass(cx, key, Stream::Chunks, len, goes);
                }
                Err(NoPlan::Gone(registration, callee)) => self.remove_callee(cx, registration, callee),
                Err(NoPlan::Busy) => match self.enqueue(cx, from, call) {
                    Ok(true) => return,
                    Ok(false) => break NoPlan::Busy.refusal(&mut cx.stats),
                    Err(refused) => break refused,
                },
                Err(none) => break none.refusal(&mut cx.stats),
            }
        };
        cx.refuse(from, RequestKind::Call, call.request, error, &text);
    }

    /// `draw` is the random choice, if the policy needs one; `again` is the call, if another callee has refused it.
    /// Inlined, since a plan is large to move.
    #[inline(always)]
    pub(super) fn plan(
        &self,
        cx: &Context,
        from: SessionKey,
        call: &message::Call,
        info: &FrameInfo,
        draw: u64,
        again: Option<&Kept>,
    ) -> Result<Plan, NoPlan> {
        let message::Call { request, options, procedure, payload } = call;
        let unavailable = |text: String| NoPlan::Refused((uri::UNAVAILABLE, text));
        let gone = || NoPlan::Refused((uri::CANCELED, "the caller has left".to_owned()));
        let caller = cx.sessions.get(from).ok_or_else(gone)?;
        cx.config.check_uri(procedure, UriKind::Exact)?;
        let timeout = timeout(options)?;
        let disclosure = match again {
            Some(kept) => kept.disclosure,
            None => caller.authorize(Actions::CALL, procedure)?.unwrap_or(cx.config.disclosure),
        };
        let wants_progress = options.receive_progress == Some(true) && caller.announced.caller_progress;
        let in_chunks = options.progress == Some(true);
        let limits = &cx.config.limits;
        let is_new = again.is_none();
        if is_new && caller.dealer.calls.len() >= limits.calls {
            return Err(unavailable(format!("a session may have at most {} running calls", limits.calls)));
        }
        let is_progressive = wants_progress || in_chunks;
        if is_new && is_progressive && caller.dealer.progressive_calls >= limits.progressive_calls {
            let limit = limits.progressive_calls;
            return Err(unavailable(format!("a session may have at most {limit} running progressive calls")));
        }
        if cx.sessions.is_stalled(from) {
            return Err(NoPlan::Unavailable("the caller does not read its messages"));
        }
        if let Some(ending) = cx.ending {
            return Err(unavailable(ending.text().to_owned()));
        }
        let Found { registration: found, callee: chosen, session: callee, turn } =
            self.find_callee(cx, from, procedure, draw, again)?;
        let Callee { session: key, forward_timeout, disclose_caller, .. } = chosen;
        let unsupported = |text: &str| NoPlan::Unfit(key, (uri::FEATURE_NOT_SUPPORTED, text.to_owned()));
        let unfit = |refusal| NoPlan::Unfit(key, refused(refusal));
        if in_chunks && !(callee.announced.callee_chunks && callee.announced.callee_canceling) {
            return Err(unsupported(
                "the callee did not announce calls in chunks (progressive_call_invocations)",
            ));
        }
        if let Some(ppt) = &options.ppt {
            let checked = callee.announced.callee_ppt.check(ppt, payload, "callee");
            checked.map_err(|refused| NoPlan::Unfit(key, refused))?;
        }
        let wants_progress = wants_progress
            && (!cx.config.strict_features
                || callee.announced.callee_progress && callee.announced.callee_canceling);
        let asks = options.disclose_me == Some(true);
        let trustlevel = caller.trust(Actions::CALL, procedure);
        // The time that is left, if the call has waited for an authorizer or other callees have refused it.
        let wait = again.map_or_else(|| caller.time_left(timeout), |kept| kept.timeout);
        let details = InvocationDetails {
            progress: in_chunks.then_some(true),
            receive_progress: wants_progress.then_some(true),
            procedure: (found.policy != MatchPolicy::Exact).then(|| procedure.clone()),
            peer: disclose(disclosure, asks, disclose_caller, trustlevel, from, caller)?,
            timeout: wait.filter(|_| forward_timeout).map(Millis::from),
            ppt: options.ppt.clone(),
            extra: options.extra.forwarded(&[]),
        };
        let payload = info.payload(payload, callee).map_err(unfit)?;
        let invocation = callee.dealer.invocation_ids.peek();
        let window = cx.config.credit.map(|credit| credit.window);
        let (sends, takes) = (&caller.announced, &callee.announced);
        let upload = in_chunks.then(|| {
            // Keys for the callee go with the first chunk only.
            let details = InvocationDetails { extra: Extra::default(), ..details.clone() };
            let procedure = procedure.detached();
            let flow = Flow::new(window, sends.caller_credit, takes.callee_credit);
            Box::new(Upload { procedure, details, finished: false, flow })
        });
        let results = match wants_progress {
            true => Flow::new(window, takes.callee_credit, sends.caller_credit),
            false => None,
        };
        let invoked = message::Invocation { request: invocation, registration: found.id, details, payload };
        let message = Message::from(invoked);
        check(&message, callee).map_err(unfit)?;
        let goes = measure(&message, callee, upload.as_deref().and_then(|upload| upload.flow.as_deref()));
        let keeps = callee.announced.callee_reroute
            && found
                .has_others(|callee| callee == key || again.is_some_and(|kept| kept.is_refused_by(callee)));
        let kept = match keeps && is_new {
            true => Kept::new(cx, call, caller, found.id, disclosure, wait),
            false => None,
        };
        let call = Call {
            upload,
            results,
            timeout: timeout.filter(|_| !forward_timeout),
            is_counted: found.counts(&chosen),
            kept,
            ..Call::new(
                from,
                *request,
                key,
                invocation,
                Progress::new(wants_progress),
                (found, procedure, cx.now),
            )
        };
        let is_progressive = wants_progress || in_chunks;
        let wait = wait.filter(|_| !forward_timeout);
        Ok(Plan { call, message, goes, turn, is_progressive, wait, keeps, continues: None })
    }

    /// Selects the callee for a call. `draw` is the random choice, if the policy needs one; `again` is the call, if another
    /// callee has refused it.
    #[inline(always)]
    pub(super) fn find_callee<'a>(
        &'a self,
        cx: &'a Context,
        from: SessionKey,
        procedure: &Uri,
        draw: u64,
        again: Option<&Kept>,
    ) -> Result<Found<'a>, NoPlan> {
        let limits = &cx.config.limits;
        let found = match again {
            Some(kept) => self.procedures.get(kept.registration),
            None => self.procedures.find(procedure),
        };
        let Some((key, registration)) = found else {
            let text = format!("no procedure {} is registered", quoted(procedure));
            return Err((uri::NO_SUCH_PROCEDURE, text).into());
        };
        // Calls that wait go before a new one.
        if again.is_none() && !from.is_router() && self.queues.has(registration.id) {
            return Err(NoPlan::Busy);
        }
        let chosen = registration.choose(Some(draw), &self.loads, |callee| {
            cx.sessions.is_full(callee) || again.is_some_and(|kept| kept.excludes(callee))
        });
        let Some((place, callee)) = chosen else {
            return Err(NoPlan::Busy);
        };
        let session = cx.sessions.get(callee.session).ok_or(NoPlan::Gone(key, callee.session))?;
        if session.dealer.invocations.len() >= limits.invocations {
            let text = "the callee has too many running calls".to_owned();
            return Err(NoPlan::Unfit(callee.session, (uri::UNAVAILABLE, text)));
        }
        if session.dealer.calls_from(from) >= limits.invocations_from_one_caller {
            let limit = limits.invocations_from_one_caller;
            let text = format!("a caller may have at most {limit} running calls to one callee");
            return Err(NoPlan::Unfit(callee.session, (uri::UNAVAILABLE, text)));
        }
        Ok(Found { registration, callee, session, turn: (key, place) })
    }

    /// Returns the call, and the length of its INVOCATION.
    #[inline(always)]
    pub(super) fn commit(&mut self, cx: &mut Context, plan: Plan) -> (CallKey, usize) {
        let Plan {
            call, message, goes, turn: (registration, place), is_progressive, wait, continues, ..
        } = plan;
        let Call { caller: from, request, callee: to, invocation, .. } = call;
        let kept = call.kept.as_ref().map_or(0, |kept| kept.bytes());
        self.kept_bytes += kept;
        self.procedures.take_turn(registration, place);
        if call.is_counted {
            self.loads.add(call.registration, to);
        }
        cx.stats.calls += 1;
        let call = self.calls.insert(call, continues);
        if let Some(callee) = cx.sessions.get_mut(to) {
            callee.dealer.invocation_ids.next();
            callee.dealer.invocations.insert(invocation, call);
        }
        if let Some(caller) = cx.sessions.get_mut(from) {
            caller.dealer.calls.insert(request, call);
            caller.dealer.progressive_calls += usize::from(is_progressive);
            caller.dealer.kept_bytes += kept;
        }
        self.tie(cx, from, to);
        if wait.is_some() {
            self.set_deadline(cx, call, wait);
        }
        cx.out.send(to, message);
        (call, goes)
    }
}

/// The timeout of a call, or the error in it.
pub(in crate::router) fn timeout(options: &CallOptions) -> Result<Option<Duration>, Refused> {
    if options.extra.contains("timeout") {
        let text = "the option \"timeout\" must be a whole number of milliseconds between 0 and 2^53";
        return Err((uri::INVALID_ARGUMENT, text.to_owned()));
    }
    Ok(options.timeout.map(|millis| Duration::from_millis(millis.0)).filter(|timeout| !timeout.is_zero()))
}
