//! The server's side of the opening handshake.

use std::fmt::Write;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response};
use tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use wamp_proto::Serializer;

use crate::error::{HandshakeError, names};
use crate::{Config, Role, WebSocket, head};

/// Answers the client at the other end of a stream. A client that is refused has been told why.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
pub async fn accept<S>(stream: S, config: &Config) -> Result<WebSocket<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    accept_after(stream, &[], config).await
}

/// Like [`accept`], after somebody has read the first octets to find out what the client speaks.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
pub async fn accept_after<S>(
    mut stream: S,
    first: &[u8],
    config: &Config,
) -> Result<WebSocket<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (head, rest) = head::read(&mut stream, first, |octet| octet.is_ascii_uppercase()).await?;
    match answer(&head, config) {
        Ok((response, serializer)) => {
            stream.write_all(&response).await?;
            stream.flush().await?;
            Ok(WebSocket::new(stream, rest, Role::Server, serializer, config))
        }
        Err((status, why)) => {
            decline(&mut stream, status, &why).await?;
            Err(HandshakeError::Declined(why))
        }
    }
}

/// Like [`accept`], over TCP.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
pub async fn accept_tcp(stream: TcpStream, config: &Config) -> Result<WebSocket<TcpStream>, HandshakeError> {
    accept_tcp_after(stream, &[], config).await
}

/// Like [`accept_after`], over TCP.
///
/// # Errors
/// The client was refused, speaks something else, or is gone.
pub async fn accept_tcp_after(
    stream: TcpStream,
    first: &[u8],
    config: &Config,
) -> Result<WebSocket<TcpStream>, HandshakeError> {
    stream.set_nodelay(true)?;
    accept_after(stream, first, config).await
}

/// Reads a client's request and answers that there is no room for it now (HTTP 503), with a sentence that
/// says why.
///
/// # Errors
/// The client speaks something else, or is gone.
pub async fn refuse<S>(stream: S, why: &str) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    refuse_after(stream, &[], why).await
}

/// Like [`refuse`], after somebody has read the first octets to find out what the client speaks.
///
/// # Errors
/// The client speaks something else, or is gone.
pub async fn refuse_after<S>(mut stream: S, first: &[u8], why: &str) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    head::read(&mut stream, first, |octet| octet.is_ascii_uppercase()).await?;
    decline(&mut stream, StatusCode::SERVICE_UNAVAILABLE, why).await
}

async fn decline<S>(stream: &mut S, status: StatusCode, why: &str) -> Result<(), HandshakeError>
where
    S: AsyncWrite + Unpin,
{
    let mut response = format!("HTTP/1.1 {status}\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n");
    // Writing to a String does not fail.
    let _ =
        write!(response, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n", why.len() + 1);
    if status == StatusCode::UPGRADE_REQUIRED {
        response.push_str("Upgrade: websocket\r\n");
    }
    let _ = write!(response, "\r\n{why}\n");
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

/// What to answer to a request, and the serializer; or why not.
fn answer(head: &[u8], config: &Config) -> Result<(Vec<u8>, Serializer), (StatusCode, String)> {
    let bad = |e: Error| (StatusCode::BAD_REQUEST, e.to_string());
    let speaks = || names(&config.serializers);
    let request = match Request::try_parse(head).map_err(bad)? {
        Some((_, request)) => request,
        None => return Err((StatusCode::BAD_REQUEST, "the request is not complete".into())),
    };
    let mut response = create_response(&request).map_err(|e| match e {
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader | ProtocolError::MissingUpgradeWebSocketHeader,
        ) => (
            StatusCode::UPGRADE_REQUIRED,
            format!("this is a WAMP router, to be connected to with WebSocket ({})", speaks()),
        ),
        e => bad(e),
    })?;
    let Some(serializer) = pick(request.headers(), &config.serializers) else {
        let why = format!("none of the offered WebSocket subprotocols is spoken here, only {}", speaks());
        return Err((StatusCode::BAD_REQUEST, why));
    };
    let picked = HeaderValue::from_static(serializer.subprotocol());
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, picked);
    Ok((switching(response.headers()), serializer))
}

/// The response that accepts, with these headers.
fn switching(headers: &HeaderMap) -> Vec<u8> {
    let mut octets = Vec::with_capacity(256);
    octets.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            octets.extend_from_slice(part);
        }
    }
    octets.extend_from_slice(b"\r\n");
    octets
}

/// The first subprotocol that the client offers and we speak.
fn pick(headers: &HeaderMap, speaks: &[Serializer]) -> Option<Serializer> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|offer| Serializer::from_subprotocol(offer.trim()))
        .find(|serializer| speaks.contains(serializer))
}
