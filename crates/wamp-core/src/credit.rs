//! The arithmetic of credit: how many bytes the sender of a stream may send ahead of its receiver.
//!
//! A stream is the progressive results or the chunks of one call on one hop: between caller and dealer, or between
//! dealer and callee. [`credit_extension`](crate::credit_extension) specifies the announcement, the message CREDIT and
//! the accounting. Caller, dealer and callee all use the two types below, which are the same for all three.
//!
//! * A message costs its encoded length on that hop plus [`PER_MESSAGE`].
//! * A sender may send while any credit is left. One message may overdraw it, so no message is too large for a window.
//! * A grant is a total since the beginning of the stream, and the greatest counts. A grant that is repeated or
//!   overtaken changes nothing.
//! * A receiver grants when the grant is at least half of its window. If the next hop allows less, it grants
//!   that to a sender that has no credit left.
//! * A window doubles if its sender has used it up although everything was consumed.

/// The cost of a message beyond its bytes, so that empty messages are bounded too.
pub const PER_MESSAGE: u64 = 64;

/// The cost of a message of this encoded length.
pub const fn cost(len: usize) -> u64 {
    len as u64 + PER_MESSAGE
}

/// The sending end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sending {
    granted: u64,
    sent: u64,
}

impl Sending {
    /// A stream to which its receiver grants this much at once.
    pub const fn new(granted: u64) -> Self {
        Self { granted, sent: 0 }
    }

    /// Whether another message may be sent.
    pub const fn has_credit(&self) -> bool {
        self.sent < self.granted
    }

    /// The credit that is left; 0 if it is overdrawn.
    pub const fn left(&self) -> u64 {
        self.granted.saturating_sub(self.sent)
    }

    /// Accounts for a message of this cost that has been sent.
    pub const fn charge(&mut self, cost: u64) {
        self.sent = self.sent.saturating_add(cost);
    }

    /// Raises the total that the receiver has granted. Returns `true` if there was no credit and now there is.
    pub const fn raise(&mut self, total: u64) -> bool {
        let had = self.has_credit();
        if total > self.granted {
            self.granted = total;
        }
        !had && self.has_credit()
    }
}

/// The receiving end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receiving {
    granted: u64,
    received: u64,
    consumed: u64,
    window: u64,
    /// The sender has used up its window since it was last widened.
    used_up: bool,
}

impl Receiving {
    /// A stream to which this end grants `window` at once.
    pub const fn new(window: u64) -> Self {
        Self { granted: window, received: 0, consumed: 0, window, used_up: false }
    }

    /// The window: the bytes that may be on their way or wait here.
    pub const fn window(&self) -> u64 {
        self.window
    }

    /// The cost of everything received.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Whether the sender has no credit left, as far as this end knows.
    pub const fn is_spent(&self) -> bool {
        self.received >= self.granted
    }

    /// The bytes that the sender may still send, as far as this end knows.
    pub const fn left(&self) -> u64 {
        self.granted.saturating_sub(self.received)
    }

    /// The cost of the received messages that were not consumed.
    pub const fn unconsumed(&self) -> u64 {
        self.received - self.consumed
    }

    /// Whether the waiting bytes, once consumed, would be worth a grant.
    pub const fn is_due(&self) -> bool {
        self.unconsumed() > 0 && (self.unconsumed() >= self.window / 2 || self.is_spent())
    }

    /// Accounts for a message of this cost that has arrived.
    pub const fn receive(&mut self, cost: u64) {
        self.received = self.received.saturating_add(cost);
        self.used_up |= self.is_spent();
    }

    /// Consumes received messages of this cost.
    pub const fn consume(&mut self, cost: u64) {
        self.consume_until(self.consumed.saturating_add(cost));
    }

    /// Consumes everything that had arrived when [`received`](Self::received) had this value.
    pub const fn consume_until(&mut self, received: u64) {
        let received = if received < self.received { received } else { self.received };
        if received > self.consumed {
            self.consumed = received;
        }
    }

    /// Whether the latest message, of this cost, was sent without credit.
    pub const fn is_overdrawn(&self, cost: u64) -> bool {
        self.received.saturating_sub(cost) >= self.granted
    }

    /// Doubles the window, up to `max`, if its sender has used it up and at most an eighth of it waits here.
    /// Returns the increase.
    pub const fn widen(&mut self, max: u64) -> u64 {
        if !self.used_up || self.unconsumed() > self.window / 8 || self.window >= max {
            return 0;
        }
        self.used_up = false;
        let before = self.window;
        let doubled = if before == 0 { 1 } else { before.saturating_mul(2) };
        self.window = if doubled < max { doubled } else { max };
        self.window - before
    }

    /// Returns the total to grant if a grant is worth a message. `ahead` limits the bytes that may arrive,
    /// where the next hop has such a limit.
    pub fn grant(&mut self, ahead: Option<u64>) -> Option<u64> {
        let total = self.possible(ahead);
        let worth = total.saturating_sub(self.granted.max(self.received)) >= (self.window / 2).max(1);
        let limited = total < self.possible(None);
        (worth || limited && self.is_spent()).then(|| self.grant_now(ahead)).flatten()
    }

    /// Returns the total to grant if it lets the sender send more, however little.
    pub fn grant_now(&mut self, ahead: Option<u64>) -> Option<u64> {
        let total = self.possible(ahead);
        (total > self.granted.max(self.received)).then(|| {
            self.granted = total;
            total
        })
    }

    fn possible(&self, ahead: Option<u64>) -> u64 {
        let own = self.consumed.saturating_add(self.window);
        let total = ahead.map_or(own, |ahead| own.min(self.received.saturating_add(ahead)));
        total.min(wamp_proto::MAX_ID)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_goes_on_while_any_credit_is_left_and_may_overdraw_once() {
        let mut sending = Sending::new(100);
        assert!(sending.has_credit());
        sending.charge(99);
        assert_eq!((sending.has_credit(), sending.left()), (true, 1));
        sending.charge(1000);
        assert_eq!((sending.has_credit(), sending.left()), (false, 0));
        assert!(!sending.raise(1099), "all of this is spent already");
        assert!(sending.raise(1100));
        assert!(!sending.raise(5000), "it had credit");
    }

    #[test]
    fn the_greatest_total_counts() {
        let mut sending = Sending::new(10);
        sending.raise(300);
        sending.raise(200);
        sending.raise(300);
        assert_eq!(sending.left(), 300);
        assert!(!Sending::new(0).has_credit());
    }

    #[test]
    fn a_grant_is_worth_a_message_when_half_the_window_is_consumed() {
        let mut receiving = Receiving::new(1000);
        receiving.receive(600);
        receiving.consume(499);
        assert_eq!(receiving.grant(None), None);
        receiving.consume(1);
        assert_eq!(receiving.grant(None), Some(1500));
        assert_eq!(receiving.grant(None), None);
    }

    #[test]
    fn a_receiver_that_has_consumed_all_has_always_something_to_grant() {
        for window in [1, 2, 3, 1000] {
            let mut receiving = Receiving::new(window);
            receiving.receive(window);
            receiving.consume(window);
            assert_eq!(receiving.grant(None), Some(2 * window));
        }
        let mut receiving = Receiving::new(1000);
        receiving.receive(1200);
        receiving.consume(200);
        assert_eq!(receiving.grant_now(None), None, "it has been spent already");
        receiving.consume(1);
        assert_eq!(receiving.grant(None), None, "a message for each that is consumed would be too many");
        assert_eq!(receiving.grant_now(None), Some(1201), "but it can be had");
    }

    #[test]
    fn only_received_bytes_are_consumed() {
        let mut receiving = Receiving::new(1000);
        receiving.receive(10);
        receiving.consume(500);
        assert_eq!(receiving.unconsumed(), 0);
        receiving.receive(10);
        receiving.consume_until(u64::MAX);
        receiving.consume_until(3);
        assert_eq!((receiving.unconsumed(), receiving.received()), (0, 20));
    }

    #[test]
    fn the_next_hop_limits_a_grant() {
        let mut receiving = Receiving::new(1000);
        receiving.receive(1000);
        receiving.consume(1000);
        assert_eq!(receiving.grant(Some(0)), None);
        assert_eq!(receiving.grant(Some(7)), Some(1007));
        assert_eq!(receiving.grant(Some(8)), None, "one byte more is not worth a message");
        receiving.receive(7);
        receiving.consume(7);
        assert_eq!(receiving.grant(Some(5000)), Some(2007));
    }

    #[test]
    fn a_window_that_was_used_up_while_nothing_waited_doubles() {
        let mut receiving = Receiving::new(1000);
        receiving.receive(1000);
        assert_eq!(receiving.widen(3000), 0, "it waits here");
        receiving.consume(1000);
        assert_eq!(receiving.widen(3000), 1000);
        assert_eq!(receiving.grant(None), Some(3000));
        assert_eq!(receiving.widen(3000), 0, "once for each time");
        receiving.receive(1000);
        receiving.consume(1000);
        assert_eq!(receiving.widen(3000), 0, "the sender has credit");
        receiving.receive(1000);
        receiving.consume(1000);
        assert_eq!(receiving.widen(3000), 1000);
        assert_eq!(receiving.window(), 3000);
        assert_eq!(receiving.widen(3000), 0);
    }

    #[test]
    fn a_total_never_exceeds_the_greatest_integer_of_a_message() {
        let mut receiving = Receiving::new(wamp_proto::MAX_ID);
        receiving.receive(wamp_proto::MAX_ID);
        receiving.consume(1000);
        assert_eq!(receiving.grant(None), None);
        receiving.receive(u64::MAX);
        receiving.consume(u64::MAX);
        assert_eq!(receiving.grant(None), None);
    }
}
