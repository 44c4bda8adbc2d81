//! Batches that several queues share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Batch, Large, PREFIX};

/// The memory of shared batches, in bytes, counted once for any number of queues.
#[derive(Clone, Debug, Default)]
pub struct SharedMemory(Arc<AtomicUsize>);

impl SharedMemory {
    /// Returns the memory of the shared batches that a queue still holds.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// An arena that several batches have.
#[derive(Debug)]
pub(super) struct Arena {
    pub(super) bytes: Vec<u8>,
    /// The memory that the payloads outside of it keep at most.
    pub(super) pinned: usize,
    counted: SharedMemory,
}

impl Arena {
    pub(super) fn new(bytes: Vec<u8>, pinned: usize, counted: SharedMemory) -> Self {
        counted.0.fetch_add(bytes.capacity() + pinned, Ordering::Relaxed);
        Self { bytes, pinned, counted }
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.pinned
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.counted.0.fetch_sub(self.memory(), Ordering::Relaxed);
    }
}

/// Messages for several receivers, packed once. See [`Queue::append_shared`](crate::Queue::append_shared).
#[derive(Clone, Debug)]
pub struct SharedBatch {
    pub(super) arena: Arc<Arena>,
    pub(super) large: VecDeque<Large>,
    pub(super) len: usize,
    pub(super) encoded_len: usize,
    pub(super) longest: usize,
}

impl SharedBatch {
    /// The number of messages.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The length of the messages with their prefixes.
    pub(crate) fn framed_len(&self) -> usize {
        self.encoded_len + PREFIX * self.len
    }

    /// The length of the messages without prefixes.
    pub(crate) fn encoded_len(&self) -> usize {
        self.encoded_len
    }

    /// A batch with these messages, which are not copied until another message is pushed.
    pub(crate) fn batch(&self) -> Batch {
        let Self { arena, large, len, encoded_len, longest } = self.clone();
        Batch {
            shared: Some(arena),
            large,
            len,
            encoded_len,
            total_pushed: encoded_len,
            longest,
            ..Batch::default()
        }
    }
}
