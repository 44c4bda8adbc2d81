//! Refusals in the log: the reason why a peer was refused.
//!
//! Each is logged once, with the peer and the reason, at level `warn`. A peer can provoke them, so there is a
//! limit for the whole router. Further refusals are counted, and the next logged line gives their number.

use std::fmt::{self, Write};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wamp_transport::socket::Peer;

/// The most lines that are logged in each [`WINDOW`].
const LINES: u32 = 20;

const WINDOW: Duration = Duration::from_secs(10);

/// The most characters of a text that are logged.
const MAX_TEXT: usize = 512;

/// The refusals of a router.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    state: Mutex<State>,
    /// Refused joins, by the index of their reason in [`REASONS`].
    joins: [AtomicU64; REASONS.len()],
}

/// The reasons for which joins are counted; the last one stands for all others.
const REASONS: [&str; 9] = [
    "wamp.error.no_such_realm",
    "wamp.error.no_such_role",
    "wamp.error.no_matching_auth_method",
    "wamp.error.authentication_denied",
    "wamp.error.authentication_failed",
    "wamp.error.protocol_violation",
    "wamp.error.unavailable",
    "wamp.close.system_shutdown",
    "other",
];

#[derive(Debug, Default)]
struct State {
    /// The beginning of the current window.
    since: Option<Instant>,
    lines: u32,
    /// The number of refusals that were not logged since the last line.
    omitted: u64,
}

impl State {
    /// Decides whether a line may be logged now. Returns the number of lines that were omitted before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now - since >= WINDOW) {
            (self.since, self.lines) = (Some(now), 0);
        }
        if self.lines == LINES {
            self.omitted += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.omitted))
    }
}

impl Refusals {
    /// Counts a refused join.
    pub(crate) fn count_join(&self, reason: &str) {
        let index = REASONS.iter().position(|known| *known == reason).unwrap_or(REASONS.len() - 1);
        self.joins[index].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the refused joins by their reasons.
    pub(crate) fn joins(&self) -> Vec<(&'static str, u64)> {
        let counts = self.joins.iter().map(|count| count.load(Ordering::Relaxed));
        REASONS.into_iter().zip(counts).collect()
    }

    /// Logs that a session, or a link that wanted to join, was ended with ABORT.
    pub(crate) fn abort(&self, peer: &Peer, reason: &str, text: &str) {
        if self.admit() {
            tracing::warn!(%peer, reason = %Printable(reason), "sent ABORT: {}", Printable(text));
        }
    }

    /// Logs that the proof of a client was wrong.
    pub(crate) fn proof(&self, peer: &Peer, realm: &str, authid: &str) {
        if self.admit() {
            tracing::warn!(%peer, realm, authid = %Printable(authid), "refused a proof");
        }
    }

    /// Logs that a connection was refused in the handshake of its transport.
    pub(crate) fn handshake(&self, peer: &Peer, why: &str) {
        if self.admit() {
            tracing::warn!(%peer, "no connection: {}", Printable(why));
        }
    }

    /// Logs that the operating system has no connection for the router.
    pub(crate) fn not_accepted(&self, error: &io::Error) {
        if self.admit() {
            tracing::warn!(%error, "a connection could not be accepted");
        }
    }

    fn admit(&self) -> bool {
        // Nothing panics while holding it.
        let admitted = self.state.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now());
        if let Some(omitted @ 1..) = admitted {
            tracing::warn!("{omitted} more refusals were not logged");
        }
        admitted.is_some()
    }
}

/// A text, perhaps from a peer, without the characters that control a terminal.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(MAX_TEXT) {
            // Control characters, and those that change the direction of the following text.
            let is_obeyed = character.is_control()
                || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if is_obeyed {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_peer_is_shown_and_not_obeyed() {
        let text = Printable("a\u{1b}[2J\r\n\u{9b}\u{202e}\u{e9}\"b").to_string();
        assert_eq!(text, "a\\u{1b}[2J\\r\\n\\u{9b}\\u{202e}\u{e9}\"b");
        assert_eq!(Printable(&"x".repeat(10_000)).to_string().len(), MAX_TEXT);
    }

    #[test]
    fn a_window_has_a_limited_number_of_lines_and_then_a_count() {
        let (mut state, now) = (State::default(), Instant::now());
        for _ in 0..LINES {
            assert_eq!(state.admit(now), Some(0));
        }
        for _ in 0..3 {
            assert_eq!(state.admit(now), None);
        }
        assert_eq!(state.admit(now + WINDOW), Some(3));
        assert_eq!(state.admit(now + WINDOW), Some(0));
    }
}
