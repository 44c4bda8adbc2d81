//! Signs of life: when a peer gets a PING, and when its connection is closed.
//!
//! * Bytes that arrive are a sign of life, also in the middle of a message.
//! * After [`silence`](Config::silence) without one the peer gets a PING; after [`pong`](Config::pong) more the
//!   connection is closed.
//! * No PING is sent while something is being written: it would wait behind that, and a driver watches a peer
//!   that accepts nothing. A peer that is not known to answer a PING gets none either (see
//!   [`set_asks`](Keepalive::set_asks)).
//! * A message that has begun to arrive must go on at [`rate`](Config::rate), on average over each `silence`,
//!   or the connection is closed. PINGs and PONGs in between do not count: an unfinished message holds memory,
//!   however active its sender is.
//! * A peer whose place is wanted is [probed](Keepalive::probe): it gets a PING at once, and its connection is closed if
//!   nothing arrives within a given time. That is not decided while the connection accepts data.
//! * None of this counts while the driver does not read from the connection.
//!
//! No I/O and no clock: the driver reports arrivals and, when the deadline passes, the state of its
//! transport.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use wamp_transport::keepalive::{Config, Keepalive, Seen, Verdict};
//!
//! let start = Instant::now();
//! let mut keepalive = Keepalive::new(Config::default(), start, 0);
//! assert_eq!(keepalive.deadline(), start + Duration::from_secs(30));
//! assert_eq!(keepalive.handle_timeout(keepalive.deadline(), Seen::default()), Verdict::Ping);
//! let verdict = keepalive.handle_timeout(keepalive.deadline(), Seen::default());
//! assert_eq!(verdict, Verdict::GiveUp("a PING is not answered"));
//! ```

use std::ops::{Add, Sub};
use std::time::Duration;

use crate::Unfinished;

/// The limits of silence.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The silence before a PING; 30 s by default.
    pub silence: Duration,
    /// The silence after the PING before the connection is closed; 10 s by default.
    pub pong: Duration,
    /// The bytes of an unfinished message that must arrive in a second; 1 KiB by default.
    pub rate: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { silence: Duration::from_secs(30), pong: Duration::from_secs(10), rate: 1024 }
    }
}

/// A driver's knowledge of its peer's signs of life; `I` is the time of its clock.
#[derive(Debug)]
pub struct Keepalive<I> {
    config: Config,
    /// Whether the peer is known to answer a PING.
    asks: bool,
    /// The last sign of life.
    heard: I,
    /// A PING was sent since then.
    pinged: bool,
    /// The end of the time in which a probed peer has to give a sign of life.
    probe: Option<I>,
    /// The number of bytes that had arrived by then.
    received: u64,
    /// The arriving message, as it was a while ago.
    message: Option<Message<I>>,
}

/// The progress of a message at some time.
#[derive(Clone, Copy, Debug)]
struct Message<I> {
    at: I,
    bytes: usize,
}

/// The driver's observations when the deadline of its [`Keepalive`] passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// [`ReadHalf::received`](crate::ReadHalf::received).
    pub received: u64,
    /// [`ReadHalf::unfinished`](crate::ReadHalf::unfinished).
    pub unfinished: Option<Unfinished>,
    /// Something is not written yet.
    pub is_writing: bool,
    /// The connection has accepted nothing of that for a moment.
    pub stands_still: bool,
}

/// The action to take when the deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing, until the next deadline.
    Wait,
    /// Send a PING.
    Ping,
    /// Close the connection, for this reason.
    GiveUp(&'static str),
}

impl<I> Keepalive<I>
where
    I: Copy + Ord + Add<Duration, Output = I> + Sub<I, Output = Duration>,
{
    /// For a peer from which this many bytes have arrived so far.
    pub fn new(config: impl Into<Config>, now: I, received: u64) -> Self {
        let config = config.into();
        Self { config, asks: true, heard: now, pinged: false, probe: None, received, message: None }
    }

    /// Sets whether the peer is known to answer a PING, which is the default.
    pub fn set_asks(&mut self, asks: bool) {
        self.asks = asks;
    }

    /// A read has returned: whole messages, or PINGs and PONGs only.
    pub fn handle_read(&mut self, now: I, received: u64, has_message: bool) {
        (self.heard, self.pinged, self.probe, self.received) = (now, false, None, received);
        if has_message {
            self.message = None;
        }
    }

    /// The connection was not read from until now.
    pub fn handle_pause(&mut self, now: I) {
        (self.heard, self.pinged, self.probe, self.message) = (now, false, None, None);
    }

    /// Asks for a sign of life within this time, with the number of bytes that have arrived so far. Returns
    /// [`Verdict::Ping`] if a PING is to be sent for it. A peer that is asked already, or that is
    /// [not asked](Self::set_asks) at all, stays as it is.
    pub fn probe(&mut self, now: I, received: u64, within: Duration) -> Verdict {
        if !self.asks || self.probe.is_some() {
            return Verdict::Wait;
        }
        if received != self.received {
            (self.heard, self.pinged, self.received) = (now, false, received);
        }
        self.probe = Some(now + within);
        match std::mem::replace(&mut self.pinged, true) {
            true => Verdict::Wait,
            false => Verdict::Ping,
        }
    }

    /// The next deadline, at which [`handle_timeout`](Self::handle_timeout) must be called.
    pub fn deadline(&self) -> I {
        let silent = self.heard
            + if self.pinged { self.config.silence + self.config.pong } else { self.config.silence };
        let silent = self.probe.map_or(silent, |probe| silent.min(probe));
        self.message.map_or(silent, |message| silent.min(message.at + self.config.silence))
    }

    /// Handles the deadline.
    pub fn handle_timeout(&mut self, now: I, seen: Seen) -> Verdict {
        if seen.received != self.received {
            // The exact time of their arrival is unknown.
            (self.heard, self.pinged, self.probe, self.received) = (now, false, None, seen.received);
        }
        if self.is_too_slow(now, seen.unfinished) {
            return Verdict::GiveUp("a message arrives too slowly");
        }
        if self.probe.is_some_and(|probe| probe <= now) {
            self.probe = None;
            // A PING may still wait behind what the connection accepts.
            if self.asks && (!seen.is_writing || seen.stands_still) {
                return Verdict::GiveUp("its place is wanted, and it gives no sign of life");
            }
        }
        if now < self.heard + self.config.silence {
            return Verdict::Wait;
        }
        if seen.is_writing || !self.asks {
            (self.heard, self.pinged) = (now, false);
            return Verdict::Wait;
        }
        if !self.pinged {
            self.pinged = true;
            return Verdict::Ping;
        }
        if now < self.heard + self.config.silence + self.config.pong {
            return Verdict::Wait;
        }
        Verdict::GiveUp("a PING is not answered")
    }

    /// Whether the arriving message has missed its rate, if that can be decided.
    fn is_too_slow(&mut self, now: I, unfinished: Option<Unfinished>) -> bool {
        let Some(Unfinished { bytes, .. }) = unfinished else {
            self.message = None;
            return false;
        };
        let Some(message) = self.message else {
            self.message = Some(Message { at: now, bytes });
            return false;
        };
        let took = now - message.at;
        if took < self.config.silence {
            return false;
        }
        self.message = Some(Message { at: now, bytes });
        let came = bytes.saturating_sub(message.bytes) as u128;
        came * 1000 < self.config.rate as u128 * took.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const NOTHING: Seen = Seen { received: 0, unfinished: None, is_writing: false, stands_still: false };

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn keepalive() -> (Keepalive<Instant>, Instant) {
        let start = Instant::now();
        (Keepalive::new(Config::default(), start, 0), start)
    }

    /// The report of a transport in the middle of a message that has all of its bytes.
    fn amid(bytes: usize) -> Seen {
        Seen {
            received: bytes as u64,
            unfinished: Some(Unfinished { bytes, missing: 1 << 20, memory: bytes }),
            ..NOTHING
        }
    }

    /// Calls `handle_timeout` at each deadline until that time; returns the outcome other than waiting, and
    /// when.
    fn run(
        keepalive: &mut Keepalive<Instant>,
        start: Instant,
        until: u64,
        mut seen: impl FnMut(u64) -> Seen,
    ) -> Vec<(u64, Verdict)> {
        let mut all = Vec::new();
        while keepalive.deadline() <= at(start, until) {
            let now = keepalive.deadline();
            let seconds = (now - start).as_secs();
            match keepalive.handle_timeout(now, seen(seconds)) {
                Verdict::Wait => {}
                Verdict::Ping => all.push((seconds, Verdict::Ping)),
                end => {
                    all.push((seconds, end));
                    break;
                }
            }
        }
        all
    }

    #[test]
    fn silence_is_followed_by_a_ping_and_that_by_the_end() {
        let (mut keepalive, start) = keepalive();
        let all = run(&mut keepalive, start, 100, |_| NOTHING);
        assert_eq!(all, [(30, Verdict::Ping), (40, Verdict::GiveUp("a PING is not answered"))]);
    }

    #[test]
    fn an_answer_is_a_sign_of_life() {
        let (mut keepalive, start) = keepalive();
        assert_eq!(run(&mut keepalive, start, 35, |_| NOTHING), [(30, Verdict::Ping)]);
        keepalive.handle_read(at(start, 36), 8, false);
        assert_eq!(keepalive.deadline(), at(start, 66));
        let seen = Seen { received: 8, ..NOTHING };
        assert_eq!(keepalive.handle_timeout(at(start, 40), seen), Verdict::Wait, "an early deadline");
        assert_eq!(run(&mut keepalive, start, 70, |_| seen), [(66, Verdict::Ping)]);
    }

    #[test]
    fn a_message_that_goes_on_keeps_its_link_however_long_it_takes() {
        let (mut keepalive, start) = keepalive();
        // 100 kbit/s, and exactly the required rate.
        for rate in [12_500, 1024] {
            assert_eq!(run(&mut keepalive, start, 3600, |seconds| amid(rate * seconds as usize)), []);
        }
    }

    #[test]
    fn a_message_that_trickles_ends_its_link() {
        let (mut keepalive, start) = keepalive();
        let all = run(&mut keepalive, start, 3600, |seconds| amid(1000 * seconds as usize));
        assert_eq!(all, [(60, Verdict::GiveUp("a message arrives too slowly"))]);
    }

    #[test]
    fn pings_between_its_fragments_do_not_keep_a_message_that_stands_still() {
        let (mut keepalive, start) = keepalive();
        let mut received = 5000;
        keepalive.handle_timeout(at(start, 10), amid(5000));
        for seconds in (10..40).step_by(5) {
            received += 6;
            keepalive.handle_read(at(start, seconds), received, false);
        }
        let seen = Seen { received, ..amid(5000) };
        let verdict = keepalive.handle_timeout(at(start, 40), seen);
        assert_eq!(verdict, Verdict::GiveUp("a message arrives too slowly"));
    }

    #[test]
    fn messages_one_behind_the_other_are_not_taken_for_one() {
        let (mut keepalive, start) = keepalive();
        for seconds in 1..300 {
            keepalive.handle_read(at(start, seconds), 100 * seconds, true);
            let seen = Seen { received: 100 * seconds, ..amid(50) };
            assert_eq!(keepalive.handle_timeout(at(start, seconds), seen), Verdict::Wait);
        }
    }

    #[test]
    fn a_connection_that_is_not_read_from_has_no_deadline() {
        let (mut keepalive, start) = keepalive();
        keepalive.handle_timeout(at(start, 20), amid(1000));
        keepalive.handle_pause(at(start, 300));
        assert_eq!(keepalive.handle_timeout(at(start, 301), amid(1000)), Verdict::Wait);
        assert_eq!(keepalive.deadline(), at(start, 330));
    }

    #[test]
    fn nothing_is_asked_of_a_link_that_is_written_to_or_does_not_survive_it() {
        let (mut keepalive, start) = keepalive();
        assert_eq!(run(&mut keepalive, start, 200, |_| Seen { is_writing: true, ..NOTHING }), []);
        keepalive.set_asks(false);
        assert_eq!(run(&mut keepalive, start, 400, |_| NOTHING), []);
        // But a message has to go on all the same.
        let all = run(&mut keepalive, start, 4000, |_| amid(1000));
        assert!(matches!(all[..], [(_, Verdict::GiveUp("a message arrives too slowly"))]), "{all:?}");
    }
    #[test]
    fn a_probed_peer_is_given_up_unless_it_gives_a_sign_of_life_in_time() {
        const WITHIN: Duration = Duration::from_secs(2);
        let given_up = [(7, Verdict::GiveUp("its place is wanted, and it gives no sign of life"))];
        let (mut keepalive, start) = keepalive();
        assert_eq!(keepalive.probe(at(start, 5), 0, WITHIN), Verdict::Ping);
        assert_eq!(keepalive.probe(at(start, 6), 0, WITHIN), Verdict::Wait, "it is asked once");
        assert_eq!(run(&mut keepalive, start, 100, |_| NOTHING), given_up);
        // Bytes from before are no sign of life.
        let (mut keepalive, start) = self::keepalive();
        assert_eq!(keepalive.probe(at(start, 5), 8, WITHIN), Verdict::Ping);
        assert_eq!(run(&mut keepalive, start, 100, |_| amid(8)), given_up);
        // A PONG, a part of a message, or time in which nothing was read.
        for sign in 0..3 {
            let (mut keepalive, start) = self::keepalive();
            keepalive.probe(at(start, 5), 0, WITHIN);
            let seen = match sign {
                0 => {
                    keepalive.handle_read(at(start, 6), 8, false);
                    Seen { received: 8, ..NOTHING }
                }
                1 => amid(8),
                _ => {
                    keepalive.handle_pause(at(start, 6));
                    NOTHING
                }
            };
            assert_eq!(run(&mut keepalive, start, 29, |_| seen), [], "{sign}");
            assert_eq!(keepalive.probe(at(start, 29), 8, WITHIN), Verdict::Ping, "{sign}");
        }
    }

    #[test]
    fn a_probe_decides_nothing_while_the_connection_accepts_data() {
        for stands_still in [false, true] {
            let (mut keepalive, start) = keepalive();
            keepalive.probe(at(start, 5), 0, Duration::from_secs(2));
            let all = run(&mut keepalive, start, 29, |_| Seen { is_writing: true, stands_still, ..NOTHING });
            assert_eq!(all.len(), usize::from(stands_still), "{all:?}");
        }
        let (mut keepalive, start) = keepalive();
        keepalive.set_asks(false);
        assert_eq!(keepalive.probe(at(start, 5), 0, Duration::from_secs(2)), Verdict::Wait);
        assert_eq!(run(&mut keepalive, start, 29, |_| NOTHING), []);
    }
}
