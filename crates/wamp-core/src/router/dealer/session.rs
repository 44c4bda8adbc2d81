//! The dealer's part of a session.

use wamp_proto::{RegistrationId, RequestId};

use super::{CallKey, Dealer};
use crate::map::{self, HashSeed, Map, map};
use crate::request_ids::RequestIds;
use crate::router::context::Context;
use crate::router::dealer::procedures::RegistrationKey;
use crate::router::sessions::{SessionKey, Sessions};

/// The calls and registrations of a session.
#[derive(Clone)]
pub(in crate::router) struct SessionPart {
    /// The ids of the invocations that it gets.
    pub(super) invocation_ids: RequestIds,
    /// Calls that it has made.
    pub(super) calls: Map<RequestId, CallKey>,
    /// The number of them that take progressive results or are made in chunks.
    pub(super) progressive_calls: usize,
    /// Calls that it is to answer, by the id of the invocation.
    pub(super) invocations: Map<RequestId, CallKey>,
    /// The number of these that each caller has made.
    callers: Map<SessionKey, usize>,
    pub(super) registrations: Map<RegistrationId, RegistrationKey>,
}

/// The entries in the dealer's tables of a session that is over.
#[derive(Clone)]
pub(in crate::router) struct Remains {
    /// The first is the last of the list.
    pub(super) registrations: Vec<RegistrationKey>,
    pub(super) calls: Vec<CallKey>,
    pub(super) invocations: Vec<CallKey>,
}

/// A caller and a callee, of which the first call has begun or the last one has ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::router) struct Tie {
    pub(in crate::router) caller: SessionKey,
    pub(in crate::router) callee: SessionKey,
}

impl SessionPart {
    pub(in crate::router) fn new(seed: HashSeed) -> Self {
        Self {
            invocation_ids: RequestIds::new(),
            calls: map(seed),
            progressive_calls: 0,
            invocations: map(seed),
            callers: map(seed),
            registrations: map(seed),
        }
    }

    /// Whether it has a call under way that it made by this request.
    pub(in crate::router) fn is_calling(&self, request: RequestId) -> bool {
        self.calls.contains_key(&request)
    }

    /// The number of its registrations.
    pub(super) fn registrations(&self) -> usize {
        self.registrations.len()
    }

    /// The number of calls that it is to answer and that this caller has made.
    pub(super) fn calls_from(&self, caller: SessionKey) -> usize {
        self.callers.get(&caller).copied().unwrap_or(0)
    }

    /// The number of sessions whose calls it is to answer.
    pub(in crate::router) fn callers(&self) -> usize {
        self.callers.len()
    }

    /// Whether it has calls of others than this one to answer.
    pub(in crate::router) fn is_called_by_others(&self, than: SessionKey) -> bool {
        self.callers.len() > usize::from(self.callers.contains_key(&than))
    }

    /// The calls that it is to answer.
    pub(in crate::router) fn invocations(&self) -> Vec<CallKey> {
        self.invocations.values().copied().collect()
    }

    pub(in crate::router) fn into_remains(self) -> Remains {
        let mut registrations = Vec::from_iter(self.registrations);
        registrations.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        Remains {
            registrations: registrations.into_iter().map(|(_, key)| key).collect(),
            calls: self.calls.into_values().collect(),
            invocations: self.invocations.into_values().collect(),
        }
    }
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
