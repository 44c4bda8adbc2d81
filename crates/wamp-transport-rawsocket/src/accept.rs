//! The server's side of the handshake, on a stream.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

#[cfg(unix)]
use crate::Unix;
use crate::error::HandshakeError;
use crate::handshake::{self, Agreed, ErrorCode};
use crate::{Config, Joint, RawSocket, Tcp};

/// The length of a client's request.
const REQUEST: usize = 4;

/// Answers the client at the other end of a stream. A client that is refused has been told why.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
pub async fn accept<S>(stream: S, config: &Config) -> Result<Joint<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    accept_after(stream, &[], config).await
}

/// Like [`accept`], after somebody has read the first octets to find out what the client speaks.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
pub async fn accept_after<S>(mut stream: S, first: &[u8], config: &Config) -> Result<Joint<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (agreed, rest) = answer(&mut stream, first, config).await?;
    Ok(RawSocket::joint(stream, rest, agreed))
}

/// Like [`accept`], over TCP.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
pub async fn accept_tcp(stream: TcpStream, config: &Config) -> Result<Tcp, HandshakeError> {
    accept_tcp_after(stream, &[], config).await
}

/// Like [`accept_after`], over TCP.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
pub async fn accept_tcp_after(
    mut stream: TcpStream,
    first: &[u8],
    config: &Config,
) -> Result<Tcp, HandshakeError> {
    stream.set_nodelay(true)?;
    let (agreed, rest) = answer(&mut stream, first, config).await?;
    let (read, write) = stream.into_split();
    Ok(RawSocket { read, write, rest, agreed })
}

/// Like [`accept`], over a Unix socket.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
#[cfg(unix)]
pub async fn accept_unix(stream: UnixStream, config: &Config) -> Result<Unix, HandshakeError> {
    accept_unix_after(stream, &[], config).await
}

/// Like [`accept_after`], over a Unix socket.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
#[cfg(unix)]
pub async fn accept_unix_after(
    mut stream: UnixStream,
    first: &[u8],
    config: &Config,
) -> Result<Unix, HandshakeError> {
    let (agreed, rest) = answer(&mut stream, first, config).await?;
    let (read, write) = stream.into_split();
    Ok(RawSocket { read, write, rest, agreed })
}

/// Reads a client's request and refuses it, as with [`ErrorCode::ConnectionLimit`].
///
/// # Errors
/// The client speaks something else, or is gone.
pub async fn refuse<S>(stream: S, code: ErrorCode) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    refuse_after(stream, &[], code).await
}

/// Like [`refuse`], after somebody has read the first octets to find out what the client speaks.
///
/// # Errors
/// The client speaks something else, or is gone.
pub async fn refuse_after<S>(mut stream: S, first: &[u8], code: ErrorCode) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let octets = read(&mut stream, first).await?;
    if octets[0] != handshake::MAGIC {
        return Err(HandshakeError::NotRawSocket { octets });
    }
    stream.write_all(&handshake::refusal(code)).await?;
    stream.shutdown().await?;
    Ok(())
}

/// Settles the handshake; and what of the octets that have been read already came after the request.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    first: &[u8],
    config: &Config,
) -> Result<(Agreed, BytesMut), HandshakeError> {
    let (answer, outcome) = handshake::read_request(read(stream, first).await?, config);
    if let Some(answer) = answer {
        stream.write_all(&answer).await?;
        stream.flush().await?;
    }
    if outcome.is_err() {
        stream.shutdown().await?;
    }
    let rest = first.get(REQUEST..).unwrap_or_default();
    Ok((outcome?, BytesMut::from(rest)))
}

/// Reads four octets, of which some have been read already.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, first: &[u8]) -> Result<[u8; REQUEST], HandshakeError> {
    let mut octets = [0; REQUEST];
    let known = first.len().min(octets.len());
    octets[..known].copy_from_slice(&first[..known]);
    stream.read_exact(&mut octets[known..]).await.map_err(eof)?;
    Ok(octets)
}

pub(crate) fn eof(error: io::Error) -> HandshakeError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => HandshakeError::Closed,
        _ => HandshakeError::Io(error),
    }
}
