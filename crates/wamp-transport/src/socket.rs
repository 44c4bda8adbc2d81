//! Streams of bytes below a transport: TCP, Unix sockets, and any other stream.
//!
//! A transport such as RawSocket or WebSocket needs a stream that can be read and written by two tasks.
//! [`Socket`] is that stream, with the services of the operating system for it. A stream that encrypts
//! implements this trait; any other stream can be wrapped in [`AnyStream`].
//!
//! ```
//! use std::io;
//! use std::pin::Pin;
//! use std::task::{Context, Poll};
//!
//! use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
//! use wamp_transport::socket::{Peer, Probe, Socket};
//!
//! /// A stream around another one, as `tokio_rustls::server::TlsStream<S>` is.
//! struct Wrapped<S>(S);
//! # impl<S: AsyncRead + Unpin> AsyncRead for Wrapped<S> {
//! #     fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
//! #         Pin::new(&mut self.0).poll_read(cx, into)
//! #     }
//! # }
//! # impl<S: AsyncWrite + Unpin> AsyncWrite for Wrapped<S> {
//! #     fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
//! #         Pin::new(&mut self.0).poll_write(cx, from)
//! #     }
//! #     fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
//! #         Pin::new(&mut self.0).poll_flush(cx)
//! #     }
//! #     fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
//! #         Pin::new(&mut self.0).poll_shutdown(cx)
//! #     }
//! # }
//!
//! impl<S: Socket> Socket for Wrapped<S> {
//!     type Read = tokio::io::ReadHalf<Self>;
//!     type Write = tokio::io::WriteHalf<Self>;
//!
//!     fn into_halves(self) -> (Self::Read, Self::Write) {
//!         tokio::io::split(self)
//!     }
//!
//!     fn set_nodelay(&self) -> io::Result<()> {
//!         self.0.set_nodelay()
//!     }
//!
//!     fn set_probe(&self, probe: &Probe) -> io::Result<()> {
//!         self.0.set_probe(probe)
//!     }
//!
//!     fn peer(&self) -> Peer {
//!         self.0.peer()
//!     }
//! }
//! ```

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream, tcp};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream, unix};

use crate::Security;

/// The number of unanswered probes that end a connection.
const PROBES: u32 = 3;

/// A stream of bytes in both directions, such as a TCP connection.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// The half that is read.
    type Read: AsyncRead + Send + Unpin + 'static;
    /// The half that is written.
    type Write: AsyncWrite + Send + Unpin + 'static;

    /// Splits the stream into halves for two tasks.
    fn into_halves(self) -> (Self::Read, Self::Write);

    /// Makes the operating system send written bytes at once instead of waiting for more.
    ///
    /// # Errors
    /// The connection is broken.
    fn set_nodelay(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes the operating system probe whether the peer is still there, where it can and does not do so by
    /// itself.
    ///
    /// # Errors
    /// The connection is broken.
    fn set_probe(&self, probe: &Probe) -> io::Result<()> {
        let _ = probe;
        Ok(())
    }

    /// Returns the other end, as far as it is known.
    fn peer(&self) -> Peer {
        Peer::Other
    }

    /// Returns how the stream is protected against others.
    fn security(&self) -> Security {
        match self.peer().is_loopback() {
            true => Security::local(),
            false => Security::default(),
        }
    }
}

/// An error of connecting to an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {address}: {source}")]
pub struct DialError {
    /// The address.
    pub address: String,
    /// The error of the operating system.
    pub source: io::Error,
}

/// Connects over TCP, to an address like `127.0.0.1:8080` or `example.com:8080`.
///
/// # Errors
/// The name is not known, or no server answers at its addresses.
pub async fn dial_tcp(address: &str) -> Result<TcpStream, DialError> {
    TcpStream::connect(address).await.map_err(|source| DialError { address: address.to_owned(), source })
}

/// Connects to the Unix socket at a path.
///
/// # Errors
/// No server listens there.
#[cfg(unix)]
pub async fn dial_unix(path: impl AsRef<Path>) -> Result<UnixStream, DialError> {
    let path = path.as_ref();
    let failed = |source| DialError { address: path.display().to_string(), source };
    UnixStream::connect(path).await.map_err(failed)
}

/// The times at which the operating system probes whether a peer is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Silence before the first probe. Rounded up to a second.
    pub silence: Duration,
    /// Time for the peer to answer one of three probes, before the connection is given up.
    pub answer: Duration,
    /// Time for the peer to accept written bytes, if that is longer than `silence` and `answer` together.
    pub write: Duration,
}

/// The other end of a [`Socket`], for limits and for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// The address at the other end of a TCP connection.
    Tcp(SocketAddr),
    /// The path of the Unix socket that the peer has connected to.
    Unix(Arc<Path>),
    /// Nothing is known about it.
    Other,
}

impl Peer {
    /// Returns the IP address of the peer, which others on its machine or in its network may share.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Peer::Tcp(address) => Some(address.ip()),
            _ => None,
        }
    }

    /// Returns whether the peer has a loopback address, also one in IPv6 that stands for IPv4.
    pub fn is_loopback(&self) -> bool {
        self.ip().is_some_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unix(path) => path.display().fmt(f),
            Peer::Other => f.write_str("attached"),
        }
    }
}

/// A source of connections.
pub trait Listener: Send + 'static {
    /// A connection.
    type Socket: Socket;

    /// Returns the address that is listened to, if it is one of TCP.
    ///
    /// # Errors
    /// The operating system does not say.
    fn tcp_address(&self) -> io::Result<Option<SocketAddr>> {
        Ok(None)
    }

    /// Waits for a connection and returns it with the address of its peer. May be dropped without losing a
    /// connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Socket, Peer)>> + Send;
}

impl Listener for TcpListener {
    type Socket = TcpStream;

    fn tcp_address(&self) -> io::Result<Option<SocketAddr>> {
        self.local_addr().map(Some)
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        Ok((stream, Peer::Tcp(peer)))
    }
}

#[cfg(unix)]
impl Listener for UnixListener {
    type Socket = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = UnixListener::accept(self).await?;
        let peer = stream.peer();
        Ok((stream, peer))
    }
}

impl Socket for TcpStream {
    type Read = tcp::OwnedReadHalf;
    type Write = tcp::OwnedWriteHalf;

    fn into_halves(self) -> (Self::Read, Self::Write) {
        self.into_split()
    }

    fn set_nodelay(&self) -> io::Result<()> {
        TcpStream::set_nodelay(self, true)
    }

    fn set_probe(&self, probe: &Probe) -> io::Result<()> {
        // The options have whole seconds, at least one.
        let least = Duration::from_secs(1);
        let socket = SockRef::from(self);
        let keepalive = TcpKeepalive::new().with_time(probe.silence.max(least));
        #[cfg(not(target_os = "windows"))]
        let keepalive = keepalive.with_interval((probe.answer / PROBES).max(least)).with_retries(PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tcp_user_timeout(Some((probe.silence + probe.answer).max(probe.write)))?;
        Ok(())
    }

    fn peer(&self) -> Peer {
        self.peer_addr().map_or(Peer::Other, Peer::Tcp)
    }
}

/// The peer is on the same machine, and the operating system reports its end without probes.
#[cfg(unix)]
impl Socket for UnixStream {
    type Read = unix::OwnedReadHalf;
    type Write = unix::OwnedWriteHalf;

    fn into_halves(self) -> (Self::Read, Self::Write) {
        self.into_split()
    }

    fn peer(&self) -> Peer {
        let address = self.local_addr();
        let path = address.as_ref().ok().and_then(|address| address.as_pathname());
        path.map_or(Peer::Other, |path| Peer::Unix(path.into()))
    }

    fn security(&self) -> Security {
        Security::local()
    }
}

impl Socket for DuplexStream {
    type Read = tokio::io::ReadHalf<Self>;
    type Write = tokio::io::WriteHalf<Self>;

    fn into_halves(self) -> (Self::Read, Self::Write) {
        tokio::io::split(self)
    }

    fn security(&self) -> Security {
        Security::local()
    }
}

/// A [`Socket`] over any stream. Its halves share a lock, which is held for one call only.
#[derive(Debug)]
pub struct AnyStream<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Socket for AnyStream<S> {
    type Read = tokio::io::ReadHalf<S>;
    type Write = tokio::io::WriteHalf<S>;

    fn into_halves(self) -> (Self::Read, Self::Write) {
        tokio::io::split(self.0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AnyStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AnyStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_operating_system_watches_over_a_tcp_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let seconds = Duration::from_secs;
        let probe = Probe { silence: seconds(30), answer: seconds(10), write: seconds(7) };
        stream.set_probe(&probe).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), seconds(30));
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(seconds(40)));
            stream.set_probe(&Probe { write: seconds(50), ..probe }).unwrap();
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(seconds(50)));
        }
        // A time that an option cannot express is rounded up, not refused.
        stream
            .set_probe(&Probe { silence: Duration::from_millis(1), answer: Duration::ZERO, ..probe })
            .unwrap();
    }

    #[tokio::test]
    async fn no_server_at_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let refused = dial_tcp(&address).await.unwrap_err();
        assert!(refused.to_string().starts_with(&format!("cannot connect to {address}: ")), "{refused}");
        #[cfg(unix)]
        {
            let refused = dial_unix("/there/is/nothing").await.unwrap_err();
            assert!(refused.to_string().starts_with("cannot connect to /there/is/nothing: "), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_peer_is_known_by_its_socket() {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, peer) = Listener::accept(&mut listener).await.unwrap();
        assert_eq!(peer, Peer::Tcp(client.local_addr().unwrap()));
        assert_eq!(server.peer(), peer);
        assert_eq!(AnyStream(server).peer().to_string(), "attached");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_peer_on_the_same_machine_is_known_by_the_path_that_it_came_by() {
        let path = std::env::temp_dir().join(format!("wamp-transport-peer-{}", std::process::id()));
        let mut listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).await.unwrap();
        let (_, peer) = Listener::accept(&mut listener).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(peer, Peer::Unix(path.into()));
        assert_eq!(client.peer(), Peer::Other);
    }
}
