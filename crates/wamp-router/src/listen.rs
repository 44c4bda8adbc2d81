//! Listening: addresses, and what a new connection speaks.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use wamp_transport_rawsocket as rawsocket;
use wamp_transport_ws as ws;

use crate::connections::{Admission, Place};
use crate::router::{Router, Shared};

/// What RawSocket begins with, and HTTP never.
const RAWSOCKET: u8 = 0x7F;

/// How long to wait when there is nothing left to accept a connection with.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

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
                open(&shared, peer.to_string(), |shared, peer, since| {
                    greet_tcp(shared, stream, peer, since, place)
                });
            }
            Err(error) => not_accepted(&error).await,
        }
    }
}

async fn accept_unix(shared: Arc<Shared>, listener: UnixListener, file: SocketFile) {
    let mut closing = shared.closing.subscribe();
    let peer = file.0.display().to_string();
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
                open(&shared, peer.clone(), |shared, peer, since| {
                    greet_unix(shared, stream, peer, since, place)
                });
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

/// Does the transport's handshake in a task of its own, for so long as it may take.
fn open<F>(shared: &Arc<Shared>, peer: String, greet: impl FnOnce(Arc<Shared>, String, Instant) -> F)
where
    F: Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let counted = shared.count();
    let wait = shared.limits.join;
    let since = Instant::now();
    let greeting = greet(shared.clone(), peer.clone(), since);
    tokio::spawn(async move {
        match timeout_at(since + wait, greeting).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(peer, %error, "no handshake"),
            Err(_) => tracing::debug!(peer, "no handshake in time"),
        }
        drop(counted);
    });
}

async fn greet_tcp(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: String,
    since: Instant,
    place: Place,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err("closed before it said anything".into());
    }
    if first == [RAWSOCKET] {
        let transport = rawsocket::accept_tcp(stream, &rawsocket_config(&shared)).await?;
        shared.spawn(transport, peer, since, Some(place));
    } else {
        let transport = ws::accept_tcp(stream, &ws_config(&shared)).await?;
        shared.spawn(transport, peer, since, Some(place));
    }
    Ok(())
}

async fn greet_unix(
    shared: Arc<Shared>,
    mut stream: UnixStream,
    peer: String,
    since: Instant,
    place: Place,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let first = stream.read_u8().await?;
    if first == RAWSOCKET {
        let transport = rawsocket::accept_after(stream, &[first], &rawsocket_config(&shared)).await?;
        shared.spawn(transport, peer, since, Some(place));
    } else {
        let transport = ws::accept_after(stream, &[first], &ws_config(&shared)).await?;
        shared.spawn(transport, peer, since, Some(place));
    }
    Ok(())
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
