//! The server's side of the handshake, on a stream.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wamp_transport::Socket;

use crate::error::HandshakeError;
use crate::handshake::{self, Agreed, ErrorCode};
use crate::{Config, RawSocket};

/// The length of a client's request.
const REQUEST: usize = 4;

/// Answers the client at the other end of a stream. The `first` bytes may have been read already to detect the
/// protocol. A refused client has received the reason.
///
/// # Errors
/// The client was refused, does not speak RawSocket, or is gone.
pub async fn accept<S: Socket>(
    mut socket: S,
    first: &[u8],
    config: &Config,
) -> Result<RawSocket<S>, HandshakeError> {
    socket.set_nodelay()?;
    let (agreed, rest) = answer(&mut socket, first, config).await?;
    Ok(RawSocket { socket, rest, agreed })
}

/// Reads a client's request and refuses it, for example with [`ErrorCode::ConnectionLimit`]. The `first` bytes
/// of it may have been read already.
///
/// # Errors
/// The client does not speak RawSocket, or is gone.
pub async fn refuse<S>(mut stream: S, first: &[u8], code: ErrorCode) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bytes = read(&mut stream, first).await?;
    if bytes[0] != handshake::MAGIC {
        return Err(HandshakeError::NotRawSocket { bytes });
    }
    stream.write_all(&handshake::refusal(code)).await?;
    stream.shutdown().await?;
    Ok(())
}

/// Decides the handshake, and returns the bytes already read beyond the request.
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

/// Reads four bytes, of which some have been read already.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, first: &[u8]) -> Result<[u8; REQUEST], HandshakeError> {
    let mut bytes = [0; REQUEST];
    let known = first.len().min(bytes.len());
    bytes[..known].copy_from_slice(&first[..known]);
    stream.read_exact(&mut bytes[known..]).await.map_err(eof)?;
    Ok(bytes)
}

pub(crate) fn eof(error: io::Error) -> HandshakeError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => HandshakeError::Closed,
        _ => HandshakeError::Io(error),
    }
}
