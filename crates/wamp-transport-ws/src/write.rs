//! Batches into a connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::Message;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use wamp_transport::{Batch, Control, Outgoing, WriteError, WriteHalf};

use crate::shared::{Shared, io_error};
use crate::stream::{Task, would_block};

/// A longer message leaves in fragments of at most this many octets, which is what a 16-bit length says.
const MAX_FRAME: usize = 0xffff;

/// What a PING or PONG may carry (RFC 6455, 5.5).
const MAX_CONTROL: usize = 125;

/// The sending half of a [`WebSocket`](crate::WebSocket).
///
/// A PING or PONG of a batch is cut to 125 octets, which is all that WebSocket allows.
#[derive(Debug)]
pub struct Writer<S> {
    shared: Shared<S>,
    /// Text or binary.
    kind: Data,
    /// What is left of a message that leaves in fragments.
    fragments: VecDeque<Frame>,
    /// What has been handed over has to go before anything else is.
    blocked: bool,
    closing: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    pub(crate) fn new(shared: Shared<S>, text: bool) -> Self {
        let kind = if text { Data::Text } else { Data::Binary };
        Self { shared, kind, fragments: VecDeque::new(), blocked: false, closing: false }
    }

    /// What goes next: PINGs and PONGs, also between the fragments of a message, then messages.
    fn next(&mut self, batch: &mut Batch) -> Option<Frame> {
        let cut = |payload: Bytes| payload.slice(..payload.len().min(MAX_CONTROL));
        match batch.pop_control() {
            Some(Control::Ping(payload)) => return Some(Frame::ping(cut(payload))),
            Some(Control::Pong(payload)) => return Some(Frame::pong(cut(payload))),
            None => {}
        }
        if let Some(fragment) = self.fragments.pop_front() {
            return Some(fragment);
        }
        let message = batch.front()?;
        let frame = if message.octets() <= MAX_FRAME {
            let mut octets = Vec::new();
            message.copy_to(&mut octets);
            Frame::message(octets, OpCode::Data(self.kind), true)
        } else {
            self.fragments = fragments(message, self.kind);
            self.fragments.pop_front()?
        };
        batch.pop_front();
        Some(frame)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<Result<(), WriteError>> {
        loop {
            if self.blocked {
                let mut socket = self.shared.enter(Task::Writer, cx.waker());
                match socket.ws.flush() {
                    Ok(()) => self.blocked = false,
                    Err(e) if would_block(&e) => return Poll::Pending,
                    Err(e) => return Poll::Ready(Err(end(e))),
                }
            }
            let Some(frame) = self.next(batch) else { break };
            let mut socket = self.shared.enter(Task::Writer, cx.waker());
            match socket.ws.write(Message::Frame(frame)) {
                Ok(()) => {}
                // It has been taken.
                Err(e) if would_block(&e) => self.blocked = true,
                // It has not.
                Err(Error::WriteBufferFull(message)) => {
                    if let Message::Frame(frame) = *message {
                        self.fragments.push_front(frame);
                    }
                    self.blocked = true;
                }
                Err(e) => return Poll::Ready(Err(end(e))),
            }
        }
        let mut socket = self.shared.enter(Task::Writer, cx.waker());
        match socket.ws.flush() {
            Ok(()) => Poll::Ready(Ok(())),
            Err(e) if would_block(&e) => {
                self.blocked = true;
                Poll::Pending
            }
            Err(e) => Poll::Ready(Err(end(e))),
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut socket = self.shared.enter(Task::Writer, cx.waker());
        let closed = if self.closing {
            socket.ws.flush()
        } else {
            self.closing = true;
            let code = socket.code;
            socket.ws.close(Some(CloseFrame { code, reason: "".into() }))
        };
        match closed {
            Err(e) if would_block(&e) => return Poll::Pending,
            // There is nobody to tell if the connection is broken already.
            Ok(()) | Err(_) => {}
        }
        match socket.ws.get_mut().shutdown() {
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Poll::Pending,
            Ok(()) | Err(_) => Poll::Ready(()),
        }
    }
}

/// The frames of a long message. Its payload is not copied.
fn fragments(message: Outgoing<'_>, kind: Data) -> VecDeque<Frame> {
    let pieces =
        [Bytes::copy_from_slice(message.head), message.payload.clone(), Bytes::copy_from_slice(message.end)];
    let mut frames = VecDeque::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            let fragment = piece.split_to(piece.len().min(MAX_FRAME));
            let kind = if frames.is_empty() { kind } else { Data::Continue };
            frames.push_back(Frame::message(fragment, OpCode::Data(kind), false));
        }
    }
    if let Some(last) = frames.back_mut() {
        last.header_mut().is_final = true;
    }
    frames
}

/// How the connection ends for a writer.
fn end(error: Error) -> WriteError {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(ProtocolError::SendAfterClosing) => {
            WriteError::Closed
        }
        e => WriteError::Io(io_error(e)),
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> WriteHalf for Writer<S> {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        poll_fn(|cx| self.poll_write(cx, batch)).await
    }

    fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Sends the closing frame and says that nothing more comes. The peer's own closing frame is there for the
    /// reading half; go on reading until it says that the connection is closed, or for a while.
    async fn close(&mut self) {
        poll_fn(|cx| self.poll_close(cx)).await;
    }
}
