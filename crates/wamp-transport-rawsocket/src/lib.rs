//! WAMP over RawSocket (Advanced Profile, *RawSocket Transport*): length-prefixed messages on TCP, a Unix
//! socket or any other stream of bytes.
//!
//! [`handshake`] has the handshake without I/O; [`connect()`] and [`accept()`] do it on a [`Socket`] and return a
//! [`RawSocket`], a [`Transport`]. Nothing in this crate has a time limit: set a timeout around everything that
//! waits for a peer.
//!
//! ```
//! use wamp_proto::Serializer;
//! use wamp_transport::{Batch, Incoming, ReadHalf, Transport, WriteHalf};
//! use wamp_transport_rawsocket::{Config, accept, connect};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ours, theirs) = tokio::io::duplex(4096);
//! let config = Config::default();
//! let (client, server) =
//!     tokio::try_join!(connect(ours, Serializer::Cbor, &config), accept(theirs, &[], &config))?;
//! assert_eq!(server.serializer(), Serializer::Cbor);
//!
//! let ((_, mut write), (mut read, _)) = (client.split(), server.split());
//! let mut batch = Batch::new();
//! batch.push_bytes(b"\x81\x01");
//! write.write(&mut batch).await?;
//! let mut came = Vec::new();
//! read.read(&mut came).await?;
//! assert_eq!(came, [Incoming::Message(b"\x81\x01"[..].into())]);
//! # Ok(())
//! # }
//! ```

mod accept;
mod connect;
mod error;
mod frame;
pub mod handshake;
mod read;
mod write;

use bytes::BytesMut;
use wamp_proto::Serializer;
use wamp_transport::{Security, Socket, Transport};

pub use accept::{accept, refuse};
pub use connect::connect;
pub use error::HandshakeError;
pub use handshake::{Agreed, ErrorCode};
pub use read::Reader;
pub use write::Writer;

/// The longest message that a RawSocket handshake can announce.
pub const MAX_MESSAGE: usize = 1 << 24;

/// The settings of this end of a connection.
#[derive(Clone, Debug)]
pub struct Config {
    /// The longest message to accept, in bytes. The limit that is announced and enforced is the greatest power
    /// of two within it, from 512 bytes to 16 MiB. Default: 16 MiB.
    pub max_receive: usize,
    /// The serializers that a server accepts. Default: all.
    pub serializers: Vec<Serializer>,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_receive: MAX_MESSAGE, serializers: Serializer::ALL.to_vec() }
    }
}

/// A RawSocket connection after its handshake.
#[derive(Debug)]
pub struct RawSocket<S> {
    socket: S,
    /// The bytes already read beyond the handshake.
    rest: BytesMut,
    agreed: Agreed,
}

impl<S: Socket> Transport for RawSocket<S> {
    type Read = Reader<S::Read>;
    type Write = Writer<S::Write>;

    fn name(&self) -> &'static str {
        "rawsocket"
    }

    fn serializer(&self) -> Serializer {
        self.agreed.serializer
    }

    fn max_send(&self) -> usize {
        self.agreed.max_send
    }

    fn security(&self) -> Security {
        self.socket.security()
    }

    fn split(self) -> (Self::Read, Self::Write) {
        let Self { socket, rest, agreed } = self;
        let (read, write) = socket.into_halves();
        (Reader::new(read, rest, agreed.max_receive), Writer::new(write, agreed.max_send))
    }
}
