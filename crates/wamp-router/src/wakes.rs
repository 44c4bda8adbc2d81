//! Writers to wake: each once, and those with events a few at a time.
//!
//! A fast publisher has many events for each of its subscribers. A writer that is woken for the first event
//! would write that one alone, and the system call costs more than everything else. So an event only records
//! that its link has something to write, and the link that has read the publications wakes the writers: when
//! the whole read is handled, or after a few milliseconds.
//!
//! One publication can have events for thousands of links. If all their writers ran at once, all other tasks,
//! including the next one for the realm's lock, would wait behind thousands of system calls. So these writers
//! have *turns*: a few have one, and the end of a turn wakes the next writer.
//!
//! For any other message the writer is woken at the end of the turn at the realm, when its lock is free, and
//! writes the events as well.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::time::Instant;

use crate::outbound::Outbound;

/// The longest time that a writer waits for the rest of a read.
const WAIT: Duration = Duration::from_millis(4);

/// The turns for each processor: while one writer writes, others are being woken, so that an idle processor
/// finds one.
const TURNS: usize = 8;

/// Links whose writers are to be woken. On drop it wakes the remaining ones.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// Links with messages other than events.
    urgent: Vec<Arc<Outbound>>,
    links: Vec<Arc<Outbound>>,
    since: Option<Instant>,
}

impl Wakes {
    /// Adds a link whose writer is woken at the end of the turn.
    pub(crate) fn add_urgent(&mut self, link: &Arc<Outbound>) {
        self.urgent.push(link.clone());
    }

    /// Wakes the writers with messages other than events.
    pub(crate) fn wake_urgent(&mut self) {
        for link in self.urgent.drain(..) {
            link.notify_writer();
        }
    }

    /// Adds a link with events that was not added yet.
    pub(crate) fn add(&mut self, link: &Arc<Outbound>) {
        self.links.push(link.clone());
    }

    /// Returns whether the first of them have waited long enough.
    pub(crate) fn is_due(&mut self) -> bool {
        !self.links.is_empty() && self.since.get_or_insert_with(Instant::now).elapsed() >= WAIT
    }

    /// Wakes them, each when it has a turn.
    pub(crate) fn flush(&mut self) {
        self.since = None;
        self.wake_urgent();
        if let Some(first) = self.links.first().cloned() {
            first.event_turns().add(self.links.drain(..));
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The turns of writers that have events to write.
#[derive(Debug)]
pub(crate) struct EventTurns {
    state: Mutex<State>,
    /// The most turns at a time.
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Each link is here at most once.
    waiting: VecDeque<Arc<Outbound>>,
    turns: usize,
}

impl EventTurns {
    pub(crate) fn new() -> Self {
        let most = TURNS * available_parallelism().map_or(1, NonZero::get);
        Self { state: Mutex::default(), most }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds links whose writers have something to write.
    fn add(&self, links: impl Iterator<Item = Arc<Outbound>>) {
        self.state().waiting.extend(links);
        self.begin(false);
    }

    /// Ends a turn and gives it to the next link.
    pub(crate) fn end(&self) {
        self.begin(true);
    }

    /// Begins as many turns as are allowed.
    fn begin(&self, mut one_has_ended: bool) {
        while let Some(link) = self.next(one_has_ended) {
            one_has_ended = !link.begin_turn();
        }
    }

    /// Returns the next link and gives it a turn, if one is free.
    fn next(&self, one_has_ended: bool) -> Option<Arc<Outbound>> {
        let mut state = self.state();
        state.turns -= usize::from(one_has_ended);
        if state.turns == self.most {
            return None;
        }
        let link = state.waiting.pop_front()?;
        state.turns += 1;
        if state.waiting.is_empty() {
            // After thousands of waiting links, this memory may not be needed again.
            state.waiting = VecDeque::new();
        }
        Some(link)
    }
}

#[cfg(test)]
mod tests;
