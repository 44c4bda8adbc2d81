//! The client's side of the handshake, on a stream.

use std::io;
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use wamp_proto::Serializer;

#[cfg(unix)]
use crate::Unix;
use crate::accept::eof;
use crate::error::HandshakeError;
use crate::handshake::{self, Agreed};
use crate::{Config, Joint, RawSocket, Tcp};

/// How many probes without an answer end a TCP connection.
const PROBES: u32 = 3;

/// Asks the server at the other end of a stream for a connection with this serializer.
///
/// # Errors
/// The server refused, speaks something else, or is gone.
pub async fn connect<S>(
    mut stream: S,
    serializer: Serializer,
    config: &Config,
) -> Result<Joint<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let agreed = ask(&mut stream, serializer, config).await?;
    Ok(RawSocket::joint(stream, BytesMut::new(), agreed))
}

/// Connects over TCP, to an address like `127.0.0.1:8080` or `example.com:8080`.
///
/// # Errors
/// Nobody is there, the server refused or speaks something else.
pub async fn connect_tcp(
    address: &str,
    serializer: Serializer,
    config: &Config,
) -> Result<Tcp, HandshakeError> {
    let unreachable = |source| HandshakeError::Connect { address: address.to_owned(), source };
    let mut stream = TcpStream::connect(address).await.map_err(unreachable)?;
    stream.set_nodelay(true)?;
    if let Some((silence, answer)) = config.probe {
        probe(&stream, silence, answer)?;
    }
    let agreed = ask(&mut stream, serializer, config).await?;
    let (read, write) = stream.into_split();
    Ok(RawSocket { read, write, rest: BytesMut::new(), agreed })
}

/// Has the operating system find out whether the server is still there.
fn probe(stream: &TcpStream, silence: Duration, answer: Duration) -> io::Result<()> {
    // Whole seconds, and at least one, is what the options can say.
    let least = Duration::from_secs(1);
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(silence.max(least));
    #[cfg(not(target_os = "windows"))]
    let keepalive = keepalive.with_interval((answer / PROBES).max(least)).with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some((silence + answer).max(least)))?;
    Ok(())
}

/// Connects over the Unix socket at a path.
///
/// # Errors
/// Nobody is there, the server refused or speaks something else.
#[cfg(unix)]
pub async fn connect_unix(
    path: impl AsRef<Path>,
    serializer: Serializer,
    config: &Config,
) -> Result<Unix, HandshakeError> {
    let path = path.as_ref();
    let unreachable = |source| HandshakeError::Connect { address: path.display().to_string(), source };
    let mut stream = UnixStream::connect(path).await.map_err(unreachable)?;
    let agreed = ask(&mut stream, serializer, config).await?;
    let (read, write) = stream.into_split();
    Ok(RawSocket { read, write, rest: BytesMut::new(), agreed })
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    serializer: Serializer,
    config: &Config,
) -> Result<Agreed, HandshakeError> {
    stream.write_all(&handshake::request(serializer, config.max_receive)).await?;
    stream.flush().await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await.map_err(eof)?;
    handshake::read_reply(reply, serializer, config.max_receive)
}
