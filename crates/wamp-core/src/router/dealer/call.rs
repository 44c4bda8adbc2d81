//! A call from its CALL to its end, as the dealer keeps it.

use std::time::Duration;

use wamp_proto::message::{InvocationDetails, MatchPolicy};
use wamp_proto::{RegistrationId, RequestId, Uri};

use super::flow::Flow;
use super::procedures::Registration;
use super::reroute::Kept;
use crate::Time;
use crate::deadlines::Deadline;
use crate::progress::Progress;
use crate::router::SessionKey;
use crate::router::figures::SAMPLED;
use crate::router::snapshot::{CallId, Portion};
use crate::slots::Slots;

/// The key of a call, in the order of the CALLs. It does not match a later call in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::router) struct CallKey {
    count: u64,
    index: usize,
}

impl CallKey {
    pub(super) fn of(id: CallId) -> Self {
        Self { index: id.index, count: id.count }
    }

    pub(super) fn id(self) -> CallId {
        CallId { count: self.count, index: self.index }
    }

    /// Whether the call is one of those that are timed.
    #[inline]
    pub(super) fn is_sampled(self) -> bool {
        self.count % SAMPLED == 1
    }
}

/// The figures of a call.
#[derive(Clone, Copy)]
pub(super) struct Tally {
    /// The time of the CALL.
    pub(super) since: Time,
    /// Progressive results, their bytes, and the time of the last one.
    pub(super) results: u64,
    pub(super) bytes: u64,
    pub(super) last: Time,
}

#[derive(Clone)]
pub(in crate::router) struct Call {
    pub(in crate::router) caller: SessionKey,
    /// The caller's id for it.
    pub(in crate::router) request: RequestId,
    pub(super) callee: SessionKey,
    /// The callee's id for it.
    pub(super) invocation: RequestId,
    /// The registration that it went to.
    pub(super) registration: RegistrationId,
    /// The procedure, if that is not the URI of the registration.
    pub(super) procedure: Option<Box<str>>,
    /// It is counted in [`Loads`](super::loads::Loads).
    pub(super) is_counted: bool,
    pub(super) progress: Progress,
    pub(super) tally: Tally,
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
    /// A call at this time without streams, and without a timeout.
    #[inline(always)]
    pub(super) fn new(
        caller: SessionKey,
        request: RequestId,
        callee: SessionKey,
        invocation: RequestId,
        progress: Progress,
        (registration, procedure, now): (&Registration, &Uri, Time),
    ) -> Self {
        Self {
            caller,
            request,
            callee,
            invocation,
            registration: registration.id,
            procedure: (registration.policy != MatchPolicy::Exact).then(|| procedure.as_str().into()),
            is_counted: false,
            progress,
            tally: Tally { since: now, results: 0, bytes: 0, last: now },
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

impl Call {
    /// Whether it waits for a callee with room.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.callee.is_router()
    }
}

/// The state of a call in chunks that the first one has fixed.
#[derive(Clone)]
pub(super) struct Upload {
    pub(super) procedure: Uri,
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

    /// Inserts a call, which keeps the number of the one that it continues. That one was removed.
    pub(super) fn insert(&mut self, call: Call, continues: Option<CallKey>) -> CallKey {
        let count = match continues {
            Some(key) => key.count,
            None => {
                self.count += 1;
                self.count
            }
        };
        CallKey { count, index: self.slab.insert((count, call)) }
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

    /// The calls at the places from `from` on, of which `places` are looked at.
    pub(super) fn portion<T>(
        &self,
        from: usize,
        places: usize,
        show: impl Fn(CallKey, &Call) -> T,
    ) -> Portion<T> {
        let row = |index, (count, call): &(u64, Call)| Some(show(CallKey { index, count: *count }, call));
        let (rows, next) = self.slab.portion(from, places, row);
        Portion { rows, next }
    }
}
