//! The events of a session.

use std::fmt;

use wamp_proto::message::{self, CancelMode, EventDetails, Ppt};
use wamp_proto::{
    ByteString, Extra, Payload, PublicationId, RegistrationId, RequestId, Roles, SessionId, SubscriptionId,
    Uri, shown,
};

use super::Stream;
use crate::{Failure, Reply};

/// An event of a session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The router demands a proof: [`authenticate`](super::Session::authenticate) or
    /// [`refuse_challenge`](super::Session::refuse_challenge) must follow.
    Challenged(Box<message::Challenge>),
    /// The session is open.
    Joined(Box<Joined>),
    /// The session is over, and so are all its calls, invocations and requests. The last event.
    Closed(Closed),
    /// The next reply to a call is opaque to the router, and these are its details. [`Event::Replied`] follows at once.
    OpaqueReply {
        /// The call.
        call: RequestId,
        /// The details.
        ppt: Box<Ppt>,
    },
    /// A reply to a call. After a result or an error there is no other.
    Replied {
        /// The call, as [`call`](super::Session::call) returned it.
        call: RequestId,
        /// The reply.
        reply: Reply,
        /// Its cost, to be given back by [`Session::consume`]; 0 if the stream has no credit.
        ///
        /// [`Session::consume`]: super::Session::consume
        cost: u64,
    },
    /// A stream that this session sends has credit again.
    Credit {
        /// The stream.
        stream: Stream,
    },
    /// A procedure is registered.
    Registered {
        /// The request.
        request: RequestId,
        /// The registration.
        registration: RegistrationId,
    },
    /// A procedure is no longer registered.
    Unregistered {
        /// The request.
        request: RequestId,
        /// The registration.
        registration: RegistrationId,
    },
    /// The router revoked a registration.
    Revoked {
        /// The registration.
        registration: RegistrationId,
        /// The reason, if the router gives one.
        reason: Option<Uri>,
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
        /// Its cost, to be given back by [`Session::consume`]. The session itself gives back that of the first
        /// chunk, which is [`Event::Invoked`].
        ///
        /// [`Session::consume`]: super::Session::consume
        cost: u64,
    },
    /// An invocation is canceled. Unless the handler answers cancels itself, it is over.
    Interrupted {
        /// The invocation.
        invocation: RequestId,
        /// Whether the caller awaits an answer.
        mode: CancelMode,
        /// The reason, if the router gives one.
        reason: Option<Uri>,
    },
    /// A topic is subscribed to.
    Subscribed {
        /// The request.
        request: RequestId,
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// A topic is no longer subscribed to.
    Unsubscribed {
        /// The request.
        request: RequestId,
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// The router revoked a subscription.
    SubscriptionRevoked {
        /// The subscription.
        subscription: SubscriptionId,
        /// The reason, if the router gives one.
        reason: Option<Uri>,
    },
    /// A publication was acknowledged.
    Published {
        /// The request.
        request: RequestId,
        /// The publication.
        publication: PublicationId,
    },
    /// A request other than a call was refused.
    Refused {
        /// The request.
        request: RequestId,
        /// The reason.
        failure: Failure,
    },
    /// An event of a subscription.
    EventReceived(Box<Publication>),
}

/// An open session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Joined {
    /// The session id.
    pub session: SessionId,
    /// The roles and features of the router.
    pub roles: Roles,
    /// The router's software.
    pub agent: Option<ByteString>,
    /// The authentication id.
    pub authid: Option<ByteString>,
    /// The role.
    pub authrole: Option<ByteString>,
    /// The method that authenticated the session.
    pub authmethod: Option<ByteString>,
    /// The provider that authenticated the session.
    pub authprovider: Option<ByteString>,
    /// Values of the authentication method, and further ones of the router.
    pub authextra: Extra,
}

/// A publication.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Publication {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The publication id.
    pub publication: PublicationId,
    /// The other details.
    pub details: EventDetails,
    /// The arguments.
    pub payload: Payload,
}

/// The reason why a session ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Closed {
    /// This end left, and the router agreed or did not answer in time.
    Left,
    /// The router closed the session.
    ByRouter {
        /// The reason.
        reason: Uri,
        /// A text for people.
        message: Option<ByteString>,
    },
    /// The router refused or aborted the session.
    Aborted {
        /// The reason.
        reason: Uri,
        /// A text for people.
        message: Option<ByteString>,
    },
    /// This end could not or would not answer the router's CHALLENGE, for this reason, and has sent ABORT.
    NotAnswered(String),
    /// The router broke the protocol, and was sent ABORT.
    Violation(String),
    /// The connection was lost.
    Lost,
    /// The router was silent for too long, and the connection was closed.
    Silent(String),
    /// The router did not answer HELLO in time.
    JoinTimeout,
}

/// The longest text of the router that is shown, in bytes.
const SHOWN: usize = 512;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |f: &mut fmt::Formatter<'_>, verb, reason: &Uri, message: &Option<ByteString>| {
            write!(f, "the router {verb} the session with {}", shown(reason, SHOWN))?;
            match message {
                Some(message) => write!(f, ": {}", shown(message, SHOWN)),
                None => Ok(()),
            }
        };
        match self {
            Closed::Left => f.write_str("this end left"),
            Closed::ByRouter { reason, message } => said(f, "closed", reason, message),
            Closed::Aborted { reason, message } => said(f, "aborted", reason, message),
            Closed::NotAnswered(text) => write!(f, "the router's challenge was not answered: {text}"),
            Closed::Violation(text) => write!(f, "the router broke the protocol: {text}"),
            Closed::Lost => f.write_str("the connection was lost"),
            Closed::Silent(text) => write!(f, "the router is silent: {text}"),
            Closed::JoinTimeout => f.write_str("the router did not answer HELLO in time"),
        }
    }
}

/// The outcome of a plain RESULT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlainVerdict {
    /// It is the next reply to its call, and the last one unless it is progressive.
    Deliver {
        /// Its cost, as in [`Event::Replied`].
        cost: u64,
    },
    /// It is late or unsolicited, and was counted.
    Discard,
    /// The session is not open: [`Session::handle_frame`](super::Session::handle_frame) decides.
    Unusual,
}
