//! Figures of a realm that are not plain counters: times of calls, and the methods of joins.

use std::ops::AddAssign;
use std::time::Duration;

use crate::auth::Method;

/// One call in so many is timed.
pub(super) const SAMPLED: u64 = 64;

/// The number of buckets of a [`Histogram`], without the last one, which has no bound.
const BOUNDS: usize = 12;

/// Durations of calls, counted by their lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BOUNDS + 1],
    sum: Duration,
}

impl Histogram {
    /// The upper bounds of the buckets, in ascending order.
    pub const BOUNDS: [Duration; BOUNDS] = [
        Duration::from_millis(1),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(60),
        Duration::from_secs(300),
        Duration::from_secs(3600),
    ];

    /// Returns how many durations are in each bucket. The last bucket has those above all bounds.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Returns the sum of the durations.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    pub(super) fn observe(&mut self, duration: Duration) {
        let bucket = Self::BOUNDS.partition_point(|bound| *bound < duration);
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(duration);
    }
}

impl AddAssign for Histogram {
    fn add_assign(&mut self, other: Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.sum = self.sum.saturating_add(other.sum);
    }
}

/// The times of one call in 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// From the CALL to its end, for calls that end while their caller is there.
    pub duration: Histogram,
    /// From the CALL to the first result or the error, for calls that are not made in chunks.
    pub first_result: Histogram,
}

impl AddAssign for Timings {
    fn add_assign(&mut self, other: Self) {
        self.duration += other.duration;
        self.first_result += other.first_result;
    }
}

/// The sessions that have joined, by their authentication method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joins {
    methods: [u64; Method::ALL.len()],
    others: u64,
}

impl Joins {
    /// Returns each method and its number of joins. A method that is not this router's own is `other`.
    pub fn by_method(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let own = Method::ALL.into_iter().map(Method::as_str).zip(self.methods);
        own.chain([("other", self.others)])
    }

    pub(super) fn count(&mut self, method: &str) {
        match Method::ALL.into_iter().position(|own| own.as_str() == method) {
            Some(index) => self.methods[index] += 1,
            None => self.others += 1,
        }
    }
}

impl AddAssign for Joins {
    fn add_assign(&mut self, other: Self) {
        self.methods.iter_mut().zip(other.methods).for_each(|(count, more)| *count += more);
        self.others += other.others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut histogram = Histogram::default();
        for millis in [0, 1, 2, 3_600_000, 3_600_001] {
            histogram.observe(Duration::from_millis(millis));
        }
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[BOUNDS - 1], counts[BOUNDS]), (2, 1, 1, 1));
        assert_eq!(histogram.sum(), Duration::from_millis(7_200_004));
    }

    #[test]
    fn a_method_that_is_not_known_counts_as_other() {
        let mut joins = Joins::default();
        ["anonymous", "anonymous", "kerberos"].into_iter().for_each(|method| joins.count(method));
        let counted: Vec<_> = joins.by_method().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("anonymous", 2), ("other", 1)]);
    }
}
