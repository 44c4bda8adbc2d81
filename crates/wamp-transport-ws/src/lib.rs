//! WAMP over WebSocket (Basic Profile, *WebSocket Transport*), on TCP or any other stream of octets.
//!
//! [`connect`] and [`accept`] do the opening handshake, in which the subprotocol names the serializer, and
//! give a [`WebSocket`], a [`Transport`]. The protocol itself is done by `tungstenite`, of which nothing
//! shows. Nothing here limits the time: whoever waits for a peer sets a timeout around it.
//!
//! * A message longer than 64 KiB leaves in fragments, so that a PONG never waits behind a long message and
//!   no buffer gets long. Fragments of the peer are put together.
//! * A PING of the peer is answered inside, also while nobody writes; it never comes out of a read.
//! * A single frame of the peer reserves address space for the length that it announces, at most
//!   [`set_max_receive`](wamp_transport::ReadHalf::set_max_receive); memory is used as octets come. The
//!   space is kept for later frames.
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
//! batch.push_octets(b"\x81\x01");
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
mod head;
mod read;
mod shared;
mod stream;
mod write;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::protocol::{Role, WebSocketConfig};
use wamp_proto::Serializer;
use wamp_transport::Transport;

pub use accept::{accept, accept_after, accept_tcp, refuse, refuse_after};
pub use connect::{connect, connect_tcp};
pub use error::HandshakeError;
pub use read::Reader;
pub use write::Writer;

use shared::Shared;

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

/// A WebSocket connection after its handshake.
#[derive(Debug)]
pub struct WebSocket<S> {
    shared: Shared<S>,
    serializer: Serializer,
    max_send: usize,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> WebSocket<S> {
    /// A connection whose handshake is over, and what has been read beyond it.
    fn new(stream: S, read: BytesMut, role: Role, serializer: Serializer, config: &Config) -> Self {
        // A read asks for the whole read buffer, and clears that much memory before; it is also what an idle
        // connection holds. What is written collects in a buffer that may hold one frame beyond its target.
        let limits = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(32 * 1024)
            .max_write_buffer_size(256 * 1024)
            .max_message_size(Some(config.max_receive))
            .max_frame_size(Some(config.max_receive));
        Self { shared: Shared::new(stream, read, role, limits), serializer, max_send: config.max_send }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for WebSocket<S> {
    type Read = Reader<S>;
    type Write = Writer<S>;

    fn serializer(&self) -> Serializer {
        self.serializer
    }

    /// What the configuration says: a WebSocket peer does not.
    fn max_send(&self) -> usize {
        self.max_send
    }

    fn split(self) -> (Reader<S>, Writer<S>) {
        let text = self.serializer.is_text();
        (Reader::new(self.shared.clone(), text), Writer::new(self.shared, text))
    }
}
