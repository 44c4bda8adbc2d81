//! The schedule of a load, its times, and the report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use hdrhistogram::Histogram;

use crate::document::Document;
use crate::fail::Fail;
use crate::output::{Form, Object, Output};

/// The longest latency that is told from others, in nanoseconds: a minute.
const LONGEST: u64 = 60_000_000_000;

/// The resolution of the clock that tasks sleep by. Less than that is waited for by yielding.
const CLOCK: Duration = Duration::from_millis(2);

/// The time after the end of its schedule at which a load that is behind it ends.
const LATE: Duration = Duration::from_secs(10);

/// The times at which operations are due, for all workers of a load.
#[derive(Clone)]
pub(super) struct Pace {
    start: Instant,
    time: Duration,
    /// In a second; `None`: each operation is due when a worker is free.
    rate: Option<u64>,
    next: Arc<AtomicU64>,
    /// The operations of the schedule that have begun.
    begun: Arc<AtomicU64>,
    late: Duration,
}

impl Pace {
    pub(super) fn new(time: Duration, rate: Option<u64>) -> Self {
        let (next, begun) = (Arc::default(), Arc::default());
        Self { start: Instant::now(), time, rate, next, begun, late: LATE }
    }

    /// Waits for the next operation. Returns the time at which it is due, in nanoseconds since the start of the load; `None`
    /// at its end.
    pub(super) async fn next(&self) -> Option<u64> {
        let Some(rate) = self.rate else {
            return Some(self.now()).filter(|now| Duration::from_nanos(*now) < self.time);
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = Duration::from_nanos((u128::from(number) * 1_000_000_000 / u128::from(rate)) as u64);
        if due >= self.time || self.start.elapsed() >= self.time + self.late {
            return None;
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        loop {
            let left = due.saturating_sub(self.start.elapsed());
            match left.checked_sub(CLOCK) {
                _ if left.is_zero() => return Some(due.as_nanos() as u64),
                Some(long) => tokio::time::sleep(long).await,
                None => tokio::task::yield_now().await,
            }
        }
    }

    /// Returns the number of operations of the schedule that were not begun, since the load was too far behind it.
    pub(super) fn omitted(&self) -> u64 {
        let scheduled = self.time.as_nanos() * u128::from(self.rate.unwrap_or(0));
        let scheduled = u64::try_from(scheduled.div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
        scheduled.saturating_sub(self.begun.load(Ordering::Relaxed))
    }

    /// Nanoseconds since the start of the load.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The latencies of one worker.
pub(super) struct Times(Option<Histogram<u64>>);

impl Times {
    pub(super) fn new() -> Self {
        // These bounds are accepted.
        Self(Histogram::new_with_bounds(1, LONGEST, 3).ok())
    }

    /// Notes an operation that was due at one time and done at another.
    pub(super) fn note(&mut self, due: u64, done: u64) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(done.saturating_sub(due).max(1));
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    pub(super) fn add(&mut self, other: &Times) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // They have the same bounds.
            let _ = histogram.add(other);
        }
    }

    pub(super) fn sum(all: impl IntoIterator<Item = Times>) -> Self {
        all.into_iter().fold(Self::new(), |mut sum, times| {
            sum.add(&times);
            sum
        })
    }

    /// The names of the columns, and their values in microseconds.
    fn columns(&self) -> Vec<(&'static str, f64)> {
        let Some(histogram) = self.0.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return Vec::new();
        };
        let us = |nanos: u64| (nanos as f64 / 100.0).round() / 10.0;
        let at = |quantile| us(histogram.value_at_quantile(quantile));
        vec![
            ("min", us(histogram.min())),
            ("p50", at(0.5)),
            ("p90", at(0.9)),
            ("p99", at(0.99)),
            ("p99.9", at(0.999)),
            ("max", us(histogram.max())),
        ]
    }
}

/// The outcome of a load.
pub(super) struct Report {
    pub(super) kind: &'static str,
    /// Words about the load.
    pub(super) about: String,
    /// The name of the operations that are counted.
    pub(super) counted: &'static str,
    /// The bytes of each operation.
    pub(super) size: usize,
    pub(super) measured: Measured,
}

/// The operations of a load.
pub(super) struct Measured {
    /// The time from the start of the load to its last operation.
    pub(super) time: Duration,
    pub(super) times: Times,
    /// Operations that did not arrive, or were not begun since the load was too far behind its schedule.
    pub(super) lost: u64,
}

impl Report {
    pub(super) fn show(&self, output: &mut Output) -> Result<(), Fail> {
        let Measured { time, times, lost } = &self.measured;
        let seconds = time.as_secs_f64().max(0.000_001);
        let count = times.count();
        let per_second = count as f64 / seconds;
        let bytes = per_second * self.size as f64;
        let columns = times.columns();
        if output.form() == Form::Objects {
            let rounded = |value: f64| Document::Float((value * 1000.0).round() / 1000.0);
            let latency = columns.iter().map(|(name, us)| ((*name).to_owned(), Document::Float(*us)));
            return output.object(
                Object::new("bench")
                    .text("kind", self.kind)
                    .with("seconds", rounded(seconds))
                    .with(self.counted, Document::Integer(count.into()))
                    .with("lost", Document::Integer((*lost).into()))
                    .with("per_second", rounded(per_second))
                    .with("bytes_per_second", rounded(bytes))
                    .with("latency_us", Document::Dict(latency.collect())),
            );
        }
        output.line(&format!("{}: {}, for {seconds:.1} s", self.kind, self.about))?;
        let bytes = match self.size {
            0 => String::new(),
            _ => format!("  {}/s", ByteSize(bytes as u64)),
        };
        let lost = if *lost == 0 { String::new() } else { format!("  {lost} lost") };
        output.line(&format!("{:9} {count}  {per_second:.0}/s{bytes}{lost}", self.counted))?;
        if columns.is_empty() {
            return Ok(());
        }
        let columns: Vec<String> =
            columns.iter().map(|(name, us)| format!("{name} {}", shown(*us))).collect();
        output.line(&format!("{:9} {}", "latency", columns.join("  ")))
    }
}

/// A time, in the unit that suits it.
fn shown(us: f64) -> String {
    match us {
        us if us < 1_000.0 => format!("{us:.1} us"),
        us if us < 1_000_000.0 => format!("{:.2} ms", us / 1_000.0),
        us => format!("{:.2} s", us / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_schedule_has_as_many_operations_as_its_rate_says_also_after_a_pause() {
        let pace = Pace::new(Duration::from_millis(50), Some(1000));
        let mut due = Vec::new();
        while let Some(next) = pace.next().await {
            if due.is_empty() {
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(pace.now() >= next);
            due.push(next);
        }
        let expected: Vec<u64> = (0..50).map(|number| number * 1_000_000).collect();
        assert_eq!((due, pace.omitted()), (expected, 0));
    }

    #[tokio::test]
    async fn a_load_that_is_too_far_behind_its_schedule_ends() {
        let late = Duration::from_millis(10);
        let pace = Pace { late, ..Pace::new(Duration::from_millis(20), Some(10_000_000)) };
        let mut count = 0;
        while pace.next().await.is_some() {
            std::thread::sleep(Duration::from_millis(1));
            count += 1;
        }
        assert!((1..=30).contains(&count), "{count}");
        assert_eq!(pace.omitted(), 200_000 - count);
    }

    #[test]
    fn quantiles_are_those_of_all_workers() {
        let mut times = [Times::new(), Times::new()];
        for us in 1..=1000_u64 {
            times[(us % 2) as usize].note(0, us * 1000);
        }
        let sum = Times::sum(times);
        assert_eq!(sum.count(), 1000);
        let columns: Vec<(&str, i64)> =
            sum.columns().iter().map(|(name, us)| (*name, us.round() as i64)).collect();
        assert_eq!(
            columns,
            [("min", 1), ("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999), ("max", 1000)]
        );
    }
}
