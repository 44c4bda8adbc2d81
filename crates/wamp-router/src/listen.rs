//! Listening: addresses, and the sockets behind them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket, UnixStream, lookup_host};
use wamp_transport::socket::{Listener, Peer, Socket};

use crate::realm::Realm;
use crate::router::{Router, RouterState};
use crate::serve;

/// The number of connections that the operating system keeps until they are accepted, unless `somaxconn` is
/// less. Each connection beyond that has to try again after a second, and after a restart all clients connect
/// at once.
const BACKLOG: u32 = 4096;

/// An address that a router listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// TCP, with the actual port.
    Tcp(SocketAddr),
    /// TCP with TLS, with the actual port.
    Tls(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Returns the URL of the address for WebSocket clients, as `ws://127.0.0.1:8080`; `None` for a Unix socket, for
    /// which there is no such URL.
    pub fn ws_url(&self) -> Option<String> {
        match self {
            Address::Tcp(address) => Some(format!("ws://{address}")),
            Address::Tls(address) => Some(format!("wss://{address}")),
            Address::Unix(_) => None,
        }
    }

    /// Returns the URL of the address for RawSocket clients, as `rs://127.0.0.1:8080` or `rs+unix:///run/wamp.sock`.
    pub fn rs_url(&self) -> String {
        match self {
            Address::Tcp(address) => format!("rs://{address}"),
            Address::Tls(address) => format!("rss://{address}"),
            Address::Unix(path) => format!("rs+unix://{}", path.display()),
        }
    }

    /// Returns the address and port, unless it is a Unix socket.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Address::Tcp(address) | Address::Tls(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }

    /// Returns the path of a Unix socket.
    pub fn unix(&self) -> Option<&Path> {
        match self {
            Address::Tcp(_) | Address::Tls(_) => None,
            Address::Unix(path) => Some(path),
        }
    }
}

impl fmt::Display for Address {
    /// The URLs for clients, as `ws://127.0.0.1:8080 rs://127.0.0.1:8080`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(url) = self.ws_url() {
            write!(f, "{url} ")?;
        }
        f.write_str(&self.rs_url())
    }
}

/// The reason why a router does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The text is not an address.
    #[error("cannot listen on {0:?}: expected HOST:PORT or unix:///path")]
    Address(String),
    /// Any client could join from other machines.
    #[error(
        "will not listen on {0}, which other machines can reach, while any client may join without a \
         password: use 127.0.0.1, or allow it (`Builder::allow_anonymous_on_public`, \
         --allow-anonymous-on-public)"
    )]
    Public(SocketAddr),
    /// The operating system refused.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// The address.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Router {
    /// Listens on `HOST:PORT`, which may be written as the URL of a client (`ws://HOST:PORT`), or
    /// `unix:///path`, from now until the router shuts down. RawSocket and WebSocket (on any path) share the
    /// address. With port 0 the operating system chooses a port, which the returned address has.
    ///
    /// # Errors
    /// [`ListenError`] names the address and the cause.
    pub async fn listen(&self, address: &str) -> Result<Address, ListenError> {
        let state = self.state();
        let _reloading = state.reloading.lock().await;
        let bound = Bound::new(address, state.settings().has_tls(), state.keeps_private()).await?;
        Ok(bound.serve(state))
    }

    /// Serves the connections of a listener, from now until the router shuts down, as
    /// [`listen`](Self::listen) does. This is for sockets that are bound already, for example by systemd or
    /// by a test.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let router = wamp_router::Router::default();
    /// router.serve(listener)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ListenError::Public`]: other machines can reach the address, and a realm admits clients without a
    /// proof.
    pub fn serve<L: Listener>(&self, listener: L) -> Result<(), ListenError> {
        let state = self.state();
        let io = |source| ListenError::Io { address: "a listener".to_owned(), source };
        let address = listener.tcp_address().map_err(io)?;
        match address.filter(|address| state.keeps_private() && is_public(address)) {
            Some(public) => Err(ListenError::Public(public)),
            None => {
                serve::spawn(state, listener, None, None);
                Ok(())
            }
        }
    }

    /// Serves a connection that was accepted elsewhere, RawSocket or WebSocket, within all limits: the number
    /// of connections, and the time for the handshake and HELLO. Returns when the connection has its place,
    /// which takes a moment while many connections have not joined.
    /// [`AnyStream`](wamp_transport::socket::AnyStream) makes a [`Socket`] of any stream.
    ///
    /// ```
    /// use wamp_transport::socket::AnyStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let router = wamp_router::Router::default();
    /// let (_client, stream) = tokio::io::duplex(4096);
    /// router.accept(AnyStream(stream)).await;
    /// # }
    /// ```
    pub async fn accept<S: Socket>(&self, socket: S) {
        let peer = socket.peer();
        serve::admit(self.state(), socket, (peer, false)).await;
    }
}

impl RouterState {
    /// Returns whether only this machine may reach the router, since clients without a proof may join a realm.
    fn keeps_private(&self) -> bool {
        let is_open = |realm: &Arc<Realm>| realm.authentication().is_open();
        !self.settings().anonymous_on_public && self.realms.all().iter().any(is_open)
    }
}

/// A listener whose connections are not accepted yet.
pub(crate) struct Bound {
    asked: String,
    address: Address,
    listener: Bind,
}

enum Bind {
    Tcp(TcpListener),
    Unix(UnixPath),
}

impl Bound {
    /// Listens on an address. If the router keeps private, it must be one that only this machine reaches.
    pub(crate) async fn new(address: &str, has_tls: bool, keeps_private: bool) -> Result<Self, ListenError> {
        let asked = address.to_owned();
        if let Some(path) = address.strip_prefix("unix://") {
            let (address, listener) = listen_unix(address, Path::new(path))?;
            return Ok(Self { asked, address, listener: Bind::Unix(listener) });
        }
        let io = |source| ListenError::Io { address: address.to_owned(), source };
        let Some(host_and_port) = host_and_port(address, has_tls) else {
            return Err(ListenError::Address(address.to_owned()));
        };
        let addresses: Vec<SocketAddr> = lookup_host(host_and_port).await.map_err(io)?.collect();
        if let Some(public) = addresses.iter().find(|address| keeps_private && is_public(address)) {
            return Err(ListenError::Public(*public));
        }
        let listener = listen_tcp(&addresses).map_err(io)?;
        let local = listener.local_addr().map_err(io)?;
        let address = if has_tls { Address::Tls(local) } else { Address::Tcp(local) };
        Ok(Self { asked, address, listener: Bind::Tcp(listener) })
    }

    /// Accepts and serves its connections from now on.
    pub(crate) fn serve(self, state: &Arc<RouterState>) -> Address {
        let Self { asked, address, listener } = self;
        match listener {
            Bind::Tcp(listener) => serve::spawn(state, listener, Some(asked), Some(address.clone())),
            Bind::Unix(listener) => serve::spawn(state, listener, Some(asked), Some(address.clone())),
        }
        address
    }
}

/// Returns whether other machines can reach a listener at this address.
pub(crate) fn is_public(address: &SocketAddr) -> bool {
    !address.ip().is_loopback()
}

/// Returns whether a router with TLS or without can listen on an address that is written so.
pub(crate) fn is_address(address: &str, has_tls: bool) -> bool {
    match address.strip_prefix("unix://") {
        Some(path) => Path::new(path).is_absolute(),
        None => host_and_port(address, has_tls).is_some(),
    }
}

/// The `HOST:PORT` of an address that may be written as a URL for clients.
fn host_and_port(address: &str, has_tls: bool) -> Option<&str> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let is_known = match scheme {
        "" | "ws" | "rs" => true,
        "wss" | "rss" => has_tls,
        _ => false,
    };
    let rest = rest.strip_suffix('/').filter(|_| !scheme.is_empty()).unwrap_or(rest);
    let (host, _) = rest.rsplit_once(':')?;
    (is_known && !host.is_empty()).then_some(rest)
}

/// Listens on the first of these addresses that is available.
fn listen_tcp(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut refused = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in addresses {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let listening = socket.and_then(|socket| {
            // A restarted router need not wait for the remains of its old connections.
            #[cfg(not(windows))]
            socket.set_reuseaddr(true)?;
            socket.bind(*address)?;
            socket.listen(BACKLOG)
        });
        match listening {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Listens on a path.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    socket.listen(BACKLOG)
}

fn listen_unix(address: &str, path: &Path) -> Result<(Address, UnixPath), ListenError> {
    let io = |source| ListenError::Io { address: address.to_owned(), source };
    if !path.is_absolute() {
        return Err(ListenError::Address(address.to_owned()));
    }
    let listener = match bind_unix(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path).and_then(|()| bind_unix(path))
        }
        bound => bound,
    };
    let listener = listener.map_err(io)?;
    Ok((Address::Unix(path.to_owned()), UnixPath { listener, file: SocketFile(path.into()) }))
}

/// Returns whether this is a stale socket file: no process listens on it any more.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = std::os::unix::net::UnixStream::connect(path);
    is_socket && matches!(refused, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Removes the file of a Unix socket when its listener is dropped.
struct SocketFile(Arc<Path>);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A listener on the path of a Unix socket.
struct UnixPath {
    listener: UnixListener,
    file: SocketFile,
}

impl Listener for UnixPath {
    type Socket = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, Peer::Unix(self.file.0.clone())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    /// After a restart all clients connect at once, before any connection is accepted.
    #[tokio::test]
    async fn many_connections_fit_into_the_backlog() {
        const MANY: usize = 500;
        #[cfg(target_os = "linux")]
        {
            let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
            assert!(most.trim().parse::<usize>().unwrap() >= MANY, "the limit of this machine is lower");
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = listen_tcp(&[address]).unwrap();
        let address = listener.local_addr().unwrap();
        let path = std::env::temp_dir().join(format!("wamp-router-backlog-{}", std::process::id()));
        let unix = bind_unix(&path).unwrap();
        let all = async {
            let mut tcp = Vec::new();
            let mut local = Vec::new();
            for _ in 0..MANY {
                tcp.push(TcpStream::connect(address).await.unwrap());
                local.push(UnixStream::connect(&path).await.unwrap());
            }
        };
        timeout(Duration::from_secs(20), all).await.expect("one of them has to wait");
        drop(unix);
        std::fs::remove_file(&path).unwrap();
    }
}
