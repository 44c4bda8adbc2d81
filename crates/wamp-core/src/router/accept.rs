//! A link until WELCOME.

use std::time::Duration;

use wamp_proto::message::{Abort, CloseDetails, Hello};
use wamp_proto::uri::UriLimits;
use wamp_proto::{ByteString, Message, Payload, Uri, uri};

use super::outbox::sentence;
use crate::Time;

/// A link that has not joined a realm yet.
///
/// The first message must be HELLO. After a session that has ended with GOODBYE another HELLO may follow; until then
/// messages that belong to the ended session may still come, as the answer of a handler that was at work, and are
/// ignored. The driver then looks for the realm and has
/// [`Realm::join`](super::Realm::join) answer it, or refuses it here.
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
    /// HELLO has come; its answer is another's business.
    Greeted,
    Over,
}

/// What became of a link before WELCOME.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptEvent {
    /// It wants to join a realm.
    Hello(Box<Hello>),
    /// Nothing more will come of it: send what there is, and close.
    Closed,
}

impl Accept {
    /// A new link, that may take this long for its HELLO.
    pub fn new(now: Time, timeout: Duration) -> Self {
        Self { until: now + timeout, is_again: false, state: State::Waiting, transmit: None, event: None }
    }

    /// A link whose session has ended with GOODBYE, that may take this long for another HELLO.
    pub fn again(now: Time, timeout: Duration) -> Self {
        Self { is_again: true, ..Self::new(now, timeout) }
    }

    /// A message has come.
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
            // However much of it comes, there is an end.
            (State::Waiting, _) if self.is_again => self.handle_timeout(now),
            (State::Waiting, other) => {
                self.refuse(uri::PROTOCOL_VIOLATION, &format!("{} before HELLO", other.name()));
            }
            (State::Greeted | State::Over, _) => {}
        }
    }

    /// Octets have come that are no message: `text` says what is wrong with them.
    pub fn handle_garbage(&mut self, now: Time, text: &str) {
        match self.is_again {
            true => self.handle_timeout(now),
            false => self.refuse(uri::PROTOCOL_VIOLATION, text),
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.state != State::Waiting || now < self.until {
            return;
        }
        if self.is_again {
            // After a GOODBYE nothing more is owed.
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

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
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
