//! WAMP over WebSocket (Basic Profile, *WebSocket Transport*), on TCP or any other stream of bytes.
//!
//! [`connect()`] and [`accept()`] do the opening handshake on a [`Socket`], in which the subprotocol names the
//! serializer, and return a [`WebSocket`], a [`Transport`]. Nothing in this crate has a time limit: set a
//! timeout around everything that waits for a peer.
//!
//! `tungstenite` does the handshake and is not part of the API. The frames are read and written here, by RFC
//! 6455 without extensions, since every message passes them: one read or write moves many messages, their
//! payloads are slices of the read buffer, the two halves hardly ever contend for a lock, and an idle
//! connection holds no buffer.
//!
//! * A message longer than 64 KiB is sent in fragments, so that a PONG never waits behind a long message and no
//!   buffer gets long. Fragments of the peer are assembled.
//! * A PING of the peer is answered internally, also while nothing is written; a read never returns it.
//! * A Close frame of the peer ends the reading half. It is answered when the writing half is closed, after
//!   everything that is still to be written.
//! * Memory is allocated for bytes that have arrived, not for an announced length.
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
mod forwarded;
mod frame;
mod http_head;
mod origin;
mod read;
mod write;
mod write_buffer;
mod write_side;

use std::sync::Arc;

use bytes::BytesMut;
use wamp_proto::Serializer;
use wamp_transport::{Security, Socket, Transport};

pub use accept::{Accepted, Refusal, accept, accept_if, accept_unless, refuse, refuse_for};
pub use connect::connect;
pub use error::HandshakeError;
pub use forwarded::{ForwardedHeader, NoAddress};
pub use origin::{NotAnOrigin, Origins};
pub use read::Reader;
pub use write::Writer;

use assemble::Assembler;
use write_side::WriteSide;

/// The settings of this end of a connection.
#[derive(Clone, Debug)]
pub struct Config {
    /// The longest message to accept, in bytes. It is not announced. Default: 16 MiB.
    pub max_receive: usize,
    /// The longest message to send, in bytes, since a WebSocket peer does not announce a limit. The sender has
    /// to observe [`max_send`](wamp_transport::Transport::max_send). Default: no limit.
    pub max_send: usize,
    /// The serializers that a server accepts. Default: all.
    pub serializers: Vec<Serializer>,
    /// The web pages from which browsers may connect to a server. Default: those of the same host, with the exception of
    /// names that lead to a loopback address.
    pub origins: Origins,
    /// The header in which proxies note the addresses of clients, for [`Accepted::forwarded_for`]. Default: none is read.
    pub forwarded: Option<ForwardedHeader>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_receive: 16 << 20,
            max_send: usize::MAX,
            serializers: Serializer::ALL.to_vec(),
            origins: Origins::same_host(),
            forwarded: None,
        }
    }
}

/// Returns the server's `Sec-WebSocket-Accept` for a client's `Sec-WebSocket-Key`.
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
    /// The end that asked for the connection.
    Client,
    /// The end that accepted it.
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
    /// A connection whose opening handshake another library has done, for example an HTTP server that has
    /// answered 101 with the [`subprotocol`](Serializer::subprotocol) of this serializer and the
    /// [`accept_key`]. Nothing behind the handshake may have been read, or the stream has to return it again.
    pub fn upgraded(socket: S, role: Role, serializer: Serializer, config: &Config) -> Self {
        Self::new(socket, BytesMut::new(), role, serializer, config)
    }

    /// A connection after its handshake, and the bytes already read beyond it.
    fn new(socket: S, read: BytesMut, role: Role, serializer: Serializer, config: &Config) -> Self {
        // A copy, since a slice would keep the buffer of the handshake.
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

    /// The configured limit: a WebSocket peer announces none.
    fn max_send(&self) -> usize {
        self.max_send
    }

    fn security(&self) -> Security {
        self.socket.security()
    }

    fn split(self) -> (Reader<S>, Writer<S>) {
        let (read, write) = self.socket.into_halves();
        let shared = Arc::new(WriteSide::new(write, self.role));
        (Reader::new(read, shared.clone(), self.assembler), Writer::new(shared, self.serializer.is_text()))
    }
}
