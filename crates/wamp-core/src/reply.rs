//! Replies of a callee to a caller.

use wamp_proto::message::RequestKind;
use wamp_proto::{Payload, Uri, message};

use crate::progress::ReplyKind;

/// A reply to a call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// A progressive result; others follow.
    Progress(Payload),
    /// The last reply: the call has succeeded.
    Result(Payload),
    /// The last reply: the call has failed.
    Error(Failure),
}

impl Reply {
    /// Whether it is the last one.
    pub fn kind(&self) -> ReplyKind {
        match self {
            Reply::Progress(_) => ReplyKind::Progress,
            Reply::Result(_) | Reply::Error(_) => ReplyKind::Last,
        }
    }

    /// The arguments.
    pub fn payload(&self) -> &Payload {
        match self {
            Reply::Progress(payload) | Reply::Result(payload) => payload,
            Reply::Error(failure) => &failure.payload,
        }
    }
}

/// The reason of a failed request: a URI, and arguments with details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error URI, as the peer wrote it.
    pub error: Uri,
    /// The arguments.
    pub payload: Payload,
}

impl Failure {
    /// A failure without arguments.
    pub fn new(error: Uri) -> Self {
        Self { error, payload: Payload::empty() }
    }

    /// Whether the call was canceled, in either spelling.
    pub fn is_canceled(&self) -> bool {
        self.error == wamp_proto::uri::CANCELED || self.error == wamp_proto::uri::CANCELLED
    }

    pub(crate) fn answer(self, kind: RequestKind, request: wamp_proto::RequestId) -> message::Error {
        message::Error {
            kind,
            request,
            details: message::ErrorDetails::default(),
            error: self.error,
            payload: self.payload,
        }
    }
}

impl From<message::Error> for Failure {
    fn from(error: message::Error) -> Self {
        Self { error: error.error, payload: error.payload }
    }
}
