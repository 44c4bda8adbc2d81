//! A call on its way: from its request to its last reply.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use wamp_core::Time;
use wamp_core::session::Stream;
use wamp_proto::message::{CallOptions, CancelMode};
use wamp_proto::{Payload, RequestId, Uri};

use crate::arguments::Body;
use crate::engine::inbox::{Hand, Inbox, Next};
use crate::engine::shared::Engine;
use crate::engine::state::{PendingCall, Replies, State};
use crate::error::{CallError, SubmitError};
use crate::session::Session;

/// All that is known about a call before it is made.
pub(crate) struct CallRequest {
    pub(super) session: Session,
    /// The engine when the call was put together.
    pub(super) engine: Arc<Engine>,
    pub(super) procedure: Uri,
    pub(super) options: CallOptions,
    pub(super) body: Body,
    pub(super) buffer: usize,
    /// How long to wait for a connection.
    pub(super) when_up: Option<Duration>,
}

/// A call that waits for room in the queue.
pub(crate) type Starting = Pin<Box<dyn Future<Output = Result<RunningCall, CallError>> + Send>>;

/// What has become of a request.
pub(crate) enum Submitted {
    Running(RunningCall),
    Waiting(Starting),
}

impl CallRequest {
    /// Makes the call, or begins to wait for room in the queue.
    pub(crate) fn start(self) -> Result<Submitted, CallError> {
        if let Some(limit) = self.when_up
            && !self.session.is_open()
        {
            return Ok(Submitted::Waiting(Box::pin(async move {
                self.session.link().when_up(limit).await;
                self.submitted().await
            })));
        }
        let (session, engine, prepared) = self.prepare()?;
        let replies = prepared.replies.clone();
        match engine.if_room_at_once(|state, now| prepared.send(state, now)) {
            Ok(sent) => {
                Ok(Submitted::Running(RunningCall { session, engine, id: sent?, replies, hand: Hand::new() }))
            }
            Err(send) => Ok(Submitted::Waiting(Box::pin(async move {
                let id = engine.with_room(send).await?;
                Ok(RunningCall { session, engine, id, replies, hand: Hand::new() })
            }))),
        }
    }

    /// Makes the call as soon as there is room in the queue.
    pub(crate) async fn started(self) -> Result<RunningCall, CallError> {
        if let Some(limit) = self.when_up {
            self.session.link().when_up(limit).await;
        }
        self.submitted().await
    }

    async fn submitted(self) -> Result<RunningCall, CallError> {
        let (session, engine, prepared) = self.prepare()?;
        let replies = prepared.replies.clone();
        let id = engine.with_room(|state, now| prepared.send(state, now)).await?;
        Ok(RunningCall { session, engine, id, replies, hand: Hand::new() })
    }

    /// Writes the arguments.
    fn prepare(self) -> Result<(Session, Arc<Engine>, ReadyCall), SubmitError> {
        let CallRequest { session, engine, procedure, options, body, buffer, .. } = self;
        let engine = if engine.is_over() { session.engine() } else { engine };
        let payload = body.finish(engine.serializer())?;
        let replies = Arc::new(Inbox::new(buffer));
        let prepared = ReadyCall { procedure, options, payload, replies, limit: buffer };
        Ok((session, engine, prepared))
    }
}

/// A call that can be sent. It has no handle of the session, since it may be dropped under the lock.
struct ReadyCall {
    procedure: Uri,
    options: CallOptions,
    payload: Payload,
    replies: Arc<Replies>,
    limit: usize,
}

impl ReadyCall {
    fn send(self, state: &mut State, now: Time) -> Result<RequestId, SubmitError> {
        let ReadyCall { procedure, options, payload, replies, limit } = self;
        match state.session.call(now, options, procedure, payload) {
            Ok(id) => {
                let batches_before = state.batches_taken;
                state.calls.insert(id, PendingCall { replies, limit, batches_before });
                Ok(id)
            }
            Err(misuse) => Err(state.refused(misuse)),
        }
    }
}

/// A call under way. Dropping it cancels it.
pub(crate) struct RunningCall {
    #[expect(dead_code, reason = "keeps the session")]
    session: Session,
    engine: Arc<Engine>,
    id: RequestId,
    replies: Arc<Replies>,
    hand: Hand<Payload>,
}

impl RunningCall {
    /// The next progressive result, or the end, which comes once.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Next<Payload, Result<Payload, CallError>>> {
        let mut owed = 0;
        let taken = self.replies.poll_next(cx, &mut self.hand, &mut owed);
        if owed > 0 {
            let stream = Stream::Results(self.id);
            self.engine.with(|state, now| state.session.consume(now, stream, owed));
        }
        taken
    }

    pub(crate) fn replies(&self) -> &Arc<Replies> {
        &self.replies
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The handle for canceling it.
    pub(crate) fn handle(&self) -> CallHandle {
        CallHandle { engine: self.engine.clone(), id: self.id }
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        if !self.replies.is_finished() {
            let id = self.id;
            self.engine.with(|state, now| state.abandon(now, id));
        }
    }
}

/// Cancels a call from somewhere else. It keeps neither the call nor the session.
#[derive(Clone)]
pub struct CallHandle {
    engine: Arc<Engine>,
    id: RequestId,
}

impl CallHandle {
    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    /// Cancels the call. With [`CancelMode::Kill`] the callee decides how it ends and may go on sending until
    /// then; with the other modes it ends with [`CallError::Canceled`] after what has already come. A call
    /// that is over stays as it is.
    pub fn cancel(&self, mode: CancelMode) {
        // `Unknown`: it is over.
        let _ = self.engine.with(|state, now| state.session.cancel(now, self.id, mode));
    }
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallHandle").field(&self.id).finish()
    }
}
