//! Why there is no connection.

use std::io;

use wamp_proto::Serializer;

use crate::handshake::ErrorCode;

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The connection broke in the handshake.
    #[error("the connection broke in the handshake: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection before the handshake was complete.
    #[error("the peer closed the connection in the handshake")]
    Closed,
    /// What came first is no RawSocket handshake.
    #[error("the peer does not speak RawSocket: {}", what(octets))]
    NotRawSocket {
        /// What came first.
        octets: [u8; 4],
    },
    /// The server said no.
    #[error("the server refused the connection: {0}")]
    Refused(ErrorCode),
    /// The server's answer is neither yes nor no.
    #[error("the server's answer is none: {why} ({octets:02x?})")]
    Illegal {
        /// The answer.
        octets: [u8; 4],
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server took another serializer than the one it was asked for.
    #[error("asked for {asked}, the server answered with serializer {answered}")]
    OtherSerializer {
        /// What we asked for.
        asked: Serializer,
        /// The number in the answer.
        answered: u8,
    },
    /// We said no to a client, which has been told.
    #[error("refused the client: {0}")]
    Declined(ErrorCode),
}

/// The words for octets that are no handshake.
fn what(octets: &[u8; 4]) -> String {
    match octets {
        [0x15, ..] => "a TLS alert came, the port seems to want TLS".into(),
        [0x16, ..] => "a TLS handshake came, on a port without TLS".into(),
        b"HTTP" => "an HTTP response came, the port seems to be for WebSocket".into(),
        b"GET " | b"POST" | b"HEAD" | b"OPTI" | b"PUT " => "an HTTP request came".into(),
        _ => format!("{octets:02x?} came, a handshake begins with 7f"),
    }
}
