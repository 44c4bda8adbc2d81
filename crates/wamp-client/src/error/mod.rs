//! How a call fails, and how other requests do: whose fault it is, with the URI as the peer sent it.

mod text;

use wamp_core::session::Closed;
use wamp_core::{Failure, Misuse};
use wamp_proto::{EncodeError, Payload, PayloadError, Uri, uri};

use text::Said;

/// Why a call has no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The procedure, or the router on its behalf, answered with an error.
    #[error("{}", Said(uri, payload))]
    Application {
        /// What happened, as the peer wrote it.
        uri: Uri,
        /// What is said about it.
        payload: Payload,
    },
    /// The call was canceled, by this end or by the router.
    #[error("{}", Said(uri, payload))]
    Canceled {
        /// `wamp.error.canceled`, in the peer's spelling.
        uri: Uri,
        /// What is said about it.
        payload: Payload,
    },
    /// The call took longer than its timeout.
    #[error("{}", Said(uri, payload))]
    Timeout {
        /// `wamp.error.timeout`.
        uri: Uri,
        /// What is said about it.
        payload: Payload,
    },
    /// More progressive results came than the call's buffer holds; the call was canceled.
    #[error("progressive results came faster than they were taken, and the buffer of {limit} bytes is full")]
    Lagged {
        /// The buffer, in octets.
        limit: usize,
    },
    /// The session is over.
    #[error("the session is over: {0}")]
    Disconnected(Closed),
    /// The router broke the protocol, which ended the session.
    #[error("the router broke the protocol: {0}")]
    Protocol(String),
    /// The answer does not fit the type that it was to be read as.
    #[error("the answer does not fit: {0}")]
    Decode(#[from] PayloadError),
    /// The arguments cannot be written. Nothing was sent.
    #[error("the arguments cannot be sent: {0}")]
    Encode(#[from] EncodeError),
    /// The arguments are longer than the router takes. Nothing was sent.
    #[error("the arguments cannot be sent: {0}")]
    TooLarge(#[from] TooLarge),
}

impl CallError {
    /// The URI of the error, as the peer sent it; `None` for what did not come from a peer.
    pub fn uri(&self) -> Option<&Uri> {
        self.said().map(|(uri, _)| uri)
    }

    /// What the peer said about the error.
    pub fn payload(&self) -> Option<&Payload> {
        self.said().map(|(_, payload)| payload)
    }

    fn said(&self) -> Option<(&Uri, &Payload)> {
        match self {
            CallError::Application { uri, payload }
            | CallError::Canceled { uri, payload }
            | CallError::Timeout { uri, payload } => Some((uri, payload)),
            _ => None,
        }
    }

    pub(crate) fn from_failure(failure: Failure) -> Self {
        let (uri, payload) = (failure.error.detached(), failure.payload.detached());
        // behaviour 11: some peers write it with two l
        if uri == uri::CANCELED || uri == uri::CANCELLED {
            CallError::Canceled { uri, payload }
        } else if uri == uri::TIMEOUT {
            CallError::Timeout { uri, payload }
        } else {
            CallError::Application { uri, payload }
        }
    }

    pub(crate) fn from_closed(closed: &Closed) -> Self {
        match closed {
            Closed::Violation(text) => CallError::Protocol(text.clone()),
            closed => CallError::Disconnected(closed.clone()),
        }
    }
}

/// Why a registration, subscription or publication did not come about.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The router refused it.
    #[error("{}", Said(uri, payload))]
    Refused {
        /// Why, as the router wrote it.
        uri: Uri,
        /// What is said about it.
        payload: Payload,
    },
    /// There is no such registration or subscription any more.
    #[error("there is no such registration or subscription any more")]
    Gone,
    /// The session is over.
    #[error("the session is over: {0}")]
    Disconnected(Closed),
    /// The router broke the protocol, which ended the session.
    #[error("the router broke the protocol: {0}")]
    Protocol(String),
    /// The arguments cannot be written. Nothing was sent.
    #[error("the request cannot be sent: {0}")]
    Encode(#[from] EncodeError),
    /// The arguments are longer than the router takes. Nothing was sent.
    #[error("the request cannot be sent: {0}")]
    TooLarge(#[from] TooLarge),
}

impl RequestError {
    /// The URI of the refusal, as the router sent it.
    pub fn uri(&self) -> Option<&Uri> {
        match self {
            RequestError::Refused { uri, .. } => Some(uri),
            _ => None,
        }
    }

    pub(crate) fn from_failure(failure: Failure) -> Self {
        RequestError::Refused { uri: failure.error.detached(), payload: failure.payload.detached() }
    }

    pub(crate) fn from_closed(closed: &Closed) -> Self {
        match closed {
            Closed::Violation(text) => RequestError::Protocol(text.clone()),
            closed => RequestError::Disconnected(closed.clone()),
        }
    }
}

/// A message longer than the peer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {octets} bytes, where the router takes {limit}")]
#[non_exhaustive]
pub struct TooLarge {
    /// The length of the message.
    pub octets: usize,
    /// What the peer said it takes.
    pub limit: usize,
}

/// Why a command got nowhere, before anybody was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Unsent {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    #[error("{0}")]
    Closed(Closed),
    #[error(transparent)]
    Misuse(Misuse),
}

impl From<Unsent> for CallError {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Encode(error) => CallError::Encode(error),
            Unsent::TooLarge(error) => CallError::TooLarge(error),
            Unsent::Closed(closed) => CallError::from_closed(&closed),
            Unsent::Misuse(_) => CallError::Disconnected(Closed::Left),
        }
    }
}

impl From<Unsent> for RequestError {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Encode(error) => RequestError::Encode(error),
            Unsent::TooLarge(error) => RequestError::TooLarge(error),
            Unsent::Closed(closed) => RequestError::from_closed(&closed),
            Unsent::Misuse(Misuse::Unknown) => RequestError::Gone,
            Unsent::Misuse(_) => RequestError::Disconnected(Closed::Left),
        }
    }
}
