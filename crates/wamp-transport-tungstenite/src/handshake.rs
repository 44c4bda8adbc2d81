//! The opening handshake, in which the subprotocol names the serializer.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::{Error, protocol::WebSocketConfig};
use tokio_tungstenite::{accept_hdr_async_with_config, client_async_with_config};
use wamp_proto::Serializer;

use crate::Tungstenite;

/// The reason why an opening handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The connection broke, or the peer does not speak WebSocket or refused.
    #[error("the WebSocket handshake failed: {0}")]
    WebSocket(#[from] Box<Error>),
    /// There is no serializer that both ends have.
    #[error("the peer chose {}; offered were {}", answered.as_deref().unwrap_or("no subprotocol"), Serializer::subprotocols(offered))]
    Subprotocol {
        /// The offered serializers.
        offered: Vec<Serializer>,
        /// The subprotocol that was chosen.
        answered: Option<String>,
    },
}

/// Asks the server at the other end of a stream for a connection with one of these serializers, in order of preference.
///
/// # Errors
/// The server refused, does not speak WebSocket, chose no serializer, or is gone.
pub async fn connect<S>(
    stream: S,
    url: &str,
    serializers: &[Serializer],
    config: WebSocketConfig,
) -> Result<Tungstenite<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = url.into_client_request().map_err(Box::new)?;
    // The names of subprotocols are plain text.
    if let Ok(offers) = HeaderValue::from_str(&Serializer::subprotocols(serializers)) {
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, offers);
    }
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((stream, response)) => match first_of(response.headers(), serializers) {
            Some(serializer) => Ok(Tungstenite::new(stream, serializer)),
            None => Err(no_subprotocol(serializers, response.headers())),
        },
        // `tungstenite` has compared the answer with the offers.
        Err(Error::Protocol(error)) if error.to_string().contains("SubProtocol") => {
            Err(no_subprotocol(serializers, &HeaderMap::new()))
        }
        Err(error) => Err(Box::new(error).into()),
    }
}

/// Answers the client at the other end of a stream with the first serializer it offers that is among these. A
/// refused client has received the reason.
///
/// # Errors
/// The client was refused, does not speak WebSocket, or is gone.
pub async fn accept<S>(
    stream: S,
    serializers: &[Serializer],
    config: WebSocketConfig,
) -> Result<Tungstenite<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut picked = None;
    #[allow(clippy::result_large_err, reason = "the type is given by tungstenite")]
    let answer = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        picked = first_of(request.headers(), serializers);
        let Some(serializer) = picked else {
            let why = format!(
                "none of the offered subprotocols is supported, only {}",
                Serializer::subprotocols(serializers)
            );
            let mut refusal = ErrorResponse::new(Some(why));
            *refusal.status_mut() = StatusCode::BAD_REQUEST;
            return Err(refusal);
        };
        let name = HeaderValue::from_static(serializer.subprotocol());
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, name);
        Ok(response)
    };
    let stream = accept_hdr_async_with_config(stream, answer, Some(config)).await.map_err(Box::new)?;
    match picked {
        Some(serializer) => Ok(Tungstenite::new(stream, serializer)),
        None => Err(HandshakeError::Subprotocol { offered: serializers.to_vec(), answered: None }),
    }
}

fn no_subprotocol(offered: &[Serializer], headers: &HeaderMap) -> HandshakeError {
    let answered = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
    let answered = answered.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
    HandshakeError::Subprotocol { offered: offered.to_vec(), answered }
}

/// The first subprotocol of the headers that is one of these serializers.
fn first_of(headers: &HeaderMap, serializers: &[Serializer]) -> Option<Serializer> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .find_map(|line| Serializer::first_of(line, serializers))
}
