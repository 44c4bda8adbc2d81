//! Credit of one stream inside the dealer, which terminates both hops: it is the receiver towards the sending
//! client and the sender towards the receiving one ([`credit_extension`](crate::credit_extension)).
//!
//! ```text
//!            results              results
//!   callee ───────────▶ dealer ───────────▶ caller
//!          ◀─ ─ ─ ─ ─ ─        ◀─ ─ ─ ─ ─ ─
//!             CREDIT               CREDIT
//! ```
//!
//! Messages are forwarded at once, credit or not: credit limits a client's sending, not the dealer's
//! accepting. The dealer grants as messages leave for the receiver's socket, and never more than the receiver
//! has granted. Chunks go the other way by the same rule.

use std::time::Duration;

use super::call::{Call, CallKey};
use crate::Time;
use crate::credit::{Receiving, Sending, cost};
use crate::deadlines::Deadline;
use crate::router::SessionKey;

/// One of the two streams that a call may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::router) enum Stream {
    /// From the callee to the caller.
    Results,
    /// From the caller to the callee.
    Chunks,
}

/// A report that the driver owes, as [`Event::Watch`](crate::router::Event::Watch) asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    pub(super) call: CallKey,
    pub(super) stream: Stream,
}

/// One stream of a call; there is none if neither side announced credit.
#[derive(Clone)]
pub(super) struct Flow {
    /// The credit of its sender, if it announced credit.
    pub(super) from: Option<Receiving>,
    /// The credit towards its receiver, if it announced credit.
    pub(super) to: Option<Sending>,
    /// The value of `received` at the time of the pending [`Watch`].
    pub(super) watched: Option<u64>,
    /// Since when its sender has no credit.
    pub(super) spent: Option<Time>,
    /// How long it had none before that, in all.
    pub(super) spent_before: Duration,
    /// The deadline of a receiver that has granted nothing.
    pub(super) starved: Option<Deadline>,
}

impl Flow {
    /// A stream between two sessions, each with the credit it announced.
    pub(super) fn new(window: Option<u64>, sender: Option<u64>, receiver: Option<u64>) -> Option<Box<Self>> {
        let window = window?;
        let from = sender.map(|_| Receiving::new(window));
        let to = receiver.map(Sending::new);
        let flow = Self { from, to, watched: None, spent: None, spent_before: Duration::ZERO, starved: None };
        (from.is_some() || to.is_some()).then(|| Box::new(flow))
    }

    /// Whether its receiver announced credit.
    pub(super) fn is_measured(&self) -> bool {
        self.to.is_some()
    }

    /// Accounts for a message that is sent, with its length.
    pub(super) fn send(&mut self, goes: usize) {
        if let Some(to) = &mut self.to {
            to.charge(cost(goes));
        }
    }

    /// Accounts for a message with its length as received and as sent. Returns `true` if a grant may be due.
    pub(super) fn pass(&mut self, came: usize, goes: usize) -> bool {
        self.send(goes);
        match &mut self.from {
            Some(from) => {
                from.receive(cost(came));
                from.is_spent() || self.watched.is_none() && from.is_due()
            }
            None => false,
        }
    }

    /// How long its sender had no credit, in all.
    pub(super) fn spent(&self, now: Time) -> Duration {
        self.spent_before + self.spent.map_or(Duration::ZERO, |since| now.since(since))
    }
}

impl Call {
    pub(super) fn flow(&mut self, stream: Stream) -> Option<&mut Flow> {
        match stream {
            Stream::Results => self.results.as_deref_mut(),
            Stream::Chunks => self.upload.as_deref_mut()?.flow.as_deref_mut(),
        }
    }

    /// The sender of a stream with its id of the call, and the receiver.
    pub(super) fn ends(&self, stream: Stream) -> ((SessionKey, wamp_proto::RequestId), SessionKey) {
        match stream {
            Stream::Results => ((self.callee, self.invocation), self.caller),
            Stream::Chunks => ((self.caller, self.request), self.callee),
        }
    }

    /// The deadlines of its streams.
    pub(super) fn starving(&self) -> impl Iterator<Item = Deadline> + '_ {
        let chunks = self.upload.as_deref().and_then(|upload| upload.flow.as_deref());
        [self.results.as_deref(), chunks].into_iter().flatten().filter_map(|flow| flow.starved)
    }
}
