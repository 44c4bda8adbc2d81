//! Repetition of failed calls.
//!
//! A call is repeated only if its program asks for that, and never after a part of its answer has reached the
//! program or a further chunk was sent.

use std::time::Duration;

use super::backoff::Backoff;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The failures after which a call is repeated, and the number of repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    times: u32,
    is_idempotent: bool,
}

impl Retry {
    /// For a call that may be carried out more than once: it is repeated after a lost connection, or if the
    /// router or the callee was unavailable, up to 3 times.
    pub const fn idempotent() -> Self {
        Self { times: 3, is_idempotent: true }
    }

    /// For a call that must not be carried out twice: it is repeated only if no router can have seen it, up
    /// to 3 times.
    pub const fn unsent() -> Self {
        Self { times: 3, is_idempotent: false }
    }

    /// The largest number of repetitions.
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }
}

/// The failure of an attempt to make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// There was no session, or it was lost.
    Disconnected {
        /// Whether the router can have seen the call.
        sent: bool,
    },
    /// `wamp.error.unavailable`.
    Unavailable,
}

/// The time of a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// When there is a session.
    WhenUp,
    /// After this delay.
    After(Duration),
}

/// The state of a call over all attempts to make it.
#[derive(Clone, Debug)]
pub struct Repeat {
    left: u32,
    is_idempotent: bool,
    is_begun: bool,
    was_sent: bool,
    backoff: Backoff,
}

impl Repeat {
    /// A call that has not been made yet. The seed decides the delays.
    pub fn new(retry: Retry, seed: u64) -> Self {
        let Retry { times, is_idempotent } = retry;
        let backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY, seed);
        Self { left: times, is_idempotent, is_begun: false, was_sent: false, backoff }
    }

    /// Records that a progressive result has reached the program, or a further chunk was sent: the program
    /// would notice a repetition.
    pub fn handle_progress(&mut self) {
        self.is_begun = true;
    }

    /// Handles the failure of an attempt. Returns `None` if the call ends with it.
    pub fn handle_broken(&mut self, broken: Broken) -> Option<Again> {
        self.was_sent |= broken != (Broken::Disconnected { sent: false });
        let may_repeat = self.is_idempotent || broken == (Broken::Disconnected { sent: false });
        if self.left == 0 || self.is_begun || !may_repeat {
            return None;
        }
        self.left -= 1;
        Some(match broken {
            Broken::Disconnected { .. } => Again::WhenUp,
            Broken::Unavailable => Again::After(self.backoff.next_delay()),
        })
    }

    /// Whether a router can have seen one of the attempts, which the program learns at the end.
    pub fn was_sent(&self) -> bool {
        self.was_sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSENT: Broken = Broken::Disconnected { sent: false };
    const SENT: Broken = Broken::Disconnected { sent: true };

    #[test]
    fn each_policy_repeats_the_calls_that_it_allows() {
        let table = [
            (Retry::idempotent(), UNSENT, true),
            (Retry::idempotent(), SENT, true),
            (Retry::idempotent(), Broken::Unavailable, true),
            (Retry::unsent(), UNSENT, true),
            (Retry::unsent(), SENT, false),
            (Retry::unsent(), Broken::Unavailable, false),
        ];
        for (retry, broken, again) in table {
            let mut repeat = Repeat::new(retry, 1);
            assert_eq!(repeat.handle_broken(broken).is_some(), again, "{retry:?} {broken:?}");
        }
    }

    #[test]
    fn a_call_is_repeated_a_limited_number_of_times() {
        let mut repeat = Repeat::new(Retry::idempotent().times(2), 1);
        assert_eq!(repeat.handle_broken(SENT), Some(Again::WhenUp));
        assert!(
            matches!(repeat.handle_broken(Broken::Unavailable), Some(Again::After(delay)) if !delay.is_zero())
        );
        assert_eq!(repeat.handle_broken(UNSENT), None);
    }

    #[test]
    fn a_call_that_was_sent_once_was_sent() {
        let mut repeat = Repeat::new(Retry::idempotent(), 1);
        for (broken, was_sent) in [(UNSENT, false), (SENT, true), (UNSENT, true)] {
            repeat.handle_broken(broken);
            assert_eq!(repeat.was_sent(), was_sent);
        }
    }

    #[test]
    fn a_call_that_has_shown_something_is_not_repeated() {
        let mut repeat = Repeat::new(Retry::idempotent(), 1);
        repeat.handle_progress();
        assert_eq!(repeat.handle_broken(UNSENT), None);
    }
}
