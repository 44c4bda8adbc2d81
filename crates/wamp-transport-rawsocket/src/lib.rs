//! WAMP over RawSocket (Advanced Profile, *RawSocket Transport*): length-prefixed messages on TCP, a Unix
//! socket or any other stream of octets.
//!
//! The handshake is in [`handshake`], without I/O; [`connect`] and [`accept`] do it on a stream and give a
//! [`RawSocket`], a [`Transport`]. Nothing here limits the time: whoever waits for a peer sets a timeout
//! around it.
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
//!     tokio::try_join!(connect(ours, Serializer::Cbor, &config), accept(theirs, &config))?;
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

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use wamp_proto::Serializer;
use wamp_transport::Transport;

pub use accept::{accept, accept_after, accept_tcp, accept_tcp_after, refuse, refuse_after};
pub use connect::{connect, connect_tcp};
pub use error::HandshakeError;
pub use handshake::{Agreed, ErrorCode};
pub use read::Reader;
pub use write::Writer;

#[cfg(unix)]
pub use accept::{accept_unix, accept_unix_after};
#[cfg(unix)]
pub use connect::connect_unix;

/// The greatest message that RawSocket has a length for.
pub const MAX_MESSAGE: usize = 1 << 24;

/// What this end wants of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The greatest message to take, in octets. What is announced, and then held to, is the greatest power of
    /// two within it, between 512 octets and 16 MiB. Default: 16 MiB.
    pub max_receive: usize,
    /// A server refuses a client that takes less than this. Default: 512 octets, which refuses nobody.
    pub min_send: usize,
    /// The serializers that a server speaks. Default: all.
    pub serializers: Vec<Serializer>,
    /// After how much silence the operating system probes a TCP connection that [`connect_tcp`] has made, and how
    /// long it waits for an answer: for servers that do not survive a PING. Default: never.
    pub probe: Option<(Duration, Duration)>,
}

impl Default for Config {
    fn default() -> Self {
        let serializers = Serializer::ALL.to_vec();
        Self { max_receive: MAX_MESSAGE, min_send: 512, serializers, probe: None }
    }
}

/// A RawSocket connection after its handshake, over the two halves of a stream.
#[derive(Debug)]
pub struct RawSocket<R, W> {
    read: R,
    write: W,
    /// What has been read beyond the handshake.
    rest: BytesMut,
    agreed: Agreed,
}

/// A RawSocket connection over a stream that has no halves of its own.
pub type Joint<S> = RawSocket<ReadHalf<S>, WriteHalf<S>>;

/// A RawSocket connection over TCP.
pub type Tcp = RawSocket<tokio::net::tcp::OwnedReadHalf, tokio::net::tcp::OwnedWriteHalf>;

/// A RawSocket connection over a Unix socket.
#[cfg(unix)]
pub type Unix = RawSocket<tokio::net::unix::OwnedReadHalf, tokio::net::unix::OwnedWriteHalf>;

impl<S: AsyncRead + AsyncWrite> Joint<S> {
    fn joint(stream: S, rest: BytesMut, agreed: Agreed) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self { read, write, rest, agreed }
    }
}

impl<R, W> Transport for RawSocket<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Read = Reader<R>;
    type Write = Writer<W>;

    fn name(&self) -> &'static str {
        "rawsocket"
    }

    fn serializer(&self) -> Serializer {
        self.agreed.serializer
    }

    fn max_send(&self) -> usize {
        self.agreed.max_send
    }

    fn split(self) -> (Reader<R>, Writer<W>) {
        let Self { read, write, rest, agreed } = self;
        (Reader::new(read, rest, agreed.max_receive), Writer::new(write, agreed.max_send))
    }
}
