//! WAMP over a WebSocket stream of `tokio-tungstenite` (Basic Profile, *WebSocket Transport*).
//!
//! This crate is for programs that have such a stream already: [`Tungstenite::new`] makes a [`Transport`] of
//! it, for `wamp_client::Client::over` or `wamp_router::Router::attach`. [`connect()`] and [`accept()`] do
//! the opening handshake on a stream of bytes, in which the subprotocol names the serializer. Nothing in this
//! crate has a time limit.
//!
//! Client and router themselves use `wamp-transport-ws`: it moves many messages with one read and one write,
//! holds no buffer for an idle connection, and answers the peer's Close frame after all pending messages. The
//! advantage of this transport is that it uses an existing stream.
//!
//! * A message longer than 64 KiB is sent in fragments, so that a PONG never waits behind a long message.
//! * A PING of the peer is answered internally; a read never returns it.
//! * The limit of `ReadHalf::set_max_receive` is applied to whole messages. Set
//!   [`WebSocketConfig::max_message_size()`] of the stream to bound its memory: its default is 64 MiB.
//!
//! ```
//! use wamp_proto::Serializer;
//! use wamp_transport::{Batch, Incoming, ReadHalf, Transport, WriteHalf};
//! use wamp_transport_tungstenite::{WebSocketConfig, accept, connect};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ours, theirs) = tokio::io::duplex(4096);
//! let config = WebSocketConfig::default().max_message_size(Some(16 << 20));
//! let offers = [Serializer::Cbor, Serializer::Json];
//! let (client, server) =
//!     tokio::try_join!(connect(ours, "ws://localhost/", &offers, config), accept(theirs, &offers, config))?;
//! assert_eq!(client.serializer(), Serializer::Cbor);
//!
//! let ((_r, mut write), (mut read, _w)) = (client.split(), server.split());
//! let mut batch = Batch::new();
//! batch.push_bytes(b"\x81\x01");
//! write.write(&mut batch).await?;
//! let mut came = Vec::new();
//! read.read(&mut came).await?;
//! assert_eq!(came, [Incoming::Message(b"\x81\x01"[..].into())]);
//! # Ok(())
//! # }
//! ```

mod handshake;
mod read;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use wamp_proto::Serializer;
use wamp_transport::Transport;

pub use handshake::{HandshakeError, accept, connect};
pub use read::Reader;
/// The settings of a stream of `tokio-tungstenite`.
pub use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
pub use write::Writer;

/// A WebSocket stream after its handshake.
#[derive(Debug)]
pub struct Tungstenite<S> {
    stream: WebSocketStream<S>,
    serializer: Serializer,
    max_send: usize,
}

impl<S> Tungstenite<S> {
    /// A transport over a stream whose handshake chose the [`subprotocol`](Serializer::subprotocol) of this
    /// serializer. No message may have been read from it.
    pub fn new(stream: WebSocketStream<S>, serializer: Serializer) -> Self {
        Self { stream, serializer, max_send: usize::MAX }
    }

    /// Sets the longest message to send, in bytes, since a WebSocket peer does not announce a limit. The default is no
    /// limit.
    #[must_use]
    pub fn max_send(mut self, bytes: usize) -> Self {
        self.max_send = bytes;
        self
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for Tungstenite<S> {
    type Read = Reader<S>;
    type Write = Writer<S>;

    fn name(&self) -> &'static str {
        "websocket"
    }

    fn serializer(&self) -> Serializer {
        self.serializer
    }

    fn max_send(&self) -> usize {
        self.max_send
    }

    fn split(self) -> (Reader<S>, Writer<S>) {
        let is_text = self.serializer.is_text();
        let stream = SharedStream(Arc::new(Mutex::new(self.stream)));
        (Reader::new(stream.clone(), is_text), Writer::new(stream, is_text))
    }
}

/// The stream, for its two halves. The lock is never held across a wait.
#[derive(Debug)]
struct SharedStream<S>(Arc<Mutex<WebSocketStream<S>>>);

impl<S> Clone for SharedStream<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> SharedStream<S> {
    fn lock(&self) -> MutexGuard<'_, WebSocketStream<S>> {
        // After a panic the stream is broken at worst, which is an error later.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
