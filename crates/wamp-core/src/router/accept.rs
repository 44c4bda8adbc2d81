//! A link before WELCOME.

use std::time::Duration;

use wamp_proto::message::{Abort, CloseDetails, Hello};
use wamp_proto::uri::UriLimits;
use wamp_proto::{ByteString, Message, Payload, Uri, uri};

use super::outbox::sentence;
use crate::Time;

/// A link that has not joined a realm yet.
///
/// The first message must be HELLO. After a session that has ended with GOODBYE another HELLO may follow; until
/// then late messages of the ended session, such as the answer of a running handler, are ignored (behaviour
/// [46](crate::behaviour#rule-46), [69](crate::behaviour#rule-69)). The driver then finds the realm and calls
/// [`Realm::join`](super::Realm::join), or refuses the link here.
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
    /// HELLO has arrived, and is answered by the realm.
    Greeted,
    Over,
}

/// The outcome of a link before WELCOME.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptEvent {
    /// It asks to join a realm.
    Hello(Box<Hello>),
    /// Nothing more follows: the driver sends what is left, and closes the connection.
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
                    self.event = Some(AcceptEvent::Hello(hello));
                }
                Err(error) => self.refuse(uri::INVALID_URI, &error.to_string()),
            },
            (State::Waiting, Message::Abort(_)) => self.close(None),
            // Many late messages do not delay the end.
            (State::Waiting, _) if self.is_again => self.handle_timeout(now),
            (State::Waiting, other) => {
                self.refuse(uri::PROTOCOL_VIOLATION, &format!("{} before HELLO", other.name()));
            }
            (State::Greeted | State::Over, _) => {}
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
        if self.state != State::Waiting || now < self.until {
            return;
        }
        if self.is_again {
            // After a GOODBYE no ABORT is needed.
            self.close(None);
        } else {
            self.refuse(uri::PROTOCOL_VIOLATION, "no HELLO in time");
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
        (self.state == State::Waiting).then_some(self.until)
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
