//! What a program can do wrong with a machine.

/// A command that makes no sense now. The machine has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The session has not been joined yet, or is closing, or is over.
    #[error("the session is not open")]
    NotOpen,
    /// The router does not have the feature that this needs.
    #[error("the router does not support this")]
    NotSupported,
    /// The id names nothing that is under way.
    #[error("no such request is under way")]
    Unknown,
    /// The dealer has not granted any credit for another chunk; `Event::Credit` tells when it has.
    #[error("the router takes no more chunks of this call for now")]
    NoCredit,
}

/// Why a reply to an invocation did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The call is over: it was answered, or canceled, or its caller has gone.
    #[error("the call is over")]
    Over,
    /// The caller did not ask for progressive results.
    #[error("the caller did not ask for progressive results")]
    NotAsked,
    /// The dealer has not granted any credit for another progressive result; `Event::Credit` tells when it has.
    #[error("the router takes no more results of this call for now")]
    NoCredit,
}
