//! A call from its CALL to its end, as the dealer keeps it.

use std::time::Duration;

use wamp_proto::message::InvocationDetails;
use wamp_proto::{RegistrationId, RequestId, Uri};

use super::flow::Flow;
use super::reroute::Kept;
use crate::deadlines::Deadline;
use crate::progress::Progress;
use crate::router::SessionKey;
use crate::slots::Slots;

/// The key of a call. It does not match a later call in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// The registration, if it is counted in [`Loads`](super::loads::Loads).
    pub(super) counted: Option<RegistrationId>,
    pub(super) progress: Progress,
    /// The common state of the chunks, for a call in chunks.
    pub(super) upload: Option<Box<Upload>>,
    /// The stream of progressive results, if there is one and a hop uses credit.
    pub(super) results: Option<Box<Flow>>,
    /// How long the callee may take for the next result.
    pub(super) timeout: Option<Duration>,
    /// The deadline of that, or of the wait after a `kill`.
    pub(super) deadline: Option<Deadline>,
    /// How long the callee had been held when the deadline was set; later holds are added to the deadline.
    pub(super) held: Duration,
    /// No result has come, and no second chunk has gone: its callee may refuse it.
    pub(super) is_fresh: bool,
    /// The CALL, if another callee could get it.
    pub(super) kept: Option<Box<Kept>>,
}

impl Call {
    /// A call without streams, and without a timeout.
    #[inline(always)]
    pub(super) fn new(
        caller: SessionKey,
        request: RequestId,
        callee: SessionKey,
        invocation: RequestId,
        progress: Progress,
    ) -> Self {
        Self {
            caller,
            request,
            callee,
            invocation,
            counted: None,
            progress,
            upload: None,
            results: None,
            timeout: None,
            deadline: None,
            held: Duration::ZERO,
            is_fresh: true,
            kept: None,
        }
    }
}

/// The state of a call in chunks that the first one has fixed.
#[derive(Clone)]
pub(super) struct Upload {
    pub(super) procedure: Uri,
    pub(super) registration: RegistrationId,
    pub(super) details: InvocationDetails,
    /// The last chunk has arrived.
    pub(super) finished: bool,
    /// The stream of chunks, if a hop uses credit.
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
