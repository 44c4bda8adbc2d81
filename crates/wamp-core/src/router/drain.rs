//! A shutdown whose GOODBYEs are spread over some time, so that the clients do not all come back at once (behaviour
//! [68](crate::behaviour#rule-68)).
//!
//! No session joins any more, and those that are left go on until it is their turn. At the end the realm ends as in a
//! shutdown at once.

use std::time::Duration;

use super::context::Due;
use super::departure::Ending;
use super::realm::Realm;
use super::sessions::SessionKey;
use crate::Time;

/// The least time between two groups of sessions.
const STEP: Duration = Duration::from_millis(10);

/// The sessions that are still to be ended.
#[derive(Clone, Debug)]
pub(super) struct Drain {
    since: Time,
    time: Duration,
    /// The number of sessions at the beginning.
    count: usize,
    /// The next one is the last.
    left: Vec<SessionKey>,
}

impl Drain {
    /// The number of sessions that are ended by now.
    fn due(&self, now: Time) -> usize {
        let share = now.since(self.since).as_secs_f64() / self.time.as_secs_f64();
        // Rounded down, so that the last one ends with the time.
        ((share * self.count as f64) as usize).min(self.count)
    }

    /// The time of the next one.
    fn next(&self, now: Time) -> Time {
        let ended = self.count - self.left.len();
        let share = (ended + 1) as f64 / self.count as f64;
        (self.since + self.time.mul_f64(share)).max(now + STEP).min(self.since + self.time)
    }
}

impl Realm {
    /// Like [`shut_down`](Self::shut_down), but spreads the ends of the sessions evenly over some time. Until its own end each
    /// session goes on. The rest happens in [`handle_timeout`](Self::handle_timeout).
    pub fn shut_down_over(&mut self, now: Time, time: Duration) {
        self.cx.now = now;
        if self.cx.ending.is_some() || self.drain.is_some() && !time.is_zero() {
            return;
        }
        let left = self.cx.sessions.keys();
        if time.is_zero() || left.is_empty() {
            return self.shut_down(now);
        }
        let drain = Drain { since: now, time, count: left.len(), left };
        self.cx.deadlines.set(drain.next(now), Due::Drain);
        self.drain = Some(drain);
    }

    /// Ends the sessions whose turn it is.
    pub(super) fn handle_drain(&mut self) {
        let now = self.cx.now;
        let Some(drain) = &mut self.drain else { return };
        let count = drain.due(now).saturating_sub(drain.count - drain.left.len());
        let rest = drain.left.len() - count;
        if rest == 0 {
            // The last ones end together with those that no list has.
            return self.shut_down(now);
        }
        let sessions = drain.left.split_off(rest);
        self.cx.deadlines.set(drain.next(now), Due::Drain);
        self.close_all(sessions, Ending::Shutdown);
    }
}
