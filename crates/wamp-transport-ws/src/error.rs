//! Errors of the handshake.

use std::io;

use wamp_proto::Serializer;

/// The reason why an opening handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The URL cannot be connected to.
    #[error("cannot connect to {url:?}: {why}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The connection broke during the handshake.
    #[error("the connection broke in the handshake: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection before the handshake was complete.
    #[error("the peer closed the connection in the handshake")]
    Closed,
    /// The bytes are not HTTP.
    #[error("the peer does not speak HTTP: {0}")]
    NotHttp(String),
    /// The bytes are TLS.
    #[error("the peer does not speak HTTP: {0}")]
    Tls(String),
    /// The head of the HTTP message is too long.
    #[error("the headers are longer than {limit} bytes")]
    TooLong {
        /// The number of bytes that were read.
        limit: usize,
    },
    /// The server answered with something other than a WebSocket connection.
    #[error("the server answered with HTTP {status}{}", if line.is_empty() { String::new() } else { format!(": {line}") })]
    Status {
        /// The status, such as 404.
        status: u16,
        /// The first line of the text of the answer, perhaps cut.
        line: String,
    },
    /// The server accepted, but not as the protocol requires.
    #[error("the server's answer breaks the WebSocket protocol: {0}")]
    Illegal(String),
    /// The server chose no subprotocol, or one that was not offered.
    #[error("the server chose {}; offered were {}", answered.as_deref().unwrap_or("no subprotocol"), Serializer::subprotocols(offered))]
    Subprotocol {
        /// The offered subprotocols.
        offered: Vec<Serializer>,
        /// The chosen one.
        answered: Option<String>,
    },
    /// This end refused a client and sent it the reason.
    #[error("refused the client: {0}")]
    Declined(String),
}
