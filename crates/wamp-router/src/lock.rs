//! A lock that is handed over in the order of asking, and whose wait does not block a thread.
//!
//! A task that finds the lock taken would block its worker thread, and with it all other tasks that wait for that
//! thread, writers among them. A lock that is not fair is mostly taken again by the task that has just released
//! it. So tasks ask for a *turn* first; whoever has it finds the value free, but for looks of a few nanoseconds
//! from outside of a task.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// A value that one task at a time may use, for at most about a millisecond.
#[derive(Debug)]
pub(crate) struct FairLock<T> {
    turns: Semaphore,
    value: Mutex<T>,
}

impl<T> FairLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { turns: Semaphore::new(1), value: Mutex::new(value) }
    }

    /// Waits for this task's turn, which lasts until the permit is dropped.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        match self.turns.try_acquire() {
            Ok(turn) => turn,
            // In a box, since it is large and rare.
            Err(_) => Box::pin(self.turns.acquire()).await.expect("the semaphore is never closed"),
        }
    }

    /// The value itself. A task has its turn before; code outside of tasks may look without one.
    pub(crate) fn value(&self) -> MutexGuard<'_, T> {
        // A panic of the machine would be a defect of ours; the other sessions go on.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn turns_are_in_the_order_of_asking() {
        let lock = Arc::new(FairLock::new(Vec::new()));
        let first = lock.turn().await;
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let lock = lock.clone();
                tokio::spawn(async move {
                    // Each asks again at once, and has its second turn after the first one of all others.
                    for round in 0..2 {
                        let turn = lock.turn().await;
                        lock.value().push((round, n));
                        drop(turn);
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        let expected: Vec<_> = (0..2).flat_map(|round| (0..10).map(move |n| (round, n))).collect();
        assert_eq!(*lock.value(), expected);
    }
}
