//! The times for which tasks wait for a realm's lock and hold it. Only with the feature `lock-times`, for
//! measurements.

use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The number of buckets, one for each power of two of nanoseconds up to a minute.
const BUCKETS: usize = 36;

/// The times for which tasks have waited for a realm's lock and held it, since the start of the realm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockTimes {
    /// The waits of suspended tasks for their turn, and the waits for the lock itself.
    pub waited: TimesTaken,
    /// From the moment the lock is taken until it is released.
    pub held: TimesTaken,
}

/// A histogram of times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimesTaken {
    /// The number of times below 1, 2, 4, 8, … nanoseconds, each without the times of the bucket before.
    pub counts: Vec<u64>,
    /// The sum of all times.
    pub total: Duration,
}

#[derive(Debug)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl Histogram {
    const fn new() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; BUCKETS], nanos: AtomicU64::new(0) }
    }

    fn record(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - nanos.leading_zeros()) as usize;
        self.counts[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn read(&self) -> TimesTaken {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        TimesTaken { counts, total: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)) }
    }
}

/// The measurements of a lock.
#[derive(Debug)]
pub(crate) struct Clocks {
    waited: Histogram,
    held: Histogram,
}

impl Clocks {
    pub(crate) const fn new() -> Self {
        Self { waited: Histogram::new(), held: Histogram::new() }
    }

    pub(crate) fn waited(&self, since: Instant) {
        self.waited.record(since.elapsed());
    }

    pub(crate) fn read(&self) -> LockTimes {
        LockTimes { waited: self.waited.read(), held: self.held.read() }
    }
}

/// The value of a lock, until it is released.
pub(crate) struct Held<'a, T> {
    value: MutexGuard<'a, T>,
    since: Instant,
    clocks: &'a Clocks,
}

impl<'a, T> Held<'a, T> {
    pub(crate) fn new(value: MutexGuard<'a, T>, clocks: &'a Clocks) -> Self {
        Self { value, since: Instant::now(), clocks }
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.clocks.held.record(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_its_bucket() {
        let histogram = Histogram::new();
        for nanos in [0, 1, 2, 3, 4, 1023, 1024, u64::MAX >> 1] {
            histogram.record(Duration::from_nanos(nanos));
        }
        let counts = histogram.read().counts;
        assert_eq!(counts[..4], [1, 1, 2, 1]);
        assert_eq!((counts[10], counts[11], counts[BUCKETS - 1]), (1, 1, 1));
    }
}
