//! Procedures as the session keeps them, and their handlers at work: each on a task of its own, at most so
//! many at a time as the procedure wants, and each answered in any case.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wamp_core::{Failure, Reply, Time};
use wamp_proto::message::{self, Discloser};
use wamp_proto::{Message, Payload, RequestId, Uri, uri};

use crate::chunks::Upload;
use crate::ending::Ending;
use crate::failure::sentence;
use crate::inbox::to_keep;
use crate::invocation::Invocation;
use crate::shared::Shared;
use crate::waiters::State;

/// Starts a handler on a task of its own.
pub(crate) type Start = Box<dyn Fn(Invocation, Running) + Send + Sync>;

/// A procedure and its handler.
pub(crate) struct Procedure {
    uri: Uri,
    start: Start,
    /// How many invocations may run at a time, and those that run and wait.
    lane: Option<(usize, Mutex<Lane>)>,
}

#[derive(Default)]
struct Lane {
    running: usize,
    /// In the order they came in: the dealer counts its invocations.
    waiting: BTreeMap<RequestId, Job>,
}

/// An invocation whose handler has not begun.
pub(crate) struct Job {
    id: RequestId,
    /// What was called, where the registration is a pattern.
    uri: Option<Uri>,
    willing: bool,
    caller: Option<Box<Discloser>>,
    payload: Payload,
    upload: Option<Arc<Upload>>,
    ending: Arc<Ending>,
}

impl Job {
    pub(crate) fn new(
        invocation: message::Invocation,
        upload: Option<Arc<Upload>>,
        ending: Arc<Ending>,
    ) -> Self {
        let message::Invocation { request, details, payload, .. } = invocation;
        Self {
            id: request,
            uri: details.procedure.as_ref().map(Uri::detached),
            willing: details.receive_progress == Some(true),
            caller: details.peer,
            payload: to_keep(payload),
            upload,
            ending,
        }
    }
}

impl Procedure {
    pub(crate) fn new(uri: Uri, concurrency: Option<usize>, start: Start) -> Arc<Self> {
        let lane = concurrency.map(|limit| (limit.max(1), Mutex::default()));
        Arc::new(Self { uri, start, lane })
    }

    /// The job, if it may begin now; else it waits for its turn.
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

    /// One handler has ended; the job whose turn it is.
    pub(crate) fn next(&self) -> Option<Job> {
        let (_, lane) = self.lane.as_ref()?;
        let mut lane = lock(lane);
        let next = lane.waiting.pop_first().map(|(_, job)| job);
        if next.is_none() {
            lane.running -= 1;
        }
        next
    }

    /// Takes back a job that waits. `false`: it does not.
    pub(crate) fn withdraw(&self, id: RequestId) -> bool {
        self.lane.as_ref().is_some_and(|(_, lane)| lock(lane).waiting.remove(&id).is_some())
    }

    /// Starts a handler.
    pub(crate) fn run(self: Arc<Self>, shared: &Arc<Shared>, job: Job) {
        let Job { id, uri, willing, caller, payload, upload, ending } = job;
        let uri = uri.unwrap_or_else(|| self.uri.clone());
        let invocation =
            Invocation { shared: shared.clone(), id, uri, willing, caller, payload, upload, ending };
        let running = Running { shared: shared.clone(), procedure: self.clone(), id, answered: false };
        (self.start)(invocation, running);
    }
}

fn lock(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    // Nothing in this file panics between two changes that belong together.
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handler at work. Whatever becomes of it, its call gets an answer.
pub(crate) struct Running {
    shared: Arc<Shared>,
    procedure: Arc<Procedure>,
    id: RequestId,
    answered: bool,
}

impl Running {
    /// The handler has ended with this result.
    pub(crate) fn answer(mut self, outcome: Result<Payload, Failure>) {
        let reply = self.sendable(outcome);
        self.answered = true;
        self.shared.with(|state, now| self.finish(state, now, reply));
    }

    fn finish(&self, state: &mut State, now: Time, reply: Reply) {
        state.finish(now, self.id, &self.procedure, reply);
    }

    /// The answer in a form that fits the queue in any case.
    fn sendable(&self, outcome: Result<Payload, Failure>) -> Reply {
        let serializer = self.shared.serializer();
        let failure = match outcome {
            Ok(payload) => {
                let message = || result(self.id, payload.clone());
                match self.shared.check_size(payload.len(), &NOTHING, |_| message()) {
                    Ok(()) => return Reply::Result(payload),
                    Err(unsent) => Failure {
                        error: uri::PAYLOAD_SIZE_EXCEEDED,
                        payload: sentence(serializer, &unsent.to_string()),
                    },
                }
            }
            Err(failure) => failure,
        };
        let message = || error(self.id, failure.clone());
        if self.shared.check_size(failure.payload.len(), &failure.error, |_| message()).is_ok() {
            return Reply::Error(failure);
        }
        let text = "the error that the procedure gave is too long or cannot be written";
        Reply::Error(Failure { error: uri::RUNTIME_ERROR, payload: sentence(serializer, text) })
    }
}

const NOTHING: Uri = Uri::from_static("");

fn result(request: RequestId, payload: Payload) -> Message {
    message::Yield { request, options: Default::default(), payload }.into()
}

fn error(request: RequestId, failure: Failure) -> Message {
    let Failure { error, payload } = failure;
    let kind = message::RequestKind::Invocation;
    message::Error { kind, request, details: Default::default(), error, payload }.into()
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if std::thread::panicking() {
            // Without the text of the panic, which is nobody's business outside.
            let text = sentence(self.shared.serializer(), "the procedure panicked");
            let reply = Reply::Error(Failure { error: uri::RUNTIME_ERROR, payload: text });
            self.shared.with(|state, now| self.finish(state, now, reply));
        } else {
            // The runtime takes its tasks down.
            self.shared.with(|state, now| state.session.handle_closed(now));
        }
    }
}
