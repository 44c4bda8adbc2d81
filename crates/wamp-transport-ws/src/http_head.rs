//! Reading an HTTP message up to its empty line.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::HandshakeError;

/// The longest head.
const MAX_HEAD: usize = 16 * 1024;

const EMPTY_LINE: &[u8] = b"\r\n\r\n";

/// Reads up to the empty line; `first` has the bytes already read. Returns the head, and the bytes behind it.
/// Fails at the first byte that `begins` rejects.
pub(crate) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    first: &[u8],
    begins: fn(u8) -> bool,
) -> Result<(BytesMut, BytesMut), HandshakeError> {
    let mut buffer = BytesMut::from(first);
    let mut searched = 0;
    loop {
        if let Some(&byte) = buffer.first()
            && !begins(byte)
        {
            return Err(match byte {
                0x15 | 0x16 => HandshakeError::Tls(what(byte)),
                _ => HandshakeError::NotHttp(what(byte)),
            });
        }
        let from = buffer.len().min(searched);
        if let Some(at) = buffer[from..].windows(EMPTY_LINE.len()).position(|w| w == EMPTY_LINE) {
            let head = buffer.split_to(from + at + EMPTY_LINE.len());
            return Ok((head, buffer));
        }
        if buffer.len() >= MAX_HEAD {
            return Err(HandshakeError::TooLong { limit: MAX_HEAD });
        }
        searched = buffer.len().saturating_sub(EMPTY_LINE.len() - 1);
        buffer.reserve(1024);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(HandshakeError::Closed);
        }
    }
}

/// Describes a byte that cannot begin an HTTP message.
fn what(byte: u8) -> String {
    match byte {
        0x15 => "a TLS alert came, the port seems to want TLS (wss)".into(),
        0x16 => "a TLS handshake came, on a port without TLS".into(),
        0x7f => "a RawSocket handshake came".into(),
        _ => format!("{byte:#04x} came first"),
    }
}
