//! WAMP over WebSocket (Basic Profile, *WebSocket Transport*), on TCP or any other stream of bytes.
//!
//! [`connect`] and [`accept`] do the opening handshake on a [`Socket`], in which the subprotocol names the serializer,
//! and return a [`WebSocket`], a [`Transport`]. Nothing here limits the time: set a timeout around what waits for a
//! peer.
//!
//! The handshake is done by `tungstenite`, of which nothing shows. The frames are our own, RFC 6455 without
//! extensions, because they are the path of every message: many messages are cut out of one read and written
//! in one go, their payloads are slices of what was read, the two halves hardly ever meet, and a connection
//! on which nothing happens holds no buffer.
//!
//! * A message longer than 64 KiB leaves in fragments, so that a PONG never waits behind a long message and
//!   no buffer gets long. Fragments of the peer are put together.
//! * A PING of the peer is answered inside, also while nobody writes; it never comes out of a read.
//! * A closing frame of the peer ends the reading half. It is answered when the writing half is closed, after all
//!   that is still to be written.
//! * Memory is taken for octets that have come, not for a length that was announced.
//!
//! ```
//! use wamp_proto::Serializer;
//! use wamp_transport::{Batch, Incoming, ReadHalf, Transport, WriteHalf};
//! use wamp_transport_ws::{Config, accept, connect};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ours, theirs) = tokio::io::duplex(4096);
//! let config = Config::default();
//! let offers = [Serializer::Cbor, Serializer::Json];
//! let (client, server) =
//!     tokio::try_join!(connect(ours, "ws://localhost/", &offers, &config), accept(theirs, &[], &config))?;
//! assert_eq!(client.serializer(), Serializer::Cbor);
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
mod assemble;
mod close;
mod connect;
mod error;
mod frame;
mod http_head;
mod read;
mod write;
mod write_buffer;
mod write_side;

use std::sync::Arc;

use bytes::BytesMut;
use wamp_proto::Serializer;
use wamp_transport::{Socket, Transport};

pub use accept::{Accepted, Refusal, accept, accept_unless, refuse};
pub use connect::{connect, tcp_address};
pub use error::HandshakeError;
pub use read::Reader;
pub use write::Writer;

use assemble::Assembler;
use write_side::WriteSide;

/// What this end wants of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The greatest message to take, in octets. The peer is not told. Default: 16 MiB.
    pub max_receive: usize,
    /// The greatest message to send, in octets, since a WebSocket peer does not say what it takes. Whoever
    /// sends looks at [`max_send`](wamp_transport::Transport::max_send). Default: no limit.
    pub max_send: usize,
    /// The serializers that a server speaks. Default: all.
    pub serializers: Vec<Serializer>,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_receive: 16 << 20, max_send: usize::MAX, serializers: Serializer::ALL.to_vec() }
    }
}

/// The value of a server's `Sec-WebSocket-Accept` for a client's `Sec-WebSocket-Key`.
///
/// ```
/// // The example of RFC 6455, 1.3.
/// let accept = wamp_transport_ws::accept_key("dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> String {
    tungstenite::handshake::derive_accept_key(key.as_bytes())
}

/// Which end of a connection this is. A client masks its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that has asked for the connection.
    Client,
    /// The end that has accepted it.
    Server,
}

/// A WebSocket connection after its handshake.
#[derive(Debug)]
pub struct WebSocket<S> {
    socket: S,
    role: Role,
    serializer: Serializer,
    max_send: usize,
    assembler: Assembler,
}

impl<S: Socket> WebSocket<S> {
    /// A connection whose opening handshake another library has done, for example an HTTP server that has answered
    /// 101 with the [`subprotocol`](Serializer::subprotocol) of this serializer and the [`accept_key`]. Nothing may
    /// have been read of what follows the handshake, or the stream has to return it again.
    pub fn upgraded(socket: S, role: Role, serializer: Serializer, config: &Config) -> Self {
        Self::new(socket, BytesMut::new(), role, serializer, config)
    }

    /// A connection whose handshake is over, and what has been read beyond it.
    fn new(socket: S, read: BytesMut, role: Role, serializer: Serializer, config: &Config) -> Self {
        // A copy, for otherwise the buffer of the handshake would live on.
        let read = BytesMut::from(&read[..]);
        let assembler = Assembler::new(role, serializer.is_text(), config.max_receive, read);
        Self { socket, role, serializer, max_send: config.max_send, assembler }
    }
}

impl<S: Socket> Transport for WebSocket<S> {
    type Read = Reader<S>;
    type Write = Writer<S>;

    fn name(&self) -> &'static str {
        "websocket"
    }

    fn serializer(&self) -> Serializer {
        self.serializer
    }

    /// What the configuration says: a WebSocket peer does not.
    fn max_send(&self) -> usize {
        self.max_send
    }

    fn split(self) -> (Reader<S>, Writer<S>) {
        let (read, write) = self.socket.into_halves();
        let shared = Arc::new(WriteSide::new(write, self.role));
        (Reader::new(read, shared.clone(), self.assembler), Writer::new(shared, self.serializer.is_text()))
    }
}
