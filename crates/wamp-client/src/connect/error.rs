//! Errors of connecting.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use wamp_core::auth::Refusal;
use wamp_core::reconnect::Fault;
use wamp_core::session::Closed;
use wamp_proto::{Uri, uri};
use wamp_transport::PushError;

/// The reason why there is no session: the URL, the cause, and its kind.
///
/// A program for people can print `Error: {kind}: {error}`: the text has the whole cause. For a program that decides by
/// the cause there is [`source`](Error::source), the error of the operating system, of TLS or of the transport's handshake;
/// an [`std::io::Error`] may be at the end of its chain.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::{error::Error, io};
///
/// let error = wamp_client::connect("rs+unix:///there/is/none.sock").await.unwrap_err();
/// let mut cause = error.source().unwrap();
/// while let Some(deeper) = cause.source() {
///     cause = deeper;
/// }
/// let io = cause.downcast_ref::<io::Error>().unwrap();
/// assert_eq!(io.kind(), io::ErrorKind::NotFound);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConnectError {
    url: Option<String>,
    kind: ConnectErrorKind,
    cause: String,
    uri: Option<Uri>,
    /// The end of the session, if there was a connection.
    closed: Option<Box<Closed>>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(url) = &self.url {
            write!(f, "{url}: ")?;
        }
        f.write_str(&self.cause)
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

/// The kind of a connection error; its `Display` is one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The URL is not one of a router.
    Url,
    /// There is no TLS with the server: its certificate is not accepted, it does not speak TLS, or TLS is not built in.
    Tls,
    /// No server answers there.
    Connect,
    /// The server refused the handshake of the transport, does not speak it, or accepts no message as long as
    /// HELLO.
    Handshake,
    /// The server chose none of the offered serializers.
    Subprotocol,
    /// There is no credential, or it cannot be used with this connection.
    Credentials,
    /// The router does not accept the credentials, or the authentication has failed; [`ConnectError::uri`] has the reason.
    Denied,
    /// The router refused the session; [`ConnectError::uri`] has the reason.
    Refused,
    /// It took too long.
    Timeout,
    /// The router broke the protocol.
    Protocol,
    /// The connection broke.
    Lost,
}

/// The reasons of routers for refusing credentials.
const DENIALS: [Uri; 6] = [
    uri::AUTHENTICATION_DENIED,
    uri::AUTHENTICATION_FAILED,
    uri::NO_MATCHING_AUTH_METHOD,
    uri::NOT_AUTHORIZED,
    Uri::from_static("wamp.error.no_auth_method"),
    Uri::from_static("wamp.error.no_such_principal"),
];

impl fmt::Display for ConnectErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectErrorKind::Url => "url",
            ConnectErrorKind::Tls => "tls",
            ConnectErrorKind::Connect => "connect",
            ConnectErrorKind::Handshake => "handshake",
            ConnectErrorKind::Subprotocol => "subprotocol",
            ConnectErrorKind::Credentials => "credentials",
            ConnectErrorKind::Denied => "denied",
            ConnectErrorKind::Refused => "refused",
            ConnectErrorKind::Timeout => "timeout",
            ConnectErrorKind::Protocol => "protocol",
            ConnectErrorKind::Lost => "lost",
        })
    }
}

impl ConnectError {
    /// Returns the kind of the error.
    pub fn kind(&self) -> ConnectErrorKind {
        self.kind
    }

    /// The URL, without its password; `None` over a transport of your own.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The reason why the router refused the session, such as `wamp.error.no_such_realm`.
    pub fn uri(&self) -> Option<&Uri> {
        self.uri.as_ref()
    }

    pub(crate) fn new(url: &str, kind: ConnectErrorKind, cause: impl ToString) -> Self {
        Self { url: Some(shown(url)), kind, cause: cause.to_string(), uri: None, closed: None, source: None }
    }

    pub(crate) fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(Arc::from(source.into())), ..self }
    }

    pub(crate) fn bad_url(url: &str, cause: &str) -> Self {
        Self::new(url, ConnectErrorKind::Url, cause)
    }

    pub(crate) fn timeout(url: Option<&str>, cause: &str) -> Self {
        let (url, cause) = (url.map(shown), cause.to_owned());
        Self { url, kind: ConnectErrorKind::Timeout, cause, uri: None, closed: None, source: None }
    }

    /// HELLO cannot be sent.
    pub(crate) fn unsent(url: Option<&str>, error: PushError) -> Self {
        let cause = match error {
            PushError::TooLarge { len, limit } => {
                format!("HELLO has {len} bytes and does not fit into the {limit} bytes that the router takes")
            }
            error => format!("HELLO cannot be written: {error}"),
        };
        Self {
            url: url.map(shown),
            kind: ConnectErrorKind::Handshake,
            cause,
            uri: None,
            closed: None,
            source: None,
        }
    }

    pub(crate) fn from_closed(url: Option<&str>, closed: Closed) -> Self {
        let kind = match &closed {
            Closed::Aborted { reason, .. } if DENIALS.contains(reason) => ConnectErrorKind::Denied,
            Closed::ByRouter { .. } | Closed::Aborted { .. } => ConnectErrorKind::Refused,
            Closed::NotAnswered(_) => ConnectErrorKind::Denied,
            Closed::Violation(_) => ConnectErrorKind::Protocol,
            Closed::JoinTimeout => ConnectErrorKind::Timeout,
            _ => ConnectErrorKind::Lost,
        };
        let cause = closed.to_string();
        let uri = match &closed {
            Closed::ByRouter { reason, .. } | Closed::Aborted { reason, .. } => Some(reason.detached()),
            _ => None,
        };
        Self { url: url.map(shown), kind, cause, uri, closed: Some(Box::new(closed)), source: None }
    }

    /// A transport of the application's own could not be made.
    pub(crate) fn from_connector(error: std::io::Error) -> Self {
        let (cause, kind) = (error.to_string(), ConnectErrorKind::Connect);
        Self { url: None, kind, cause, uri: None, closed: None, source: None }.with_source(error)
    }

    /// There are no credentials now.
    pub(crate) fn no_credentials(url: Option<&str>, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        let (kind, cause) = (ConnectErrorKind::Credentials, format!("there are no credentials: {error}"));
        Self { url: url.map(shown), kind, cause, uri: None, closed: None, source: None }.with_source(error)
    }

    /// The credentials cannot be used with this connection, in any attempt.
    pub(crate) fn unusable_credentials(url: Option<&str>, refusal: Refusal) -> Self {
        let closed = Closed::NotAnswered(refusal.to_string());
        let (url, kind, cause) = (url.map(shown), ConnectErrorKind::Credentials, refusal.to_string());
        Self { url, kind, cause, uri: None, closed: Some(Box::new(closed)), source: None }
    }

    pub(crate) fn no_url() -> Self {
        let cause = "there is no URL to connect to".to_owned();
        Self { url: None, kind: ConnectErrorKind::Url, cause, uri: None, closed: None, source: None }
    }

    /// Whether another attempt can succeed.
    pub(crate) fn fault(&self) -> Fault {
        match (&self.closed, self.kind) {
            (Some(closed), _) => Fault::Closed((**closed).clone()),
            (None, ConnectErrorKind::Url | ConnectErrorKind::Tls | ConnectErrorKind::Subprotocol) => {
                Fault::Final
            }
            (None, _) => Fault::Passing,
        }
    }

    #[cfg(all(feature = "tls", feature = "dial"))]
    pub(crate) fn from_tls(url: &str, error: wamp_tls::ConnectError) -> Self {
        let kind = match &error {
            wamp_tls::ConnectError::Lost(_) => ConnectErrorKind::Lost,
            _ => ConnectErrorKind::Tls,
        };
        Self::new(url, kind, &error).with_source(error)
    }

    #[cfg(feature = "ws")]
    pub(crate) fn from_ws(url: &str, error: wamp_transport_ws::HandshakeError) -> Self {
        use wamp_transport_ws::HandshakeError as E;
        let kind = match &error {
            E::Url { .. } => ConnectErrorKind::Url,
            E::Io(_) | E::Closed => ConnectErrorKind::Lost,
            E::Subprotocol { .. } => ConnectErrorKind::Subprotocol,
            E::Tls(_) => ConnectErrorKind::Tls,
            _ => ConnectErrorKind::Handshake,
        };
        match error {
            // The URL is shown anyway.
            E::Url { why, .. } => Self::new(url, kind, why),
            error => Self::new(url, kind, &error).with_source(error),
        }
    }

    #[cfg(feature = "rawsocket")]
    pub(crate) fn from_rawsocket(url: &str, error: wamp_transport_rawsocket::HandshakeError) -> Self {
        use wamp_transport_rawsocket::{ErrorCode, HandshakeError as E};
        let kind = match &error {
            E::Io(_) | E::Closed => ConnectErrorKind::Lost,
            // Alerts and handshakes of TLS begin with these bytes.
            E::NotRawSocket { bytes: [0x15 | 0x16, ..] } => ConnectErrorKind::Tls,
            E::OtherSerializer { .. } | E::Refused(ErrorCode::SerializerUnsupported) => {
                ConnectErrorKind::Subprotocol
            }
            _ => ConnectErrorKind::Handshake,
        };
        Self::new(url, kind, &error).with_source(error)
    }
}

/// A URL that is safe to show: without its password.
pub(crate) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let is_port = |port: &str| port.is_empty() || port.ends_with(']') || port.parse::<u16>().is_ok();
    // A password with one of these characters is invalid, and must not be shown either.
    let is_cut =
        !rest[..end].contains('@') && rest[..end].rsplit_once(':').is_some_and(|(_, port)| !is_port(port));
    let before = if is_cut { rest } else { &rest[..end] };
    let Some(at) = before.rfind('@') else { return url.to_owned() };
    match before[..at].split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***{}", &rest[at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let table = [
            ("ws://localhost:8080/ws", "ws://localhost:8080/ws"),
            ("ws://[::1]:8080/ws@x", "ws://[::1]:8080/ws@x"),
            ("wss://example.com/a:b@c", "wss://example.com/a:b@c"),
            ("wss://alice@example.com", "wss://alice@example.com"),
            ("wss://alice:secret@example.com/ws", "wss://alice:***@example.com/ws"),
            ("wss://alice:sec@ret@example.com/ws", "wss://alice:***@example.com/ws"),
            ("wss://alice:sec/ret@example.com/ws", "wss://alice:***@example.com/ws"),
            ("wss://alice:sec#ret?@example.com", "wss://alice:***@example.com"),
            ("no URL", "no URL"),
        ];
        for (url, expected) in table {
            assert_eq!(shown(url), expected);
        }
    }
}
