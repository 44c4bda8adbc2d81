//! Procedures as the session keeps them, and their handlers at work: each on a task of its own, at most so
//! many at a time as the procedure wants, and each answered in any case.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wamp_core::{Failure, Reply, Time};
use wamp_proto::message::{self, Discloser};
use wamp_proto::{Message, Payload, RequestId, Uri, uri};

use crate::callee::chunks::Upload;
use crate::callee::failure::sentence;
use crate::callee::invocation::Invocation;
use crate::engine::cancel::Ending;
use crate::engine::inbox::to_keep;
use crate::engine::shared::{Shared, Waits};
use crate::engine::state::State;

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
    /// Those behind it wait until it has begun.
    delayed: bool,
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
            delayed: false,
        }
    }

    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    /// It is the first of those that wait for room before they begin.
    pub(crate) fn delay(&mut self) {
        self.delayed = true;
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
        let Job { id, uri, willing, caller, payload, upload, ending, delayed } = job;
        let uri = uri.unwrap_or_else(|| self.uri.clone());
        let invocation =
            Invocation { shared: shared.clone(), id, uri, willing, caller, payload, upload, ending };
        let ending = invocation.ending.clone();
        let (shared, procedure) = (shared.clone(), self.clone());
        let running = Running { shared, procedure, id, ending, delayed, answered: false };
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
    ending: Arc<Ending>,
    /// Those behind it wait until it has begun.
    delayed: bool,
    answered: bool,
}

impl Running {
    /// Waits until the handler may begin; gives nothing if the call has ended before.
    pub(crate) async fn begin(mut self) -> Option<Self> {
        if !self.shared.is_crowded() && !self.delayed {
            return Some(self);
        }
        let may_begin = tokio::select! {
            biased;
            () = self.ending.over() => false,
            () = self.shared.with_room(|_, _| ()) => true,
        };
        self.shared.with(|state, _| {
            if !may_begin {
                state.end(self.id, &self.procedure);
            }
            if self.delayed {
                state.begin_next();
            }
        });
        self.answered = !may_begin;
        may_begin.then_some(self)
    }

    /// The handler has ended with this result, which goes out as soon as there is room for it.
    pub(crate) async fn answer(mut self, outcome: Result<Payload, Failure>) {
        let mut reply = Some(self.sendable(outcome));
        let finish = |state: &mut State, now| reply.take().map(|reply| self.finish(state, now, reply));
        if self.shared.if_room(finish).is_err()
            && let Some(reply) = reply
        {
            self.answer_later(reply).await;
        }
        self.answered = true;
    }

    /// Waits for room, or for the end of the call. What waits holds no more memory than it needs, and is counted.
    async fn answer_later(&self, reply: Reply) {
        let (reply, bytes) = match reply {
            Reply::Result(payload) => {
                let bytes = payload.len();
                (Reply::Result(payload.detached()), bytes)
            }
            Reply::Error(Failure { error, payload }) => {
                let bytes = payload.len() + error.len();
                (Reply::Error(Failure { error, payload: payload.detached() }), bytes)
            }
            // It would not be an answer.
            other => (other, 0),
        };
        let (mut waits, mut reply) = (Waits::new(&self.shared), Some(reply));
        let Waits { place, .. } = &mut waits;
        let has_place = self.shared.with(|state, now| state.wait_in_place(now, self.id, bytes, place));
        if has_place {
            tokio::select! {
                biased;
                () = self.ending.over() => {}
                () = self.shared.with_room(|state, now| {
                    state.leave_place(place);
                    if let Some(reply) = reply.take() {
                        self.finish(state, now, reply);
                    }
                }) => {}
            }
        }
        // The call is over, and this is not heard any more.
        if let Some(reply) = reply {
            self.shared.with(|state, now| self.finish(state, now, reply));
        }
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
