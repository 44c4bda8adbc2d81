//! An in-memory pair: two ends of a connection without a socket.
//!
//! Each direction holds a bounded number of bytes; a writer waits while the other end does not read. A message
//! longer than the bound travels alone.
//!
//! ```
//! use wamp_proto::Serializer;
//! use wamp_transport::{Batch, Incoming, ReadHalf, Transport, WriteHalf, memory};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (here, there) = memory::pair(Serializer::Json);
//! let ((_, mut write), (mut read, _)) = (here.split(), there.split());
//!
//! let mut batch = Batch::new();
//! batch.push_bytes(b"[1]");
//! batch.push_bytes(b"[2]");
//! write.write(&mut batch).await?;
//!
//! let mut came = Vec::new();
//! read.read(&mut came).await?;
//! assert_eq!(came, [Incoming::Message("[1]".into()), Incoming::Message("[2]".into())]);
//! # Ok(())
//! # }
//! ```

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use bytes::{Bytes, BytesMut};
use wamp_proto::Serializer;

use crate::batch::{Batch, Control};
use crate::error::{ReadError, WriteError};
use crate::{Incoming, ReadHalf, Security, Transport, WriteHalf};

/// The capacity of each direction of a [`pair`], in bytes.
pub const DEFAULT_CAPACITY: usize = 64 * 1024;

/// Both ends of a connection.
pub fn pair(serializer: Serializer) -> (Memory, Memory) {
    pair_with(serializer, DEFAULT_CAPACITY)
}

/// Both ends of a connection that holds this many bytes in each direction, or one message. With a capacity of 1
/// every message waits until the one before it has been read.
pub fn pair_with(serializer: Serializer, capacity: usize) -> (Memory, Memory) {
    let pipe = || Pipe(Arc::new(Mutex::new(State { capacity, ..State::default() })));
    let (forth, back) = (pipe(), pipe());
    let end = |read: &Pipe, write: &Pipe| Memory {
        serializer,
        read: MemoryReader { pipe: read.clone(), max_receive: usize::MAX, received: 0 },
        write: MemoryWriter { pipe: write.clone(), accepted: 0 },
    };
    (end(&back, &forth), end(&forth, &back))
}

/// One end of a [`pair`].
#[derive(Debug)]
pub struct Memory {
    serializer: Serializer,
    read: MemoryReader,
    write: MemoryWriter,
}

/// The receiving half of a [`Memory`].
#[derive(Debug)]
pub struct MemoryReader {
    pipe: Pipe,
    max_receive: usize,
    received: u64,
}

/// The sending half of a [`Memory`].
#[derive(Debug)]
pub struct MemoryWriter {
    pipe: Pipe,
    accepted: u64,
}

impl Transport for Memory {
    type Read = MemoryReader;
    type Write = MemoryWriter;

    fn serializer(&self) -> Serializer {
        self.serializer
    }

    fn max_send(&self) -> usize {
        usize::MAX
    }

    fn security(&self) -> Security {
        Security::local()
    }

    fn split(self) -> (MemoryReader, MemoryWriter) {
        (self.read, self.write)
    }
}

impl ReadHalf for MemoryReader {
    fn set_max_receive(&mut self, len: usize) {
        self.max_receive = len;
    }

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        poll_fn(|cx| {
            let mut state = self.pipe.lock();
            // Only up to the limit, so that the messages before a faulty one arrive.
            let fits = |item: &Incoming| len_of(item) <= self.max_receive;
            let good = state.items.iter().take_while(|item| fits(item)).count();
            if good > 0 {
                self.received +=
                    state.items[..good].iter().map(|item| (len_of(item) + PREFIX) as u64).sum::<u64>();
                into.extend(state.items.drain(..good));
                state.filled = state.items.iter().map(|item| len_of(item) + PREFIX).sum();
                wake(&mut state.writer);
                return Poll::Ready(Ok(()));
            }
            if let Some(item) = state.items.first() {
                return Poll::Ready(Err(ReadError::TooLarge { len: len_of(item), limit: self.max_receive }));
            }
            if state.closed {
                return Poll::Ready(Err(ReadError::Closed));
            }
            state.reader = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn received(&self) -> u64 {
        self.received
    }
}

impl WriteHalf for MemoryWriter {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        poll_fn(|cx| {
            let mut state = self.pipe.lock();
            if state.closed || state.deaf {
                return Poll::Ready(Err(WriteError::Closed));
            }
            let before = state.filled;
            let done = state.take(batch);
            self.accepted += (state.filled - before) as u64;
            if !state.items.is_empty() {
                wake(&mut state.reader);
            }
            if done {
                return Poll::Ready(Ok(()));
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn accepted(&self) -> u64 {
        self.accepted
    }

    async fn close(&mut self) {
        self.pipe.close();
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.pipe.close();
    }
}

impl Drop for MemoryReader {
    fn drop(&mut self) {
        let mut state = self.pipe.lock();
        state.deaf = true;
        state.items.clear();
        wake(&mut state.writer);
    }
}

/// One direction.
#[derive(Clone, Debug)]
struct Pipe(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    items: Vec<Incoming>,
    /// The cost of the items.
    filled: usize,
    capacity: usize,
    /// The writer is gone.
    closed: bool,
    /// The reader is gone.
    deaf: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code in this file panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        wake(&mut state.reader);
    }
}

impl State {
    /// Moves as much of the batch as there is room for; returns `true` if that was all.
    fn take(&mut self, batch: &mut Batch) -> bool {
        while self.items.is_empty() || self.filled < self.capacity {
            let Some(control) = batch.pop_control() else { break };
            self.push(match control {
                Control::Ping(payload) => Incoming::Ping(payload),
                Control::Pong(payload) => Incoming::Pong(payload),
            });
        }
        let mut bytes = BytesMut::new();
        while let Some(message) = batch.front() {
            let length = message.encoded_len();
            if !self.items.is_empty() && self.filled + length + PREFIX > self.capacity {
                return false;
            }
            if bytes.capacity() < length {
                // One allocation for all messages that fit.
                bytes.reserve(length.max(self.capacity.min(batch.encoded_len())));
            }
            bytes.extend_from_slice(message.head);
            bytes.extend_from_slice(message.payload);
            bytes.extend_from_slice(message.end);
            batch.pop_front();
            self.push(Incoming::Message(bytes.split().freeze()));
        }
        batch.is_empty()
    }

    fn push(&mut self, item: Incoming) {
        self.filled += len_of(&item) + PREFIX;
        self.items.push(item);
    }
}

/// The cost of an item beyond its bytes, so that empty items are bounded too.
const PREFIX: usize = 4;

fn len_of(item: &Incoming) -> usize {
    match item {
        Incoming::Message(bytes) | Incoming::Ping(bytes) | Incoming::Pong(bytes) => Bytes::len(bytes),
        Incoming::Run(run) => run.buffer().len(),
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
