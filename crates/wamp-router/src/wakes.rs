//! Writers that are to be woken up, each once.
//!
//! A publisher that is read from at full pace has many events for each of its subscribers. A writer that is woken
//! up with the first of them writes that one alone, and the system call costs more than all else. So events only
//! note that there is something to write, and the link that has read the publications wakes the writers up: when
//! all of the read is handled, or after a few milliseconds. With any other message the writer is woken up at the
//! end of the turn at the realm, when its lock is free, and takes the events as well.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::outbound::Outbound;

/// After this time no writer waits any longer.
const WAIT: Duration = Duration::from_millis(4);

/// After this many writers, other tasks have their turn.
const AT_ONCE: usize = 128;

/// Links whose writers are to be woken up. If it is dropped before, it wakes them all.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// Those that have something other than events.
    urgent: Vec<Arc<Outbound>>,
    links: Vec<Arc<Outbound>>,
    since: Option<Instant>,
}

impl Wakes {
    /// Adds a link whose writer is to be woken up at the end of the turn.
    pub(crate) fn add_urgent(&mut self, link: &Arc<Outbound>) {
        self.urgent.push(link.clone());
    }

    /// Wakes those writers up that have something other than events.
    pub(crate) fn wake_urgent(&mut self) {
        for link in self.urgent.drain(..) {
            link.notify_writer();
        }
    }

    /// Adds a link that has events and is not among them yet.
    pub(crate) fn add(&mut self, link: &Arc<Outbound>) {
        self.links.push(link.clone());
    }

    /// Whether the first of them have waited long enough.
    pub(crate) fn is_due(&mut self) -> bool {
        !self.links.is_empty() && self.since.get_or_insert_with(Instant::now).elapsed() >= WAIT
    }

    /// Wakes them up, some at a time.
    pub(crate) async fn flush(&mut self) {
        self.since = None;
        while self.links.len() > AT_ONCE {
            for link in self.links.drain(..AT_ONCE) {
                link.wake_writer();
            }
            tokio::task::yield_now().await;
        }
        self.wake_all();
    }

    fn wake_all(&mut self) {
        self.wake_urgent();
        for link in self.links.drain(..) {
            link.wake_writer();
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.wake_all();
    }
}

#[cfg(test)]
mod tests;
