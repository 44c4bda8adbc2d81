//! The server's side of the opening handshake.

use std::fmt::Write;
use std::future::{Future, pending, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response};
use tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use wamp_proto::Serializer;
use wamp_transport::Socket;

use crate::error::HandshakeError;
use crate::forwarded::{self, NoAddress};
use crate::{Config, Role, WebSocket, http_head};

/// The most that is read from a refused client.
const MAX_REST: usize = 1 << 20;

/// Answers the client at the other end of a stream. The `first` bytes may have been read already to detect the
/// protocol. A refused client has received the reason.
///
/// # Errors
/// The client was refused, does not speak WebSocket, or is gone.
pub async fn accept<S: Socket>(
    mut socket: S,
    first: &[u8],
    config: &Config,
) -> Result<WebSocket<S>, HandshakeError> {
    socket.set_nodelay()?;
    let mut config = config.clone();
    if socket.peer().is_loopback() {
        config.origins = config.origins.over_loopback();
    }
    match accept_unless(&mut socket, first, &config, pending()).await {
        Ok(accepted) => Ok(accepted.over(socket)),
        Err(error) => {
            if matches!(error, HandshakeError::Declined(_)) {
                discard(&mut socket).await;
            }
            Err(error)
        }
    }
}

/// A client after its handshake.
#[derive(Debug)]
pub struct Accepted {
    serializer: Serializer,
    rest: BytesMut,
    config: Config,
    forwarded: Vec<Option<IpAddr>>,
}

impl Accepted {
    /// Returns the address of the client, if the request has passed through proxies that note it: the one that the last
    /// proxy has noted, or, if that is itself a proxy that is trusted, the one before it; `None` without the header. Call
    /// it only if the other end of the connection is such a proxy. [`Config::forwarded`] says which header is read.
    ///
    /// # Errors
    /// A trusted proxy has noted something else, as `unknown`: the client is not known.
    pub fn forwarded_for(&self, is_trusted: impl Fn(IpAddr) -> bool) -> Result<Option<IpAddr>, NoAddress> {
        let mut client = None;
        for address in &self.forwarded {
            client = Some(address.ok_or(NoAddress)?);
            if !client.is_some_and(&is_trusted) {
                break;
            }
        }
        Ok(client)
    }

    /// Returns the connection, over the stream of the handshake.
    pub fn over<S: Socket>(self, socket: S) -> WebSocket<S> {
        WebSocket::new(socket, self.rest, Role::Server, self.serializer, &self.config)
    }
}

/// Like [`accept`], on a stream that the caller keeps. If `refuse` is ready before the client's request is
/// complete, the client is refused for that reason.
///
/// After a refusal, read the further input of the client for a while: closing the stream with unread bytes
/// may discard the answer.
///
/// # Errors
/// The client was refused, does not speak WebSocket, or is gone.
pub async fn accept_unless<S>(
    stream: &mut S,
    first: &[u8],
    config: &Config,
    refuse: impl Future<Output = Refusal>,
) -> Result<Accepted, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    accept_if(stream, first, config, refuse, |_| Ok(())).await
}

/// Like [`accept_unless`], with a check of the request before it is answered.
///
/// # Errors
/// The client was refused, does not speak WebSocket, or is gone.
pub async fn accept_if<S>(
    stream: &mut S,
    first: &[u8],
    config: &Config,
    refuse: impl Future<Output = Refusal>,
    check: impl FnOnce(&Accepted) -> Result<(), Refusal>,
) -> Result<Accepted, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = match request(stream, first, refuse).await? {
        Ok((head, rest)) => answer(&head, config).and_then(|answer| {
            let Answer { response, serializer, forwarded } = answer;
            let accepted = Accepted { serializer, rest, config: config.clone(), forwarded };
            check(&accepted)?;
            Ok((response, accepted))
        }),
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok((response, accepted)) => {
            stream.write_all(&response).await?;
            stream.flush().await?;
            Ok(accepted)
        }
        Err(refusal) => {
            decline(stream, &refusal).await?;
            Err(HandshakeError::Declined(refusal.why))
        }
    }
}

/// Reads the head of a client's request and the bytes behind it, or returns the refusal.
async fn request<S: AsyncRead + Unpin>(
    stream: &mut S,
    first: &[u8],
    refuse: impl Future<Output = Refusal>,
) -> Result<Result<(BytesMut, BytesMut), Refusal>, HandshakeError> {
    let read = pin!(http_head::read(stream, first, |byte| byte.is_ascii_uppercase()));
    let read = match select(read, pin!(refuse)).await {
        Ok(read) => read,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let bad = |error: HandshakeError| Ok(Err(Refusal::new(StatusCode::BAD_REQUEST, error.to_string())));
    match read {
        Ok(request) => Ok(Ok(request)),
        Err(error @ HandshakeError::TooLong { .. }) => {
            Ok(Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, error.to_string())))
        }
        // No answer fits an unknown protocol, but people can read HTTP.
        Err(error @ (HandshakeError::NotHttp(_) | HandshakeError::Tls(_))) => bad(error),
        // A client that has closed its sending side may still read.
        Err(error @ HandshakeError::Closed) => bad(error),
        Err(error) => Err(error),
    }
}

/// Returns the result that is ready first; if both are, the first.
async fn select<A, B>(mut a: Pin<&mut A>, mut b: Pin<&mut B>) -> Result<A::Output, B::Output>
where
    A: Future,
    B: Future,
{
    poll_fn(|cx| match a.as_mut().poll(cx) {
        Poll::Ready(a) => Poll::Ready(Ok(a)),
        Poll::Pending => b.as_mut().poll(cx).map(Err),
    })
    .await
}

/// Reads a client's request and answers that there is no room now (HTTP 503), with a text that says why. The
/// `first` bytes of it may have been read already.
///
/// # Errors
/// The client is gone.
pub async fn refuse<S>(mut stream: S, first: &[u8], why: &str) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    refuse_for(&mut stream, first, Refusal::unavailable(why)).await?;
    discard(&mut stream).await;
    Ok(())
}

/// Reads a client's request and refuses it for this reason. The `first` bytes of it may have been read
/// already. Read the further input of the client for a while, as after [`accept_unless`].
///
/// # Errors
/// The client is gone.
pub async fn refuse_for<S>(stream: &mut S, first: &[u8], refusal: Refusal) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let refusal = match request(stream, first, pending()).await? {
        Ok(_) => refusal,
        Err(fault) => fault,
    };
    decline(stream, &refusal).await
}

/// The reason why a client is refused: an HTTP status and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    /// The request is wrong (HTTP 400).
    pub fn bad_request(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// The request takes too long (HTTP 408).
    pub fn timeout(why: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, why)
    }

    /// There is no room for the client now (HTTP 503).
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
    }

    /// The client has to connect in another way (HTTP 426).
    pub fn upgrade_required(why: impl Into<String>) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, why)
    }

    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}

/// Tells a client why it is refused.
async fn decline<S>(stream: &mut S, Refusal { status, why }: &Refusal) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut response = format!("HTTP/1.1 {status}\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n");
    // Writing to a String does not fail.
    let _ =
        write!(response, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n", why.len() + 1);
    match *status {
        StatusCode::UPGRADE_REQUIRED => response.push_str("Upgrade: websocket\r\n"),
        StatusCode::METHOD_NOT_ALLOWED => response.push_str("Allow: GET\r\n"),
        _ => {}
    }
    let _ = write!(response, "\r\n{why}\n");
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

/// Reads the further input of a refused client.
async fn discard<S: AsyncRead + Unpin>(stream: &mut S) {
    let (mut rest, mut read) = ([0; 1024], 0);
    while read < MAX_REST {
        match stream.read(&mut rest).await {
            Ok(more @ 1..) => read += more,
            _ => break,
        }
    }
}

/// The answer to a request that is accepted.
struct Answer {
    response: Vec<u8>,
    serializer: Serializer,
    /// The addresses that proxies have noted, the last proxy's first.
    forwarded: Vec<Option<IpAddr>>,
}

/// Returns the answer to a request, or the refusal.
fn answer(head: &[u8], config: &Config) -> Result<Answer, Refusal> {
    let refused = |error: Error| {
        let (status, why) = refusal(&error);
        match status {
            StatusCode::UPGRADE_REQUIRED => {
                Refusal::new(status, format!("{why} ({})", Serializer::subprotocols(&config.serializers)))
            }
            _ => Refusal::new(status, why),
        }
    };
    let Some((_, request)) = Request::try_parse(head).map_err(refused)? else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request is not complete"));
    };
    let mut response = create_response(&request).map_err(refused)?;
    if let Err(foreign) = config.origins.check(request.headers()) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, foreign.to_string()));
    }
    let Some(serializer) = pick(request.headers(), &config.serializers) else {
        let why = format!(
            "none of the offered WebSocket subprotocols is supported, only {}",
            Serializer::subprotocols(&config.serializers)
        );
        return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
    };
    let picked = HeaderValue::from_static(serializer.subprotocol());
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, picked);
    let addresses = |header| forwarded::addresses(request.headers(), header);
    let forwarded = config.forwarded.map(addresses).unwrap_or_default();
    Ok(Answer { response: switching(response.headers()), serializer, forwarded })
}

/// A fault of a request: the status, and a text. For "upgrade required" the subprotocols follow.
fn refusal(error: &Error) -> (StatusCode, String) {
    let (status, why) = match error {
        Error::Protocol(ProtocolError::WrongHttpMethod) => {
            (StatusCode::METHOD_NOT_ALLOWED, "this is a WAMP router; WebSocket begins with a GET request")
        }
        Error::Protocol(
            ProtocolError::WrongHttpVersion | ProtocolError::HttparseError(httparse::Error::Version),
        ) => (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "WebSocket wants HTTP/1.1"),
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader | ProtocolError::MissingUpgradeWebSocketHeader,
        ) => (StatusCode::UPGRADE_REQUIRED, "this is a WAMP router; connect to it with WebSocket"),
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => {
            (StatusCode::UPGRADE_REQUIRED, "only version 13 of WebSocket is supported")
        }
        Error::Protocol(ProtocolError::MissingSecWebSocketKey | ProtocolError::InvalidSecWebSocketKey) => {
            (StatusCode::BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64")
        }
        Error::Capacity(CapacityError::TooManyHeaders) => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "there are too many headers")
        }
        Error::Protocol(ProtocolError::HttparseError(error)) => {
            return (StatusCode::BAD_REQUEST, format!("the HTTP request cannot be read: {error}"));
        }
        error => return (StatusCode::BAD_REQUEST, error.to_string()),
    };
    (status, why.to_owned())
}

/// The response that accepts, with these headers.
fn switching(headers: &HeaderMap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// The first offered subprotocol that this end supports.
fn pick(headers: &HeaderMap, speaks: &[Serializer]) -> Option<Serializer> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .find_map(|line| Serializer::first_of(line, speaks))
}
