//! Why there is no connection.

use std::io;

use wamp_proto::Serializer;

/// Why an opening handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Not a URL that one can connect to.
    #[error("cannot connect to {url:?}: {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The connection broke in the handshake.
    #[error("the connection broke in the handshake: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection before the handshake was complete.
    #[error("the peer closed the connection in the handshake")]
    Closed,
    /// What came is no HTTP.
    #[error("the peer does not speak HTTP: {0}")]
    NotHttp(String),
    /// What came is HTTP, but the headers are longer than anybody needs.
    #[error("the headers are longer than {limit} bytes")]
    TooLong {
        /// How much we read.
        limit: usize,
    },
    /// The server answered with something else than a WebSocket connection.
    #[error("the server answered with HTTP {status}{}", if line.is_empty() { String::new() } else { format!(": {line}") })]
    Status {
        /// As 404.
        status: u16,
        /// The first line of the text that came with it, perhaps cut short.
        line: String,
    },
    /// The server accepted, but not as the protocol wants it.
    #[error("the server's answer breaks the WebSocket protocol: {0}")]
    Illegal(String),
    /// The server picked no subprotocol, or one that was not offered.
    #[error("the server picked {}; offered were {}", answered.as_deref().unwrap_or("no subprotocol"), names(offered))]
    Subprotocol {
        /// What we offered.
        offered: Vec<Serializer>,
        /// What the server picked.
        answered: Option<String>,
    },
    /// We said no to a client, which has been told.
    #[error("refused the client: {0}")]
    Declined(String),
}

/// The subprotocols of these serializers, as `wamp.2.cbor, wamp.2.json`.
pub(crate) fn names(serializers: &[Serializer]) -> String {
    serializers.iter().map(|s| s.subprotocol()).collect::<Vec<_>>().join(", ")
}
