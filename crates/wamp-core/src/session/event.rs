//! What a session tells its program.

use std::fmt;

use wamp_proto::message::{self, CancelMode, EventDetails};
use wamp_proto::{
    ByteString, Payload, PublicationId, RegistrationId, RequestId, Roles, SessionId, SubscriptionId, Uri,
    shown,
};

use super::Stream;
use crate::{Failure, Reply};

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The session is open.
    Joined(Box<Joined>),
    /// The session is over; everything that was under way in it has ended. The last event.
    Closed(Closed),
    /// A call was answered; after a result or an error there is nothing more.
    Replied {
        /// The call, as [`call`](super::Session::call) returned it.
        call: RequestId,
        /// The answer.
        reply: Reply,
        /// What it costs of the credit that was granted to the call; see [`Session::consume`].
        ///
        /// [`Session::consume`]: super::Session::consume
        cost: u64,
    },
    /// There was no credit for a stream that goes out, and now there is.
    Credit {
        /// Which.
        stream: Stream,
    },
    /// A procedure is registered.
    Registered {
        /// The request.
        request: RequestId,
        /// What it got.
        registration: RegistrationId,
    },
    /// A procedure is no longer registered.
    Unregistered {
        /// The request.
        request: RequestId,
        /// What is gone.
        registration: RegistrationId,
    },
    /// The router took back a registration.
    Revoked {
        /// What is gone.
        registration: RegistrationId,
    },
    /// A procedure of this session is called.
    Invoked(message::Invocation),
    /// A further chunk of an invocation whose `details.progress` said that more would come.
    Chunk {
        /// The invocation.
        invocation: RequestId,
        /// The arguments of this chunk.
        payload: Payload,
        /// No more chunks follow.
        last: bool,
        /// What it costs of the credit that was granted to the call; see [`Session::consume`]. That of the
        /// first chunk, which is [`Event::Invoked`], is given back by the session itself.
        ///
        /// [`Session::consume`]: super::Session::consume
        cost: u64,
    },
    /// An invocation is canceled. Unless it was to answer that itself, it is over.
    Interrupted {
        /// The invocation.
        invocation: RequestId,
        /// Whether an answer is awaited.
        mode: CancelMode,
        /// Why, where the router says so.
        reason: Option<Uri>,
    },
    /// A topic is subscribed to.
    Subscribed {
        /// The request.
        request: RequestId,
        /// What it got.
        subscription: SubscriptionId,
    },
    /// A topic is no longer subscribed to.
    Unsubscribed {
        /// The request.
        request: RequestId,
        /// What is gone.
        subscription: SubscriptionId,
    },
    /// A publication was acknowledged.
    Published {
        /// The request.
        request: RequestId,
        /// What it became.
        publication: PublicationId,
    },
    /// A request other than a call was refused.
    Refused {
        /// The request.
        request: RequestId,
        /// Why.
        failure: Failure,
    },
    /// Something was published to a topic that is subscribed to.
    EventReceived(Box<Publication>),
}

/// An open session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Joined {
    /// Its id.
    pub session: SessionId,
    /// What the router can do.
    pub roles: Roles,
    /// The router's software.
    pub agent: Option<ByteString>,
    /// The identity that the router gave.
    pub authid: Option<ByteString>,
    /// The role that the router gave.
    pub authrole: Option<ByteString>,
}

/// Something that was published.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Publication {
    /// The subscription that it came by.
    pub subscription: SubscriptionId,
    /// Its id.
    pub publication: PublicationId,
    /// The rest.
    pub details: EventDetails,
    /// The arguments.
    pub payload: Payload,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Closed {
    /// This end left, and the router agreed or did not answer in time.
    Left,
    /// The router closed the session.
    ByRouter {
        /// Why.
        reason: Uri,
        /// A sentence for people.
        message: Option<ByteString>,
    },
    /// The router refused or aborted the session.
    Aborted {
        /// Why.
        reason: Uri,
        /// A sentence for people.
        message: Option<ByteString>,
    },
    /// The router broke the protocol; it was told so.
    Violation(String),
    /// The connection was lost.
    Lost,
    /// The router gave no sign of life for too long, and the connection was given up.
    Silent(String),
    /// The router did not answer HELLO in time.
    JoinTimeout,
}

/// What is shown of a text of the router, in bytes.
const SHOWN: usize = 512;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |f: &mut fmt::Formatter<'_>, verb, reason: &Uri, message: &Option<ByteString>| {
            write!(f, "the router {verb} it with {}", shown(reason, SHOWN))?;
            match message {
                Some(message) => write!(f, ": {}", shown(message, SHOWN)),
                None => Ok(()),
            }
        };
        match self {
            Closed::Left => f.write_str("this end left"),
            Closed::ByRouter { reason, message } => said(f, "closed", reason, message),
            Closed::Aborted { reason, message } => said(f, "aborted", reason, message),
            Closed::Violation(text) => write!(f, "the router broke the protocol: {text}"),
            Closed::Lost => f.write_str("the connection was lost"),
            Closed::Silent(text) => write!(f, "the router gives no sign of life: {text}"),
            Closed::JoinTimeout => f.write_str("the router did not answer HELLO in time"),
        }
    }
}

/// What becomes of a plain RESULT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlainVerdict {
    /// It is the next reply to its call, the last one unless it is progressive.
    Deliver {
        /// What it costs of the credit of its stream, as [`Event::Replied`] says it.
        cost: u64,
    },
    /// Nobody waits for it. It has been counted.
    Discard,
    /// The session has not begun, or is over: [`Session::handle_frame`](super::Session::handle_frame) decides.
    Unusual,
}
