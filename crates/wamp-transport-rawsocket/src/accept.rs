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

/// Answers the client at the other end of a stream, of which the `first` bytes may have been read already to find
/// out what it speaks. A client that is refused has been told why.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
pub async fn accept<S: Socket>(
    mut socket: S,
    first: &[u8],
    config: &Config,
) -> Result<RawSocket<S>, HandshakeError> {
    socket.set_nodelay()?;
    let (agreed, rest) = answer(&mut socket, first, config).await?;
    Ok(RawSocket { socket, rest, agreed })
}

/// Reads a client's request, of which the `first` bytes may have been read already, and refuses it, as with
/// [`ErrorCode::ConnectionLimit`].
///
/// # Errors
/// The client speaks something else, or is gone.
pub async fn refuse<S>(mut stream: S, first: &[u8], code: ErrorCode) -> Result<(), HandshakeError>
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
