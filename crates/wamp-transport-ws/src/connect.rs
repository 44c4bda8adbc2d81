//! The client's side of the opening handshake.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::{Response, generate_request};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;
use tungstenite::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use wamp_proto::Serializer;
use wamp_transport::Socket;

use crate::error::HandshakeError;
use crate::{Config, Role, WebSocket, http_head};

/// The most that is read of the text of a refusal.
const MAX_REFUSAL: usize = 1024;

/// Asks the server at the other end of a stream for a connection with one of these serializers, in order of
/// preference. The URL, such as `ws://localhost:8080/ws`, goes into the request.
///
/// # Errors
/// The server refused, does not speak WebSocket, chose no serializer, or is gone.
pub async fn connect<S: Socket>(
    mut socket: S,
    url: &str,
    serializers: &[Serializer],
    config: &Config,
) -> Result<WebSocket<S>, HandshakeError> {
    socket.set_nodelay()?;
    let (request, key) = request(url, serializers)?;
    socket.write_all(&request).await?;
    socket.flush().await?;
    let (head, rest) = http_head::read(&mut socket, &[], |first| first == b'H').await?;
    let response = match Response::try_parse(&head) {
        Ok(Some((_, response))) => response,
        Ok(None) => return Err(HandshakeError::NotHttp("the answer is not complete".into())),
        Err(e) => return Err(HandshakeError::NotHttp(e.to_string())),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let line = refusal(&mut socket, rest, response.headers()).await;
        return Err(HandshakeError::Status { status: response.status().as_u16(), line });
    }
    let serializer = check(response.headers(), &key, serializers)?;
    Ok(WebSocket::new(socket, rest, Role::Client, serializer, config))
}

fn bad(url: &str, why: impl ToString) -> HandshakeError {
    HandshakeError::Url { url: url.to_owned(), why: why.to_string() }
}

/// The request, and the key for the check of the response.
fn request(url: &str, serializers: &[Serializer]) -> Result<(Vec<u8>, String), HandshakeError> {
    // Over a stream of the caller's, perhaps with TLS, both schemes are the same.
    let uri: Uri = url.parse().map_err(|e| bad(url, e))?;
    let mut request = uri.into_client_request().map_err(|e| bad(url, e))?;
    let offers = HeaderValue::from_str(&Serializer::subprotocols(serializers)).map_err(|e| bad(url, e))?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, offers);
    generate_request(request).map_err(|e| bad(url, e))
}

/// Checks the response of a server that accepts (RFC 6455, 4.1), and returns the serializer that it chose.
fn check(headers: &HeaderMap, key: &str, offered: &[Serializer]) -> Result<Serializer, HandshakeError> {
    let is = |name, value: &str| {
        let found = headers.get(name).map(HeaderValue::as_bytes);
        found.is_some_and(|found| found.eq_ignore_ascii_case(value.as_bytes()))
    };
    let illegal = |what: &str| Err(HandshakeError::Illegal(what.to_owned()));
    if !is(header::UPGRADE, "websocket") {
        return illegal("no \"Upgrade: websocket\"");
    }
    if !is(header::CONNECTION, "upgrade") {
        return illegal("no \"Connection: Upgrade\"");
    }
    let digest = derive_accept_key(key.as_bytes());
    if headers.get(header::SEC_WEBSOCKET_ACCEPT).is_none_or(|found| *found != digest) {
        return illegal("a wrong Sec-WebSocket-Accept");
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return illegal("an extension that was not requested");
    }
    let answered = headers
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .map(|picked| String::from_utf8_lossy(picked.as_bytes()).trim().to_owned());
    let picked = answered.as_deref().and_then(Serializer::from_subprotocol);
    match picked.filter(|picked| offered.contains(picked)) {
        Some(serializer) => Ok(serializer),
        None => Err(HandshakeError::Subprotocol { offered: offered.to_vec(), answered }),
    }
}

/// Reads the first line of the text of a refusal.
async fn refusal<S: AsyncRead + Unpin>(stream: &mut S, mut text: BytesMut, headers: &HeaderMap) -> String {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse().ok());
    let length = announced.unwrap_or(0).min(MAX_REFUSAL);
    while text.len() < length {
        // Even if this fails, the status is known.
        if !matches!(stream.read_buf(&mut text).await, Ok(1..)) {
            break;
        }
    }
    let line = String::from_utf8_lossy(&text[..text.len().min(MAX_REFUSAL)]);
    let line = line.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}
