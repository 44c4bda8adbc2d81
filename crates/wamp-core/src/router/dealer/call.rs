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
    pub(in crate::router) callee: SessionKey,
    /// The callee's id for it.
    pub(in crate::router) invocation: RequestId,
    pub(in crate::router) progress: Progress,
    /// What its chunks have in common, of a call that is made in chunks.
    pub(in crate::router) upload: Option<Box<Upload>>,
    /// Its progressive results, where there are any and somebody counts them.
    pub(in crate::router) results: Option<Box<Flow>>,
    /// How long the callee may take for the next result.
    pub(in crate::router) timeout: Option<Duration>,
    /// When that is over, or the wait after a `kill`.
    pub(in crate::router) deadline: Option<Deadline>,
    /// How long the callee had been held when the deadline was set; what comes on top does not count.
    pub(in crate::router) held: Duration,
}

/// A call that is made in chunks: what was fixed with the first one.
#[derive(Clone)]
pub(in crate::router) struct Upload {
    pub(in crate::router) procedure: Uri,
    pub(in crate::router) registration: RegistrationId,
    pub(in crate::router) details: InvocationDetails,
    /// The last chunk has come.
    pub(in crate::router) finished: bool,
    /// The chunks, where somebody counts them.
    pub(in crate::router) flow: Option<Box<Flow>>,
}

#[derive(Clone)]
pub(in crate::router) struct Calls {
    slab: Slots<(u64, Call)>,
    count: u64,
}

impl Calls {
    pub(in crate::router) fn new() -> Self {
        Self { slab: Slots::new(), count: 0 }
    }

    pub(in crate::router) fn insert(&mut self, call: Call) -> CallKey {
        self.count += 1;
        CallKey { index: self.slab.insert((self.count, call)), count: self.count }
    }

    pub(in crate::router) fn get(&self, key: CallKey) -> Option<&Call> {
        self.slab.get(key.index).filter(|(count, _)| *count == key.count).map(|(_, call)| call)
    }

    pub(in crate::router) fn get_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        self.slab.get_mut(key.index).filter(|(count, _)| *count == key.count).map(|(_, call)| call)
    }

    pub(in crate::router) fn remove(&mut self, key: CallKey) -> Option<Call> {
        self.get(key)?;
        Some(self.slab.remove(key.index).1)
    }

    pub(in crate::router) fn len(&self) -> usize {
        self.slab.len()
    }
}
