//! Counters of messages that a session ignored.

use std::ops::Add;

/// Messages that a session has ignored, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Replies and cancels for calls that were over.
    pub late: u64,
    /// Progressive results for calls that did not ask for them.
    pub unsolicited: u64,
    /// Answers to requests that were never made.
    pub unknown: u64,
    /// Answers of handlers for calls that were over.
    pub discarded: u64,
    /// Events that a slow subscriber has missed, or that could not be read.
    pub events_dropped: u64,
}

impl Add for Stats {
    type Output = Stats;

    fn add(self, other: Stats) -> Stats {
        Stats {
            late: self.late + other.late,
            unsolicited: self.unsolicited + other.unsolicited,
            unknown: self.unknown + other.unknown,
            discarded: self.discarded + other.discarded,
            events_dropped: self.events_dropped + other.events_dropped,
        }
    }
}
