//! A call between its CALL and its end, as the dealer keeps it.

use std::time::Duration;

use wamp_proto::message::InvocationDetails;
use wamp_proto::{RegistrationId, RequestId, Uri};

use super::flow::Flow;
use crate::deadlines::Deadline;
use crate::progress::Progress;
use crate::router::SessionKey;
use crate::slots::Slots;

/// Names a call. One that is over is not mistaken for a later one in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::router) struct CallKey {
    index: usize,
    count: u64,
}

#[derive(Clone)]
pub(in crate::router) struct Call {
    pub(in crate::router) caller: SessionKey,
    /// The caller's id for it.
    pub(in crate::router) request: RequestId,
    pub(super) callee: SessionKey,
    /// The callee's id for it.
    pub(super) invocation: RequestId,
    pub(super) progress: Progress,
    /// What its chunks have in common, of a call that is made in chunks.
    pub(super) upload: Option<Box<Upload>>,
    /// Its progressive results, where there are any and somebody counts them.
    pub(super) results: Option<Box<Flow>>,
    /// How long the callee may take for the next result.
    pub(super) timeout: Option<Duration>,
    /// When that is over, or the wait after a `kill`.
    pub(super) deadline: Option<Deadline>,
    /// How long the callee had been held when the deadline was set; what comes on top does not count.
    pub(super) held: Duration,
}

/// A call that is made in chunks: what was fixed with the first one.
#[derive(Clone)]
pub(super) struct Upload {
    pub(super) procedure: Uri,
    pub(super) registration: RegistrationId,
    pub(super) details: InvocationDetails,
    /// The last chunk has come.
    pub(super) finished: bool,
    /// The chunks, where somebody counts them.
    pub(super) flow: Option<Box<Flow>>,
}

#[derive(Clone)]
pub(super) struct Calls {
    slab: Slots<(u64, Call)>,
    count: u64,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self { slab: Slots::new(), count: 0 }
    }

    pub(super) fn insert(&mut self, call: Call) -> CallKey {
        self.count += 1;
        CallKey { index: self.slab.insert((self.count, call)), count: self.count }
    }

    pub(super) fn get(&self, key: CallKey) -> Option<&Call> {
        self.slab.get(key.index).filter(|(count, _)| *count == key.count).map(|(_, call)| call)
    }

    pub(super) fn get_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        self.slab.get_mut(key.index).filter(|(count, _)| *count == key.count).map(|(_, call)| call)
    }

    pub(super) fn remove(&mut self, key: CallKey) -> Option<Call> {
        self.get(key)?;
        Some(self.slab.remove(key.index).1)
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }
}
