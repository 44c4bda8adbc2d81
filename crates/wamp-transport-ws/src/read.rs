//! Messages out of a connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use wamp_transport::{Allowance, Incoming, ReadError, ReadHalf, Socket, UNCOUNTED, Unfinished};

use crate::assemble::{Assembler, Item};
use crate::close::Fault;
use crate::write_side::{Task, WriteSide};

/// No more messages than this come out of one call.
const MAX_MESSAGES: usize = 256;

/// A read asks for this much at first, and after reads that brought little.
const SMALL_READ: usize = 4 * 1024;

/// A read asks for this much after reads that brought all they had asked for.
const LARGE_READ: usize = 64 * 1024;

/// After this many bytes of a message that is not whole yet, other tasks have their turn.
const LONG_MESSAGE: usize = 4 * LARGE_READ;

/// After this many bytes of small frames that are no messages, other tasks have their turn.
const SMALL_FRAMES: usize = 16 * 1024;

/// What nobody wants is read in pieces of this size.
const DISCARDED: usize = 4 * 1024;

/// The receiving half of a [`WebSocket`](crate::WebSocket).
///
/// A message is a slice of the buffer that it was read into, of up to 64 KiB and shared with others; one that
/// is longer, or came in fragments, has its own. While nothing comes the reader holds no buffer beyond what
/// has come of an unfinished message.
#[derive(Debug)]
pub struct Reader<S: Socket> {
    stream: S::Read,
    shared: Arc<WriteSide<S::Write>>,
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
    /// The peer has sent a closing frame.
    parted: bool,
    /// Whoever decides about memory, if there is one, and whether it counts an unfinished message.
    allowance: Option<Arc<dyn Allowance>>,
    counted: bool,
    /// The stream itself has ended.
    drained: bool,
    /// What comes is thrown away.
    discarding: bool,
}

impl<S: Socket> Reader<S> {
    pub(crate) fn new(stream: S::Read, shared: Arc<WriteSide<S::Write>>, assembler: Assembler) -> Self {
        let received = assembler.buffer.len() as u64;
        Self {
            stream,
            shared,
            assembler,
            piece: SMALL_READ,
            more: false,
            answering: false,
            end: None,
            ended: false,
            received,
            allowance: None,
            counted: false,
            parted: false,
            drained: false,
            discarding: false,
        }
    }

    /// Takes one message and all that have come completely by then.
    fn poll(&mut self, cx: &mut Context<'_>, into: &mut Vec<Incoming>) -> Poll<Result<(), ReadError>> {
        let before = into.len();
        let (mut pending, start, gathered) = (false, self.received, self.assembler.gathered());
        while let Some(missing) = self.cut(into, before + MAX_MESSAGES) {
            if into.len() > before && !self.more {
                break;
            }
            // Small frames without end, PINGs and empty fragments, cost more than what is read of a long one.
            let came = (self.received - start) as usize;
            let is_long = self.assembler.gathered().saturating_sub(gathered) >= came / 2;
            let most = if is_long { LONG_MESSAGE } else { SMALL_FRAMES };
            if into.len() == before && came >= most {
                self.piece = self.piece.min(most);
                self.answer(cx);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.poll_fill(cx, missing).is_pending() {
                pending = into.len() == before;
                break;
            }
        }
        self.answer(cx);
        if pending {
            self.assembler.rest();
            self.release();
            return Poll::Pending;
        }
        self.release();
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
                    // The writing half sends the answer when it is closed, after the answers to what came before.
                    self.shared.lock().code = code;
                    self.parted = true;
                    self.end(ReadError::Closed);
                }
                Err(Fault { code, error }) => {
                    if !self.discarding {
                        self.shared.lock().code = Some(code);
                    }
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
        let room = ready!(self.poll_room(cx, room.max(missing.min(LARGE_READ))));
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
            // Without a closing frame. The peer may still read the answers to what it has sent.
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

    /// How much to read, as far as that is allowed: so much is wanted.
    fn poll_room(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<usize> {
        let Some(allowance) = &self.allowance else { return Poll::Ready(room) };
        match self.assembler.unfinished().filter(|message| message.bytes > UNCOUNTED) {
            Some(message) => {
                self.counted = true;
                ready!(allowance.poll_grow(cx, message, self.assembler.memory_with(room)));
            }
            None if room > SMALL_READ && allowance.is_scarce() => return Poll::Ready(SMALL_READ),
            None => {}
        }
        Poll::Ready(room)
    }

    /// Nothing of an unfinished message is there that would count.
    fn release(&mut self) {
        if self.counted && self.assembler.unfinished().is_none_or(|message| message.bytes <= UNCOUNTED) {
            self.counted = false;
            if let Some(allowance) = &self.allowance {
                allowance.release();
            }
        }
    }

    /// Sends the answers to PING, as far as there is room for them.
    fn answer(&mut self, cx: &mut Context<'_>) {
        if self.answering {
            // If the connection is broken, whoever reads or writes next will see it.
            self.answering = self.shared.enter(Task::Reader, cx.waker()).poll_flush().is_pending();
        }
    }

    fn end(&mut self, error: ReadError) {
        (self.ended, self.end) = (true, Some(error));
        self.assembler.clear();
        self.release();
    }

    /// Throws away what comes; after a closing frame only what has come already.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut octets = [0; DISCARDED];
            let mut octets = ReadBuf::new(&mut octets);
            match Pin::new(&mut self.stream).poll_read(cx, &mut octets) {
                Poll::Ready(Ok(())) if !octets.filled().is_empty() => {}
                Poll::Pending if self.parted => return Poll::Ready(Ok(())),
                end => return end,
            }
        }
    }
}

impl<S: Socket> ReadHalf for Reader<S> {
    /// For the frames that have not begun yet.
    fn set_max_receive(&mut self, octets: usize) {
        self.assembler.max_receive = octets;
    }

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        poll_fn(|cx| self.poll(cx, into)).await
    }

    fn set_allowance(&mut self, allowance: Arc<dyn Allowance>) {
        self.allowance = Some(allowance);
    }

    fn received(&self) -> u64 {
        self.received
    }

    fn unfinished(&self) -> Option<Unfinished> {
        self.assembler.unfinished()
    }

    /// Also ends with a closing frame of the peer: a server that has sent its own closes the connection at once
    /// then (RFC 6455, 7.1.1).
    async fn discard(&mut self) {
        self.discarding = true;
        let mut came = Vec::new();
        while !self.ended && self.read(&mut came).await.is_ok() {
            came.clear();
        }
        // Bytes now, no frames: what stands in front may be one that cannot be read.
        self.assembler.clear();
        if !self.drained {
            // However it ends, it is over.
            let _ = poll_fn(|cx| self.poll_discard(cx)).await;
        }
    }
}

#[cfg(test)]
mod tests;
