//! The dealer: registrations, and calls from their CALL to their end.
//!
//! Each call has one record with a [`Progress`](crate::progress::Progress). Every end of a call removes the
//! record by `end`, and sends exactly one message to the caller (behaviour [9](crate::behaviour#rule-9)). A
//! reply without a record is late, or a violation if the callee's session never had that invocation (behaviour
//! [5](crate::behaviour#rule-5), [8](crate::behaviour#rule-8)).
//!
//! The fields of the dealer, and of its part of each session, are private to this folder. Changes of other
//! state go through the [`Context`]; effects on other parts are returned.

mod call;
mod call_end;
mod chunks;
mod credit;
mod disclosure;
mod faults;
mod flow;
mod holder;
mod inspect;
mod loads;
mod own;
mod plan;
mod procedures;
mod queue;
mod registrations;
mod reply;
mod reroute;
mod session;
mod snapshot;
mod ties;

use wamp_proto::{Message, RequestId, Serializer, message};

use self::call::Calls;
pub(in crate::router) use self::call::{Call, CallKey};
use self::flow::Flow;
pub(in crate::router) use self::flow::Stream;
pub use self::flow::Watch;
use self::loads::Loads;
pub(in crate::router) use self::plan::timeout;
use self::procedures::Procedures;
use self::queue::Queues;
pub(in crate::router) use self::session::{Remains, SessionPart};
use self::ties::Tie;
use crate::map::HashSeed;
use crate::router::context::{Context, Refused, Violation};
use crate::router::figures::Timings;
use crate::router::outbox::Refusal;
use crate::router::sessions::{Session, SessionKey};

/// The registrations and the calls of a realm.
#[derive(Clone)]
pub(in crate::router) struct Dealer {
    procedures: Procedures,
    calls: Calls,
    loads: Loads,
    queues: Queues,
    /// The bytes of calls that could still go to another callee.
    kept_bytes: usize,
    /// The call of the last result that was relayed; many results in a row are of one call.
    last_relayed: Option<CallKey>,
    /// Streams whose senders wait for credit that their receivers have not granted.
    starved: usize,
    /// Ties that have changed.
    ties: Vec<Tie>,
    timings: Timings,
}

impl Dealer {
    pub(in crate::router) fn new(seed: HashSeed) -> Self {
        Self {
            procedures: Procedures::new(seed),
            calls: Calls::new(),
            loads: Loads::new(seed),
            queues: Queues::new(seed),
            kept_bytes: 0,
            last_relayed: None,
            starved: 0,
            ties: Vec::new(),
            timings: Timings::default(),
        }
    }

    /// The number of calls under way.
    pub(in crate::router) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// The number of callees whose running calls are counted.
    pub(in crate::router) fn loads(&self) -> usize {
        self.loads.len()
    }

    /// The bytes of calls that could still go to another callee.
    pub(in crate::router) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// The number of registrations.
    pub(in crate::router) fn registrations(&self) -> usize {
        self.procedures.len()
    }

    /// The number of streams whose senders wait for credit that their receivers have not granted.
    pub(in crate::router) fn starved(&self) -> usize {
        self.starved
    }

    /// The ties that have changed since the last time, of sessions that pause others or are paused.
    #[inline]
    pub(in crate::router) fn take_ties(&mut self) -> Vec<Tie> {
        std::mem::take(&mut self.ties)
    }

    /// The call that an answer of a callee is for. Without one the answer is late, or a violation.
    fn invoked(
        &self,
        cx: &mut Context,
        from: SessionKey,
        name: &str,
        invocation: RequestId,
    ) -> Result<Option<CallKey>, Violation> {
        let Some(session) = cx.sessions.get(from) else { return Ok(None) };
        let call = session.dealer.invocations.get(&invocation).copied();
        if call.is_none() {
            if !session.dealer.invocation_ids.has_issued(invocation) {
                let text = format!("{name} for the invocation {invocation}, which does not exist");
                return Err(Violation(text));
            }
            cx.stats.late += 1;
        }
        Ok(call)
    }

    /// The next result to relay is probably of this call as well.
    #[inline]
    pub(in crate::router) fn set_relayed(&mut self, call: CallKey) {
        self.last_relayed = Some(call);
    }

    /// The call of a plain result of this callee.
    #[inline]
    pub(in crate::router) fn relayed(
        &self,
        callee: SessionKey,
        session: &Session,
        invocation: RequestId,
    ) -> Option<(CallKey, &Call)> {
        let matches = |call: &&Call| call.callee == callee && call.invocation == invocation;
        if let Some(last) = self.last_relayed
            && let Some(call) = self.calls.get(last).filter(matches)
        {
            return Some((last, call));
        }
        let key = *session.dealer.invocations.get(&invocation)?;
        Some((key, self.calls.get(key)?))
    }

    /// The serializer of the callee that a CALL goes to, if it can go to one.
    pub(in crate::router) fn serializer_of_callee(
        &self,
        cx: &Context,
        from: SessionKey,
        call: &message::Call,
    ) -> Option<Serializer> {
        let running = cx.sessions.get(from)?.dealer.calls.get(&call.request);
        let callee = match running.and_then(|key| self.calls.get(*key)) {
            Some(call) => call.callee,
            None => {
                let is_full = |callee| cx.sessions.is_full(callee);
                self.procedures.find(&call.procedure)?.1.choose(None, &self.loads, is_full)?.1.session
            }
        };
        Some(cx.sessions.get(callee)?.serializer)
    }

    /// The serializer of the caller that a reply of this callee goes to; `None` if the call is over.
    pub(in crate::router) fn serializer_of_caller(
        &self,
        cx: &Context,
        callee: SessionKey,
        invocation: RequestId,
    ) -> Option<Serializer> {
        let key = cx.sessions.get(callee)?.dealer.invocations.get(&invocation)?;
        Some(cx.sessions.get(self.calls.get(*key)?.caller)?.serializer)
    }
}

/// The length that a message will have, where it is counted.
fn measure(message: &Message, to: &Session, flow: Option<&Flow>) -> usize {
    match flow {
        Some(flow) if flow.is_measured() => message.encoded_len(to.serializer).unwrap_or(0),
        _ => 0,
    }
}

fn refused(refusal: Refusal) -> Refused {
    (refusal.error, refusal.text)
}
