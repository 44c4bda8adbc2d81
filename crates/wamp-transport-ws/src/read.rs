//! Messages out of a connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use wamp_transport::{Incoming, ReadError, ReadHalf, Unfinished};

use crate::assemble::{Assembler, Item};
use crate::close::Fault;
use crate::halves::{ReadSide, WriteSide};
use crate::shared::{Shared, Task};

/// No more messages than this come out of one call.
const MAX_MESSAGES: usize = 256;

/// A read asks for this much at first, and after reads that brought little.
const SMALL_READ: usize = 4 * 1024;

/// A read asks for this much after reads that brought all they had asked for.
const LARGE_READ: usize = 64 * 1024;

/// What nobody wants is read in pieces of this size.
const DISCARDED: usize = 4 * 1024;

/// The receiving half of a [`WebSocket`](crate::WebSocket).
///
/// A message is a slice of the buffer that it was read into, of up to 64 KiB and shared with others; one that
/// is longer, or came in fragments, has its own. While nothing comes the reader holds no buffer beyond what
/// has come of an unfinished message.
#[derive(Debug)]
pub struct Reader<S> {
    stream: ReadSide<S>,
    shared: Arc<Shared<WriteSide<S>>>,
    assembler: Assembler,
    /// How much a read asks for.
    piece: usize,
    /// The last read brought all it had asked for, which was not much, so there may be more.
    more: bool,
    /// Answers to the peer may be waiting.
    answering: bool,
    /// How it ended, after the messages before that.
    end: Option<ReadError>,
    ended: bool,
    /// The bytes that the stream has brought.
    received: u64,
    /// The stream itself has ended.
    drained: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    pub(crate) fn new(stream: ReadSide<S>, shared: Arc<Shared<WriteSide<S>>>, assembler: Assembler) -> Self {
        let (piece, more, answering, end, ended, drained) = (SMALL_READ, false, false, None, false, false);
        let received = assembler.buffer.len() as u64;
        Self { stream, shared, assembler, piece, more, answering, end, ended, received, drained }
    }

    /// Takes one message and all that have come completely by then.
    fn poll(&mut self, cx: &mut Context<'_>, into: &mut Vec<Incoming>) -> Poll<Result<(), ReadError>> {
        let before = into.len();
        let mut pending = false;
        while let Some(missing) = self.cut(into, before + MAX_MESSAGES) {
            if into.len() > before && !self.more {
                break;
            }
            if self.poll_fill(cx, missing).is_pending() {
                pending = into.len() == before;
                break;
            }
        }
        self.answer(cx);
        if pending {
            self.assembler.rest();
            return Poll::Pending;
        }
        if into.len() > before {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(self.end.take().unwrap_or(ReadError::Closed)))
    }

    /// Moves what is complete out of the buffer, up to so many items in all. Says how much is missing of what
    /// comes next, if that is what it takes to go on.
    fn cut(&mut self, into: &mut Vec<Incoming>, most: usize) -> Option<usize> {
        while !self.ended && into.len() < most {
            match self.assembler.next() {
                Ok(Item::Message(message)) => into.push(Incoming::Message(message)),
                Ok(Item::Pong(payload)) => into.push(Incoming::Pong(payload)),
                Ok(Item::Ping(payload)) => {
                    self.answering = true;
                    self.shared.lock().pong(&payload);
                }
                Ok(Item::Missing(octets)) => return Some(octets),
                Ok(Item::Close(code)) => {
                    self.answering = true;
                    self.shared.lock().close(code);
                    self.end(ReadError::Closed);
                }
                Err(Fault { code, error }) => {
                    self.shared.lock().code = code;
                    self.end(error);
                }
            }
        }
        None
    }

    /// Reads once.
    fn poll_fill(&mut self, cx: &mut Context<'_>, missing: usize) -> Poll<()> {
        // With what is there already no more than a piece, so that the same buffer will do again.
        let room = self.piece.saturating_sub(self.assembler.buffer.len()).max(SMALL_READ);
        let room = room.max(missing.min(LARGE_READ));
        self.assembler.buffer.reserve(room);
        let mut buffer = (&mut self.assembler.buffer).limit(room);
        let came = match pin!(self.stream.read_buf(&mut buffer)).poll(cx) {
            Poll::Ready(Ok(came)) => came,
            Poll::Ready(Err(error)) => {
                self.end(error.into());
                return Poll::Ready(());
            }
            Poll::Pending => {
                self.more = false;
                return Poll::Pending;
            }
        };
        if came == 0 {
            // Without a closing frame, but there is no point in telling the peer.
            self.shared.lock().closed = true;
            self.drained = true;
            self.end(ReadError::Closed);
        }
        self.received += came as u64;
        let full = came == room;
        // A call that has brought a large piece goes no further: its buffer is to be used again.
        self.more = full && self.piece < LARGE_READ;
        if full {
            self.piece = (self.piece * 2).min(LARGE_READ);
        } else if came < self.piece / 4 {
            self.piece = (self.piece / 2).max(SMALL_READ);
        }
        Poll::Ready(())
    }

    /// Sends the answers to PING and CLOSE, as far as there is room for them.
    fn answer(&mut self, cx: &mut Context<'_>) {
        if self.answering {
            // If the connection is broken, whoever reads or writes next will see it.
            self.answering = self.shared.enter(Task::Reader, cx.waker()).poll_flush().is_pending();
        }
    }

    fn end(&mut self, error: ReadError) {
        (self.ended, self.end) = (true, Some(error));
        self.assembler.clear();
    }

    /// Throws away what comes.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut octets = [0; DISCARDED];
            let mut octets = ReadBuf::new(&mut octets);
            match Pin::new(&mut self.stream).poll_read(cx, &mut octets) {
                Poll::Ready(Ok(())) if !octets.filled().is_empty() => {}
                end => return end,
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ReadHalf for Reader<S> {
    /// For the frames that have not begun yet.
    fn set_max_receive(&mut self, octets: usize) {
        self.assembler.max_receive = octets;
    }

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        poll_fn(|cx| self.poll(cx, into)).await
    }

    fn received(&self) -> u64 {
        self.received
    }

    fn unfinished(&self) -> Option<Unfinished> {
        self.assembler.unfinished()
    }

    async fn discard(&mut self) {
        // Octets now, no frames: what stands in front may be one that cannot be read.
        self.assembler.clear();
        if !self.drained {
            // However it ends, it is over.
            let _ = poll_fn(|cx| self.poll_discard(cx)).await;
        }
    }
}

#[cfg(test)]
mod tests;
