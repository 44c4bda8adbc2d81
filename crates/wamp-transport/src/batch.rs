//! Outgoing messages, packed for one flush.
//!
//! Small messages are packed in one arena, each behind a prefix of 4 bytes with its length, so that a stream
//! with length prefixes writes a whole arena as one slice. A large payload stays where it is and is written
//! from there.
//!
//! ```text
//! arena      [4|head payload end] [4|head      end] [4|head payload end] …
//! payloads                              |large|
//! ```

mod shared;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use wamp_proto::relay::ResultHead;
use wamp_proto::{EncodeError, Message, Serializer};

use shared::Arena;
pub use shared::{SharedBatch, SharedMemory};

/// A payload shorter than this, in bytes, is copied behind its head; a longer one stays where it is. It is a
/// quarter of the read buffer that a slice of a message may keep in memory.
pub const COPIED_BELOW: usize = READ_BUFFER / 4;

/// Transports read into buffers of up to this many bytes, except for messages that are longer.
const READ_BUFFER: usize = 64 * 1024;

/// An arena with more room than this is freed when the batch is cleared.
const KEPT_CAPACITY: usize = 128 * 1024;

/// An arena of more than this many bytes grows to [`FULL`], a smaller one to the next power of two.
const LARGE: usize = 64 * 1024;

/// A full chunk, and one copied message.
const FULL: usize = LARGE + COPIED_BELOW + 1024;

/// The length of a head without its URI.
const HEAD: usize = 64;

/// The length prefix of a message.
const PREFIX: usize = 4;

/// The longest message whose length fits the low 24 bits of the prefix.
const MAX_24_BIT: usize = (1 << 24) - 1;

static NO_PAYLOAD: Bytes = Bytes::new();

/// Outgoing messages, packed for one flush.
///
/// A transport empties it from the front, in one of two ways: message by message ([`front`](Self::front),
/// [`pop_front`](Self::pop_front)), or, if the stream has a length before each message, as bytes
/// ([`slices`](Self::slices), [`advance`](Self::advance)).
///
/// ```
/// use wamp_transport::Batch;
///
/// let mut batch = Batch::new();
/// batch.push_bytes(b"[1]");
/// batch.push_bytes(b"[2]");
/// assert_eq!((batch.len(), batch.encoded_len()), (2, 6));
/// assert_eq!(batch.front().unwrap().head, b"[1]");
///
/// let mut slices = [std::io::IoSlice::new(b""); 8];
/// assert_eq!(batch.slices(&mut slices), 1, "both messages and their prefixes are one run");
/// assert_eq!(&*slices[0], b"\0\0\0\x03[1]\0\0\0\x03[2]");
/// batch.advance(9);
/// assert_eq!(batch.len(), 1, "the second one has left in part");
/// ```
#[derive(Debug, Default)]
pub struct Batch {
    arena: Vec<u8>,
    /// An arena shared by several batches, in place of this batch's own.
    shared: Option<Arc<Arena>>,
    /// Messages that the arena and the prefix do not describe completely, in order.
    large: VecDeque<Large>,
    control: VecDeque<Control>,
    /// The position of the front message, with its prefix, in the arena.
    start: usize,
    /// The number of written bytes of the front message, with its prefix.
    done: usize,
    len: usize,
    encoded_len: usize,
    /// The length of everything pushed since the batch was cleared.
    total_pushed: usize,
    /// The memory that the payloads outside of the arena keep at most, written or not. That of shared messages is
    /// counted by their arena.
    pinned: usize,
    longest: usize,
}

/// A message with a payload outside of the arena, or too long for its prefix.
#[derive(Clone, Debug)]
struct Large {
    /// Its position in the arena, with its prefix.
    start: usize,
    /// The position of its payload in the arena.
    after: usize,
    payload: Bytes,
    /// Its length without the prefix.
    encoded_len: usize,
}

impl Large {
    /// The same message in an arena with this much before it.
    fn behind(&self, offset: usize) -> Self {
        Self { start: self.start + offset, after: self.after + offset, ..self.clone() }
    }
}

/// Slices of which the first are filled.
struct Slices<'s, 'a> {
    out: &'s mut [IoSlice<'a>],
    filled: usize,
}

impl<'a> Slices<'_, 'a> {
    /// Fills the next slice, unless there is none or nothing to fill it with.
    fn fill(&mut self, bytes: &'a [u8]) {
        if !bytes.is_empty() && self.filled < self.out.len() {
            self.out[self.filled] = IoSlice::new(bytes);
            self.filled += 1;
        }
    }
}

/// The message at the front of a [`Batch`], in up to three pieces.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The first bytes; often all of them.
    pub head: &'a [u8],
    /// The payload, unless it is part of `head`.
    pub payload: &'a Bytes,
    /// The bytes behind the payload.
    pub end: &'a [u8],
}

impl Outgoing<'_> {
    /// The length of the message, in bytes.
    pub fn encoded_len(&self) -> usize {
        self.head.len() + self.payload.len() + self.end.len()
    }

    /// Appends the message as one piece.
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        out.extend_from_slice(self.head);
        out.extend_from_slice(self.payload);
        out.extend_from_slice(self.end);
    }
}

/// A control frame, which precedes the messages of its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Asks the peer for a [`Control::Pong`] with the same content.
    Ping(Bytes),
    /// The answer to a PING of the peer.
    Pong(Bytes),
}

impl Control {
    /// The content.
    pub fn payload(&self) -> &Bytes {
        match self {
            Control::Ping(payload) | Control::Pong(payload) => payload,
        }
    }
}

/// A message that was not accepted; it has left nothing behind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// It cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It is longer than the peer accepts.
    #[error("a message of {len} bytes, with a limit of {limit}")]
    TooLarge {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
}

impl Batch {
    /// An empty batch, which holds no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a message and returns its length.
    ///
    /// # Errors
    /// The serializer cannot write the message. Then nothing has been appended.
    pub fn push(&mut self, message: &Message, serializer: Serializer) -> Result<usize, EncodeError> {
        self.encode(message, serializer, usize::MAX).map_err(|e| match e {
            PushError::Encode(e) => e,
            PushError::TooLarge { .. } => unreachable!("nothing is longer than usize::MAX"),
        })
    }

    /// Appends a message unless it is longer than `limit`, and returns its length.
    ///
    /// # Errors
    /// The serializer cannot write the message, or it is too long. Then nothing has been appended.
    pub fn push_within(
        &mut self,
        message: &Message,
        serializer: Serializer,
        limit: usize,
    ) -> Result<usize, PushError> {
        self.encode(message, serializer, limit)
    }

    fn encode(
        &mut self,
        message: &Message,
        serializer: Serializer,
        limit: usize,
    ) -> Result<usize, PushError> {
        let payload = message.payload_tail().len();
        self.reserve(HEAD + if payload < COPIED_BELOW { payload } else { 0 });
        let start = self.arena.len();
        self.arena.extend_from_slice(&[0; PREFIX]);
        if let Err(e) = message.encode_head(serializer, &mut self.arena) {
            self.arena.truncate(start);
            return Err(e.into());
        }
        let payload = message.payload_tail();
        let len = self.arena.len() - start - PREFIX + payload.len() + serializer.end().len();
        if len > limit {
            self.arena.truncate(start);
            return Err(PushError::TooLarge { len, limit });
        }
        let after = self.arena.len();
        if payload.len() < COPIED_BELOW {
            self.arena.extend_from_slice(payload);
            self.arena.extend_from_slice(serializer.end());
            self.seal(start, after, Bytes::new());
        } else {
            self.arena.extend_from_slice(serializer.end());
            self.seal(start, after, payload.clone());
        }
        Ok(len)
    }

    /// Appends a plain RESULT, whose payload is a part of a frame, and returns its length.
    pub fn push_result(&mut self, head: &ResultHead, frame: &Bytes, payload: Range<usize>) -> usize {
        let (head, end) = (head.as_ref(), head.end());
        let len = head.len() + payload.len() + end.len();
        self.reserve(HEAD + if payload.len() < COPIED_BELOW { payload.len() } else { 0 });
        let start = self.arena.len();
        self.arena.extend_from_slice(&prefix(len));
        self.arena.extend_from_slice(head);
        if payload.len() < COPIED_BELOW {
            self.arena.extend_from_slice(&frame[payload]);
        } else {
            let after = self.arena.len();
            let payload = frame.slice(payload);
            self.pinned += pinned(&payload);
            self.large.push_back(Large { start, after, payload, encoded_len: len });
        }
        self.arena.extend_from_slice(end);
        self.count(len);
        len
    }

    /// Appends a plain message of this head and payload, which is always copied, and returns its length.
    pub fn push_plain(&mut self, head: &ResultHead, payload: &[u8]) -> usize {
        let (head, end) = (head.as_ref(), head.end());
        let len = head.len() + payload.len() + end.len();
        self.reserve(HEAD + payload.len());
        let start = self.arena.len();
        self.arena.extend_from_slice(&[0; PREFIX]);
        self.arena.extend_from_slice(head);
        self.arena.extend_from_slice(payload);
        self.arena.extend_from_slice(end);
        self.seal(start, self.arena.len(), Bytes::new());
        len
    }

    /// Converts an unsent batch to a form that several queues can share. Its memory is counted in `counted` until
    /// no queue holds it.
    pub fn into_shared(mut self, counted: &SharedMemory) -> SharedBatch {
        debug_assert_eq!(self.start + self.done, 0, "something has left already");
        self.reserve(0);
        let Self { mut arena, large, len, encoded_len, pinned, longest, .. } = self;
        arena.shrink_to_fit();
        let arena = Arc::new(Arena::new(arena, pinned, counted.clone()));
        SharedBatch { arena, large, len, encoded_len, longest }
    }

    /// Appends shared messages.
    pub(crate) fn append_shared(&mut self, messages: &SharedBatch) {
        self.reserve(messages.arena.bytes.len());
        let offset = self.arena.len();
        self.arena.extend_from_slice(&messages.arena.bytes);
        self.large.extend(messages.large.iter().map(|large| large.behind(offset)));
        self.pinned += messages.arena.pinned;
        self.len += messages.len;
        self.encoded_len += messages.encoded_len;
        self.total_pushed += messages.encoded_len;
        self.longest = self.longest.max(messages.longest);
    }

    /// Whether the messages are in an arena shared with other batches.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// The memory of the messages.
    fn arena(&self) -> &[u8] {
        self.shared.as_ref().map_or(&self.arena, |shared| &shared.bytes)
    }

    /// Moves all messages of another unsent batch behind those of this one.
    pub(crate) fn append(&mut self, other: &mut Batch) {
        self.reserve(other.arena().len());
        let offset = self.arena.len();
        self.arena.extend_from_slice(other.arena());
        self.large.extend(other.large.drain(..).map(|large| large.behind(offset)));
        self.control.append(&mut other.control);
        self.len += other.len;
        self.encoded_len += other.encoded_len;
        self.total_pushed += other.total_pushed;
        self.pinned += other.pinned + other.shared.as_ref().map_or(0, |shared| shared.pinned);
        self.longest = self.longest.max(other.longest);
        other.clear();
    }

    /// Appends an encoded message.
    pub fn push_bytes(&mut self, message: &[u8]) {
        self.reserve(PREFIX + message.len());
        let start = self.arena.len();
        self.arena.extend_from_slice(&[0; PREFIX]);
        self.arena.extend_from_slice(message);
        self.seal(start, self.arena.len(), Bytes::new());
    }

    /// Makes room in the arena, which is not shared from now on.
    fn reserve(&mut self, len: usize) {
        if let Some(shared) = self.shared.take() {
            self.arena = shared.bytes.clone();
            self.pinned += shared.pinned;
        }
        let needed = self.arena.len() + len;
        if needed > self.arena.capacity() && needed <= FULL {
            let goal = if needed <= LARGE { needed.next_power_of_two() } else { FULL };
            self.arena.reserve_exact(goal - self.arena.len());
        }
    }

    /// Accounts for the message that begins at `start`, and writes its prefix.
    fn seal(&mut self, start: usize, after: usize, payload: Bytes) {
        let len = self.arena.len() - start - PREFIX + payload.len();
        self.arena[start..start + PREFIX].copy_from_slice(&prefix(len));
        if !payload.is_empty() || len > MAX_24_BIT {
            self.pinned += pinned(&payload);
            self.large.push_back(Large { start, after, payload, encoded_len: len });
        }
        self.count(len);
    }

    fn count(&mut self, len: usize) {
        self.len += 1;
        self.encoded_len += len;
        self.total_pushed += len;
        self.longest = self.longest.max(len);
    }

    /// Adds a PING, which precedes the messages.
    pub fn ping(&mut self, payload: Bytes) {
        self.control.push_back(Control::Ping(payload));
    }

    /// Adds a PONG, which precedes the messages.
    pub fn pong(&mut self, payload: Bytes) {
        self.control.push_back(Control::Pong(payload));
    }

    /// Removes the next PING or PONG.
    pub fn pop_control(&mut self) -> Option<Control> {
        self.control.pop_front()
    }

    /// The length of the unwritten messages, in bytes and without prefixes. A message that is partly written
    /// counts in full.
    pub fn encoded_len(&self) -> usize {
        self.encoded_len
    }

    /// [`encoded_len`](Self::encoded_len) with the prefixes.
    pub fn framed_len(&self) -> usize {
        self.encoded_len + PREFIX * self.len
    }

    /// The number of unwritten messages.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether neither a message nor a PING nor a PONG is left.
    pub fn is_empty(&self) -> bool {
        self.len == 0 && self.control.is_empty()
    }

    /// The length of the longest message since the batch was cleared.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The first message, unless it is partly written.
    pub fn front(&self) -> Option<Outgoing<'_>> {
        if self.len == 0 || self.done > 0 {
            return None;
        }
        let head = self.start + PREFIX;
        Some(match self.front_large() {
            Some(large) => {
                let end = large.start + PREFIX + large.encoded_len - large.payload.len();
                Outgoing {
                    head: &self.arena()[head..large.after],
                    payload: &large.payload,
                    end: &self.arena()[large.after..end],
                }
            }
            None => {
                let message = &self.arena()[head..head + self.front_len()];
                Outgoing { head: message, payload: &NO_PAYLOAD, end: b"" }
            }
        })
    }

    /// Removes the first message.
    pub fn pop_front(&mut self) {
        if self.len == 0 {
            return;
        }
        let len = self.front_len();
        let outside = match self.front_large() {
            Some(_) => self.large.pop_front().map_or(0, |large| large.payload.len()),
            None => 0,
        };
        self.start += PREFIX + len - outside;
        self.done = 0;
        self.len -= 1;
        self.encoded_len -= len;
    }

    /// Fills in the unwritten bytes in order, each message behind its length: 4 bytes, the most significant
    /// first, of which the upper 8 bits are 0 (a message of 2^24 bytes or more has only bit 27 set, see
    /// [`longest`](Self::longest)). Returns the number of filled slices; there may be more to come.
    pub fn slices<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let mut slices = Slices { out, filled: 0 };
        let mut from = self.start + self.done;
        let mut large = self.large.iter();
        if let Some(front) = self.front_large() {
            let head = front.after - front.start;
            if self.done > head {
                // Inside the payload, or behind it.
                let skip = (self.done - head).min(front.payload.len());
                slices.fill(&front.payload[skip..]);
                from -= skip;
                large.next();
            }
        }
        for large in large {
            slices.fill(&self.arena()[from..large.after]);
            slices.fill(&large.payload);
            if slices.filled == slices.out.len() {
                return slices.filled;
            }
            from = large.after;
        }
        slices.fill(&self.arena()[from..]);
        slices.filled
    }

    /// Removes this many bytes, prefixes included.
    pub fn advance(&mut self, mut len: usize) {
        if len + self.done == self.framed_len() {
            // All of it, which is the usual case.
            self.start = self.arena().len();
            self.large.clear();
            (self.done, self.len, self.encoded_len) = (0, 0, 0);
            return;
        }
        while len > 0 && self.len > 0 {
            let left = PREFIX + self.front_len() - self.done;
            if len < left {
                self.done += len;
                return;
            }
            len -= left;
            self.pop_front();
        }
    }

    /// Whether the first message is partly written.
    pub fn in_message(&self) -> bool {
        self.done > 0
    }

    /// Empties the batch. It keeps its memory, unless that is much.
    pub fn clear(&mut self) {
        let mut arena = std::mem::take(&mut self.arena);
        let mut large = std::mem::take(&mut self.large);
        let mut control = std::mem::take(&mut self.control);
        arena.clear();
        large.clear();
        control.clear();
        if arena.capacity() > KEPT_CAPACITY {
            arena = Vec::new();
        }
        *self = Self { arena, large, control, ..Self::default() };
    }

    /// The memory that an empty batch keeps, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.arena.capacity()
    }

    /// The memory that the batch holds at most, in bytes, without memory shared with other batches.
    pub(crate) fn memory(&self) -> usize {
        self.arena.capacity() + self.pinned
    }

    /// The memory that the batch shares with other batches, in bytes.
    pub(crate) fn shared_memory(&self) -> usize {
        self.shared.as_ref().map_or(0, |shared| shared.memory())
    }

    /// The length of all messages since the batch was cleared, written or not.
    pub(crate) fn total_pushed(&self) -> usize {
        self.total_pushed
    }

    /// The description of the front message beyond the arena and the prefix.
    fn front_large(&self) -> Option<&Large> {
        self.large.front().filter(|large| large.start == self.start)
    }

    /// The length of the front message, which exists.
    fn front_len(&self) -> usize {
        if let Some(large) = self.front_large() {
            return large.encoded_len;
        }
        let prefix = &self.arena()[self.start..self.start + PREFIX];
        prefix.iter().fold(0, |length, &byte| length << 8 | usize::from(byte))
    }
}

/// The memory that a payload keeps at most.
fn pinned(payload: &Bytes) -> usize {
    if payload.is_empty() { 0 } else { payload.len().max(READ_BUFFER) }
}

/// The prefix of a message: RawSocket's 25th bit marks the length that the others cannot express; a longer
/// message is refused by a transport with prefixes.
fn prefix(len: usize) -> [u8; PREFIX] {
    let prefix = if len <= MAX_24_BIT { len as u32 } else { 1 << 27 };
    prefix.to_be_bytes()
}

#[cfg(test)]
mod tests;
