//! The ends of a connection.

use std::io;

/// The reason why nothing more can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// A message beyond the limit.
    #[error("a message of {len} bytes, with a limit of {limit}")]
    TooLarge {
        /// The announced length, or the number of bytes when the limit was passed.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// The peer broke the rules of the transport.
    #[error("{0}")]
    Violation(String),
}

/// The reason why nothing more can be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The connection broke or was closed.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
}
