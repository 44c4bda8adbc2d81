//! How a call fails, and how other requests do: whose fault it is, with the URI as the peer sent it.

mod text;

use std::fmt;

use wamp_core::session::Closed;
use wamp_core::{Failure, Misuse, ReplyError};
use wamp_proto::{EncodeError, Payload, PayloadError, Uri, uri};

use text::ErrorText;

/// Why a call has no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The procedure, or the router on its behalf, answered with an error.
    #[error("{}", ErrorText(uri, payload))]
    Application {
        /// What happened, as the peer wrote it.
        uri: Uri,
        /// What is said about it.
        payload: Payload,
    },
    /// The call was canceled, by this end or by the router.
    #[error("{}", ErrorText(uri, payload))]
    Canceled {
        /// `wamp.error.canceled`, in the peer's spelling.
        uri: Uri,
        /// What is said about it.
        payload: Payload,
    },
    /// The call took longer than its timeout.
    #[error("{}", ErrorText(uri, payload))]
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
    #[error("{}", ErrorText(uri, payload))]
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

/// Why a progressive result was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The call is over: it was answered, or canceled, or its caller has gone.
    #[error("the call is over")]
    Over,
    /// The value cannot be written.
    #[error("the progressive result cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// The value is longer than the router takes.
    #[error("the progressive result cannot be sent: {0}")]
    TooLarge(#[from] TooLarge),
}

impl From<ReplyError> for SendError {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::TooLarge { len, limit } => SendError::TooLarge(TooLarge { octets: len, limit }),
            ReplyError::Encode(error) => SendError::Encode(error),
            _ => SendError::Over,
        }
    }
}

impl From<Misuse> for SendError {
    fn from(misuse: Misuse) -> Self {
        match misuse {
            Misuse::TooLarge { len, limit } => SendError::TooLarge(TooLarge { octets: len, limit }),
            Misuse::Encode(error) => SendError::Encode(error),
            _ => SendError::Over,
        }
    }
}

/// Why there is no chunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The chunk does not fit the type that it was to be read as. Others may follow.
    #[error("the chunk does not fit: {0}")]
    Decode(#[from] PayloadError),
    /// The call was canceled before its last chunk came.
    #[error("the call was canceled: {0}")]
    Canceled(CancelReason),
}

/// Why an invocation was canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// The caller canceled it; so a router says too that does not tell why.
    Canceled,
    /// The caller is gone.
    CallerGone,
    /// It took longer than its timeout.
    Timeout,
    /// The session is ending.
    Closing,
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CancelReason::Canceled => "its caller does not want it any more",
            CancelReason::CallerGone => "its caller is gone",
            CancelReason::Timeout => "it took longer than its timeout",
            CancelReason::Closing => "the session is ending",
        })
    }
}

impl CancelReason {
    /// What an INTERRUPT gives as its reason. Routers that give none mean a cancel.
    pub(crate) fn from_uri(reason: Option<&Uri>) -> Self {
        match reason {
            Some(reason) if *reason == uri::TIMEOUT => CancelReason::Timeout,
            Some(reason) if *reason == uri::CLOSE_REALM => CancelReason::CallerGone,
            Some(reason) if *reason == uri::SYSTEM_SHUTDOWN => CancelReason::Closing,
            _ => CancelReason::Canceled,
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
#[derive(Clone, Debug)]
pub(crate) enum SubmitError {
    Encode(EncodeError),
    Closed(Closed),
    Misuse(Misuse),
}

impl From<EncodeError> for SubmitError {
    fn from(error: EncodeError) -> Self {
        SubmitError::Encode(error)
    }
}

impl From<SubmitError> for CallError {
    fn from(unsent: SubmitError) -> Self {
        match unsent {
            SubmitError::Encode(error) | SubmitError::Misuse(Misuse::Encode(error)) => {
                CallError::Encode(error)
            }
            SubmitError::Misuse(Misuse::TooLarge { len, limit }) => {
                CallError::TooLarge(TooLarge { octets: len, limit })
            }
            SubmitError::Closed(closed) => CallError::from_closed(&closed),
            SubmitError::Misuse(_) => CallError::Disconnected(Closed::Left),
        }
    }
}

impl From<SubmitError> for RequestError {
    fn from(unsent: SubmitError) -> Self {
        match unsent {
            SubmitError::Encode(error) | SubmitError::Misuse(Misuse::Encode(error)) => {
                RequestError::Encode(error)
            }
            SubmitError::Misuse(Misuse::TooLarge { len, limit }) => {
                RequestError::TooLarge(TooLarge { octets: len, limit })
            }
            SubmitError::Closed(closed) => RequestError::from_closed(&closed),
            SubmitError::Misuse(Misuse::Unknown) => RequestError::Gone,
            SubmitError::Misuse(_) => RequestError::Disconnected(Closed::Left),
        }
    }
}
