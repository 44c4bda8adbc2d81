//! A link before WELCOME.

use std::time::Duration;

use wamp_proto::message::{Abort, Authenticate, Challenge, CloseDetails, Hello};
use wamp_proto::uri::UriLimits;
use wamp_proto::{ByteString, Message, Payload, Uri, uri};

use super::outbox::sentence;
use crate::Time;

/// A link that has not joined a realm yet.
///
/// The first message must be HELLO. After a session that has ended with GOODBYE another HELLO may follow; until
/// then late messages of the ended session, such as the answer of a running handler, are ignored (behaviour
/// [46](crate::behaviour#rule-46), [69](crate::behaviour#rule-69)). The driver then finds the realm and calls
/// [`Realm::join`](super::Realm::join), or refuses the link here, or demands a proof:
///
/// ```text
///             HELLO            challenge             AUTHENTICATE
///   waiting ────────▶ greeted ───────────▶ challenged ────────────▶ verifying ──▶ Realm::join_as
///      │                 │                     │                        │
///      └─────────────────┴─────────────────────┴────────────────────────┴──▶ over
///                 ABORT, a violation, the time limit, refuse
/// ```
///
/// There is one time limit for all of it, and one proof for a link (behaviour [200](crate::behaviour#rule-200),
/// [201](crate::behaviour#rule-201)).
#[derive(Debug)]
pub struct Accept {
    until: Time,
    /// There was a session on this link before.
    is_again: bool,
    state: State,
    transmit: Option<Message>,
    event: Option<AcceptEvent>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// HELLO has arrived. The driver decides.
    Greeted,
    /// CHALLENGE was sent.
    Challenged,
    /// AUTHENTICATE has arrived. The driver decides.
    Verifying,
    Over,
}

/// The outcome of a link before WELCOME.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptEvent {
    /// It asks to join a realm.
    Hello(Box<Hello>),
    /// It has answered the CHALLENGE.
    Authenticate(Box<Authenticate>),
    /// Nothing more follows: the driver sends the remaining messages, and closes the connection.
    Closed,
}

impl Accept {
    /// A new link, with this time limit for its HELLO.
    pub fn new(now: Time, timeout: Duration) -> Self {
        Self { until: now + timeout, is_again: false, state: State::Waiting, transmit: None, event: None }
    }

    /// A link whose session has ended with GOODBYE, with this time limit for another HELLO.
    pub fn again(now: Time, timeout: Duration) -> Self {
        Self { is_again: true, ..Self::new(now, timeout) }
    }

    /// Handles a message.
    pub fn handle_message(&mut self, now: Time, message: Message) {
        match (&self.state, message) {
            (State::Waiting, Message::Hello(hello)) => match hello.realm.check_size(UriLimits::default()) {
                Ok(()) => {
                    self.state = State::Greeted;
                    self.is_again = false;
                    self.event = Some(AcceptEvent::Hello(hello));
                }
                Err(error) => self.refuse(uri::INVALID_URI, &error.to_string()),
            },
            (State::Over, _) => {}
            (_, Message::Abort(_)) => self.close(None),
            // Many late messages do not delay the end.
            (State::Waiting, _) if self.is_again => self.handle_timeout(now),
            (State::Waiting, other) => {
                self.refuse(uri::PROTOCOL_VIOLATION, &format!("{} before HELLO", other.name()));
            }
            (State::Challenged, Message::Authenticate(authenticate)) => {
                self.state = State::Verifying;
                self.event = Some(AcceptEvent::Authenticate(authenticate));
            }
            (State::Greeted | State::Challenged | State::Verifying, other) => {
                self.refuse(uri::PROTOCOL_VIOLATION, &format!("{} before WELCOME", other.name()));
            }
        }
    }

    /// Handles bytes that are not a message, described by `text`.
    pub fn handle_garbage(&mut self, now: Time, text: &str) {
        match self.is_again {
            true => self.handle_timeout(now),
            false => self.refuse(uri::PROTOCOL_VIOLATION, text),
        }
    }

    /// Handles the deadline.
    pub fn handle_timeout(&mut self, now: Time) {
        if now < self.until {
            return;
        }
        match self.state {
            // After a GOODBYE no ABORT is needed.
            State::Waiting if self.is_again => self.close(None),
            State::Waiting => self.refuse(uri::PROTOCOL_VIOLATION, "no HELLO in time"),
            State::Greeted | State::Challenged | State::Verifying => {
                self.refuse(uri::AUTHENTICATION_FAILED, "the authentication took too long");
            }
            State::Over => {}
        }
    }

    /// Sends a CHALLENGE. The answer is [`AcceptEvent::Authenticate`].
    pub fn challenge(&mut self, challenge: Challenge) {
        if self.state == State::Greeted {
            self.state = State::Challenged;
            self.transmit = Some(challenge.into());
        }
    }

    /// Refuses the link with ABORT.
    pub fn refuse(&mut self, reason: Uri, text: &str) {
        if self.state != State::Over {
            self.close(Some(abort(reason, text)));
        }
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Message> {
        self.transmit.take()
    }

    /// The next deadline, at which [`handle_timeout`](Self::handle_timeout) must be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        (self.state != State::Over).then_some(self.until)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<AcceptEvent> {
        self.event.take()
    }

    fn close(&mut self, transmit: Option<Message>) {
        self.state = State::Over;
        self.transmit = transmit;
        self.event = Some(AcceptEvent::Closed);
    }
}

pub(super) fn abort(reason: Uri, text: &str) -> Message {
    let details = CloseDetails { message: Some(ByteString::from(sentence(text))), ..CloseDetails::default() };
    Abort { details, reason, payload: Payload::empty() }.into()
}
