//! All replies to a call, as one stream.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use crate::caller::handle::CallHandle;
use crate::caller::stream::CallStream;
use crate::engine::inbox::Next;
use crate::error::CallError;
use crate::reply::Reply;

/// The replies to a call, in order: its progressive results, then its last result. The stream ends after the last
/// result, or after the error that ended the call.
///
/// Dropping it cancels the call (`killnowait`). An item that does not fit its type is an `Err`, and the stream goes on.
#[must_use = "dropping it cancels the call"]
pub struct CallReplies<T, R> {
    stream: CallStream<T>,
    is_over: bool,
    result: PhantomData<fn() -> R>,
}

impl<T> CallStream<T> {
    /// Returns the progressive results and the last result as one stream, for combinators, or for one handler
    /// of both.
    ///
    /// ```
    /// # use wamp_client::{CallError, Session};
    /// # async fn example(session: Session) -> Result<(), CallError> {
    /// # fn show(_: i64) {}
    /// let longop = session.call("com.myapp.longop").arg(3).progressive::<i64>().await?;
    /// let mut replies = longop.replies::<i64>();
    /// while let Some(reply) = replies.try_next().await? {
    ///     show(reply.into_inner()); // both kinds
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The last result may have a type of its own:
    ///
    /// ```
    /// # use wamp_client::{CallError, Session};
    /// # async fn example(session: Session) -> Result<(), CallError> {
    /// use futures_util::StreamExt;
    /// use wamp_client::Reply;
    ///
    /// let rows = session.call("com.example.report").arg(2024).progressive::<String>().await?;
    /// let lines = rows.replies::<u64>().map(|reply| match reply {
    ///     Ok(Reply::Progress(row)) => row,
    ///     Ok(Reply::Result(sum)) => format!("sum: {sum}"),
    ///     Err(error) => error.to_string(),
    /// });
    /// # drop(lines);
    /// # Ok(())
    /// # }
    /// ```
    pub fn replies<R: DeserializeOwned>(self) -> CallReplies<T, R> {
        CallReplies { stream: self, is_over: false, result: PhantomData }
    }
}

impl<T, R> CallReplies<T, R> {
    /// Returns a handle that can cancel the call.
    pub fn handle(&self) -> CallHandle {
        self.stream.handle()
    }
}

impl<T: DeserializeOwned, R: DeserializeOwned> CallReplies<T, R> {
    /// The next reply; `None` after the last one. May be dropped at any time without losing one.
    #[allow(clippy::should_implement_trait, reason = "as every stream has it")]
    pub async fn next(&mut self) -> Option<Result<Reply<T, R>, CallError>> {
        poll_fn(|cx| self.poll_reply(cx)).await
    }

    /// The same, for `?`: `while let Some(reply) = replies.try_next().await?`.
    ///
    /// # Errors
    /// The error that ended the call, or an item that does not fit.
    pub async fn try_next(&mut self) -> Result<Option<Reply<T, R>>, CallError> {
        self.next().await.transpose()
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Reply<T, R>, CallError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let reply = match ready!(self.stream.poll_any(cx, |taken| taken.decode())) {
            Next::Item(item, _) => item.map(Reply::Progress).map_err(CallError::Decode),
            Next::End(end) => {
                self.is_over = true;
                end.and_then(|payload| Ok(Reply::Result(payload.decode()?)))
            }
        };
        Poll::Ready(Some(reply))
    }
}

impl<T: DeserializeOwned, R: DeserializeOwned> Stream for CallReplies<T, R> {
    type Item = Result<Reply<T, R>, CallError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_reply(cx)
    }
}

impl<T, R> fmt::Debug for CallReplies<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallReplies").field("call", &self.handle()).finish_non_exhaustive()
    }
}
