//! Reading frames from a stream.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use wamp_transport::{Allowance, Incoming, ReadError, ReadHalf, Run, UNCOUNTED, Unfinished};

use crate::frame::{self, Kind, MAX_CONTROL, PREFIX};

/// The size of a read at first, and after reads that brought little.
const SMALL_READ: usize = 4 * 1024;

/// The size of a read after reads that brought all they had asked for.
const LARGE_READ: usize = 64 * 1024;

/// After a frame longer than this, the next one is not expected to be as long.
const USUAL: usize = 4 * LARGE_READ;

/// After this many bytes of an unfinished frame, other tasks have their turn.
const TURN: usize = 4 * LARGE_READ;

/// The largest number of frames that one call returns.
const MAX_FRAMES: usize = 2048;

thread_local! {
    /// A large buffer that no reader on this thread needs, so that a busy one need not allocate after each
    /// wait.
    static KEPT: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// The greatest length that a prefix expresses with no other bit set.
const MAX_24_BIT: usize = (1 << 24) - 1;

/// The receiving half of a [`RawSocket`](crate::RawSocket).
///
/// A message is a slice of the buffer that it was read into. Messages shorter than 64 KiB share a buffer of
/// up to that size; a longer one has its own. A run of messages is one slice. An idle reader holds no buffer
/// beyond the bytes of an unfinished frame, and frees an empty list that it was given. The buffer grows with
/// the bytes that arrive, never by a length that was only announced.
#[derive(Debug)]
pub struct Reader<R> {
    stream: R,
    buffer: BytesMut,
    /// The size of the next read.
    piece: usize,
    /// The length of the last frame with its prefix, if it was longer than a large read and not very long: the
    /// next frame is expected to be as long.
    usual: Option<usize>,
    max_receive: usize,
    /// The number of bytes that the stream has delivered.
    received: u64,
    /// The allowance of memory, if there is one, and whether it counts an unfinished frame.
    allowance: Option<Arc<dyn Allowance>>,
    counted: bool,
    /// The stream has ended.
    ended: bool,
}

impl<R> Reader<R> {
    /// Creates a reader that begins with bytes already read.
    pub(crate) fn new(stream: R, buffer: BytesMut, max_receive: usize) -> Self {
        let received = buffer.len() as u64;
        let (piece, usual, allowance, counted, ended) = (SMALL_READ, None, None, false, false);
        Self { stream, buffer, piece, usual, max_receive, received, allowance, counted, ended }
    }

    /// The length of the frame at the front of the buffer, with its prefix, if it is known and allowed.
    fn front(&self) -> Result<Option<(Kind, usize)>, ReadError> {
        let Some(&prefix) = self.buffer.first_chunk::<PREFIX>() else { return Ok(None) };
        let (kind, length) = frame::parse(prefix)?;
        if kind != Kind::Message && length > MAX_CONTROL {
            let kind = if kind == Kind::Ping { "PING" } else { "PONG" };
            let what = format!("a {kind} of {length} bytes, with a limit of {MAX_CONTROL}");
            return Err(ReadError::Violation(what));
        }
        if length > self.max_receive {
            return Err(ReadError::TooLarge { len: length, limit: self.max_receive });
        }
        Ok(Some((kind, PREFIX + length)))
    }

    /// Moves complete frames out of the buffer, one by one or in runs. If there is none, returns the number
    /// of bytes that the frame at the front lacks and, if its prefix is there, its length.
    fn cut(&mut self, into: &mut Vec<Incoming>, runs: bool) -> Result<Option<Missing>, ReadError> {
        let before = into.len();
        let mut frames = 0;
        while frames < MAX_FRAMES {
            match self.front() {
                Ok(Some((Kind::Message, total))) if runs && total <= self.buffer.len() => {
                    let (bytes, count) = self.run(total, MAX_FRAMES - frames);
                    frames += count;
                    into.push(match count {
                        1 => Incoming::Message(bytes.slice(PREFIX..)),
                        _ => Incoming::Run(Run::new(bytes)),
                    });
                }
                Ok(Some((kind, total))) if total <= self.buffer.len() => {
                    let mut frame = self.buffer.split_to(total).freeze();
                    frame.advance(PREFIX);
                    self.usual = Some(total).filter(|total| (LARGE_READ..USUAL).contains(total));
                    frames += 1;
                    into.push(match kind {
                        Kind::Message => Incoming::Message(frame),
                        Kind::Ping => Incoming::Ping(frame),
                        Kind::Pong => Incoming::Pong(frame),
                    });
                }
                // The next call finds the faulty frame at the front.
                Err(_) if into.len() > before => return Ok(None),
                Err(e) => return Err(e),
                Ok(_) if into.len() > before => return Ok(None),
                Ok(front) => {
                    let total = front.map_or(0, |(_, total)| total);
                    return Ok(Some(Missing { total, len: total.saturating_sub(self.buffer.len()) }));
                }
            }
        }
        Ok(None)
    }

    /// Moves the message of this length at the front out of the buffer, together with the whole messages behind
    /// it; returns how many they are.
    fn run(&mut self, first: usize, most: usize) -> (Bytes, usize) {
        let (mut end, mut count) = (first, 1);
        self.usual = Some(first).filter(|first| (LARGE_READ..USUAL).contains(first));
        while count < most {
            let rest = &self.buffer[end..];
            let Some(&prefix) = rest.first_chunk::<PREFIX>() else { break };
            // A longer length, another type and every fault have other bits set as well.
            let length = u32::from_be_bytes(prefix) as usize;
            if length > MAX_24_BIT || length > self.max_receive || PREFIX + length > rest.len() {
                break;
            }
            end += PREFIX + length;
            count += 1;
        }
        (self.buffer.split_to(end).freeze(), count)
    }

    /// Returns the size of the next read.
    fn room(&self, missing: Missing) -> usize {
        if missing.total > LARGE_READ {
            // Nothing beyond this frame, so that a small message does not keep a large buffer. The buffer
            // grows fourfold when it is full, so that the freed smaller ones have together a third of its
            // size.
            let spare = self.buffer.capacity() - self.buffer.len();
            let more = if spare < LARGE_READ { (3 * self.buffer.len()).max(LARGE_READ) } else { spare };
            missing.len.min(more)
        } else if let (0, Some(usual)) = (missing.total, self.usual) {
            usual - self.buffer.len()
        } else {
            missing.len.max(self.piece)
        }
    }

    /// Returns the size of the next read, as far as it is permitted.
    fn poll_room(&mut self, cx: &mut Context<'_>, missing: Missing) -> Poll<usize> {
        let room = self.room(missing);
        let Some(allowance) = &self.allowance else { return Poll::Ready(room) };
        let bytes = self.buffer.len();
        if bytes > UNCOUNTED {
            let memory = self.buffer.capacity().max(bytes + room);
            self.counted = true;
            let message = Unfinished { bytes, missing: missing.len, memory: self.buffer.capacity() };
            ready!(allowance.poll_grow(cx, message, memory));
        } else if room > SMALL_READ && allowance.is_scarce() {
            return Poll::Ready(SMALL_READ);
        }
        Poll::Ready(room)
    }

    /// Reports that no unfinished frame holds memory.
    fn release(&mut self) {
        if self.counted && self.buffer.len() <= UNCOUNTED {
            self.counted = false;
            if let Some(allowance) = &self.allowance {
                allowance.release();
            }
        }
    }

    /// Frees memory beyond the bytes that have arrived.
    fn rest(&mut self) {
        if self.buffer.is_empty() {
            let buffer = std::mem::take(&mut self.buffer);
            if self.piece == LARGE_READ {
                // A thread that ends keeps nothing.
                let _ = KEPT.try_with(|kept| kept.set(Some(buffer)));
            }
        } else if self.buffer.len() <= UNCOUNTED {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }

    /// Takes a buffer that another reader on this thread does not need.
    fn take(&mut self) {
        if self.buffer.capacity() == 0
            && let Ok(Some(kept)) = KEPT.try_with(Cell::take)
        {
            self.buffer = kept;
        }
    }

    fn adapt(&mut self, asked: usize, came: usize) {
        if came == asked {
            self.piece = (self.piece * 2).min(LARGE_READ);
        } else if came < self.piece / 4 {
            self.piece = (self.piece / 2).max(SMALL_READ);
        }
    }
}

/// The number of missing bytes of the frame at the front.
#[derive(Clone, Copy)]
struct Missing {
    /// Its length with its prefix, 0 if unknown.
    total: usize,
    len: usize,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads until something is complete.
    async fn fill(&mut self, into: &mut Vec<Incoming>, runs: bool) -> Result<(), ReadError> {
        let mut since_turn = 0;
        while let Some(missing) = self.cut(into, runs)? {
            if since_turn >= TURN {
                since_turn = 0;
                others_first().await;
            }
            let (came, room) = poll_fn(|cx| {
                let room = ready!(self.poll_room(cx, missing));
                if self.buffer.is_empty() && room == LARGE_READ {
                    self.take();
                }
                self.buffer.reserve(room);
                let read = pin!(self.stream.read_buf(&mut (&mut self.buffer).limit(room))).poll(cx);
                if read.is_pending() {
                    self.rest();
                    self.release();
                    if into.is_empty() {
                        *into = Vec::new();
                    }
                }
                read.map_ok(|came| (came, room))
            })
            .await?;
            self.received += came as u64;
            since_turn += came;
            self.adapt(room, came);
            self.ended = came == 0;
            match came {
                0 if self.buffer.is_empty() => return Err(ReadError::Closed),
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                _ => {}
            }
        }
        self.release();
        Ok(())
    }
}

/// Yields to other tasks.
async fn others_first() {
    let mut is_over = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<R: AsyncRead + Send + Unpin + 'static> ReadHalf for Reader<R> {
    fn set_max_receive(&mut self, len: usize) {
        self.max_receive = len;
    }

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        self.fill(into, false).await
    }

    async fn read_runs(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        self.fill(into, true).await
    }

    fn received(&self) -> u64 {
        self.received
    }

    fn set_allowance(&mut self, allowance: Arc<dyn Allowance>) {
        self.allowance = Some(allowance);
    }

    fn unfinished(&self) -> Option<Unfinished> {
        let (bytes, memory) = (self.buffer.len(), self.buffer.capacity());
        let total = self.front().ok().flatten().map_or(PREFIX, |(_, total)| total);
        (bytes > 0).then_some(Unfinished { bytes, missing: total.saturating_sub(bytes), memory })
    }

    async fn discard(&mut self) {
        // From now on these are bytes, not frames: the first may be a frame that cannot be read.
        self.buffer = BytesMut::new();
        self.release();
        if self.ended {
            return;
        }
        self.buffer.reserve(SMALL_READ);
        while matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
            self.buffer.clear();
        }
    }
}

#[cfg(test)]
mod tests;
