//! Calls in chunks (Advanced Profile, *Progressive Call Invocations*), with a stream of results at the same
//! time.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use wamp_core::Misuse;
use wamp_core::session::Stream;
use wamp_proto::message::CancelMode;
use wamp_proto::{Payload, RequestId};

use crate::caller::running::{CallHandle, CallRequest, RunningCall};
use crate::caller::stream::CallStream;
use crate::engine::shared::Engine;
use crate::engine::state::Replies;
use crate::error::{CallError, SendError};

/// A call in chunks to be made. Await it for its two directions.
#[must_use = "nothing is sent until it is awaited"]
pub struct DuplexCall<In, Out> {
    request: CallRequest,
    chunks: PhantomData<fn(In) -> Out>,
}

impl<In, Out> DuplexCall<In, Out> {
    pub(crate) fn new(request: CallRequest) -> Self {
        Self { request, chunks: PhantomData }
    }
}

impl<In: 'static, Out: 'static> IntoFuture for DuplexCall<In, Out> {
    type Output = Result<(ChunkSender<In>, CallStream<Out>), CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let pending = self.request.started().await?;
            let sender = ChunkSender::new(&pending);
            Ok((sender, CallStream::new(pending)))
        })
    }
}

/// The sender of the chunks of one call.
///
/// [`finish`](Self::finish) or [`end`](Self::end) ends the upload. Dropping it before cancels the call, so that
/// half an upload is not taken for a whole one.
#[must_use = "dropping it cancels the call"]
pub struct ChunkSender<In> {
    call: CallHandle,
    engine: Arc<Engine>,
    replies: Arc<Replies>,
    finished: bool,
    chunks: PhantomData<fn(In)>,
}

impl<In> ChunkSender<In> {
    fn new(pending: &RunningCall) -> Self {
        let (call, engine, replies) = (pending.handle(), pending.engine().clone(), pending.replies().clone());
        Self { call, engine, replies, finished: false, chunks: PhantomData }
    }

    /// Ends the upload without a further chunk.
    ///
    /// # Errors
    /// The call is over.
    pub async fn end(mut self) -> Result<(), SendError> {
        self.send_payload(Payload::empty(), true).await
    }

    async fn send_payload(&mut self, payload: Payload, last: bool) -> Result<(), SendError> {
        let id = self.call.id();
        tokio::task::consume_budget().await;
        let sent = self.send_as_soon_as_possible(id, payload, last).await;
        let sent = sent.map_err(SendError::from);
        // A call that is over needs no cancel.
        self.finished |= match &sent {
            Ok(()) => last,
            Err(error) => *error == SendError::Over,
        };
        sent
    }

    /// Sends as soon as there is room in the queue and credit. Dropped before, it has not sent.
    async fn send_as_soon_as_possible(
        &self,
        id: RequestId,
        mut payload: Payload,
        last: bool,
    ) -> Result<(), Misuse> {
        let stream = Stream::Chunks(id);
        loop {
            // Created before the check of the credit, so that it notices every later grant, and the end.
            let credit = self.replies.other_way.notified();
            let sent = self.engine.with_room(|state, now| match last || state.session.may_send(stream) {
                true => Ok(state.session.send_chunk(now, id, payload, last)),
                false => Err(payload),
            });
            match sent.await {
                Ok(sent) => return sent,
                Err(back) => payload = back,
            }
            // A program that sends everything before it reads anything could wait for ever for a callee that
            // waits for it in turn.
            let _lending = self.replies.lend();
            let owed = self.replies.owed();
            self.engine.with(|state, now| state.session.consume(now, Stream::Results(id), owed));
            credit.await;
        }
    }
}

impl<In: Serialize> ChunkSender<In> {
    /// Sends a chunk. Waits while the callee or the router does not keep up. May be dropped at any time: it has
    /// sent all or nothing.
    ///
    /// # Errors
    /// The call is over (the stream of results has the reason), or the value cannot be sent.
    pub async fn send(&mut self, chunk: In) -> Result<(), SendError> {
        let payload = Payload::new(self.engine.serializer(), &chunk);
        // Not to be held across the wait.
        drop(chunk);
        self.send_payload(payload?, false).await
    }

    /// Sends the last chunk.
    ///
    /// # Errors
    /// The call is over (the stream of results has the reason), or the value cannot be sent.
    pub async fn finish(mut self, last: In) -> Result<(), SendError> {
        let payload = Payload::new(self.engine.serializer(), &last)?;
        drop(last);
        self.send_payload(payload, true).await
    }
}

impl<In> Drop for ChunkSender<In> {
    fn drop(&mut self) {
        if !self.finished {
            self.call.cancel(CancelMode::KillNoWait);
        }
    }
}

impl<In> fmt::Debug for ChunkSender<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSender").field("call", &self.call).finish_non_exhaustive()
    }
}
