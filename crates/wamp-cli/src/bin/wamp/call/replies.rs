//! The replies to a call, with or without progressive results.

use std::pin::Pin;

use wamp_client::{Call, CallError, CallHandle, CallReplies, CallStream, Payload, Reply};

/// The replies to one call.
pub(super) enum Replies {
    /// A call that asked for progressive results.
    Stream(Box<CallReplies<Payload, Payload>>),
    /// A call with one result. `None` when it has ended.
    Single(Option<Pin<Box<Call<'static>>>>, CallHandle),
}

impl Replies {
    pub(super) fn stream(stream: CallStream<Payload>) -> Self {
        Self::Stream(Box::new(stream.replies()))
    }

    pub(super) fn single(mut call: Call<'static>) -> Self {
        let handle = call.handle();
        Self::Single(Some(Box::pin(call)), handle)
    }

    pub(super) fn handle(&self) -> CallHandle {
        match self {
            Self::Stream(replies) => replies.handle(),
            Self::Single(_, handle) => handle.clone(),
        }
    }

    /// The next reply; `None` after the last one. May be dropped at any time without losing one.
    pub(super) async fn next(&mut self) -> Option<Result<Reply<Payload>, CallError>> {
        match self {
            Self::Stream(replies) => replies.next().await,
            Self::Single(call, _) => {
                let result = call.as_mut()?.await;
                *call = None;
                Some(result.map(|result| Reply::Result(result.into_payload())))
            }
        }
    }
}
