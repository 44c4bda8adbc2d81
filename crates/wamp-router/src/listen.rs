//! Listening: addresses, and what a new connection speaks.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use wamp_transport::Transport;
use wamp_transport_rawsocket as rawsocket;
use wamp_transport_ws as ws;

use crate::Limits;
use crate::connections::{Admission, Place};
use crate::link;
use crate::peer::Peer;
use crate::router::{Router, Shared};

/// What RawSocket begins with, and HTTP never.
const RAWSOCKET: u8 = 0x7F;

/// How long to wait when there is nothing left to accept a connection with.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// So many octets are asked for at first: an HTTP request mostly.
const FIRST_READ: usize = 1024;

/// How many probes without an answer end a TCP connection.
const KEEPALIVE_PROBES: u32 = 3;

/// How long one too many may take to ask for what it is then refused.
const REFUSAL: Duration = Duration::from_secs(2);

/// Where a router listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// TCP, with the port that was really taken.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    /// The URLs for clients, as `ws://127.0.0.1:8080 rs://127.0.0.1:8080`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "ws://{address} rs://{address}"),
            Address::Unix(path) => write!(f, "rs+unix://{}", path.display()),
        }
    }
}

/// Why a router does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The text is no address.
    #[error("cannot listen on {0:?}: expected HOST:PORT or unix:///path")]
    Address(String),
    /// Everybody could join from other machines.
    #[error(
        "will not listen on {0}, which other machines can reach, while everybody may join without a \
         password: take 127.0.0.1, or allow it (--allow-anonymous-on-public)"
    )]
    Public(SocketAddr),
    /// The operating system refuses.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// The address.
        address: String,
        /// What it says.
        source: io::Error,
    },
}

impl Router {
    /// Listens on `HOST:PORT` or `unix:///path`, from now until the router shuts down. RawSocket and WebSocket
    /// (on any path) are served there side by side. With port 0 the operating system chooses one; the address
    /// that is returned has it.
    ///
    /// # Errors
    /// [`ListenError`] names the address and the cause.
    pub async fn listen(&self, address: &str) -> Result<Address, ListenError> {
        let shared = self.shared();
        if let Some(path) = address.strip_prefix("unix://") {
            return listen_unix(shared, address, Path::new(path));
        }
        let io = |source| ListenError::Io { address: address.to_owned(), source };
        if !address.contains(':') {
            return Err(ListenError::Address(address.to_owned()));
        }
        let addresses: Vec<SocketAddr> = lookup_host(address).await.map_err(io)?.collect();
        if !shared.anonymous_on_public
            && let Some(public) = addresses.iter().find(|address| !address.ip().is_loopback())
        {
            return Err(ListenError::Public(*public));
        }
        let listener = TcpListener::bind(&*addresses).await.map_err(io)?;
        let local = listener.local_addr().map_err(io)?;
        spawn_listener(shared, accept_tcp(shared.clone(), listener));
        Ok(Address::Tcp(local))
    }
}

fn listen_unix(shared: &Arc<Shared>, address: &str, path: &Path) -> Result<Address, ListenError> {
    let io = |source| ListenError::Io { address: address.to_owned(), source };
    if !path.is_absolute() {
        return Err(ListenError::Address(address.to_owned()));
    }
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
        }
        bound => bound,
    };
    let listener = listener.map_err(io)?;
    spawn_listener(shared, accept_unix(shared.clone(), listener, SocketFile(path.to_owned())));
    Ok(Address::Unix(path.to_owned()))
}

/// Whether this is a socket file, left over from somebody who listens no more.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = std::os::unix::net::UnixStream::connect(path);
    is_socket && matches!(refused, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Removes the file of a Unix socket when nobody listens any more.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Accepts in a task of its own. A shutdown waits for it, so that the address is free afterwards.
fn spawn_listener(shared: &Arc<Shared>, accept: impl Future<Output = ()> + Send + 'static) {
    let counted = shared.count();
    tokio::spawn(async move {
        accept.await;
        drop(counted);
    });
}

async fn accept_tcp(shared: Arc<Shared>, listener: TcpListener) {
    let mut closing = shared.closing.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let place = match shared.connections.admit() {
                    Admission::Serve(place) => place,
                    Admission::Refuse(place) => {
                        refuse(&shared, place, refuse_tcp(stream));
                        continue;
                    }
                    Admission::Close => continue,
                };
                open(&shared, Peer::Tcp(peer), place, greet_tcp(shared.clone(), stream));
            }
            Err(error) => not_accepted(&error).await,
        }
    }
}

async fn accept_unix(shared: Arc<Shared>, listener: UnixListener, file: SocketFile) {
    let mut closing = shared.closing.subscribe();
    let path: Arc<Path> = file.0.as_path().into();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let place = match shared.connections.admit() {
                    Admission::Serve(place) => place,
                    Admission::Refuse(place) => {
                        refuse(&shared, place, refuse_stream(stream));
                        continue;
                    }
                    Admission::Close => continue,
                };
                open(&shared, Peer::Unix(path.clone()), place, greet_unix(shared.clone(), stream));
            }
            Err(error) => not_accepted(&error).await,
        }
    }
}

async fn not_accepted(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(OUT_OF_FILES).await;
}

/// Refuses a connection in a task of its own, which takes little time.
fn refuse(
    shared: &Arc<Shared>,
    place: Place,
    refusal: impl Future<Output = io::Result<()>> + Send + 'static,
) {
    let counted = shared.count();
    tokio::spawn(async move {
        if timeout(REFUSAL, refusal).await.is_err() {
            tracing::debug!("one too many, who did not ask for anything");
        }
        drop((place, counted));
    });
}

async fn refuse_tcp(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    refuse_stream(stream).await
}

async fn refuse_stream<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    let first = [stream.read_u8().await?];
    // Who speaks neither, or is gone, has no use for an answer.
    if first == [RAWSOCKET] {
        let code = rawsocket::handshake::ErrorCode::ConnectionLimit;
        let _ = rawsocket::refuse_after(&mut stream, &first, code).await;
    } else {
        let _ = ws::refuse_after(&mut stream, &first, "there are too many connections").await;
    }
    // A socket that is closed over what its peer has sent may take back what was written last.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// A connection after the handshake of its transport.
enum Greeted<R, W> {
    RawSocket(R),
    WebSocket(W),
}

type Greeting<R, W> = Result<Greeted<R, W>, Box<dyn Error + Send + Sync>>;

/// Serves a connection in a task of its own: first the transport's handshake, for so long as it may take.
fn open<R: Transport, W: Transport>(
    shared: &Arc<Shared>,
    peer: Peer,
    place: Place,
    greet: impl Future<Output = Greeting<R, W>> + Send + 'static,
) {
    let (shared, counted) = (shared.clone(), shared.count());
    let since = Instant::now();
    // Each of them in a box, or the task would be as large as all of them.
    let greeting = Box::pin(timeout_at(since + shared.limits.join, greet));
    tokio::spawn(async move {
        match greeting.await {
            Ok(Ok(Greeted::RawSocket(transport))) => {
                Box::pin(link::serve(shared, transport, peer, since)).await;
            }
            Ok(Ok(Greeted::WebSocket(transport))) => {
                Box::pin(link::serve(shared, transport, peer, since)).await;
            }
            Ok(Err(error)) => shared.refusals.handshake(&peer, &error.to_string()),
            Err(_) => shared.refusals.handshake(&peer, "no handshake in time"),
        }
        drop((place, counted));
    });
}

async fn greet_tcp(
    shared: Arc<Shared>,
    mut stream: TcpStream,
) -> Greeting<rawsocket::Tcp, ws::WebSocket<TcpStream>> {
    let first = first(&mut stream).await?;
    if first[0] == RAWSOCKET {
        keep_alive(&stream, &shared.limits)?;
        let transport = rawsocket::accept_tcp_after(stream, &first, &rawsocket_config(&shared)).await?;
        Ok(Greeted::RawSocket(transport))
    } else {
        let transport = ws::accept_tcp_after(stream, &first, &ws_config(&shared)).await?;
        Ok(Greeted::WebSocket(transport))
    }
}

/// Has the operating system find out whether the peer is still there, since a RawSocket client may not answer a
/// PING. A Unix socket needs none of this: its peer is on the same machine, and the kernel says when it is gone.
fn keep_alive(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    let socket = SockRef::from(stream);
    // Whole seconds, and at least one, is what the options can say.
    let interval = (limits.pong / KEEPALIVE_PROBES).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(limits.silence.max(Duration::from_secs(1)));
    #[cfg(not(target_os = "windows"))]
    let keepalive = keepalive.with_interval(interval).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some((limits.silence + limits.pong).max(limits.give_up)))?;
    Ok(())
}

async fn greet_unix(
    shared: Arc<Shared>,
    mut stream: UnixStream,
) -> Greeting<rawsocket::Unix, ws::WebSocket<UnixStream>> {
    let first = first(&mut stream).await?;
    if first[0] == RAWSOCKET {
        let transport = rawsocket::accept_unix_after(stream, &first, &rawsocket_config(&shared)).await?;
        Ok(Greeted::RawSocket(transport))
    } else {
        let transport = ws::accept_after(stream, &first, &ws_config(&shared)).await?;
        Ok(Greeted::WebSocket(transport))
    }
}

/// What comes first: one octet or more.
async fn first<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<BytesMut> {
    let mut first = BytesMut::with_capacity(FIRST_READ);
    match stream.read_buf(&mut first).await? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before it said anything")),
        _ => Ok(first),
    }
}

fn rawsocket_config(shared: &Shared) -> rawsocket::Config {
    let mut config = rawsocket::Config::default();
    config.max_receive = shared.limits.message;
    config
}

fn ws_config(shared: &Shared) -> ws::Config {
    let mut config = ws::Config::default();
    config.max_receive = shared.limits.message;
    config.max_send = shared.limits.websocket_message;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_operating_system_watches_over_a_rawsocket_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let limits = Limits::default();
        keep_alive(&stream, &limits).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), limits.silence);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limits.silence + limits.pong));
        // What an option cannot say is rounded up, not refused.
        let mut short = Limits::default();
        (short.silence, short.pong) = (Duration::from_millis(1), Duration::ZERO);
        keep_alive(&stream, &short).unwrap();
    }
}
