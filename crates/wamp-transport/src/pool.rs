//! A cache of empty batches: a few for each thread, and a few shared ones, since batches move from threads that
//! fill queues to threads that empty them.
//!
//! An idle queue holds nothing; a busy one should not allocate each time it wakes up.

use std::cell::RefCell;
use std::sync::Mutex;

use crate::batch::Batch;

/// The number of batches kept for a thread, each with the memory that an empty batch may have.
const KEPT: usize = 2;

/// The number of shared batches.
const SHARED: usize = 4;

/// Only batches with more memory than this are worth a lock.
const LARGE: usize = 16 * 1024;

thread_local! {
    static BATCHES: RefCell<Vec<Batch>> = const { RefCell::new(Vec::new()) };
}

/// Large batches for all threads.
type Large = Mutex<Vec<Batch>>;

#[cfg(not(test))]
fn large() -> &'static Large {
    static LARGE_BATCHES: Large = Mutex::new(Vec::new());
    &LARGE_BATCHES
}

/// Tests run in parallel, so each has its own.
#[cfg(test)]
fn large() -> &'static Large {
    thread_local! {
        static LARGE_BATCHES: &'static Large = Box::leak(Box::default());
    }
    LARGE_BATCHES.with(|large| *large)
}

/// Returns an empty batch with memory, if there is one.
pub(crate) fn take() -> Option<Batch> {
    take_from(large())
}

fn take_from(large: &Large) -> Option<Batch> {
    let own = BATCHES.try_with(|batches| batches.borrow_mut().pop()).ok().flatten();
    // Never blocks: allocating is always possible.
    own.or_else(|| large.try_lock().ok()?.pop())
}

/// Keeps an empty batch, unless there are enough with no less memory.
pub(crate) fn give(batch: Batch) {
    give_to(large(), batch);
}

fn give_to(large: &Large, mut batch: Batch) {
    // A thread that ends keeps nothing.
    let _ = BATCHES.try_with(|batches| {
        let mut batches = batches.borrow_mut();
        if batches.len() < KEPT && batch.capacity() > 0 {
            batches.push(std::mem::take(&mut batch));
        } else if let Some(small) = batches.iter_mut().find(|kept| kept.capacity() < batch.capacity()) {
            std::mem::swap(small, &mut batch);
        }
    });
    if batch.capacity() > LARGE
        && let Ok(mut batches) = large.try_lock()
        && batches.len() < SHARED
    {
        batches.push(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(len: usize) -> Batch {
        let mut batch = Batch::new();
        batch.push_bytes(&vec![0; len]);
        batch.clear();
        batch
    }

    #[test]
    fn the_larger_ones_are_kept() {
        for len in [100, 5000, 2000, 50] {
            give(batch(len));
        }
        let kept = [take(), take(), take()].map(|batch| batch.map_or(0, |batch| batch.capacity()));
        assert!(kept[..2].iter().all(|capacity| *capacity >= 2000) && kept[2] == 0, "{kept:?}");
    }

    #[test]
    fn surplus_batches_of_one_thread_are_for_others() {
        let all: &'static Large = Box::leak(Box::default());
        let given = std::thread::spawn(|| (0..2 * (KEPT + SHARED)).for_each(|_| give_to(all, batch(20_000))));
        given.join().unwrap();
        let found = std::thread::spawn(|| (0..20).filter_map(|_| take_from(all)).count());
        assert_eq!(found.join().unwrap(), SHARED);
    }
}
