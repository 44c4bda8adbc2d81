//! Calls that are not part of the load: plain calls at a steady pace, and the duration of each.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use wamp_client::Session;

use crate::report::Times;

/// Calls a procedure once an interval, one at a time, until it is stopped.
///
/// When an answer takes longer than the interval, the calls that were not made meanwhile are counted too,
/// each with a wait until the same moment. So one long wait does not hide others.
pub(crate) struct Pings {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Seen {
    /// The time at which each call was due, and its duration from then on.
    times: Vec<(Instant, Duration)>,
    failures: Vec<Instant>,
    /// When the call under way was due.
    pending: Option<Instant>,
}

/// The calls of a span of time.
#[derive(Clone, Debug)]
pub(crate) struct Waits {
    pub(crate) times: Option<Times>,
    pub(crate) worst: Duration,
    /// The number of calls that took longer than a second.
    pub(crate) long: usize,
    pub(crate) failed: usize,
}

/// The interval between calls.
const INTERVAL: Duration = Duration::from_millis(2);

const LONG: Duration = Duration::from_secs(1);

impl Pings {
    pub(crate) fn start(session: Session, procedure: &'static str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(ping(session, procedure, seen.clone()));
        Self { seen, task }
    }

    /// Makes the calls that are due, and stops.
    pub(crate) fn stop(self) -> Record {
        self.task.abort();
        let mut seen = lock(&self.seen).clone();
        // A pending call has taken at least until now.
        if let Some(due) = seen.pending.take() {
            seen.times.push((due, due.elapsed()));
        }
        Record(seen)
    }
}

/// The measurements of some pings.
pub(crate) struct Record(Seen);

impl Record {
    /// The calls that were pending in this span.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> Waits {
        // Including calls that began before the span.
        let calls: Vec<_> =
            self.0.times.iter().filter(|(due, time)| *due < to && *due + *time > from).collect();
        let (mut times, mut worst) = (Vec::new(), Duration::ZERO);
        for &&(due, time) in &calls {
            worst = worst.max(time);
            let (mut due, mut left) = (due, Some(time));
            while let Some(time) = left.filter(|time| due < to && !time.is_zero()) {
                times.push(time);
                (due, left) = (due + INTERVAL, time.checked_sub(INTERVAL));
            }
        }
        Waits {
            times: Times::of(times),
            worst,
            long: calls.iter().filter(|(_, time)| *time > LONG).count(),
            failed: self.0.failures.iter().filter(|due| from <= **due && **due < to).count(),
        }
    }
}

async fn ping(session: Session, procedure: &'static str, seen: Arc<Mutex<Seen>>) {
    let mut next = Instant::now();
    loop {
        let now = Instant::now();
        if next > now {
            tokio::time::sleep_until(next.into()).await;
            // The lateness of the timer is not counted.
            next = next.max(Instant::now());
        }
        lock(&seen).pending = Some(next);
        let outcome = session.call(procedure).args((1,)).await;
        let mut seen = lock(&seen);
        seen.pending = None;
        seen.times.push((next, next.elapsed()));
        if outcome.is_err() {
            seen.failures.push(next);
        }
        if !session.is_open() {
            return;
        }
        next = (next + INTERVAL).max(Instant::now());
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
