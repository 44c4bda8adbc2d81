//! The dealer's part of a session.

use wamp_proto::{RegistrationId, RequestId};

use super::call::CallKey;
use super::procedures::RegistrationKey;
use crate::map::{HashSeed, Map, map};
use crate::request_ids::RequestIds;
use crate::router::SessionKey;

/// The calls and registrations of a session.
#[derive(Clone)]
pub(in crate::router) struct SessionPart {
    /// The ids of the invocations that it gets.
    pub(super) invocation_ids: RequestIds,
    /// Calls that it has made.
    pub(super) calls: Map<RequestId, CallKey>,
    /// The number of them that take progressive results or are made in chunks.
    pub(super) progressive_calls: usize,
    /// The bytes of its calls that could still go to another callee.
    pub(super) kept_bytes: usize,
    /// Calls that it is to answer, by the id of the invocation.
    pub(super) invocations: Map<RequestId, CallKey>,
    /// The number of these that each caller has made.
    pub(super) callers: Map<SessionKey, usize>,
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

impl SessionPart {
    pub(in crate::router) fn new(seed: HashSeed) -> Self {
        Self {
            invocation_ids: RequestIds::new(),
            calls: map(seed),
            progressive_calls: 0,
            kept_bytes: 0,
            invocations: map(seed),
            callers: map(seed),
            registrations: map(seed),
        }
    }

    /// Whether it has a call of this caller to answer.
    pub(in crate::router) fn is_called_by(&self, caller: SessionKey) -> bool {
        self.callers.contains_key(&caller)
    }

    /// Whether it has a call under way that it made by this request.
    pub(in crate::router) fn is_calling(&self, request: RequestId) -> bool {
        self.calls.contains_key(&request)
    }

    /// The ids of its registrations, the latest first.
    pub(in crate::router) fn registration_ids(&self) -> Vec<RegistrationId> {
        let mut ids = Vec::from_iter(self.registrations.keys().copied());
        ids.sort_unstable_by(|one, other| other.cmp(one));
        ids
    }

    /// The number of running calls that it has made.
    pub(in crate::router) fn calls_made(&self) -> usize {
        self.calls.len()
    }

    /// The number of running calls that it is to answer.
    pub(in crate::router) fn calls_to_answer(&self) -> usize {
        self.invocations.len()
    }

    /// The number of its registrations.
    pub(in crate::router) fn registrations(&self) -> usize {
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
