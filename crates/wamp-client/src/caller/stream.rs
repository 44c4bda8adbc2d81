//! Calls as streams of progressive results.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::de::DeserializeOwned;
use wamp_proto::Payload;
use wamp_proto::message::CancelMode;

use crate::caller::running::{CallHandle, CallRequest, RunningCall};
use crate::engine::inbox::Next;
use crate::error::CallError;

/// A call with progressive results to be made. Await it for its stream.
#[must_use = "nothing is sent until it is awaited"]
pub struct ProgressiveCall<T> {
    request: CallRequest,
    items: PhantomData<fn() -> T>,
}

impl<T> ProgressiveCall<T> {
    pub(crate) fn new(request: CallRequest) -> Self {
        Self { request, items: PhantomData }
    }
}

impl<T: 'static> IntoFuture for ProgressiveCall<T> {
    type Output = Result<CallStream<T>, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(CallStream::new(self.request.started().await?)) })
    }
}

/// The progressive results of a call, in order; then, by [`finish`](Self::finish), its last result.
///
/// Dropping it cancels the call (`killnowait`). Besides [`next`](Self::next) there is [`Stream`].
///
/// An item that does not fit `T` is an `Err`, and the stream goes on. A call that ended in an error returns
/// that error once and then `None`.
#[must_use = "dropping it cancels the call"]
pub struct CallStream<T> {
    pending: RunningCall,
    last: Option<Result<Payload, CallError>>,
    /// The error that ended the call was returned.
    over: bool,
    items: PhantomData<fn() -> T>,
}

impl<T> CallStream<T> {
    pub(crate) fn new(pending: RunningCall) -> Self {
        Self { pending, last: None, over: false, items: PhantomData }
    }

    /// Waits for the last result, read as `R`. All progressive results that were not taken are discarded.
    ///
    /// # Errors
    /// The error that ended the call, even if [`next`](Self::next) has returned it before.
    pub async fn finish<R: DeserializeOwned>(mut self) -> Result<R, CallError> {
        let last = poll_fn(|cx| self.poll_last(cx)).await;
        Ok(last?.decode()?)
    }

    /// Cancels the call. With [`CancelMode::Kill`] the callee decides how it ends; with the other modes it ends
    /// with [`CallError::Canceled`] after the results that have arrived.
    pub fn cancel(&self, mode: CancelMode) {
        self.handle().cancel(mode);
    }

    /// A handle that can cancel the call from another task.
    pub fn handle(&self) -> CallHandle {
        self.pending.handle()
    }

    /// Discards progressive results up to the last reply.
    fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<Result<Payload, CallError>> {
        loop {
            if let Some(last) = &self.last {
                return Poll::Ready(last.clone());
            }
            if let Next::End(end) = ready!(self.pending.poll_take(cx)) {
                self.last = Some(end);
            }
        }
    }
}

impl<T: DeserializeOwned> CallStream<T> {
    /// The next progressive result; `None` after the last one. May be dropped at any time without losing
    /// one.
    #[allow(clippy::should_implement_trait, reason = "as every stream has it")]
    pub async fn next(&mut self) -> Option<Result<T, CallError>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, CallError>>> {
        if self.last.is_none() {
            match ready!(self.pending.poll_take(cx)) {
                Next::Item(payload, _) => {
                    return Poll::Ready(Some(payload.decode().map_err(CallError::Decode)));
                }
                Next::End(end) => self.last = Some(end),
            }
        }
        match &self.last {
            Some(Err(error)) if !self.over => {
                self.over = true;
                Poll::Ready(Some(Err(error.clone())))
            }
            _ => Poll::Ready(None),
        }
    }
}

impl<T: DeserializeOwned> Stream for CallStream<T> {
    type Item = Result<T, CallError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_item(cx)
    }
}

impl<T> fmt::Debug for CallStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallStream").field("call", &self.handle()).finish_non_exhaustive()
    }
}
