//! The client's side of the handshake, on a stream.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wamp_proto::Serializer;
use wamp_transport::Socket;

use crate::accept::eof;
use crate::error::HandshakeError;
use crate::handshake::{self, Agreed};
use crate::{Config, RawSocket};

/// Asks the server at the other end of a stream for a connection with this serializer.
///
/// # Errors
/// The server refused, does not speak RawSocket, or is gone.
pub async fn connect<S: Socket>(
    mut socket: S,
    serializer: Serializer,
    config: &Config,
) -> Result<RawSocket<S>, HandshakeError> {
    socket.set_nodelay()?;
    let agreed = ask(&mut socket, serializer, config).await?;
    Ok(RawSocket { socket, rest: BytesMut::new(), agreed })
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
