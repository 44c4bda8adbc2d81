//! Innocent bystanders: plain calls at a steady pace, and how long each took.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use wamp_client::Session;

use crate::report::Times;

/// Calls a procedure once an interval, one at a time, until it is stopped.
///
/// When an answer takes longer than the interval, the calls that were due meanwhile are made afterwards, and
/// their times count from when they were due: nobody's wait is hidden.
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
    /// How many separate waits were longer than a second.
    pub(crate) long: usize,
    pub(crate) failed: usize,
}

const LONG: Duration = Duration::from_secs(1);

impl Pings {
    pub(crate) fn start(session: Session, procedure: &'static str, interval: Duration) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(ping(session, procedure, interval, seen.clone()));
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
    /// What happened to the calls that were due in this span.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> Waits {
        let within = |due: Instant| from <= due && due < to;
        let due: Vec<_> = self.0.times.iter().filter(|(due, _)| within(*due)).collect();
        let times: Vec<Duration> = due.iter().map(|(_, time)| *time).collect();
        let (mut long, mut until) = (0, from);
        for (due, time) in &due {
            // Calls that were due during a long wait belong to it.
            if *time > LONG && *due >= until {
                long += 1;
                until = *due + *time;
            }
        }
        Waits {
            worst: times.iter().max().copied().unwrap_or_default(),
            times: Times::of(times),
            long,
            failed: self.0.failures.iter().filter(|due| within(**due)).count(),
        }
    }
}

async fn ping(session: Session, procedure: &'static str, interval: Duration, seen: Arc<Mutex<Seen>>) {
    let mut next = Instant::now();
    loop {
        let now = Instant::now();
        if next > now {
            tokio::time::sleep_until(next.into()).await;
            // What the timer is late by is nobody's fault.
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
        next += interval;
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
