//! Registered procedures, and the invocations that wait for one of the places of their procedure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wamp_proto::message::{self, Discloser, Extra, Ppt};
use wamp_proto::{Payload, RequestId, Uri};

use crate::ended::End;
use crate::engine::cancel::CancelState;
use crate::engine::inbox::{Inbox, detach_small};
use crate::error::CancelReason;

/// Chunks that have arrived and were not taken, then the end of the upload.
pub(crate) type Upload = Inbox<Payload, Result<(), CancelReason>>;

/// A procedure and its handler, in one session.
pub(crate) struct Procedure {
    uri: Uri,
    /// Starts the handler in a separate task.
    start: Box<dyn Fn(Arc<Procedure>, Job) + Send + Sync>,
    /// The end of its registration, over all sessions.
    end: Arc<End>,
    /// The limit of simultaneous invocations, and the running and waiting ones.
    lane: Option<(usize, Mutex<Lane>)>,
}

#[derive(Default)]
struct Lane {
    running: usize,
    /// In the order of arrival, since the dealer numbers its invocations.
    waiting: BTreeMap<RequestId, Job>,
}

/// An invocation whose handler has not begun.
pub(crate) struct Job {
    pub(crate) id: RequestId,
    /// The called procedure, if the registration is a pattern.
    pub(crate) uri: Option<Uri>,
    pub(crate) wants_progress: bool,
    pub(crate) caller: Option<Box<Discloser>>,
    pub(crate) ppt: Option<Box<Ppt>>,
    /// Details without a field.
    pub(crate) extra: Extra,
    pub(crate) payload: Payload,
    pub(crate) upload: Option<Arc<Upload>>,
    pub(crate) cancel_state: Arc<CancelState>,
    /// Whether later handlers wait until this one has begun.
    pub(crate) delayed: bool,
}

impl Job {
    pub(crate) fn new(
        invocation: message::Invocation,
        upload: Option<Arc<Upload>>,
        cancel_state: Arc<CancelState>,
    ) -> Self {
        let message::Invocation { request, details, payload, .. } = invocation;
        Self {
            id: request,
            uri: details.procedure.as_ref().map(Uri::detached),
            wants_progress: details.receive_progress == Some(true),
            caller: details.peer,
            ppt: details.ppt.map(|ppt| Box::new(ppt.detached())),
            extra: details.extra.detached(),
            payload: detach_small(payload),
            upload,
            cancel_state,
            delayed: false,
        }
    }

    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    /// Marks it as the first of the handlers that wait for room before they begin.
    pub(crate) fn delay(&mut self) {
        self.delayed = true;
    }
}

impl Procedure {
    pub(crate) fn new(
        uri: Uri,
        concurrency: Option<usize>,
        end: Arc<End>,
        start: impl Fn(Arc<Self>, Job) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let lane = concurrency.map(|limit| (limit.max(1), Mutex::default()));
        Arc::new(Self { uri, start: Box::new(start), end, lane })
    }

    /// Returns the job if it may begin now; otherwise the job waits for its turn.
    pub(crate) fn admit(&self, job: Job) -> Option<Job> {
        let Some((limit, lane)) = &self.lane else { return Some(job) };
        let mut lane = lock(lane);
        if lane.running >= *limit {
            lane.waiting.insert(job.id, job);
            return None;
        }
        lane.running += 1;
        Some(job)
    }

    /// Records the end of a handler. Returns the job whose turn it is.
    pub(crate) fn next(&self) -> Option<Job> {
        let (_, lane) = self.lane.as_ref()?;
        let mut lane = lock(lane);
        let next = lane.waiting.pop_first().map(|(_, job)| job);
        if next.is_none() {
            lane.running -= 1;
        }
        next
    }

    /// Removes a waiting job. Returns `false` if it is not waiting.
    pub(crate) fn withdraw(&self, id: RequestId) -> bool {
        self.lane.as_ref().is_some_and(|(_, lane)| lock(lane).waiting.remove(&id).is_some())
    }

    /// The registered URI.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The end of its registration.
    pub(crate) fn end(&self) -> &Arc<End> {
        &self.end
    }

    /// Starts a handler.
    pub(crate) fn run(self: Arc<Self>, job: Job) {
        (self.start)(self.clone(), job);
    }
}

fn lock(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    // Nothing in this file panics between two changes that belong together.
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}
