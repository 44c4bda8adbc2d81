//! The events of a realm for its driver.

use std::time::Duration;

use wamp_proto::Payload;

use super::dealer::Watch;
use super::router_call::RouterCallId;
use super::session_key::SessionKey;
use super::waiting::{Question, Ticket};
use crate::Failure;

/// An event of a realm for its driver.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Removes a session that is over. Messages that were polled for it before must still be sent.
    Closed {
        /// The session.
        session: SessionKey,
        /// The next action of its link.
        closing: Closing,
    },
    /// Asks for a call of [`Realm::handle_left`](super::Realm::handle_left) once everything polled for this session
    /// so far is written to its socket and its queue is not above high water.
    Watch {
        /// The session.
        session: SessionKey,
        /// The value to pass to [`Realm::handle_left`](super::Realm::handle_left).
        watch: Watch,
    },
    /// A call of the router has ended; see [`Realm::call`](super::Realm::call).
    Answered {
        /// The call.
        call: RouterCallId,
        /// The arguments of its result, or its error.
        outcome: Result<Payload, Failure>,
    },
    /// Asks the authorizer of a session's role about a request, which waits for
    /// [`Realm::decide`](super::Realm::decide).
    Authorize {
        /// The key of the question.
        ticket: Ticket,
        /// The question.
        question: Box<Question>,
    },
    /// Requests of a session whose authorizer has decided about them can be handled: the driver calls
    /// [`Realm::advance`](super::Realm::advance) when it is the turn of the session, until that returns `false`.
    Decided {
        /// The session.
        session: SessionKey,
    },
    /// A question is void: its request has ended, or the time for the decision is over. No verdict has an effect any more.
    Void {
        /// The key of the question.
        ticket: Ticket,
    },
    /// A held session is released: the driver may read from it again. See [`Realm::hold`](super::Realm::hold).
    Released {
        /// The session.
        session: SessionKey,
    },
    /// Asks for a sign of life: another session of the same principal wants a procedure of this one. The driver sends a
    /// PING. If no byte arrives within this time, it calls [`Realm::handle_closed`](super::Realm::handle_closed), unless it has not read from the link
    /// or cannot send PINGs. It may ignore the event (behaviour [299](crate::behaviour#rule-299)).
    Probe {
        /// The session.
        session: SessionKey,
        /// The time.
        within: Duration,
    },
}

/// The action of a link when its session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closing {
    /// Both sides have sent GOODBYE, or the client has not answered ours. Another HELLO may follow on the
    /// same link.
    Goodbye,
    /// ABORT is the last message: drop the messages queued before it, send it, and close.
    Abort,
    /// The link is gone already.
    Lost,
    /// The router shuts down, and the client got no GOODBYE: send the queued messages, and close in a way
    /// that tells the client to reconnect. See [`Realm::set_without_goodbye`](super::Realm::set_without_goodbye).
    Restart,
}
