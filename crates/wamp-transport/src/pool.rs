//! Empty batches that no queue needs at the moment, for their memory: a few for each thread.
//!
//! An idle queue holds nothing; a busy one should not have to ask the allocator each time it wakes up.

use std::cell::RefCell;

use crate::batch::Batch;

/// So many batches are kept for a thread, each with the memory that an empty batch may have.
const KEPT: usize = 2;

thread_local! {
    static BATCHES: RefCell<Vec<Batch>> = const { RefCell::new(Vec::new()) };
}

/// An empty batch that has memory, if there is one.
pub(crate) fn take() -> Option<Batch> {
    BATCHES.try_with(|batches| batches.borrow_mut().pop()).ok().flatten()
}

/// Keeps an empty batch, unless there are enough.
pub(crate) fn give(batch: Batch) {
    // A thread that ends keeps nothing.
    let _ = BATCHES.try_with(|batches| {
        let mut batches = batches.borrow_mut();
        if batches.len() < KEPT && batch.capacity() > 0 {
            batches.push(batch);
        }
    });
}
