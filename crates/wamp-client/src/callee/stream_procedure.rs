//! Procedures that answer with a stream.

use std::future::poll_fn;
use std::pin::{Pin, pin};

use futures_core::Stream;
use serde::Serialize;
use wamp_core::Failure as Error;
use wamp_proto::{EncodeError, Payload, Serializer, Value, uri};

use crate::arguments::sentence;
use crate::callee::failure::Failure;
use crate::callee::invocation::Invocation;
use crate::callee::outcome::{unwritable, write};
use crate::callee::progress::ProgressSender;
use crate::engine::budget::Share;
use crate::error::SendError;
use crate::reply::Reply;

/// The longest list of all items, in bytes.
const MAX_LIST: usize = 16 << 20;

/// The types of items of a procedure's stream: any value, or a [`Reply`].
pub trait StreamItem: sealed::Sealed {}

impl<T: Serialize> StreamItem for T {}
impl<T: Serialize, R: Serialize> StreamItem for Reply<T, R> {}

mod sealed {
    use super::*;

    /// Writes the item.
    #[expect(unnameable_types, reason = "no other crate may implement it")]
    pub trait Sealed {
        /// Whether it is the last one.
        fn is_last(&self) -> bool;

        /// The item as a progressive result, or as the last one.
        fn payload(&self, serializer: Serializer) -> Result<Payload, EncodeError>;

        /// The length of the item in a list.
        fn encoded_len(&self, serializer: Serializer) -> Result<usize, EncodeError>;

        /// Items that are not the last one, as one list.
        fn list(items: &[Self], serializer: Serializer) -> Result<Payload, Error>
        where
            Self: Sized;
    }
}

impl<T: Serialize> sealed::Sealed for T {
    fn is_last(&self) -> bool {
        false
    }

    fn payload(&self, serializer: Serializer) -> Result<Payload, EncodeError> {
        Payload::new(serializer, self)?.transcode(serializer)
    }

    fn encoded_len(&self, serializer: Serializer) -> Result<usize, EncodeError> {
        Ok(Payload::new(serializer, &Value(self))?.len())
    }

    fn list(items: &[Self], serializer: Serializer) -> Result<Payload, Error> {
        write(&Value(items), serializer)
    }
}

impl<T: Serialize, R: Serialize> sealed::Sealed for Reply<T, R> {
    fn is_last(&self) -> bool {
        matches!(self, Reply::Result(_))
    }

    fn payload(&self, serializer: Serializer) -> Result<Payload, EncodeError> {
        match self {
            Reply::Progress(item) => Payload::new(serializer, item),
            Reply::Result(value) => Payload::new(serializer, value),
        }?
        .transcode(serializer)
    }

    fn encoded_len(&self, serializer: Serializer) -> Result<usize, EncodeError> {
        match self {
            Reply::Progress(item) => Ok(Payload::new(serializer, &Value(item))?.len()),
            Reply::Result(_) => Ok(0),
        }
    }

    fn list(items: &[Self], serializer: Serializer) -> Result<Payload, Error> {
        let items: Vec<&T> = items
            .iter()
            .filter_map(|item| match item {
                Reply::Progress(item) => Some(item),
                Reply::Result(_) => None,
            })
            .collect();
        write(&Value(items), serializer)
    }
}

/// Runs a handler and its stream to their end.
pub(crate) async fn answer<S, I>(
    handler: &(impl Fn(Invocation) -> S + Sync),
    invocation: Invocation,
) -> Result<Payload, Error>
where
    S: Stream<Item = Result<I, Failure>> + Send,
    I: StreamItem + Send + Sync,
{
    let serializer = invocation.serializer();
    let limit = invocation.engine.max_send().min(MAX_LIST);
    let cancel_state = invocation.cancel_state.clone();
    let progress = invocation.progress();
    let share = Share::new(invocation.engine.budget());
    let stream = pin!(handler(invocation));
    let answering = async {
        match &progress {
            Some(progress) => one_by_one(stream, progress, serializer).await,
            None => at_once(stream, serializer, limit, share).await,
        }
    };
    tokio::select! {
        biased;
        // The call is over.
        () = cancel_state.over() => Err(Error::new(uri::CANCELED)),
        answer = answering => answer,
    }
}

async fn next<S: Stream>(stream: &mut Pin<&mut S>) -> Option<S::Item> {
    poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}

async fn one_by_one<S, I>(
    mut stream: Pin<&mut S>,
    progress: &ProgressSender,
    serializer: Serializer,
) -> Result<Payload, Error>
where
    S: Stream<Item = Result<I, Failure>>,
    I: StreamItem,
{
    let failed = |error: SendError| Failure::from(error).into_error(serializer);
    loop {
        // The stream is polled only when its next item can be sent.
        progress.room().await.map_err(failed)?;
        let Some(item) = next(&mut stream).await else { return Ok(Payload::empty()) };
        let item = item.map_err(|failure| failure.into_error(serializer))?;
        let payload = item.payload(serializer).map_err(|error| unwritable(serializer, &error))?;
        if item.is_last() {
            return Ok(payload);
        }
        drop(item);
        progress.send_payload(payload).await.map_err(failed)?;
    }
}

async fn at_once<S, I>(
    mut stream: Pin<&mut S>,
    serializer: Serializer,
    limit: usize,
    mut share: Share,
) -> Result<Payload, Error>
where
    S: Stream<Item = Result<I, Failure>>,
    I: StreamItem,
{
    let mut items = Vec::new();
    let mut len = 0;
    while let Some(item) = next(&mut stream).await {
        let item = item.map_err(|failure| failure.into_error(serializer))?;
        if item.is_last() {
            return item.payload(serializer).map_err(|error| unwritable(serializer, &error));
        }
        let item_len = item.encoded_len(serializer).map_err(|error| unwritable(serializer, &error))?;
        len += item_len;
        if len > limit {
            let text = sentence(serializer, &format!("all items together have more than {limit} bytes"));
            return Err(Error { error: uri::PAYLOAD_SIZE_EXCEEDED, payload: text });
        }
        if !share.grow(item_len + size_of::<I>()) {
            let text = sentence(serializer, "the callee has too many results that are not complete");
            return Err(Error { error: uri::UNAVAILABLE, payload: text });
        }
        items.push(item);
        // A stream that is always ready must yield to other tasks.
        tokio::task::consume_budget().await;
    }
    I::list(&items, serializer)
}
