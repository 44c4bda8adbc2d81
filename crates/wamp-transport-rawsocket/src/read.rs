//! Frames out of a stream.

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

/// A read asks for this much at first, and after reads that brought little.
const SMALL_READ: usize = 4 * 1024;

/// A read asks for this much after reads that brought all they had asked for.
const LARGE_READ: usize = 64 * 1024;

/// A frame of this length is too long for the next one to be expected like it.
const USUAL: usize = 4 * LARGE_READ;

/// After this many bytes of an unfinished frame, other tasks have their turn.
const TURN: usize = 4 * LARGE_READ;

/// No more frames than this come out of one call.
const MAX_FRAMES: usize = 2048;

thread_local! {
    /// A large buffer that no reader on this thread has a use for, so that a busy one need not ask the
    /// allocator each time it has waited.
    static KEPT: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// The greatest length that a prefix says with no other bit set.
const MAX_24_BIT: usize = (1 << 24) - 1;

/// The receiving half of a [`RawSocket`](crate::RawSocket).
///
/// A message is a slice of the buffer that it was read into: of up to 64 KiB and shared with others if it is
/// shorter than that, else its own. A run of messages is one slice. While nothing comes the reader holds no buffer beyond what has come of an
/// unfinished frame. The buffer grows with what has come, never by a length that was only announced.
#[derive(Debug)]
pub struct Reader<R> {
    stream: R,
    buffer: BytesMut,
    /// How much a read asks for.
    piece: usize,
    /// The length of the last frame with its prefix, if it was longer than a large read and yet not very long:
    /// the next one is expected to be like it.
    usual: Option<usize>,
    max_receive: usize,
    /// The bytes that the stream has brought.
    received: u64,
    /// Whoever decides about memory, if there is one, and whether it counts an unfinished frame.
    allowance: Option<Arc<dyn Allowance>>,
    counted: bool,
    /// The stream has ended.
    ended: bool,
}

impl<R> Reader<R> {
    /// Begins with what has been read already.
    pub(crate) fn new(stream: R, buffer: BytesMut, max_receive: usize) -> Self {
        let received = buffer.len() as u64;
        let (piece, usual, allowance, counted, ended) = (SMALL_READ, None, None, false, false);
        Self { stream, buffer, piece, usual, max_receive, received, allowance, counted, ended }
    }

    /// The octets of the frame in front of the buffer, with its prefix, if that much is known and allowed.
    fn front(&self) -> Result<Option<(Kind, usize)>, ReadError> {
        let Some(&prefix) = self.buffer.first_chunk::<PREFIX>() else { return Ok(None) };
        let (kind, length) = frame::parse(prefix)?;
        if kind != Kind::Message && length > MAX_CONTROL {
            let kind = if kind == Kind::Ping { "PING" } else { "PONG" };
            let what = format!("a {kind} of {length} bytes, with a limit of {MAX_CONTROL}");
            return Err(ReadError::Violation(what));
        }
        if length > self.max_receive {
            return Err(ReadError::TooLarge { length, limit: self.max_receive });
        }
        Ok(Some((kind, PREFIX + length)))
    }

    /// Moves what is complete out of the buffer, message by message or in runs of several. If that is nothing,
    /// says how much is missing of the frame in front and how long it is, as far as its prefix is there.
    fn cut(&mut self, into: &mut Vec<Incoming>, runs: bool) -> Result<Option<Missing>, ReadError> {
        let before = into.len();
        let mut frames = 0;
        while frames < MAX_FRAMES {
            match self.front() {
                Ok(Some((Kind::Message, total))) if runs && total <= self.buffer.len() => {
                    let (octets, count) = self.run(total, MAX_FRAMES - frames);
                    frames += count;
                    into.push(match count {
                        1 => Incoming::Message(octets.slice(PREFIX..)),
                        _ => Incoming::Run(Run::new(octets)),
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
                // The next call finds the offender in front.
                Err(_) if into.len() > before => return Ok(None),
                Err(e) => return Err(e),
                Ok(_) if into.len() > before => return Ok(None),
                Ok(front) => {
                    let total = front.map_or(0, |(_, total)| total);
                    return Ok(Some(Missing { total, octets: total.saturating_sub(self.buffer.len()) }));
                }
            }
        }
        Ok(None)
    }

    /// Moves the message in front, of so many octets, out of the buffer, together with the whole messages
    /// behind it; and how many that are.
    fn run(&mut self, first: usize, most: usize) -> (Bytes, usize) {
        let (mut end, mut count) = (first, 1);
        self.usual = Some(first).filter(|first| (LARGE_READ..USUAL).contains(first));
        while count < most {
            let rest = &self.buffer[end..];
            let Some(&prefix) = rest.first_chunk::<PREFIX>() else { break };
            // A length of more than 24 bits, another kind and what is wrong have other bits set as well.
            let length = u32::from_be_bytes(prefix) as usize;
            if length > MAX_24_BIT || length > self.max_receive || PREFIX + length > rest.len() {
                break;
            }
            end += PREFIX + length;
            count += 1;
        }
        (self.buffer.split_to(end).freeze(), count)
    }

    /// How much to ask for next.
    fn room(&self, missing: Missing) -> usize {
        if missing.total > LARGE_READ {
            // Nothing beyond this frame: what is small should not keep a large buffer. And first what is
            // there already: the buffer is four times as large when it was full, so that what it leaves behind in
            // the allocator is a third of it and not all of it.
            let spare = self.buffer.capacity() - self.buffer.len();
            let more = if spare < LARGE_READ { (3 * self.buffer.len()).max(LARGE_READ) } else { spare };
            missing.octets.min(more)
        } else if let (0, Some(usual)) = (missing.total, self.usual) {
            usual - self.buffer.len()
        } else {
            missing.octets.max(self.piece)
        }
    }

    /// How much to ask for next, as far as that is allowed.
    fn poll_room(&mut self, cx: &mut Context<'_>, missing: Missing) -> Poll<usize> {
        let room = self.room(missing);
        let Some(allowance) = &self.allowance else { return Poll::Ready(room) };
        let bytes = self.buffer.len();
        if bytes > UNCOUNTED {
            let memory = self.buffer.capacity().max(bytes + room);
            self.counted = true;
            let message = Unfinished { bytes, missing: missing.octets, memory: self.buffer.capacity() };
            ready!(allowance.poll_grow(cx, message, memory));
        } else if room > SMALL_READ && allowance.is_scarce() {
            return Poll::Ready(SMALL_READ);
        }
        Poll::Ready(room)
    }

    /// Nothing of an unfinished frame is there that would count.
    fn release(&mut self) {
        if self.counted && self.buffer.len() <= UNCOUNTED {
            self.counted = false;
            if let Some(allowance) = &self.allowance {
                allowance.release();
            }
        }
    }

    /// Holds no more than what has come.
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

    /// Takes a buffer that another reader on this thread has no use for.
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

/// What is missing of the frame in front.
#[derive(Clone, Copy)]
struct Missing {
    /// Its length with its prefix, 0 where that is not known.
    total: usize,
    octets: usize,
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

/// Lets other tasks have their turn.
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
    fn set_max_receive(&mut self, octets: usize) {
        self.max_receive = octets;
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
        // Octets now, no frames: what stands in front may be one that cannot be read.
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
