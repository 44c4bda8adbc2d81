//! The tables of a session: requests, calls, invocations and subscribers, with the tasks that wait for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::Waker;

use tokio::sync::oneshot;
use wamp_core::session::{Closed, Joined, Session};
use wamp_core::{Misuse, Time};
use wamp_proto::message::{Challenge, Ppt};
use wamp_proto::relay::Pack;
use wamp_proto::{Payload, PublicationId, RegistrationId, RequestId, SubscriptionId};
use wamp_transport::{Batch, Queue};

use crate::ended::End;
use crate::engine::budget::Budget;
use crate::engine::cancel::CancelState;
use crate::engine::feed::Feed;
use crate::engine::inbox::Inbox;
use crate::engine::procedure::{Job, Procedure, Upload};
use crate::engine::stats::Stats;
use crate::error::{CallError, RequestError, SubmitError};

/// A queue with this many bytes takes no more calls, publications and progressive results.
const HIGH_WATER: usize = 1 << 20;

/// The bytes that may be added to a full queue before the reader stops. They bound a router that makes a
/// callee refuse one call after another and does not read the refusals.
const MAX_SURPLUS: usize = 4 << 20;

/// The replies to one call: progressive results, then the last result or an error.
pub(crate) type Replies = Inbox<CallItem, Result<LastResult, CallError>>;

/// The last result of a call, and its options if it is opaque to routers.
pub(crate) type LastResult = (Payload, Option<Box<Ppt>>);

/// An item in the inbox of a call.
#[derive(Debug)]
pub(crate) enum CallItem {
    Result(Payload),
    /// Small results that arrived together.
    Several(Pack),
}

/// The answer to a request.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, RequestError>>;

/// A pending request, and the waiter for its answer.
pub(crate) enum PendingRequest {
    Register(Arc<Procedure>, Answer<RegistrationId>),
    Unregister(Option<Answer<()>>),
    Subscribe {
        feed: Arc<Feed>,
        /// It asks for retained events.
        retained: bool,
        waiter: Answer<SubscriptionId>,
    },
    Unsubscribe(Option<Answer<()>>),
    Publish(Answer<PublicationId>),
}

/// Everything behind the lock of a session.
pub(crate) struct State {
    pub(crate) session: Session,
    pub(crate) queue: Queue,
    /// The queue has passed its high water and is not below its low water again.
    pub(crate) full: bool,
    /// Bytes that were added while it was full.
    pub(crate) surplus: usize,
    /// The writer has found nothing to do.
    pub(crate) writer_idle: bool,
    /// Another thread writes, and the writer does not.
    pub(super) is_writing_at_once: bool,
    /// The rest that this thread has left to the writer.
    pub(super) unwritten: Option<Batch>,
    pub(crate) calls: HashMap<RequestId, PendingCall>,
    /// The options of the next reply, which is opaque to routers.
    pub(super) ppt: Option<Box<Ppt>>,
    pub(crate) requests: HashMap<RequestId, PendingRequest>,
    pub(crate) joined: Option<oneshot::Sender<Result<Box<Joined>, Closed>>>,
    /// The receiver of the router's challenge. Dropped when the session has joined or ended.
    pub(crate) challenged: Option<oneshot::Sender<Box<Challenge>>>,
    /// The end of the session, and its time.
    pub(crate) closed: Option<(Closed, Time)>,
    /// ABORT must be written before waiting requests fail.
    pub(super) has_last_words: bool,
    pub(crate) procedures: HashMap<RegistrationId, Arc<Procedure>>,
    pub(crate) invocations: Invocations,
    pub(super) feeds: HashMap<SubscriptionId, Vec<Arc<Feed>>>,
    /// For each subscription, the subscriber that asked last for its retained events.
    pub(super) retained_for: HashMap<SubscriptionId, Arc<Feed>>,
    /// Subscriptions without a subscriber, to be ended when no pending request can add one.
    pub(super) unused: Vec<SubscriptionId>,
    /// Registrations and subscriptions continue in a later session.
    pub(crate) keeps_declared: bool,
    /// The number of batches that were taken to be written.
    pub(crate) batches_taken: u64,
    pub(crate) discarded: u64,
    pub(crate) events_dropped: u64,
    pub(crate) after: After,
}

/// A call under way.
pub(crate) struct PendingCall {
    pub(crate) replies: Arc<Replies>,
    pub(crate) limit: usize,
    /// The number of batches that the writer had taken when the call was queued.
    pub(crate) batches_before: u64,
}

/// Work to do when the lock has been released.
#[derive(Default)]
pub(crate) struct After {
    /// Handlers to start.
    pub(crate) jobs: Vec<(Arc<Procedure>, Job)>,
    /// Handlers to drop, since they hold values of the application.
    pub(crate) trash: Vec<Arc<Procedure>>,
    /// The ends of revoked registrations and subscriptions, which are not declared again.
    pub(crate) revoked: Vec<Arc<End>>,
    /// Consumers with new items.
    pub(crate) wakers: Vec<Waker>,
    /// The session has just ended.
    pub(crate) closed: bool,
    /// Nothing waits for room in the queue any more.
    pub(crate) freed: bool,
    /// Writes the queue on the current thread, if no other write is under way.
    pub(super) writes_at_once: bool,
}

impl State {
    pub(crate) fn new(
        session: Session,
        queue: Queue,
        joined: oneshot::Sender<Result<Box<Joined>, Closed>>,
    ) -> Self {
        Self {
            session,
            queue,
            full: false,
            surplus: 0,
            writer_idle: false,
            is_writing_at_once: false,
            unwritten: None,
            calls: HashMap::new(),
            ppt: None,
            requests: HashMap::new(),
            joined: Some(joined),
            challenged: None,
            closed: None,
            has_last_words: false,
            procedures: HashMap::new(),
            invocations: Invocations::default(),
            feeds: HashMap::new(),
            retained_for: HashMap::new(),
            unused: Vec::new(),
            keeps_declared: false,
            batches_taken: 0,
            discarded: 0,
            events_dropped: 0,
            after: After::default(),
        }
    }

    /// Returns the counters of ignored messages.
    pub(crate) fn stats(&self) -> Stats {
        let ignored = self.session.stats();
        Stats {
            late: ignored.late,
            unsolicited: ignored.unsolicited,
            unknown: ignored.unknown,
            discarded: self.discarded,
            events_dropped: self.events_dropped + ignored.faulty_events,
        }
    }

    /// Returns the error for a command that the core refused.
    pub(crate) fn refused(&self, misuse: Misuse) -> SubmitError {
        match &self.closed {
            Some((closed, _)) => SubmitError::Closed(closed.clone()),
            None => SubmitError::Misuse(misuse),
        }
    }

    /// Records that the queue has passed its high water.
    pub(super) fn note_full(&mut self) {
        if self.queue.encoded_len() >= HIGH_WATER && self.closed.is_none() && !self.session.is_leaving() {
            self.full = true;
        }
    }

    /// Returns whether a full queue was given so many more bytes that the reader must stop.
    pub(crate) fn is_overfull(&self) -> bool {
        self.full && self.surplus > MAX_SURPLUS
    }

    /// Returns the batch for this thread to write now: if it asked for that, nothing else is under way and no
    /// other thread writes.
    pub(super) fn take_at_once(&mut self) -> Option<Batch> {
        let (calls, invocations) = self.session.in_flight();
        let may = self.writer_idle && !self.is_writing_at_once && self.closed.is_none();
        if !self.after.writes_at_once || !may || calls + invocations > 1 {
            return None;
        }
        let batch = self.queue.pop()?;
        self.batches_taken += 1;
        self.is_writing_at_once = true;
        Some(batch)
    }

    /// Returns whether the writer sleeps although there is something to write, and marks it as awake.
    pub(super) fn wants_writer(&mut self) -> bool {
        let wanted = self.writer_idle && !self.is_writing_at_once && !self.queue.is_empty();
        if wanted {
            self.writer_idle = false;
        }
        wanted
    }
}

/// Invocations under way, and their memory.
#[derive(Default)]
pub(crate) struct Invocations {
    pub(super) table: HashMap<RequestId, Invoked>,
    /// The number of invocations whose callers take progressive results.
    pub(super) streams: usize,
    /// Invocations whose handlers wait to begin, since the queue is full.
    pub(super) delayed: BTreeMap<RequestId, (Arc<Procedure>, Job)>,
    /// The first of them waits for room, on a task of its own.
    pub(super) one_begins: bool,
    /// Streams with a result that waits for credit, the one that has waited longest first.
    pub(super) starved: BTreeMap<u64, (RequestId, usize)>,
    pub(super) starved_before: u64,
    pub(crate) budget: Arc<Budget>,
    /// Tasks that wait for the end of all of them.
    pub(super) drains: Vec<Waker>,
}

/// An invocation whose handler has not ended, perhaps not begun.
pub(crate) struct Invoked {
    pub(super) cancel_state: Arc<CancelState>,
    pub(super) procedure: Arc<Procedure>,
    /// Its cost in the budget.
    pub(super) cost: usize,
    /// Its caller takes progressive results.
    pub(super) wants_progress: bool,
    /// The chunks after the first, of a call in chunks.
    pub(super) upload: Option<Arc<Upload>>,
}

/// A result that waits for room in the queue or for credit, as it is counted.
#[derive(Debug, Default)]
pub(crate) struct WaitingResult {
    pub(super) cost: usize,
    /// It waits for credit.
    pub(super) starved: Option<u64>,
}

impl WaitingResult {
    pub(crate) fn is_empty(&self) -> bool {
        self.cost == 0
    }
}

impl Invocations {
    /// Whether invocations wait for room before they begin.
    pub(crate) fn has_delayed(&self) -> bool {
        self.one_begins
    }
}
