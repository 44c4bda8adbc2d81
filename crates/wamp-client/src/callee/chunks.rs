//! The chunks of a call, for its handler.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::de::DeserializeOwned;
use wamp_core::session::Stream as CoreStream;
use wamp_proto::{Payload, RequestId};

use crate::engine::inbox::Next;
use crate::engine::procedure::Upload;
use crate::engine::shared::Engine;
use crate::error::ChunkError;

/// The chunks of one call, in order; the stream ends after the last one. An item that does not fit `T` is an
/// `Err`, and the stream goes on; a cancel is an `Err`, and ends it.
pub struct Chunks<T> {
    first: Option<Payload>,
    upload: Option<Arc<Upload>>,
    engine: Arc<Engine>,
    id: RequestId,
    chunks: PhantomData<fn() -> T>,
}

impl<T> Chunks<T> {
    /// The chunks of an invocation; the first may have been taken already.
    pub(crate) fn new(
        engine: Arc<Engine>,
        id: RequestId,
        first: Option<Payload>,
        upload: Option<Arc<Upload>>,
    ) -> Self {
        Self { first, upload, engine, id, chunks: PhantomData }
    }
}

impl<T: DeserializeOwned> Chunks<T> {
    /// The next chunk; `None` after the last one. May be dropped at any time without losing one.
    #[allow(clippy::should_implement_trait, reason = "as every stream has it")]
    pub async fn next(&mut self) -> Option<Result<T, ChunkError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The same, for `?`: `while let Some(chunk) = chunks.try_next().await?`.
    ///
    /// # Errors
    /// The chunk does not fit, or the call was canceled.
    pub async fn try_next(&mut self) -> Result<Option<T>, ChunkError> {
        self.next().await.transpose()
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, ChunkError>>> {
        let decode = |payload: Payload| Poll::Ready(Some(payload.decode().map_err(ChunkError::Decode)));
        if let Some(first) = self.first.take() {
            return decode(first);
        }
        let Some(upload) = &self.upload else { return Poll::Ready(None) };
        match ready!(upload.poll_take(cx)) {
            Next::Item(payload, owed) => {
                if owed > 0 {
                    let stream = CoreStream::Chunks(self.id);
                    self.engine.with(|state, now| state.session.consume(now, stream, owed));
                }
                decode(payload)
            }
            Next::End(end) => {
                self.upload = None;
                Poll::Ready(end.err().map(|reason| Err(ChunkError::Canceled(reason))))
            }
        }
    }
}

impl<T: DeserializeOwned> Stream for Chunks<T> {
    type Item = Result<T, ChunkError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

impl<T> fmt::Debug for Chunks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}
