//! Credit as each end of a hop can know it, from nothing but the messages that cross that end.
//!
//! A stream is named by its id at that end: at the caller by the call, at the callee by the invocation, for
//! results and chunks alike.

use wamp_core::Time;

use crate::ledger::{Broken, hold};

/// Returns the cost of a message of this length.
pub fn cost(len: usize) -> u64 {
    len as u64 + 64
}

/// One of the two streams of a call, at one end of a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    pub chunks: bool,
    pub id: u64,
}

impl Stream {
    pub fn results(id: u64) -> Self {
        Self { chunks: false, id }
    }

    pub fn chunks(id: u64) -> Self {
        Self { chunks: true, id }
    }

    pub fn of_session(self) -> wamp_core::session::Stream {
        let id = crate::wire_message::id(self.id);
        if self.chunks {
            wamp_core::session::Stream::Chunks(id)
        } else {
            wamp_core::session::Stream::Results(id)
        }
    }
}

/// The window that a receiver grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The window at first, and the widest one.
    pub first: u64,
    pub max: u64,
}

/// The credit of a sender, at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    total: u64,
    spent: u64,
}

impl Purse {
    pub fn new(total: u64) -> Self {
        Self { total, spent: 0 }
    }

    pub fn may_send(&self) -> bool {
        self.spent < self.total
    }

    pub fn left(&self) -> u64 {
        self.total.saturating_sub(self.spent)
    }

    /// Spends credit. Returns `true` if this overdraws it.
    pub fn spend(&mut self, cost: u64) -> bool {
        self.spent += cost;
        self.spent > self.total
    }

    /// Raises the total; the greatest one counts. Returns `true` if this wakes the sender.
    pub fn raise(&mut self, total: u64) -> bool {
        let waited = !self.may_send();
        self.total = self.total.max(total);
        waited && self.may_send()
    }

    /// Returns whether this total would change anything.
    pub fn is_raised(&self, total: u64) -> bool {
        total > self.total
    }
}

/// The accounting of a receiver, at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    windows: Windows,
    wire_message: u64,
    pub received: u64,
    consumed: u64,
    /// The time at which it grants the consumed bytes, even a small number.
    pub delayed: Option<Time>,
}

impl Meter {
    pub fn new(windows: Windows) -> Self {
        Self { windows, wire_message: windows.first, received: 0, consumed: 0, delayed: None }
    }

    pub fn receive(&mut self, cost: u64) {
        self.received += cost;
    }

    pub fn consume(&mut self, cost: u64) {
        self.consume_until(self.consumed + cost);
    }

    pub fn consume_until(&mut self, received: u64) {
        self.consumed = self.consumed.max(received.min(self.received));
    }

    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Returns whether the sender may send nothing that costs credit.
    pub fn is_spent(&self) -> bool {
        self.received >= self.wire_message
    }

    /// Grants a total. It must be greater than before, of use to the sender, and within the window.
    pub fn say(&mut self, total: u64, ahead: Option<u64>) -> Result<(), Broken> {
        hold!(total > self.wire_message, "15: a total of {total} after {}", self.wire_message);
        hold!(total > self.received, "15: a total of {total}, although {} has been spent", self.received);
        let room = self.consumed + self.windows.max;
        hold!(total <= room, "16: a total of {total}, with room for {room}");
        let ahead = ahead.map_or(u64::MAX, |ahead| self.received + ahead);
        hold!(total <= ahead, "17: a total of {total}, where the next receiver takes {ahead}");
        self.wire_message = total;
        self.delayed = None;
        Ok(())
    }

    /// Returns whether the granted total exceeds the limit of the first window.
    pub fn is_wider(&self) -> bool {
        self.wire_message > self.consumed + self.windows.first
    }

    /// Returns the total that the first window allows.
    pub fn room(&self) -> u64 {
        self.consumed + self.windows.first
    }

    /// Returns whether it could grant more, worth a message or not.
    pub fn can_say(&self) -> bool {
        self.room() > self.wire_message.max(self.received)
    }

    /// Returns whether it must grant more at once: half of the window is consumed.
    pub fn must_say(&self) -> bool {
        self.can_say()
            && self.consumed + self.windows.first.div_ceil(2) >= self.wire_message.max(self.received)
    }
}
