//! The handshake, without I/O: four bytes each way.
//!
//! ```text
//! request, yes   0111 1111  LLLL SSSS  0000 0000  0000 0000
//! no             0111 1111  EEEE 0000  0000 0000  0000 0000
//! ```
//!
//! `L` says that the sender accepts messages of up to 2^(9+L) bytes, `S` is the serializer, `E` an
//! [`ErrorCode`].

use std::fmt;

use wamp_proto::Serializer;

use crate::Config;
use crate::error::HandshakeError;

/// The first byte, which cannot begin an HTTP request.
pub const MAGIC: u8 = 0x7f;

/// The outcome of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// The serializer of all messages.
    pub serializer: Serializer,
    /// The longest message that the peer accepts, in bytes.
    pub max_send: usize,
    /// The longest message that this end has announced to accept, in bytes.
    pub max_receive: usize,
}

/// The reason why a server refuses a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// 1
    SerializerUnsupported,
    /// 2
    LengthUnacceptable,
    /// 3
    ReservedBits,
    /// 4
    ConnectionLimit,
    /// 5 to 15, reserved for the future
    Other(u8),
}

impl ErrorCode {
    /// The code with this number; 0 and numbers above 15 are none.
    pub fn new(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::SerializerUnsupported),
            2 => Some(Self::LengthUnacceptable),
            3 => Some(Self::ReservedBits),
            4 => Some(Self::ConnectionLimit),
            5..=15 => Some(Self::Other(code)),
            _ => None,
        }
    }

    /// The number.
    pub fn get(self) -> u8 {
        match self {
            Self::SerializerUnsupported => 1,
            Self::LengthUnacceptable => 2,
            Self::ReservedBits => 3,
            Self::ConnectionLimit => 4,
            Self::Other(code) => code,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SerializerUnsupported => f.write_str("serializer unsupported"),
            Self::LengthUnacceptable => f.write_str("maximum message length unacceptable"),
            Self::ReservedBits => f.write_str("use of reserved bits (unsupported feature)"),
            Self::ConnectionLimit => f.write_str("maximum connection count reached"),
            Self::Other(code) => write!(f, "error {code}"),
        }
    }
}

/// The length field for the greatest announced length within this many bytes.
fn length_field(max_receive: usize) -> u8 {
    // Between 9 and 24, so it fits.
    (max_receive.max(1).ilog2().clamp(9, 24) - 9) as u8
}

/// The length in bytes that a length field stands for.
fn length(field: u8) -> usize {
    1 << (9 + field)
}

/// The request of a client.
pub fn request(serializer: Serializer, max_receive: usize) -> [u8; 4] {
    [MAGIC, length_field(max_receive) << 4 | serializer.rawsocket_id(), 0, 0]
}

/// The reply of a server that refuses a client.
pub fn refusal(code: ErrorCode) -> [u8; 4] {
    [MAGIC, code.get() << 4, 0, 0]
}

/// A server's decision about a request: the reply, if any, and the outcome.
pub fn read_request(bytes: [u8; 4], config: &Config) -> (Option<[u8; 4]>, Result<Agreed, HandshakeError>) {
    let [magic, second, reserved @ ..] = bytes;
    if magic != MAGIC {
        return (None, Err(HandshakeError::NotRawSocket { bytes }));
    }
    let max_send = length(second >> 4);
    let decline = |code| (Some(refusal(code)), Err(HandshakeError::Declined(code)));
    if reserved != [0, 0] {
        return decline(ErrorCode::ReservedBits);
    }
    let Some(serializer) =
        Serializer::from_rawsocket_id(second & 0x0f).filter(|s| config.serializers.contains(s))
    else {
        return decline(ErrorCode::SerializerUnsupported);
    };
    let max_receive = length(length_field(config.max_receive));
    (Some(request(serializer, config.max_receive)), Ok(Agreed { serializer, max_send, max_receive }))
}

/// A client's decision about the reply to its request.
///
/// # Errors
/// The server refused, or the bytes are not a reply to this request.
pub fn read_reply(
    bytes: [u8; 4],
    serializer: Serializer,
    max_receive: usize,
) -> Result<Agreed, HandshakeError> {
    let [magic, second, reserved @ ..] = bytes;
    if magic != MAGIC {
        return Err(HandshakeError::NotRawSocket { bytes });
    }
    if reserved != [0, 0] {
        return Err(HandshakeError::Illegal { bytes, why: "the last two bytes must be zero" });
    }
    match (second & 0x0f, second >> 4) {
        (0, code) => Err(match ErrorCode::new(code) {
            Some(code) => HandshakeError::Refused(code),
            None => HandshakeError::Illegal { bytes, why: "the error code is 0, which means no error" },
        }),
        (answered, field) if answered == serializer.rawsocket_id() => {
            Ok(Agreed { serializer, max_send: length(field), max_receive: length(length_field(max_receive)) })
        }
        (answered, _) => Err(HandshakeError::OtherSerializer { asked: serializer, answered }),
    }
}

#[cfg(test)]
mod tests;
