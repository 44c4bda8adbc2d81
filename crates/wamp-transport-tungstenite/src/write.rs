//! Writing batches to the stream.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::Sink;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use wamp_transport::{Batch, Control, Outgoing, WriteError, WriteHalf};

use crate::SharedStream;

/// A longer message is sent in fragments of at most this many bytes.
const MAX_FRAME: usize = 0xffff;

/// The stream gets no more while it holds this many unflushed bytes.
const UNFLUSHED: u64 = 64 * 1024;

/// The longest content of a control frame (RFC 6455, 5.5).
const MAX_CONTROL: usize = 125;

/// The sending half of a [`Tungstenite`](crate::Tungstenite).
///
/// A PING or PONG of a batch is cut to 125 bytes, the limit of WebSocket.
#[derive(Debug)]
pub struct Writer<S> {
    stream: SharedStream<S>,
    /// The kind of messages.
    kind: Data,
    /// The number of bytes of the front message that the stream has.
    begun: usize,
    /// The bytes that the connection has accepted, without those of frames, and those that the stream still holds.
    accepted: u64,
    unflushed: u64,
    code: CloseCode,
    /// The steps of closing: the Close frame is written, all is flushed.
    closing: bool,
    flushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    pub(crate) fn new(stream: SharedStream<S>, is_text: bool) -> Self {
        Self {
            stream,
            kind: if is_text { Data::Text } else { Data::Binary },
            begun: 0,
            accepted: 0,
            unflushed: 0,
            code: CloseCode::Normal,
            closing: false,
            flushed: false,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<Result<(), WriteError>> {
        if self.closing {
            return Poll::Ready(Err(WriteError::Closed));
        }
        let shared = self.stream.clone();
        let mut stream = shared.lock();
        loop {
            if self.unflushed >= UNFLUSHED || batch.is_empty() {
                ready!(self.poll_flush(cx, &mut stream)).map_err(end)?;
                if batch.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            ready!(Pin::new(&mut *stream).poll_ready(cx)).map_err(end)?;
            let frame = if let Some(control) = batch.pop_control() {
                self.unflushed += 1;
                control_frame(control)
            } else if let Some(message) = batch.front() {
                let len = message.encoded_len();
                let until = len.min(self.begun + MAX_FRAME);
                let opcode = if self.begun == 0 { self.kind } else { Data::Continue };
                let part = part(&message, self.begun, until);
                self.unflushed += part.len() as u64;
                self.begun = until;
                if until == len {
                    batch.pop_front();
                    self.begun = 0;
                }
                Message::Frame(Frame::message(part, OpCode::Data(opcode), until == len))
            } else {
                continue;
            };
            Pin::new(&mut *stream).start_send(frame).map_err(end)?;
        }
    }

    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut WebSocketStream<S>,
    ) -> Poll<Result<(), Error>> {
        ready!(Pin::new(stream).poll_flush(cx))?;
        self.accepted += std::mem::take(&mut self.unflushed);
        Poll::Ready(Ok(()))
    }

    /// On a broken connection it makes no difference.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = self.stream.clone();
        let mut stream = shared.lock();
        if !self.closing {
            if ready!(Pin::new(&mut *stream).poll_ready(cx)).is_ok() {
                let frame = CloseFrame { code: self.code, reason: Default::default() };
                let _ = Pin::new(&mut *stream).start_send(Message::Close(Some(frame)));
            }
            self.closing = true;
        }
        if !self.flushed {
            let _ = ready!(self.poll_flush(cx, &mut stream));
            self.flushed = true;
        }
        Pin::new(stream.get_mut()).poll_shutdown(cx).map(|_| ())
    }
}

fn control_frame(control: Control) -> Message {
    let cut = |payload: Bytes| payload.slice(..payload.len().min(MAX_CONTROL));
    match control {
        Control::Ping(payload) => Message::Ping(cut(payload)),
        Control::Pong(payload) => Message::Pong(cut(payload)),
    }
}

/// A copy of a part of a message.
fn part(message: &Outgoing<'_>, from: usize, until: usize) -> Bytes {
    let mut part = BytesMut::with_capacity(until - from);
    let mut start = 0;
    for piece in [message.head, message.payload, message.end] {
        let end = start + piece.len();
        let (first, last) = (from.max(start), until.min(end));
        if first < last {
            part.extend_from_slice(&piece[first - start..last - start]);
        }
        start = end;
    }
    part.freeze()
}

fn end(error: Error) -> WriteError {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(ProtocolError::SendAfterClosing) => {
            WriteError::Closed
        }
        Error::Io(error) => WriteError::Io(error),
        error => WriteError::Io(io::Error::other(error)),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> WriteHalf for Writer<S> {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        poll_fn(|cx| self.poll_write(cx, batch)).await
    }

    /// Grows when the stream has written everything that it holds, which is 128 KiB at most.
    fn accepted(&self) -> u64 {
        self.accepted
    }

    fn set_going_away(&mut self) {
        self.code = CloseCode::Away;
    }

    async fn close(&mut self) {
        poll_fn(|cx| self.poll_close(cx)).await;
    }
}
