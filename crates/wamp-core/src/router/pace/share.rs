//! The used part of a sliding window of time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;

/// The number of intervals that are kept exactly; older ones are merged.
const STRETCHES: usize = 64;

/// The recent time that a session has used: intervals, and a window that slides over them.
///
/// It is exact for up to [`STRETCHES`] intervals in one window. Beyond that, two neighbours are merged: their
/// sum stays exact, and the earlier one counts slightly longer, by less than a 30th of the window, since the
/// two that span the least time are chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    /// The intervals that are over, in order.
    over: VecDeque<Stretch>,
    /// The beginning of the current interval.
    since: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// The beginning of the first interval that was merged into it.
    first: Time,
    begin: Time,
    end: Time,
}

/// Returns the time this long before another.
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

    /// Returns the used part of the window that ends now.
    pub(super) fn used(&self, now: Time, window: Duration) -> Duration {
        let edge = before(now, window);
        let over = self.over.iter().map(|stretch| stretch.end.since(stretch.begin.max(edge)));
        over.sum::<Duration>() + self.since.map_or(Duration::ZERO, |since| now.since(since.max(edge)))
    }

    /// Returns the time at which `share` is used up if the current interval goes on. Returns `None` without a
    /// current interval, or if the share exceeds the window.
    pub(super) fn used_up(&self, now: Time, window: Duration, share: Duration) -> Option<Time> {
        let since = self.since.filter(|_| share <= window)?;
        let mut missing = share.saturating_sub(self.used(now, window));
        let (mut at, mut edge) = (now, before(now, window));
        // While used time leaves the window as fast as more is used, the sum does not change. Before the
        // origin no time was used.
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
