//! Publications that are being delivered in portions.
//!
//! A publication to thousands of links takes several milliseconds, in which its publisher would keep the lock of the
//! realm and a thread. So a turn delivers for about half a millisecond. The *rest* stays with the realm, and the link of
//! the publisher goes on with it in its next turns, before it handles anything else. Its receivers were chosen when the
//! publication was handled. Before a message goes to one of them alone, it gets the events of the rest: so no session
//! can tell that the publication was not delivered at once, and none gets an event after UNSUBSCRIBED or GOODBYE. Only
//! the events of other publishers, which have no order, may overtake.
//!
//! The rests of a publisher that is gone are delivered before anything else is sent: its testament may be next. Meta
//! events have an order, whichever session has caused them: those in a rest are delivered before another one is sent.

use wamp_core::router::SessionKey;
use wamp_transport::SharedBatch;

/// The most rests of a realm. Others are delivered at once: each message looks for its receiver in all rests.
const MOST: usize = 32;

/// Events, and the receivers that have not got them.
#[derive(Debug)]
pub(crate) struct Rest {
    /// In ascending order.
    receivers: Vec<SessionKey>,
    /// The index of the next one.
    next: usize,
    events: SharedBatch,
    /// Whether meta events are among them.
    has_meta: bool,
}

impl Rest {
    pub(crate) fn new(receivers: Vec<SessionKey>, events: SharedBatch, has_meta: bool) -> Self {
        Self { receivers, next: 0, events, has_meta }
    }

    pub(crate) fn has_meta(&self) -> bool {
        self.has_meta
    }

    /// Returns the number of receivers that have not got the events.
    pub(crate) fn len(&self) -> usize {
        self.receivers.len() - self.next
    }

    pub(crate) fn events(&self) -> &SharedBatch {
        &self.events
    }

    /// Returns the next receiver, which gets the events now.
    pub(crate) fn next(&mut self) -> Option<SessionKey> {
        let next = self.receivers.get(self.next).copied();
        self.next += usize::from(next.is_some());
        next
    }

    /// Removes a receiver, if it has not got the events.
    fn take(&mut self, receiver: SessionKey) -> bool {
        let place = self.receivers[self.next..].binary_search(&receiver);
        place.is_ok_and(|place| self.receivers.remove(self.next + place) == receiver)
    }
}

/// The rests of a realm with their publishers; those of one publisher are in order.
#[derive(Debug, Default)]
pub(crate) struct Rests(Vec<(SessionKey, Rest)>);

impl Rests {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the publisher of the first rest for which this holds.
    pub(crate) fn find(&self, mut is_it: impl FnMut(SessionKey, &Rest) -> bool) -> Option<SessionKey> {
        self.0.iter().find(|(of, rest)| is_it(*of, rest)).map(|(of, _)| *of)
    }

    /// Removes and returns the first rest of a publisher.
    pub(crate) fn pop(&mut self, publisher: SessionKey) -> Option<Rest> {
        let place = self.0.iter().position(|(of, _)| *of == publisher)?;
        Some(self.0.remove(place).1)
    }

    /// Returns whether there may be one more.
    pub(crate) fn has_room(&self) -> bool {
        self.0.len() < MOST
    }

    pub(crate) fn add(&mut self, publisher: SessionKey, rest: Rest) {
        self.0.push((publisher, rest));
    }

    /// Returns whether a publisher has a rest.
    pub(crate) fn has(&self, publisher: SessionKey) -> bool {
        self.0.iter().any(|(of, _)| *of == publisher)
    }

    /// Returns the first rest of a publisher.
    pub(crate) fn first(&mut self, publisher: SessionKey) -> Option<&mut Rest> {
        self.0.iter_mut().find(|(of, _)| *of == publisher).map(|(_, rest)| rest)
    }

    /// Passes the events that this receiver has not got to the closure, and removes it from all rests.
    #[inline]
    pub(crate) fn take(&mut self, receiver: SessionKey, mut deliver: impl FnMut(&SharedBatch)) {
        for (_, rest) in &mut self.0 {
            if rest.take(receiver) {
                deliver(&rest.events);
            }
        }
    }
}
