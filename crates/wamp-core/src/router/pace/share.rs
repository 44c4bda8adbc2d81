//! How much of a sliding window of time has been used.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;

/// So many stretches of time are known exactly.
const STRETCHES: usize = 64;

/// How much of the time just gone a session has used: stretches of time, and a window that slides over them.
///
/// It is exact up to [`STRETCHES`] in one window. Past that two that are close to each other are put
/// together: their sum stays exact, and the earlier one counts for a little longer. Since the two that span
/// the least are taken, that is less than the 30th part of the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    /// Those that are over, in order.
    over: VecDeque<Stretch>,
    /// The beginning of the one that goes on.
    since: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// When the first of those began that it was put together from.
    first: Time,
    begin: Time,
    end: Time,
}

/// The moment so long before another.
fn before(now: Time, duration: Duration) -> Time {
    Time::after(now.since_origin().saturating_sub(duration))
}

impl Share {
    pub(super) fn begin(&mut self, now: Time, window: Duration) {
        let edge = before(now, window);
        while self.over.front().is_some_and(|stretch| stretch.end <= edge) {
            self.over.pop_front();
        }
        self.since.get_or_insert(now);
    }

    pub(super) fn end(&mut self, now: Time) {
        let Some(since) = self.since.take() else { return };
        if now.since(since).is_zero() {
            return;
        }
        self.over.push_back(Stretch { first: since, begin: since, end: now });
        if self.over.len() > STRETCHES {
            let span = |at: &usize| self.over[at + 1].end.since(self.over[*at].first);
            let at = (0..STRETCHES).min_by_key(span).expect("there are more than two");
            let Some(earlier) = self.over.remove(at) else { return };
            let later = &mut self.over[at];
            later.first = earlier.first;
            later.begin = before(later.begin, earlier.end.since(earlier.begin));
        }
    }

    /// How much of the window that ends now.
    pub(super) fn used(&self, now: Time, window: Duration) -> Duration {
        let edge = before(now, window);
        let over = self.over.iter().map(|stretch| stretch.end.since(stretch.begin.max(edge)));
        over.sum::<Duration>() + self.since.map_or(Duration::ZERO, |since| now.since(since.max(edge)))
    }

    /// When as much as `share` is used, if the stretch that goes on goes on; `None` without one, or if that is
    /// more than the whole window.
    pub(super) fn used_up(&self, now: Time, window: Duration, share: Duration) -> Option<Time> {
        let since = self.since.filter(|_| share <= window)?;
        let mut missing = share.saturating_sub(self.used(now, window));
        let (mut at, mut edge) = (now, before(now, window));
        // While the window leaves what was used behind as fast as more is used, nothing changes. Before the
        // origin there was nothing to leave.
        let early = window.saturating_sub(now.since_origin());
        let grows = missing.min(early);
        (at, missing) = (at + grows, missing - grows);
        let over = self.over.iter().map(|stretch| (stretch.begin, stretch.end));
        for (begin, end) in over.chain([(since, since)]) {
            let gap = begin.since(edge);
            if missing <= gap {
                break;
            }
            missing -= gap;
            at = at + gap + end.since(begin.max(edge));
            edge = end.max(edge);
        }
        Some(at + missing)
    }
}

#[cfg(test)]
mod tests;
