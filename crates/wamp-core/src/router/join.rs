//! A client that joins a realm, and its link.

use wamp_proto::Serializer;
use wamp_proto::message::HelloDetails;

/// A client that wants to join, and its link.
#[derive(Clone, Debug)]
pub struct Join {
    /// `HELLO.Details`.
    pub details: HelloDetails,
    /// The serializer of the link.
    pub serializer: Serializer,
    /// The longest message that the link accepts, in bytes.
    pub max_message: usize,
    /// The description of the link for the meta API.
    pub transport: Transport,
}

/// The link of a session, as the meta API shows it (behaviour [173](crate::behaviour#rule-173)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// The kind of the link.
    pub protocol: Protocol,
    /// The address of the other end, for sessions that may control others; `None` if it has none or must not
    /// be shown.
    pub peer: Option<Box<str>>,
    /// Whether only the two ends can read the traffic: with TLS, or on one machine.
    pub is_secure: bool,
}

/// The kind of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// WebSocket.
    WebSocket,
    /// RawSocket.
    RawSocket,
    /// None: the client is in the router's process.
    #[default]
    Memory,
}

impl Protocol {
    /// Returns the name: `websocket`, `rawsocket` or `memory`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::RawSocket => "rawsocket",
            Self::Memory => "memory",
        }
    }
}
