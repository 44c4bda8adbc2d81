//! A call between its CALL and its end, as the dealer keeps it.

use std::time::Duration;

use slab::Slab;
use wamp_proto::RequestId;

use super::SessionKey;
use crate::deadlines::Deadline;
use crate::progress::Progress;

/// Names a call. One that is over is not mistaken for a later one in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallKey {
    index: usize,
    count: u64,
}

pub(super) struct Call {
    pub(super) caller: SessionKey,
    /// The caller's id for it.
    pub(super) request: RequestId,
    pub(super) callee: SessionKey,
    /// The callee's id for it.
    pub(super) invocation: RequestId,
    pub(super) progress: Progress,
    /// How long the callee may take for the next result.
    pub(super) timeout: Option<Duration>,
    /// When that is over, or the wait after a `kill`.
    pub(super) deadline: Option<Deadline>,
}

pub(super) struct Calls {
    slab: Slab<(u64, Call)>,
    count: u64,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self { slab: Slab::new(), count: 0 }
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
