//! Reading messages from the stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use wamp_transport::{Incoming, ReadError, ReadHalf};

use crate::SharedStream;

/// The largest number of messages that one call returns.
const MAX_MESSAGES: usize = 256;

/// The largest number of frames that are not messages in one call, after which other tasks have their turn.
const MAX_FRAMES: usize = 256;

/// The receiving half of a [`Tungstenite`](crate::Tungstenite).
#[derive(Debug)]
pub struct Reader<S> {
    stream: SharedStream<S>,
    is_text: bool,
    max_receive: usize,
    /// The length of the messages that have arrived, in bytes.
    received: u64,
    /// The end of the connection, reported after the messages before it.
    end: Option<ReadError>,
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    pub(crate) fn new(stream: SharedStream<S>, is_text: bool) -> Self {
        Self { stream, is_text, max_receive: usize::MAX, received: 0, end: None, ended: false }
    }

    fn poll(&mut self, cx: &mut Context<'_>, into: &mut Vec<Incoming>) -> Poll<Result<(), ReadError>> {
        let before = into.len();
        for _ in 0..MAX_FRAMES {
            if self.ended || into.len() - before == MAX_MESSAGES {
                break;
            }
            // A PING is answered by the stream, with the next of these calls.
            match self.poll_next(cx) {
                Poll::Ready(Ok(Some(item))) => into.push(item),
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(error)) => (self.ended, self.end) = (true, Some(error)),
                Poll::Pending if into.len() == before => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        if into.len() > before {
            return Poll::Ready(Ok(()));
        }
        if self.ended {
            return Poll::Ready(Err(self.end.take().unwrap_or(ReadError::Closed)));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Returns the next message or PONG; `None` for a frame that concerns the stream alone.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming>, ReadError>> {
        let polled = Pin::new(&mut *self.stream.lock()).poll_next(cx);
        polled.map(|next| match next {
            Some(Ok(Message::Text(text))) if self.is_text => self.message(Utf8Bytes::into(text)),
            Some(Ok(Message::Binary(bytes))) if !self.is_text => self.message(bytes),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                let kinds = if self.is_text { "binary, not text" } else { "text, not binary" };
                Err(ReadError::Violation(format!("the kind of a message is {kinds}")))
            }
            Some(Ok(Message::Pong(payload))) => Ok(Some(Incoming::Pong(payload))),
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => Ok(None),
            Some(Ok(Message::Close(_))) | None => Err(ReadError::Closed),
            Some(Err(error)) => Err(end(error)),
        })
    }

    fn message(&mut self, message: Bytes) -> Result<Option<Incoming>, ReadError> {
        self.received += message.len() as u64;
        if message.len() > self.max_receive {
            return Err(ReadError::TooLarge { len: message.len(), limit: self.max_receive });
        }
        Ok(Some(Incoming::Message(message)))
    }
}

fn end(error: Error) -> ReadError {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        // Without a Close frame. The peer may still read the answers to its messages.
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => ReadError::Closed,
        Error::Io(error) => ReadError::Io(error),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            ReadError::TooLarge { len: size, limit: max_size }
        }
        error => ReadError::Violation(error.to_string()),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> ReadHalf for Reader<S> {
    fn set_max_receive(&mut self, bytes: usize) {
        self.max_receive = bytes;
    }

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        poll_fn(|cx| self.poll(cx, into)).await
    }

    /// The length of whole messages: the stream does not report more.
    fn received(&self) -> u64 {
        self.received
    }

    async fn discard(&mut self) {
        (self.ended, self.max_receive) = (true, usize::MAX);
        poll_fn(|cx| {
            for _ in 0..MAX_FRAMES {
                match Pin::new(&mut *self.stream.lock()).poll_next(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}
