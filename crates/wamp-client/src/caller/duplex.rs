//! Calls in chunks (Advanced Profile, *Progressive Call Invocations*), with a stream of results at the same
//! time.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::Serialize;
use wamp_core::Misuse;
use wamp_core::session::Stream;
use wamp_proto::message::CancelMode;
use wamp_proto::{Payload, RequestId};

use crate::caller::handle::Sent;
use crate::caller::running::{CallRequest, RunningCall};
use crate::caller::stream::CallStream;
use crate::deferred::Deferred;
use crate::engine::state::Replies;
use crate::error::{CallError, SendError};

/// A request for a call in chunks: a future of its two directions.
#[must_use = "nothing is sent until it is awaited"]
pub struct DuplexCall<T>(Deferred<'static, CallRequest, Directions<T>>);

type Directions<T> = Result<(ChunkSender, CallStream<T>), CallError>;

impl<T> DuplexCall<T> {
    pub(crate) fn new(request: CallRequest) -> Self {
        Self(Deferred::new(request))
    }
}

impl<T: 'static> Future for DuplexCall<T> {
    type Output = Directions<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx, |request| {
            Box::pin(async move {
                let pending = request.started().await?;
                let sender = ChunkSender::new(&pending);
                Ok((sender, CallStream::new(pending)))
            })
        })
    }
}

impl<T> fmt::Debug for DuplexCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DuplexCall").finish_non_exhaustive()
    }
}

/// The sender of the chunks of one call. A chunk is any value, as an argument is; binary ones are
/// [`Bytes`](crate::Bytes).
///
/// [`finish`](Self::finish) or [`end`](Self::end) ends the upload. Dropping it before cancels the call, so that
/// half an upload is not taken for a whole one.
#[must_use = "dropping it cancels the call"]
pub struct ChunkSender {
    call: Sent,
    replies: Arc<Replies>,
    finished: bool,
}

impl ChunkSender {
    fn new(pending: &RunningCall) -> Self {
        let call = Sent { engine: pending.engine().clone(), id: pending.id() };
        Self { call, replies: pending.replies().clone(), finished: false }
    }

    /// Sends a chunk. Waits while the callee or the router does not keep up. May be dropped at any time: it has
    /// sent all or nothing.
    ///
    /// # Errors
    /// The call is over (the stream of results has the reason), or the value cannot be sent.
    pub async fn send<T: Serialize>(&mut self, chunk: T) -> Result<(), SendError> {
        let payload = Payload::new(self.call.engine.serializer(), &chunk);
        // It must not be held across the wait.
        drop(chunk);
        self.send_payload(payload?, false).await
    }

    /// Sends the items of a stream as chunks, each when there is room for it. The upload may go on after it.
    ///
    /// # Errors
    /// As [`send`](Self::send). The items before it were sent.
    pub async fn send_all<S>(&mut self, chunks: S) -> Result<(), SendError>
    where
        S: futures_core::Stream,
        S::Item: Serialize,
    {
        let mut chunks = pin!(chunks);
        while let Some(chunk) = poll_fn(|cx| chunks.as_mut().poll_next(cx)).await {
            self.send(chunk).await?;
        }
        Ok(())
    }

    /// Sends the last chunk.
    ///
    /// # Errors
    /// The call is over (the stream of results has the reason), or the value cannot be sent.
    pub async fn finish<T: Serialize>(mut self, last: T) -> Result<(), SendError> {
        let payload = Payload::new(self.call.engine.serializer(), &last)?;
        drop(last);
        self.send_payload(payload, true).await
    }

    /// Ends the upload without a further chunk.
    ///
    /// # Errors
    /// The call is over.
    pub async fn end(mut self) -> Result<(), SendError> {
        self.send_payload(Payload::empty(), true).await
    }

    async fn send_payload(&mut self, payload: Payload, last: bool) -> Result<(), SendError> {
        let id = self.call.id;
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

    /// Sends as soon as there is room in the queue and credit. If it is dropped before, nothing is sent.
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
            let sent =
                self.call.engine.with_room(|state, now| match last || state.session.may_send(stream) {
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
            self.call.engine.with(|state, now| state.session.consume(now, Stream::Results(id), owed));
            credit.await;
        }
    }
}

impl Drop for ChunkSender {
    fn drop(&mut self) {
        if !self.finished {
            self.call.cancel(CancelMode::KillNoWait);
        }
    }
}

impl fmt::Debug for ChunkSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSender").field("call", &self.call.id).finish_non_exhaustive()
    }
}
