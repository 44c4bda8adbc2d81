//! The outbound queue of a link.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::mem;

use bytes::Bytes;
use wamp_proto::relay::ResultHead;
use wamp_proto::{EncodeError, Message, Serializer};

use crate::batch::{Batch, Control, PushError, SharedBatch};
use crate::pool;

/// A chunk of this many bytes gets no further message.
const CHUNK: usize = 64 * 1024;

/// Shared messages of this many bytes get a chunk of their own. Fewer are copied.
const SHARED: usize = 8 * 1024;

/// The largest number of waiting PINGs and PONGs; the oldest give way.
const MAX_CONTROLS: usize = 16;

/// A longer PING or PONG is cut. No transport of this project lets one in.
const MAX_CONTROL: usize = 4 * 1024;

/// The outbound queue of a link: one FIFO of messages, counted in encoded bytes.
///
/// Messages are encoded when they are pushed, into chunks that the writer takes one at a time. Only PING and
/// PONG overtake, and [`abort`](Self::abort), which drops the messages that it overtakes. The queue accepts
/// everything: its owner reads [`encoded_len`](Self::encoded_len) and decides. The owner also has the lock
/// and the wake-up.
///
/// ```
/// # use bytes::Bytes;
/// # use wamp_proto::{Limits, Message, Serializer};
/// use wamp_transport::Queue;
///
/// # let frame = Bytes::from_static(b"[6,{},\"wamp.close.normal\"]");
/// # let goodbye = Message::decode(Serializer::Json, &frame, &Limits::default())?;
/// let mut queue = Queue::new(Serializer::Json);
/// let len = queue.push(&goodbye)?;
///
/// let batch = queue.pop().unwrap();
/// assert_eq!(queue.encoded_len(), len, "taken is not written");
/// // transport.write(&mut batch).await?;
/// queue.recycle(batch);
/// assert_eq!(queue.encoded_len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Queue {
    serializer: Serializer,
    /// None of them is empty.
    chunks: VecDeque<Batch>,
    controls: VecDeque<Control>,
    control_len: usize,
    /// The bytes in the chunks.
    waiting: usize,
    /// The bytes in the batches that the writer has.
    taken: usize,
    /// The memory of the chunks, and of the batches that the writer has.
    waiting_memory: usize,
    taken_memory: usize,
    closed: bool,
}

impl Queue {
    /// An empty queue towards a peer with this serializer.
    pub fn new(serializer: Serializer) -> Self {
        Self {
            serializer,
            chunks: VecDeque::new(),
            controls: VecDeque::new(),
            control_len: 0,
            waiting: 0,
            taken: 0,
            waiting_memory: 0,
            taken_memory: 0,
            closed: false,
        }
    }

    /// The serializer of the messages.
    pub fn serializer(&self) -> Serializer {
        self.serializer
    }

    /// Appends a message and returns its length; 0 if the queue is closed, which accepts nothing.
    ///
    /// # Errors
    /// The serializer cannot write the message. Then nothing has been appended.
    pub fn push(&mut self, message: &Message) -> Result<usize, EncodeError> {
        let serializer = self.serializer;
        self.add(|chunk| chunk.push(message, serializer))
    }

    /// Appends a message unless it is longer than `limit`; otherwise like [`push`](Self::push).
    ///
    /// # Errors
    /// The serializer cannot write the message, or it is too long. Then nothing has been appended.
    pub fn push_within(&mut self, message: &Message, limit: usize) -> Result<usize, PushError> {
        let serializer = self.serializer;
        self.add(|chunk| chunk.push_within(message, serializer, limit))
    }

    /// Appends a message of this head and payload and returns its length; 0 if the queue is closed, which
    /// accepts nothing. The payload is always copied.
    pub fn push_plain(&mut self, head: &ResultHead, payload: &[u8]) -> usize {
        let pushed: Result<usize, Infallible> = self.add(|chunk| Ok(chunk.push_plain(head, payload)));
        pushed.unwrap_or_else(|never| match never {})
    }

    /// Appends an encoded message and returns its length; 0 if the queue is closed, which accepts nothing.
    pub fn push_bytes(&mut self, message: &[u8]) -> usize {
        let pushed: Result<usize, Infallible> = self.add(|chunk| {
            chunk.push_bytes(message);
            Ok(message.len())
        });
        pushed.unwrap_or_else(|never| match never {})
    }

    fn add<E>(&mut self, push: impl FnOnce(&mut Batch) -> Result<usize, E>) -> Result<usize, E> {
        if self.closed {
            return Ok(0);
        }
        let len =
            match self.chunks.back_mut().filter(|chunk| chunk.encoded_len() < CHUNK && !chunk.is_shared()) {
                Some(chunk) => {
                    let before = chunk.memory();
                    let pushed = push(chunk);
                    self.waiting_memory += chunk.memory() - before;
                    pushed?
                }
                None => {
                    let mut chunk = self.spare();
                    match push(&mut chunk) {
                        Ok(len) => {
                            self.push_chunk(chunk);
                            len
                        }
                        Err(e) => {
                            pool::give(chunk);
                            return Err(e);
                        }
                    }
                }
            };
        self.waiting += len;
        Ok(len)
    }

    /// An empty batch, to be filled without the queue and then [appended](Self::append).
    pub fn spare(&self) -> Batch {
        pool::take().unwrap_or_default()
    }

    /// Appends all messages of an unsent batch and returns their length; 0 if the queue is closed, which
    /// accepts nothing.
    pub fn append(&mut self, mut batch: Batch) -> usize {
        let len = if self.closed { 0 } else { batch.encoded_len() };
        if len == 0 {
            batch.clear();
            pool::give(batch);
            return 0;
        }
        let fits =
            |chunk: &&mut Batch| !chunk.is_shared() && chunk.framed_len() + batch.framed_len() <= CHUNK;
        match self.chunks.back_mut().filter(fits) {
            Some(chunk) => {
                let before = chunk.memory();
                chunk.append(&mut batch);
                self.waiting_memory += chunk.memory() - before;
                pool::give(batch);
            }
            None => self.push_chunk(batch),
        }
        self.waiting += len;
        len
    }

    /// Appends shared messages and returns their length; 0 if the queue is closed, which accepts nothing. A
    /// large number of bytes is not copied.
    pub fn append_shared(&mut self, messages: &SharedBatch) -> usize {
        if self.closed || messages.is_empty() {
            return 0;
        }
        let length = messages.framed_len();
        let fits = |chunk: &&mut Batch| !chunk.is_shared() && chunk.framed_len() + length <= CHUNK;
        if length >= SHARED {
            self.push_chunk(messages.batch());
        } else if let Some(chunk) = self.chunks.back_mut().filter(fits) {
            let before = chunk.memory();
            chunk.append_shared(messages);
            self.waiting_memory += chunk.memory() - before;
        } else {
            let mut chunk = self.spare();
            chunk.append_shared(messages);
            self.push_chunk(chunk);
        }
        self.waiting += messages.encoded_len();
        messages.encoded_len()
    }

    fn push_chunk(&mut self, chunk: Batch) {
        if self.chunks.capacity() == 0 {
            // Most links never have two.
            self.chunks.reserve_exact(1);
        }
        self.waiting_memory += chunk.memory();
        self.chunks.push_back(chunk);
    }

    /// Adds a PING, which overtakes all messages.
    pub fn ping(&mut self, payload: Bytes) {
        self.control(payload, Control::Ping);
    }

    /// Adds the answer to a PING, which overtakes all messages. A peer that sends PINGs and does not read gets
    /// the newest answers only.
    pub fn pong(&mut self, payload: Bytes) {
        self.control(payload, Control::Pong);
    }

    fn control(&mut self, payload: Bytes, kind: fn(Bytes) -> Control) {
        if self.closed {
            return;
        }
        // A slice would keep all of the read buffer.
        let payload = Bytes::copy_from_slice(&payload[..payload.len().min(MAX_CONTROL)]);
        self.control_len += payload.len();
        self.controls.push_back(kind(payload));
        while self.controls.len() > MAX_CONTROLS {
            let oldest = self.controls.pop_front();
            self.control_len -= oldest.map_or(0, |control| control.payload().len());
        }
    }

    /// Drops everything that waits, puts this message in its place and closes the queue. Batches that the
    /// writer has taken still precede it.
    ///
    /// # Errors
    /// The serializer cannot write the message. The queue is empty and closed all the same.
    pub fn abort(&mut self, message: &Message) -> Result<usize, EncodeError> {
        self.clear();
        self.closed = false;
        let pushed = self.push(message);
        self.closed = true;
        pushed
    }

    /// Drops everything that waits and closes the queue. The writer still has its batches.
    pub fn clear(&mut self) {
        self.chunks.clear();
        self.controls.clear();
        self.control_len = 0;
        (self.waiting, self.waiting_memory) = (0, 0);
        self.closed = true;
    }

    /// Closes the queue: it accepts nothing more. The writer still gets the waiting messages.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether the queue is closed. A writer that finds it closed and empty closes the connection.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The length of all messages that may be unwritten, in bytes: those that wait, and those that the writer
    /// has.
    pub fn encoded_len(&self) -> usize {
        self.waiting + self.taken
    }

    /// The memory that the queue holds at most, in bytes: of the messages that
    /// [`encoded_len`](Self::encoded_len) counts, and of PINGs and PONGs. Memory shared with other queues is
    /// [counted](crate::SharedMemory) once for all of them.
    pub fn memory(&self) -> usize {
        self.waiting_memory + self.taken_memory + self.control_len
    }

    /// The memory of messages that wait and are shared with other queues, in bytes.
    pub fn shared_memory(&self) -> usize {
        self.chunks.iter().map(Batch::shared_memory).sum()
    }

    /// Whether there is nothing for a writer to take.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.controls.is_empty()
    }

    /// Takes the next batch to write, of at most about 64 KiB and one message. An idle queue frees its memory.
    pub fn pop(&mut self) -> Option<Batch> {
        if self.is_empty() {
            (self.chunks, self.controls) = (VecDeque::new(), VecDeque::new());
            return None;
        }
        let mut batch = match self.chunks.pop_front() {
            Some(chunk) => {
                self.waiting_memory -= chunk.memory();
                chunk
            }
            None => self.spare(),
        };
        self.taken_memory += batch.memory();
        for control in mem::take(&mut self.controls) {
            match control {
                Control::Ping(payload) => batch.ping(payload),
                Control::Pong(payload) => batch.pong(payload),
            }
        }
        self.control_len = 0;
        self.waiting -= batch.encoded_len();
        self.taken += batch.encoded_len();
        Some(batch)
    }

    /// Takes back a batch from [`pop`](Self::pop). Its messages are written, or never will be.
    pub fn recycle(&mut self, mut batch: Batch) {
        self.taken = self.taken.saturating_sub(batch.total_pushed());
        self.taken_memory = self.taken_memory.saturating_sub(batch.memory());
        batch.clear();
        pool::give(batch);
    }
}

#[cfg(test)]
mod tests;
