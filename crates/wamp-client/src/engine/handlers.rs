//! Running handlers: each has a task of its own, and each call gets an answer.

use std::sync::Arc;

use wamp_core::{Failure, Reply, Time};
use wamp_proto::{Payload, RequestId, Uri, uri};

use crate::arguments::sentence;
use crate::ended::End;
use crate::engine::cancel::CancelState;
use crate::engine::procedure::{Job, Procedure};
use crate::engine::shared::Engine;
use crate::engine::state::{State, WaitingResult};

/// A function that starts a handler in a separate task.
pub(crate) type Start = Arc<dyn Fn(Arc<Engine>, Arc<Procedure>, Job) + Send + Sync>;

/// A handler that is registered in successive sessions.
#[derive(Clone)]
pub(crate) struct Handler {
    pub(crate) uri: Uri,
    pub(crate) concurrency: Option<usize>,
    pub(crate) start: Start,
    /// The end of its registration, over all sessions.
    pub(crate) end: Arc<End>,
}

impl Handler {
    /// Returns the procedure for a session in which no invocation of it runs.
    pub(crate) fn procedure(&self, engine: &Arc<Engine>) -> Arc<Procedure> {
        // The engine owns the procedure, not the reverse.
        let (engine, start) = (Arc::downgrade(engine), self.start.clone());
        Procedure::new(self.uri.clone(), self.concurrency, self.end.clone(), move |procedure, job| {
            if let Some(engine) = engine.upgrade() {
                start(engine, procedure, job);
            }
        })
    }
}

/// A running handler. Its call gets an answer, whether the handler returns, panics or is dropped.
pub(crate) struct Running {
    engine: Arc<Engine>,
    procedure: Arc<Procedure>,
    id: RequestId,
    cancel_state: Arc<CancelState>,
    /// Whether later handlers wait until this one has begun.
    delayed: bool,
    answered: bool,
}

impl Running {
    /// Creates it for the handler of a job, which is about to begin.
    pub(crate) fn new(engine: Arc<Engine>, procedure: Arc<Procedure>, job: &Job) -> Self {
        let Job { id, delayed, ref cancel_state, .. } = *job;
        Self { engine, procedure, id, cancel_state: cancel_state.clone(), delayed, answered: false }
    }

    /// Waits until the handler may begin. Returns `None` if the call has ended before.
    pub(crate) async fn begin(self) -> Option<Self> {
        if !self.engine.is_crowded() && !self.delayed {
            return Some(self);
        }
        // Boxed, since most handlers do not wait and do not need the memory.
        Box::pin(self.begin_later()).await
    }

    /// Waits for room, or for the end of the call.
    async fn begin_later(mut self) -> Option<Self> {
        let may_begin = tokio::select! {
            biased;
            () = self.cancel_state.over() => false,
            () = self.engine.with_room(|_, _| ()) => true,
        };
        self.engine.with(|state, _| {
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

    /// Sends the result of the handler as soon as there is room for it.
    pub(crate) async fn answer(mut self, outcome: Result<Payload, Failure>) {
        let mut reply = Some(outcome.map_or_else(Reply::Error, Reply::Result));
        let finish = |state: &mut State, now| reply.take().map(|reply| self.finish(state, now, reply));
        if self.engine.if_room_at_once(finish).is_err()
            && let Some(reply) = reply
        {
            Box::pin(self.answer_later(reply)).await;
        }
        self.answered = true;
    }

    /// Waits for room, or for the end of the call. A waiting result holds no more memory than it needs, and
    /// is counted.
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
            // A progressive result would not be an answer.
            other => (other, 0),
        };
        let (mut waits, mut reply) = (Waits::new(&self.engine), Some(reply));
        let Waits { place, .. } = &mut waits;
        let has_place = self.engine.with(|state, now| state.wait_in_place(now, self.id, bytes, place));
        if has_place {
            tokio::select! {
                biased;
                () = self.cancel_state.over() => {}
                () = self.engine.with_room(|state, now| {
                    state.leave_place(place);
                    if let Some(reply) = reply.take() {
                        self.finish(state, now, reply);
                    }
                }) => {}
            }
        }
        // The call is over, and this answer would be ignored.
        if let Some(reply) = reply {
            self.engine.with(|state, now| self.finish(state, now, reply));
        }
    }

    fn finish(&self, state: &mut State, now: Time, reply: Reply) {
        state.finish(now, self.id, &self.procedure, reply);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if std::thread::panicking() {
            // The text of the panic stays private.
            let text = sentence(self.engine.serializer(), "the procedure panicked");
            let reply = Reply::Error(Failure { error: uri::RUNTIME_ERROR, payload: text });
            self.engine.with(|state, now| self.finish(state, now, reply));
        } else {
            // The runtime is shutting down.
            self.engine.with(|state, now| state.session.handle_closed(now));
        }
    }
}

/// A result that waits for room or for credit, and is counted for that time.
pub(crate) struct Waits<'a> {
    engine: &'a Arc<Engine>,
    pub(crate) place: WaitingResult,
}

impl<'a> Waits<'a> {
    /// Creates one that does not wait yet.
    pub(crate) fn new(engine: &'a Arc<Engine>) -> Self {
        Self { engine, place: WaitingResult::default() }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if !self.place.is_empty() {
            self.engine.with(|state, _| state.leave_place(&mut self.place));
        }
    }
}
