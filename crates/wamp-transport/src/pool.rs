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

/// Keeps an empty batch, unless there are enough that have no less memory.
pub(crate) fn give(batch: Batch) {
    // A thread that ends keeps nothing.
    let _ = BATCHES.try_with(|batches| {
        let mut batches = batches.borrow_mut();
        if batches.len() < KEPT && batch.capacity() > 0 {
            batches.push(batch);
        } else if let Some(small) = batches.iter_mut().find(|kept| kept.capacity() < batch.capacity()) {
            *small = batch;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(octets: usize) -> Batch {
        let mut batch = Batch::new();
        batch.push_octets(&vec![0; octets]);
        batch.clear();
        batch
    }

    #[test]
    fn the_larger_ones_are_kept() {
        for octets in [100, 5000, 2000, 50] {
            give(batch(octets));
        }
        let kept = [take(), take(), take()].map(|batch| batch.map_or(0, |batch| batch.capacity()));
        assert!(kept[..2].iter().all(|capacity| *capacity >= 2000) && kept[2] == 0, "{kept:?}");
    }
}
