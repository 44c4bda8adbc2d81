//! Innocent bystanders: plain calls at a steady pace, and how long each took.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use wamp_client::Session;

use crate::report::Times;

/// Calls a procedure once an interval, one at a time, until it is stopped.
///
/// When an answer takes longer than the interval, the calls that were not made meanwhile count as if they had
/// been: each would have waited until the same moment. So a wait hides no other.
pub(crate) struct Pings {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Seen {
    /// When each call was due, and how long it took from then on.
    times: Vec<(Instant, Duration)>,
    failures: Vec<Instant>,
    /// When the call under way was due.
    pending: Option<Instant>,
}

/// What happened in a span of time.
#[derive(Clone, Debug)]
pub(crate) struct Waits {
    pub(crate) times: Option<Times>,
    pub(crate) worst: Duration,
    /// How many calls took longer than a second.
    pub(crate) long: usize,
    pub(crate) failed: usize,
}

/// How often they call.
const INTERVAL: Duration = Duration::from_millis(2);

const LONG: Duration = Duration::from_secs(1);

impl Pings {
    pub(crate) fn start(session: Session, procedure: &'static str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(ping(session, procedure, seen.clone()));
        Self { seen, task }
    }

    /// Lets the calls that are due be made, and stops.
    pub(crate) fn stop(self) -> Record {
        self.task.abort();
        let mut seen = lock(&self.seen).clone();
        // One that is still waited for has taken so long at least.
        if let Some(due) = seen.pending.take() {
            seen.times.push((due, due.elapsed()));
        }
        Record(seen)
    }
}

/// All that some pings have seen.
pub(crate) struct Record(Seen);

impl Record {
    /// What happened to the calls that were waited for in this span.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> Waits {
        // Also what began before the span and was waited for in it.
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
