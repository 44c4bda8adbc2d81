//! Which sessions have calls under way with each other.

use wamp_proto::RequestId;

use super::{CallKey, Dealer};
use crate::map;
use crate::router::context::Context;
use crate::router::sessions::{SessionKey, Sessions};

/// A caller and a callee, of which the first call has begun or the last one has ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::router) struct Tie {
    pub(in crate::router) caller: SessionKey,
    pub(in crate::router) callee: SessionKey,
}

impl Sessions {
    /// Whether two sessions have a call under way with each other.
    pub(in crate::router) fn is_tied(&self, session: SessionKey, other: SessionKey) -> bool {
        let calls =
            |caller, callee| self.get(callee).is_some_and(|callee| callee.dealer.calls_from(caller) > 0);
        calls(session, other) || calls(other, session)
    }
}

impl Dealer {
    /// A call has begun.
    pub(super) fn tie(&mut self, cx: &mut Context, caller: SessionKey, callee: SessionKey) {
        let Some(session) = cx.sessions.get_mut(callee) else { return };
        let calls = session.dealer.callers.entry(caller).or_insert(0);
        *calls += 1;
        if *calls == 1 && session.pace.is_some() {
            self.ties.push(Tie { caller, callee });
        }
    }

    /// A call has ended.
    pub(super) fn untie(&mut self, cx: &mut Context, caller: SessionKey, callee: SessionKey) {
        let Some(session) = cx.sessions.get_mut(callee) else { return };
        let Some(calls) = session.dealer.callers.get_mut(&caller) else { return };
        *calls -= 1;
        if *calls == 0 {
            map::remove(&mut session.dealer.callers, &caller);
            if session.pace.is_some() {
                self.ties.push(Tie { caller, callee });
            }
        }
    }

    /// The calls between a session and others that it pauses, in the order in which they were made: those that it has
    /// made, and those of which it still gets chunks.
    pub(in crate::router) fn calls_with(
        &self,
        cx: &Context,
        session: SessionKey,
        paused: impl Fn(SessionKey) -> bool,
    ) -> Vec<CallKey> {
        let Some(part) = cx.sessions.get(session).map(|session| &session.dealer) else { return Vec::new() };
        let made = part
            .calls
            .iter()
            .filter(|(_, key)| self.calls.get(**key).is_some_and(|call| paused(call.callee)));
        let got = part.invocations.iter().filter(|(_, key)| {
            self.calls.get(**key).is_some_and(|call| {
                let in_chunks = call.upload.as_ref().is_some_and(|upload| !upload.finished);
                in_chunks && call.caller != session && paused(call.caller)
            })
        });
        let in_order = |calls: &mut dyn Iterator<Item = (&RequestId, &CallKey)>| {
            let mut calls = Vec::from_iter(calls.map(|(id, key)| (*id, *key)));
            calls.sort_unstable_by_key(|(id, _)| *id);
            calls.into_iter().map(|(_, key)| key)
        };
        in_order(&mut { made }).chain(in_order(&mut { got })).collect()
    }
}
