//! WAMP over WebSocket (Basic Profile, *WebSocket Transport*), on TCP or any other stream of octets.
//!
//! [`connect`] and [`accept`] do the opening handshake, in which the subprotocol names the serializer, and
//! give a [`WebSocket`], a [`Transport`]. Nothing here limits the time: whoever waits for a peer sets a
//! timeout around it.
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
//!     tokio::try_join!(connect("ws://localhost/", ours, &offers, &config), accept(theirs, &config))?;
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
mod halves;
mod http_head;
#[cfg(test)]
mod oracle;
mod read;
mod write;
mod write_buffer;
mod write_side;

use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use wamp_proto::Serializer;
use wamp_transport::Transport;

pub use accept::{
    Accepted, Refusal, accept, accept_after, accept_tcp, accept_tcp_after, accept_unless, refuse,
    refuse_after,
};
pub use connect::{connect, connect_tcp};
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

/// Which end of a connection this is. A client masks its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

/// A WebSocket connection after its handshake.
#[derive(Debug)]
pub struct WebSocket<S> {
    stream: S,
    role: Role,
    serializer: Serializer,
    max_send: usize,
    assembler: Assembler,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> WebSocket<S> {
    /// A connection whose handshake is over, and what has been read beyond it.
    fn new(stream: S, read: BytesMut, role: Role, serializer: Serializer, config: &Config) -> Self {
        // A copy, for otherwise the buffer of the handshake would live on.
        let read = BytesMut::from(&read[..]);
        let assembler = Assembler::new(role, serializer.is_text(), config.max_receive, read);
        Self { stream, role, serializer, max_send: config.max_send, assembler }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for WebSocket<S> {
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
        let (read, write) = halves::split(self.stream);
        let shared = Arc::new(WriteSide::new(write, self.role));
        (Reader::new(read, shared.clone(), self.assembler), Writer::new(shared, self.serializer.is_text()))
    }
}
