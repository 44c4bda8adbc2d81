//! Messages out of a connection.

use std::future::poll_fn;
use std::io::{self, Read};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::Message;
use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use wamp_transport::{Incoming, ReadError, ReadHalf};

use crate::shared::{Shared, Socket, io_error};
use crate::stream::{Task, would_block};

/// No more messages than this come out of one call.
const MAX_MESSAGES: usize = 256;

/// What nobody wants is read in pieces of this size.
const DISCARDED: usize = 4 * 1024;

/// The receiving half of a [`WebSocket`](crate::WebSocket).
#[derive(Debug)]
pub struct Reader<S> {
    shared: Shared<S>,
    /// Whether messages are text.
    text: bool,
    /// How it ended, after the messages before that.
    end: Option<ReadError>,
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    pub(crate) fn new(shared: Shared<S>, text: bool) -> Self {
        Self { shared, text, end: None, ended: false }
    }

    /// Takes one message and all that have come completely by then.
    fn poll(&mut self, cx: &mut Context<'_>, into: &mut Vec<Incoming>) -> Poll<Result<(), ReadError>> {
        let before = into.len();
        if !self.ended {
            let mut socket = self.shared.enter(Task::Reader, cx.waker());
            while into.len() - before < MAX_MESSAGES {
                match next(&mut socket, self.text) {
                    Ok(Some(item)) => into.push(item),
                    Ok(None) if into.len() == before => return Poll::Pending,
                    Ok(None) => break,
                    Err(end) => {
                        (self.ended, self.end) = (true, Some(end));
                        break;
                    }
                }
                // The rest of what has been read, but no further read.
                socket.ws.get_mut().paused = true;
            }
            socket.ws.get_mut().paused = false;
        }
        if into.len() > before {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(self.end.take().unwrap_or(ReadError::Closed)))
    }
}

/// The next message, if there is one. Answers what `tungstenite` answers by itself.
fn next<S>(socket: &mut Socket<S>, text: bool) -> Result<Option<Incoming>, ReadError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match socket.ws.read() {
            Ok(Message::Text(message)) if text => return Ok(Some(Incoming::Message(message.into()))),
            Ok(Message::Binary(message)) if !text => return Ok(Some(Incoming::Message(message))),
            Ok(Message::Text(_)) => {
                socket.code = CloseCode::Unsupported;
                return Err(ReadError::Violation("a text frame, with a binary serializer".into()));
            }
            Ok(Message::Binary(_)) => {
                socket.code = CloseCode::Unsupported;
                return Err(ReadError::Violation("a binary frame, with JSON".into()));
            }
            Ok(Message::Pong(payload)) => return Ok(Some(Incoming::Pong(payload))),
            // The next call of `read` sends the answer.
            Ok(Message::Ping(_)) | Ok(Message::Frame(_)) => {}
            Ok(Message::Close(_)) => {
                // The answer to it, as far as there is room for it.
                let _ = socket.ws.flush();
                return Err(ReadError::Closed);
            }
            Err(e) if would_block(&e) => return Ok(None),
            Err(e) => {
                let (code, end) = end(e);
                socket.code = code;
                return Err(end);
            }
        }
    }
}

/// How the connection ends, and what to say to the peer.
fn end(error: Error) -> (CloseCode, ReadError) {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            (CloseCode::Normal, ReadError::Closed)
        }
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            (CloseCode::Size, ReadError::TooLarge { length: size, limit: max_size })
        }
        Error::Utf8(_) => (CloseCode::Invalid, ReadError::Violation("a text frame that is not UTF-8".into())),
        Error::Protocol(e) => (CloseCode::Protocol, ReadError::Violation(e.to_string())),
        e => (CloseCode::Normal, ReadError::Io(io_error(e))),
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ReadHalf for Reader<S> {
    /// For the frames that have not begun yet.
    fn set_max_receive(&mut self, octets: usize) {
        self.shared.lock().ws.set_config(|config| {
            config.max_message_size = Some(octets);
            config.max_frame_size = Some(octets);
        });
    }

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        poll_fn(|cx| self.poll(cx, into)).await
    }

    async fn discard(&mut self) {
        // Octets now, no frames: `tungstenite` reads no further after an error.
        let mut octets = [0; DISCARDED];
        poll_fn(|cx| {
            let mut socket = self.shared.enter(Task::Reader, cx.waker());
            loop {
                match socket.ws.get_mut().read(&mut octets) {
                    Ok(1..) => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                    Ok(0) | Err(_) => return Poll::Ready(()),
                }
            }
        })
        .await;
    }
}
