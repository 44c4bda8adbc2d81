//! A lock that, while turns are long, is granted in the order of requests, without blocking a thread.
//!
//! A task that finds a lock taken would block its worker thread, and with it all other tasks that wait for
//! that thread, writers among them. An unfair lock is mostly taken again by the task that has just released
//! it. So tasks first ask for a *turn*, and are suspended until they have it.
//!
//! That costs two passes through the scheduler, which is more than most turns last. So if no turn was used up
//! recently, a task waits for the value itself, on its thread, which takes some microseconds.
//!
//! Links whose last turn was long wait in a queue of their own, from which one at a time asks for a turn. So beside any
//! number of publishers to thousands of links, another link waits for one long turn or two, and not for one of each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

#[cfg(feature = "lock-times")]
use crate::lock_times::{Clocks, Held, LockTimes};

/// After a turn that was used up, tasks wait in suspension for at least this many turns.
const LATELY: u32 = 256;

/// A value that one task at a time may use, for at most about a millisecond.
#[derive(Debug)]
pub(crate) struct FairLock<T> {
    turns: Semaphore,
    /// Taken first by a link whose last turn was long.
    long_turns: Semaphore,
    /// The number of further turns for which tasks wait in suspension. It affects speed only.
    long: AtomicU32,
    value: Mutex<T>,
    #[cfg(feature = "lock-times")]
    clocks: Clocks,
}

/// The value, until it is released.
#[cfg(not(feature = "lock-times"))]
type Held<'a, T> = std::sync::MutexGuard<'a, T>;

impl<T> FairLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            turns: Semaphore::new(1),
            long_turns: Semaphore::new(1),
            long: AtomicU32::new(0),
            value: Mutex::new(value),
            #[cfg(feature = "lock-times")]
            clocks: Clocks::new(),
        }
    }

    /// Waits for this task's turn, which lasts until the result is dropped. A task whose last turn was long first
    /// waits until no other of these waits or has its turn.
    pub(crate) async fn turn(&self, was_long: bool) -> Turn<'_> {
        let long = if was_long { Some(acquire(&self.long_turns).await) } else { None };
        Turn { _next: self.next().await, _long: long }
    }

    /// Waits in the order of requests. Returns `None` if the task may wait for the value itself.
    async fn next(&self) -> Option<SemaphorePermit<'_>> {
        match self.turns.try_acquire() {
            Ok(turn) => return Some(turn),
            Err(_) if self.long.load(Ordering::Relaxed) == 0 => return None,
            Err(_) => {}
        }
        #[cfg(feature = "lock-times")]
        let since = std::time::Instant::now();
        let turn = acquire(&self.turns).await;
        #[cfg(feature = "lock-times")]
        self.clocks.waited(since);
        Some(turn)
    }

    /// Records the end of a turn, and whether it was as long as a turn may be.
    pub(crate) fn ends(&self, is_used_up: bool) {
        let long = self.long.load(Ordering::Relaxed);
        let now = if is_used_up { LATELY } else { long.saturating_sub(1) };
        if now != long {
            self.long.store(now, Ordering::Relaxed);
        }
    }

    /// Locks the value. A task asks for its turn first; other code does not need to.
    pub(crate) fn value(&self) -> Held<'_, T> {
        // A panic of the machine would be a bug; the other sessions go on.
        #[cfg(feature = "lock-times")]
        let since = std::time::Instant::now();
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        #[cfg(feature = "lock-times")]
        self.clocks.waited(since);
        #[cfg(feature = "lock-times")]
        let value = Held::new(value, &self.clocks);
        value
    }

    #[cfg(feature = "lock-times")]
    pub(crate) fn times(&self) -> LockTimes {
        self.clocks.read()
    }
}

/// A task's turn.
pub(crate) struct Turn<'a> {
    // Dropped first: the next long turn comes behind those that others wait for already.
    _next: Option<SemaphorePermit<'a>>,
    _long: Option<SemaphorePermit<'a>>,
}

async fn acquire(semaphore: &Semaphore) -> SemaphorePermit<'_> {
    match semaphore.try_acquire() {
        Ok(permit) => permit,
        // Boxed, since it is large and rare.
        Err(_) => Box::pin(semaphore.acquire()).await.expect("the semaphore is never closed"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn turns_are_in_the_order_of_asking() {
        let lock = Arc::new(FairLock::new(Vec::new()));
        lock.ends(true);
        let first = lock.turn(false).await;
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let lock = lock.clone();
                tokio::spawn(async move {
                    // Each task asks again at once, and has its second turn after the first turn of all
                    // others.
                    for round in 0..2 {
                        let turn = lock.turn(false).await;
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

    #[tokio::test]
    async fn a_link_waits_for_one_of_the_long_turns_that_others_wait_for() {
        let lock = Arc::new(FairLock::new(Vec::new()));
        lock.ends(true);
        let first = lock.turn(true).await;
        let ask = |name, was_long| {
            let lock = lock.clone();
            tokio::spawn(async move {
                let _turn = lock.turn(was_long).await;
                lock.value().push(name);
                tokio::task::yield_now().await;
            })
        };
        let mut tasks = Vec::new();
        for (name, was_long) in [("long 1", true), ("long 2", true), ("short 1", false), ("long 3", true)] {
            tasks.push(ask(name, was_long));
            tokio::task::yield_now().await;
        }
        drop(first);
        tokio::task::yield_now().await;
        tasks.push(ask("short 2", false));
        for task in tasks {
            task.await.unwrap();
        }
        let expected = ["short 1", "long 1", "short 2", "long 2", "long 3"];
        assert_eq!(*lock.value(), expected);
    }

    #[tokio::test]
    async fn a_task_is_not_suspended_when_no_turn_was_long_lately() {
        let lock = FairLock::new(());
        let first = lock.turn(false).await;
        assert!(first._next.is_some() && lock.turn(false).await._next.is_none());
        lock.ends(true);
        for _ in 0..LATELY {
            let waits = tokio::time::timeout(std::time::Duration::ZERO, lock.turn(false)).await.is_err();
            assert!(waits);
            lock.ends(false);
        }
        assert!(lock.turn(false).await._next.is_none());
    }
}
