//! Calls as streams of progressive results.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::de::DeserializeOwned;
use wamp_core::reconnect::Retry;
use wamp_proto::Payload;
use wamp_proto::message::CancelMode;

use crate::caller::attempts::Attempts;
use crate::caller::handle::{CallHandle, Later};
use crate::caller::running::{CallRequest, ResultItem, RunningCall};
use crate::deferred::{Boxed, Deferred};
use crate::engine::inbox::Next;
use crate::error::CallError;

/// A request for a call with progressive results: a future of their stream.
#[must_use = "nothing is sent until it is awaited"]
pub struct ProgressiveCall<T>(Deferred<'static, Settings, Result<CallStream<T>, CallError>>);

struct Settings {
    request: CallRequest,
    retry: Option<Retry>,
}

impl<T> ProgressiveCall<T> {
    pub(crate) fn new(request: CallRequest) -> Self {
        Self(Deferred::new(Settings { request, retry: None }))
    }

    /// Repeats the call after a failure that allows it; see [`Retry`]. A call that has delivered a
    /// progressive result is never repeated: its stream ends with the error.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.0.set(|settings| settings.retry = Some(retry));
        self
    }
}

async fn start<T>(Settings { request, retry }: Settings) -> Result<CallStream<T>, CallError> {
    let Some(retry) = retry else { return Ok(CallStream::new(request.started().await?)) };
    let mut attempts = Attempts::new(request, retry)?;
    let later = attempts.later();
    let (attempts, call) = match attempts.request().started().await {
        Ok(call) => (attempts, call),
        Err(error) => {
            let (attempts, call) = attempts.again(error).await;
            (attempts, call?)
        }
    };
    let retrying = Retrying { later, next: NextAttempt::Possible(Box::new(attempts)) };
    Ok(CallStream { retrying: Some(Box::new(retrying)), ..CallStream::new(call) })
}

impl<T: 'static> Future for ProgressiveCall<T> {
    type Output = Result<CallStream<T>, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx, |settings| Box::pin(start(settings)))
    }
}

impl<T> fmt::Debug for ProgressiveCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressiveCall").finish_non_exhaustive()
    }
}

/// The progressive results of a call, in order; then, by [`finish`](Self::finish), its last result.
///
/// Dropping it cancels the call (`killnowait`). Besides [`next`](Self::next) there is [`Stream`]. A stream that includes
/// the last result is [`replies`](Self::replies).
///
/// An item that does not fit `T` is an `Err`, and the stream goes on. A call that ended in an error returns
/// that error once and then `None`.
#[must_use = "dropping it cancels the call"]
pub struct CallStream<T> {
    pending: RunningCall,
    /// The call may be repeated, since no result was delivered.
    retrying: Option<Box<Retrying>>,
    last: Option<Result<Payload, CallError>>,
    /// The error that ended the call was returned.
    over: bool,
    items: PhantomData<fn() -> T>,
}

struct Retrying {
    later: Arc<Later>,
    next: NextAttempt,
}

enum NextAttempt {
    Possible(Box<Attempts>),
    /// In a lock, which is never contended, so that a stream can be shared.
    Beginning(Mutex<Boxed<'static, (Attempts, Result<RunningCall, CallError>)>>),
    None,
}

impl<T> CallStream<T> {
    pub(crate) fn new(pending: RunningCall) -> Self {
        Self { pending, retrying: None, last: None, over: false, items: PhantomData }
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

    /// Returns a handle that can cancel the call from another task.
    pub fn handle(&self) -> CallHandle {
        match &self.retrying {
            Some(retrying) => CallHandle::later(retrying.later.clone()),
            None => self.pending.handle(),
        }
    }

    /// Discards progressive results up to the last reply.
    fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<Result<Payload, CallError>> {
        loop {
            if let Some(last) = &self.last {
                return Poll::Ready(last.clone());
            }
            if let Next::End(end) = ready!(self.poll_take(cx, |_| ())) {
                self.last = Some(end);
            }
        }
    }

    /// The next reply of either kind, a progressive result as `read` returns it. The last one comes once.
    pub(crate) fn poll_any<U>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(ResultItem<'_>) -> U,
    ) -> Poll<Next<U, Result<Payload, CallError>>> {
        match self.last.take() {
            Some(last) => Poll::Ready(Next::End(last)),
            None => self.poll_take(cx, read),
        }
    }

    /// The next reply of the present attempt, or of the first one that follows.
    fn poll_take<U>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(ResultItem<'_>) -> U,
    ) -> Poll<Next<U, Result<Payload, CallError>>> {
        let Some(retrying) = &mut self.retrying else { return self.pending.poll_taken(cx, read) };
        loop {
            if let NextAttempt::Beginning(beginning) = &mut retrying.next {
                let beginning = beginning.get_mut().unwrap_or_else(PoisonError::into_inner);
                let (attempts, begun) = ready!(beginning.as_mut().poll(cx));
                retrying.next = NextAttempt::Possible(Box::new(attempts));
                match begun {
                    Ok(call) => self.pending = call,
                    Err(error) => {
                        self.retrying = None;
                        return Poll::Ready(Next::End(Err(error)));
                    }
                }
            }
            match (
                ready!(self.pending.poll_take(cx)),
                std::mem::replace(&mut retrying.next, NextAttempt::None),
            ) {
                (Next::End(Err(error)), NextAttempt::Possible(attempts)) => {
                    retrying.next = NextAttempt::Beginning(Mutex::new(Box::pin(attempts.again(error))));
                }
                (taken, _) => {
                    // From here on the program would notice a repetition.
                    self.retrying = None;
                    return Poll::Ready(match taken {
                        Next::Item(payload, owed) => Next::Item(read(ResultItem::Alone(payload)), owed),
                        Next::End(end) => Next::End(end),
                    });
                }
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

    /// The same, for `?`: `while let Some(row) = rows.try_next().await?`.
    ///
    /// # Errors
    /// The error that ended the call, or an item that does not fit.
    pub async fn try_next(&mut self) -> Result<Option<T>, CallError> {
        self.next().await.transpose()
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, CallError>>> {
        if self.last.is_none() {
            match ready!(self.poll_take(cx, |taken| taken.decode())) {
                Next::Item(item, _) => return Poll::Ready(Some(item.map_err(CallError::Decode))),
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
