//! Reading messages from a connection.

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

/// The largest number of messages that one call returns.
const MAX_MESSAGES: usize = 256;

/// The size of a read at first, and after reads that brought little.
const SMALL_READ: usize = 4 * 1024;

/// The size of a read after reads that brought all they had asked for.
const LARGE_READ: usize = 64 * 1024;

/// After this many bytes of an unfinished message, other tasks have their turn.
const LONG_MESSAGE: usize = 4 * LARGE_READ;

/// After this many bytes of small frames that are not messages, other tasks have their turn.
const SMALL_FRAMES: usize = 16 * 1024;

/// The size of reads whose bytes are discarded.
const DISCARDED: usize = 4 * 1024;

/// The receiving half of a [`WebSocket`](crate::WebSocket).
///
/// A message is a slice of the buffer that it was read into, of up to 64 KiB and shared with others; one that
/// is longer, or came in fragments, has its own. An idle reader holds no buffer beyond the bytes of an
/// unfinished message, and frees an empty list that it was given.
#[derive(Debug)]
pub struct Reader<S: Socket> {
    stream: S::Read,
    shared: Arc<WriteSide<S::Write>>,
    assembler: Assembler,
    /// The size of the next read.
    piece: usize,
    /// The last read filled its small buffer, so there may be more.
    more: bool,
    /// Answers to the peer may be waiting.
    answering: bool,
    /// The end of the connection, reported after the messages before it.
    end: Option<ReadError>,
    ended: bool,
    /// The number of bytes that the stream has delivered.
    received: u64,
    /// The peer has sent a Close frame.
    parted: bool,
    /// The allowance of memory, if there is one, and whether it counts an unfinished message.
    allowance: Option<Arc<dyn Allowance>>,
    counted: bool,
    /// The stream itself has ended.
    drained: bool,
    /// Received bytes are discarded.
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

    /// Returns one message and all others that are complete at that time.
    fn poll(&mut self, cx: &mut Context<'_>, into: &mut Vec<Incoming>) -> Poll<Result<(), ReadError>> {
        let before = into.len();
        let (mut pending, start, gathered) = (false, self.received, self.assembler.gathered());
        while let Some(missing) = self.cut(into, before + MAX_MESSAGES) {
            if into.len() > before && !self.more {
                break;
            }
            // Endless small frames, PINGs and empty fragments, cost more than their bytes in a long message.
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
            if into.is_empty() {
                *into = Vec::new();
            }
            return Poll::Pending;
        }
        self.release();
        if into.len() > before {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(self.end.take().unwrap_or(ReadError::Closed)))
    }

    /// Moves complete items out of the buffer, up to this many in all. Returns the number of bytes that the
    /// next one lacks, if it has to be completed first.
    fn cut(&mut self, into: &mut Vec<Incoming>, most: usize) -> Option<usize> {
        while !self.ended && into.len() < most {
            match self.assembler.next() {
                Ok(Item::Message(message)) => into.push(Incoming::Message(message)),
                Ok(Item::Pong(payload)) => into.push(Incoming::Pong(payload)),
                Ok(Item::Ping(payload)) => {
                    self.answering = true;
                    self.shared.lock().pong(&payload);
                }
                Ok(Item::Missing(len)) => return Some(len),
                Ok(Item::Close(code)) => {
                    // The writing half sends the answer when it is closed, after the answers to earlier
                    // messages.
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
        // Only a piece, if bytes are there already, so that the same buffer is used again.
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
            // Without a Close frame. The peer may still read the answers to its messages.
            self.drained = true;
            self.end(ReadError::Closed);
        }
        self.received += came as u64;
        let full = came == room;
        // A call that has read a large piece ends here, so that its buffer is used again.
        self.more = full && self.piece < LARGE_READ;
        if full {
            self.piece = (self.piece * 2).min(LARGE_READ);
        } else if came < self.piece / 4 {
            self.piece = (self.piece / 2).max(SMALL_READ);
        }
        Poll::Ready(())
    }

    /// Returns the permitted part of the wanted bytes.
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

    /// Reports that no unfinished message holds memory.
    fn release(&mut self) {
        if self.counted && self.assembler.unfinished().is_none_or(|message| message.bytes <= UNCOUNTED) {
            self.counted = false;
            if let Some(allowance) = &self.allowance {
                allowance.release();
            }
        }
    }

    /// Sends the answers to PINGs for which there is room.
    fn answer(&mut self, cx: &mut Context<'_>) {
        if self.answering {
            // If the connection is broken, the next read or write notices it.
            self.answering = self.shared.enter(Task::Reader, cx.waker()).poll_flush().is_pending();
        }
    }

    fn end(&mut self, error: ReadError) {
        (self.ended, self.end) = (true, Some(error));
        self.assembler.clear();
        self.release();
    }

    /// Discards received bytes; after a Close frame only those that are there.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut bytes = [0; DISCARDED];
            let mut bytes = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut bytes) {
                Poll::Ready(Ok(())) if !bytes.filled().is_empty() => {}
                Poll::Pending if self.parted => return Poll::Ready(Ok(())),
                end => return end,
            }
        }
    }
}

impl<S: Socket> ReadHalf for Reader<S> {
    /// For frames that have not begun yet.
    fn set_max_receive(&mut self, len: usize) {
        self.assembler.max_receive = len;
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

    /// Also ends with a Close frame of the peer: a server that has sent its own then closes the connection at
    /// once (RFC 6455, 7.1.1).
    async fn discard(&mut self) {
        self.discarding = true;
        let mut came = Vec::new();
        while !self.ended && self.read(&mut came).await.is_ok() {
            came.clear();
        }
        // From now on these are bytes, not frames: the first may be a frame that cannot be read.
        self.assembler.clear();
        if !self.drained {
            // Every kind of end counts.
            let _ = poll_fn(|cx| self.poll_discard(cx)).await;
        }
    }
}

#[cfg(test)]
mod tests;
