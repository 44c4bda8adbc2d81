//! Errors of calls and of other requests, by their cause, with the URI as the peer sent it.

mod text;

use std::fmt;

use wamp_core::session::Closed;
use wamp_core::{Failure, Misuse, ReplyError};
use wamp_proto::{EncodeError, Payload, PayloadError, Uri, uri};

use text::ErrorText;

/// The reason why a call has no result.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The procedure, or the router on its behalf, answered with an error.
    #[error("{}", ErrorText(uri, payload))]
    Application {
        /// The error URI, as the peer wrote it.
        uri: Uri,
        /// The arguments of the error.
        payload: Payload,
    },
    /// The call was canceled, by this end or by the router.
    #[error("{}", ErrorText(uri, payload))]
    Canceled {
        /// `wamp.error.canceled`, in the peer's spelling.
        uri: Uri,
        /// The arguments of the error.
        payload: Payload,
    },
    /// The call took longer than its timeout, or its deadline has passed.
    #[error("{}", ErrorText(uri, payload))]
    Timeout {
        /// `wamp.error.timeout`.
        uri: Uri,
        /// The arguments of the error.
        payload: Payload,
    },
    /// More progressive results arrived than the call's buffer holds; the call was canceled.
    #[error(
        "progressive results arrived faster than they were taken, and the buffer of {limit} bytes is full"
    )]
    Lagged {
        /// The size of the buffer, in bytes.
        limit: usize,
    },
    /// The router has not announced the feature that this needs. Nothing was sent.
    #[error("the router did not announce the feature that this needs")]
    NotSupported,
    /// There is no connection, or it was lost.
    #[error("the session is over: {closed}")]
    Disconnected {
        /// The end of the session.
        closed: Closed,
        /// Whether the router can have seen the request.
        sent: bool,
    },
    /// The router broke the protocol, which ended the session.
    #[error("the router broke the protocol: {0}")]
    Protocol(String),
    /// The reply does not fit the requested type.
    #[error("the result does not fit: {0}")]
    Decode(#[from] PayloadError),
    /// The arguments cannot be written. Nothing was sent.
    #[error("the arguments cannot be sent: {0}")]
    Encode(#[from] EncodeError),
    /// The arguments are longer than the router accepts. Nothing was sent.
    #[error("the arguments cannot be sent: {0}")]
    TooLarge(#[from] TooLarge),
}

impl CallError {
    /// The URI of the error, as the peer sent it; `None` for an error that no peer sent.
    pub fn uri(&self) -> Option<&Uri> {
        self.said().map(|(uri, _)| uri)
    }

    /// The arguments of the error.
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
        // behaviour 11: some peers use the other spelling
        if uri == uri::CANCELED || uri == uri::CANCELLED {
            CallError::Canceled { uri, payload }
        } else if uri == uri::TIMEOUT {
            CallError::Timeout { uri, payload }
        } else {
            CallError::Application { uri, payload }
        }
    }

    pub(crate) fn from_closed(closed: &Closed, sent: bool) -> Self {
        match closed {
            Closed::Violation(text) => CallError::Protocol(text.clone()),
            closed => CallError::Disconnected { closed: closed.clone(), sent },
        }
    }
}

/// The variant and the sentence: `main` and `unwrap` show this form to people.
impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = match self {
            CallError::Application { .. } => "Application",
            CallError::Canceled { .. } => "Canceled",
            CallError::Timeout { .. } => "Timeout",
            CallError::Lagged { .. } => "Lagged",
            CallError::NotSupported => "NotSupported",
            CallError::Disconnected { .. } => "Disconnected",
            CallError::Protocol(_) => "Protocol",
            CallError::Decode(_) => "Decode",
            CallError::Encode(_) => "Encode",
            CallError::TooLarge(_) => "TooLarge",
        };
        write!(f, "{variant}({self})")
    }
}

/// The reason why a registration, subscription or publication failed.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The router refused it.
    #[error("{}", ErrorText(uri, payload))]
    Refused {
        /// The error URI, as the router wrote it.
        uri: Uri,
        /// The arguments of the error.
        payload: Payload,
    },
    /// The registration or subscription has ended.
    #[error("the registration or subscription has ended")]
    Gone,
    /// The router has not announced the feature that this needs. Nothing was sent.
    #[error("the router did not announce the feature that this needs")]
    NotSupported,
    /// There is no connection, or it was lost.
    #[error("the session is over: {closed}")]
    Disconnected {
        /// The end of the session.
        closed: Closed,
        /// Whether the router can have seen the request.
        sent: bool,
    },
    /// The router broke the protocol, which ended the session.
    #[error("the router broke the protocol: {0}")]
    Protocol(String),
    /// The arguments cannot be written. Nothing was sent.
    #[error("the request cannot be sent: {0}")]
    Encode(#[from] EncodeError),
    /// The arguments are longer than the router accepts. Nothing was sent.
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

    pub(crate) fn from_closed(closed: &Closed, sent: bool) -> Self {
        match closed {
            Closed::Violation(text) => RequestError::Protocol(text.clone()),
            closed => RequestError::Disconnected { closed: closed.clone(), sent },
        }
    }
}

/// The variant and the sentence: `main` and `unwrap` show this form to people.
impl fmt::Debug for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = match self {
            RequestError::Refused { .. } => "Refused",
            RequestError::Gone => "Gone",
            RequestError::NotSupported => "NotSupported",
            RequestError::Disconnected { .. } => "Disconnected",
            RequestError::Protocol(_) => "Protocol",
            RequestError::Encode(_) => "Encode",
            RequestError::TooLarge(_) => "TooLarge",
        };
        write!(f, "{variant}({self})")
    }
}

/// The reason why a progressive result was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The call is over: it was answered or canceled, or its caller has left.
    #[error("the call is over")]
    Over,
    /// The value cannot be written.
    #[error("the progressive result cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// The value is longer than the router accepts.
    #[error("the progressive result cannot be sent: {0}")]
    TooLarge(#[from] TooLarge),
}

impl From<ReplyError> for SendError {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::TooLarge { len, limit } => SendError::TooLarge(TooLarge { len, limit }),
            ReplyError::Encode(error) => SendError::Encode(error),
            _ => SendError::Over,
        }
    }
}

impl From<Misuse> for SendError {
    fn from(misuse: Misuse) -> Self {
        match misuse {
            Misuse::TooLarge { len, limit } => SendError::TooLarge(TooLarge { len, limit }),
            Misuse::Encode(error) => SendError::Encode(error),
            _ => SendError::Over,
        }
    }
}

/// The reason why there is no chunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The chunk does not fit the requested type. Others may follow.
    #[error("the chunk does not fit: {0}")]
    Decode(#[from] PayloadError),
    /// The call was canceled before its last chunk arrived.
    #[error("the call was canceled: {0}")]
    Canceled(CancelReason),
}

/// The reason why an invocation was canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// The caller canceled it, or the router gave no reason.
    Canceled,
    /// The caller has left.
    CallerGone,
    /// It took longer than its timeout.
    Timeout,
    /// The session is ending.
    Closing,
    /// The connection was lost.
    Disconnected,
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CancelReason::Canceled => "its caller does not want it any more",
            CancelReason::CallerGone => "its caller is gone",
            CancelReason::Timeout => "it took longer than its timeout",
            CancelReason::Closing => "the session is ending",
            CancelReason::Disconnected => "the connection was lost",
        })
    }
}

impl CancelReason {
    /// The cancel reason of an INTERRUPT. Without a reason it is a cancel by the caller.
    pub(crate) fn from_uri(reason: Option<&Uri>) -> Self {
        match reason {
            Some(reason) if *reason == uri::TIMEOUT => CancelReason::Timeout,
            Some(reason) if *reason == uri::CLOSE_REALM => CancelReason::CallerGone,
            Some(reason) if *reason == uri::SYSTEM_SHUTDOWN => CancelReason::Closing,
            _ => CancelReason::Canceled,
        }
    }
}

/// A message longer than the peer accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {len} bytes, but the router accepts {limit}")]
#[non_exhaustive]
pub struct TooLarge {
    /// The length of the message.
    pub len: usize,
    /// The limit that the peer announced.
    pub limit: usize,
}

/// The reason why a command failed before anything was sent.
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
                CallError::TooLarge(TooLarge { len, limit })
            }
            SubmitError::Closed(closed) => CallError::from_closed(&closed, false),
            SubmitError::Misuse(Misuse::NotSupported) => CallError::NotSupported,
            SubmitError::Misuse(_) => CallError::Disconnected { closed: Closed::Left, sent: false },
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
                RequestError::TooLarge(TooLarge { len, limit })
            }
            SubmitError::Closed(closed) => RequestError::from_closed(&closed, false),
            SubmitError::Misuse(Misuse::Unknown) => RequestError::Gone,
            SubmitError::Misuse(Misuse::NotSupported) => RequestError::NotSupported,
            SubmitError::Misuse(_) => RequestError::Disconnected { closed: Closed::Left, sent: false },
        }
    }
}
