//! Errors of the handshake.

use std::io;

use wamp_proto::Serializer;

use crate::handshake::ErrorCode;

/// The reason why a handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The connection broke during the handshake.
    #[error("the connection broke in the handshake: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection before the handshake was complete.
    #[error("the peer closed the connection in the handshake")]
    Closed,
    /// The first bytes are not a RawSocket handshake.
    #[error("the peer does not speak RawSocket: {}", what(bytes))]
    NotRawSocket {
        /// The first bytes.
        bytes: [u8; 4],
    },
    /// The server refused.
    #[error("the server refused the connection: {0}")]
    Refused(ErrorCode),
    /// The server's reply is invalid.
    #[error("invalid answer of the server: {why} ({bytes:02x?})")]
    Illegal {
        /// The reply.
        bytes: [u8; 4],
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server chose another serializer than the requested one.
    #[error("asked for {asked}, the server answered with serializer {answered}")]
    OtherSerializer {
        /// The requested serializer.
        asked: Serializer,
        /// The number in the reply.
        answered: u8,
    },
    /// This end refused a client and sent it the reason.
    #[error("refused the client: {0}")]
    Declined(ErrorCode),
}

/// Describes bytes that are not a handshake.
fn what(bytes: &[u8; 4]) -> String {
    match bytes {
        [0x15, ..] => "a TLS alert came, the port seems to want TLS".into(),
        [0x16, ..] => "a TLS handshake came, on a port without TLS".into(),
        b"HTTP" => "an HTTP response came, the port seems to be for WebSocket".into(),
        b"GET " | b"POST" | b"HEAD" | b"OPTI" | b"PUT " => "an HTTP request came".into(),
        _ => format!("{bytes:02x?} came, a handshake begins with 7f"),
    }
}
