//! Calls and registrations as an administrator sees them.

use std::time::Duration;

use wamp_proto::message::CancelMode;
use wamp_proto::uri;

use super::Dealer;
use super::call::{Call, CallKey};
use super::flow::Flow;
use crate::Time;
use crate::progress::Phase;
use crate::router::context::Context;
use crate::router::figures::Timings;
use crate::router::sessions::SessionKey;
use crate::router::snapshot::{CallId, CallInfo, CallState, Party, Portion, RegistrationInfo};

impl Dealer {
    pub(in crate::router) fn calls_from(
        &self,
        cx: &Context,
        now: Time,
        from: usize,
        places: usize,
    ) -> Portion<CallInfo> {
        self.calls.portion(from, places, |key, call| self.call_info(cx, now, key, call))
    }

    fn call_info(&self, cx: &Context, now: Time, key: CallKey, call: &Call) -> CallInfo {
        let party = |session: SessionKey| {
            let authid = cx.sessions.get(session)?.identity.authid.clone();
            Some(Party { session: session.id(), authid })
        };
        let procedure = call.procedure.clone().or_else(|| {
            let (key, _) = self.procedures.get(call.registration)?;
            Some(self.procedures.procedure(key).into())
        });
        let flow = call.results.as_deref();
        CallInfo {
            id: key.id(),
            procedure,
            registration: call.registration,
            caller: party(call.caller),
            callee: party(call.callee),
            age: now.since(call.tally.since),
            results: call.tally.results,
            bytes: call.tally.bytes,
            last: (call.tally.results > 0).then(|| now.since(call.tally.last)),
            credit: flow.and_then(|flow| flow.from.map(|from| from.left())),
            state: state(cx, call, now),
            wants_progress: call.progress.wants_progress(),
            in_chunks: call.upload.is_some(),
        }
    }

    pub(in crate::router) fn registrations_from(
        &self,
        from: usize,
        places: usize,
    ) -> Portion<RegistrationInfo> {
        self.procedures.portion(from, places)
    }

    pub(in crate::router) fn timings(&self) -> Timings {
        self.timings
    }

    pub(in crate::router) fn cancel_by_id(&mut self, cx: &mut Context, call: CallId, text: &str) -> bool {
        let key = CallKey::of(call);
        let is_there = self.calls.get(key).is_some();
        if is_there {
            self.interrupt(cx, key, CancelMode::KillNoWait, uri::CANCELED);
            self.fail(cx, key, uri::CANCELED, text);
        }
        is_there
    }

    /// A call ends, of which the caller is told: its times are counted if it is one of the sample.
    #[inline]
    pub(super) fn time(&mut self, now: Time, key: CallKey) {
        if key.is_sampled()
            && let Some(call) = self.calls.get(key)
        {
            let duration = now.since(call.tally.since);
            self.timings.duration.observe(duration);
            if call.is_fresh {
                self.timings.first_result.observe(duration);
            }
        }
    }
}

/// A sender without credit for this time is starved; a fast one has none for a moment, again and again.
const WITHOUT_CREDIT: Duration = Duration::from_secs(1);

fn state(cx: &Context, call: &Call, now: Time) -> CallState {
    match call.progress.phase() {
        Phase::Canceling => CallState::Canceling,
        _ if is_starved(call, now) => CallState::Starved,
        _ if cx.sessions.is_held(call.callee) => {
            CallState::Held { by: cx.sessions.longest_holder(call.callee).map(SessionKey::id) }
        }
        _ => CallState::Running,
    }
}

/// Whether the sender of a stream waits for credit: its receiver grants none, or does not read.
fn is_starved(call: &Call, now: Time) -> bool {
    let chunks = call.upload.as_deref().and_then(|upload| upload.flow.as_deref());
    let spent = |flow: &Flow| flow.spent.is_some_and(|since| now.since(since) >= WITHOUT_CREDIT);
    call.starving().next().is_some() || [call.results.as_deref(), chunks].into_iter().flatten().any(spent)
}
