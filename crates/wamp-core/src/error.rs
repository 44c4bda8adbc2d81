//! Errors of commands to a machine.

use wamp_proto::EncodeError;

/// A command that is not possible now. The machine has not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The session has not joined yet, is closing, or is over.
    #[error("the session is not open")]
    NotOpen,
    /// The router did not announce the feature that the command needs.
    #[error("the router did not announce the feature that this needs")]
    NotSupported,
    /// No running request has this id.
    #[error("no running request has this id")]
    Unknown,
    /// The dealer has granted no credit for another chunk; `Event::Credit` follows when it does.
    #[error("there is no credit for another chunk of this call yet")]
    NoCredit,
    /// The message is longer than the router takes.
    #[error("a message of {len} bytes, but the router accepts {limit}")]
    TooLarge {
        /// The length of the message.
        len: usize,
        /// The longest message that the router takes.
        limit: usize,
    },
    /// The message cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// The reason why a reply to an invocation was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The call is over: it was answered or canceled, or its caller has left.
    #[error("the call is over")]
    Over,
    /// The caller did not ask for progressive results.
    #[error("the caller did not ask for progressive results")]
    NotAsked,
    /// The dealer has granted no credit for another progressive result; `Event::Credit` follows when it does.
    #[error("there is no credit for another result of this call yet")]
    NoCredit,
    /// The message is longer than the router takes.
    #[error("a message of {len} bytes, but the router accepts {limit}")]
    TooLarge {
        /// The length of the message.
        len: usize,
        /// The longest message that the router takes.
        limit: usize,
    },
    /// The message cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
