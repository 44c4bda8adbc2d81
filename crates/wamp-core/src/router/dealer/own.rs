//! Calls that the router makes itself (behaviour [266](crate::behaviour#rule-266)). Such a call has the caller
//! [`SessionKey::ROUTER`], which is the key of no session, so that it is no plain result's (`router::relay`).

use wamp_proto::message::{self, CancelMode, InvocationDetails, MatchPolicy};
use wamp_proto::uri::UriKind;
use wamp_proto::{Message, Payload, RequestId, Serializer, Uri, uri};

use super::call::{Call, CallKey};
use super::plan::{NoPlan, Plan};
use super::{Dealer, refused};
use crate::progress::{Progress, ReplyKind};
use crate::router::context::Context;
use crate::router::event::Event;
use crate::router::outbox::{FrameInfo, check, sentence};
use crate::router::router_call::{RouterCall, RouterCallId};
use crate::router::sessions::SessionKey;
use crate::{Failure, Reply};

impl Dealer {
    pub(in crate::router) fn call_of_router(
        &mut self,
        cx: &mut Context,
        call: &RouterCall,
    ) -> Result<CallKey, Failure> {
        let draw = cx.chance.draw();
        let (error, text) = loop {
            match self.plan_of_router(cx, call, draw) {
                Ok(plan) => return Ok(self.commit(cx, plan).0),
                Err(NoPlan::Gone(registration, callee)) => self.remove_callee(cx, registration, callee),
                Err(none) => break none.refusal(&mut cx.stats),
            }
        };
        Err(failure(error, &text))
    }

    fn plan_of_router(&self, cx: &Context, call: &RouterCall, draw: u64) -> Result<Plan, NoPlan> {
        let RouterCall { procedure, payload, timeout } = call;
        cx.config.check_uri(procedure, UriKind::Exact)?;
        if let Some(ending) = cx.ending {
            return Err((uri::UNAVAILABLE, ending.text().to_owned()).into());
        }
        let found = self.find_callee(cx, SessionKey::ROUTER, procedure, draw, None)?;
        let details = InvocationDetails {
            procedure: (found.registration.policy != MatchPolicy::Exact).then(|| procedure.clone()),
            ..InvocationDetails::default()
        };
        let payload = FrameInfo::none().payload(payload, found.session).map_err(refused)?;
        let request = found.session.dealer.invocation_ids.peek();
        let registration = found.registration.id;
        let message = Message::from(message::Invocation { request, registration, details, payload });
        check(&message, found.session).map_err(refused)?;
        let call = Call {
            timeout: Some(*timeout),
            is_counted: found.registration.counts(&found.callee),
            ..Call::new(
                SessionKey::ROUTER,
                RequestId::FIRST,
                found.callee.session,
                request,
                Progress::new(false),
                (found.registration, procedure, cx.now),
            )
        };
        let (turn, wait) = (found.turn, Some(*timeout));
        Ok(Plan { call, message, goes: 0, turn, is_progressive: false, wait, keeps: false, continues: None })
    }

    /// Forwards the last reply to the router.
    pub(super) fn answer_router(
        &mut self,
        cx: &mut Context,
        key: CallKey,
        reply: Reply,
        progress: Progress,
        len: usize,
    ) {
        let outcome = match reply {
            Reply::Progress(payload) | Reply::Result(payload) => Ok(payload),
            Reply::Error(failure) => Err(failure),
        };
        cx.events.push_back(Event::Answered { call: RouterCallId(key), outcome });
        self.delivered(cx, key, ReplyKind::Last, progress, (len, 0));
    }

    /// Returns the callee of a call.
    pub(in crate::router) fn callee(&self, key: CallKey) -> Option<SessionKey> {
        self.calls.get(key).map(|call| call.callee)
    }

    /// Ends a call of the router without an event.
    pub(in crate::router) fn abandon(&mut self, cx: &mut Context, key: CallKey) {
        if self.calls.get(key).is_some() {
            self.interrupt(cx, key, CancelMode::KillNoWait, uri::CANCELED);
            self.end(cx, key);
        }
    }
}

/// Tells the router that its call has failed.
pub(super) fn fail(cx: &mut Context, key: CallKey, error: Uri, text: &str) {
    cx.events.push_back(Event::Answered { call: RouterCallId(key), outcome: Err(failure(error, text)) });
}

/// A failure with a text, in any serializer.
fn failure(error: Uri, text: &str) -> Failure {
    let any = Serializer::ALL.first().copied();
    let payload = any.and_then(|serializer| Payload::new(serializer, &(sentence(text),)).ok());
    Failure { error, payload: payload.unwrap_or_default() }
}
