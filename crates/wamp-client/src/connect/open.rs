//! From a URL to a connection: its host, TLS, and the handshake of the transport.

use std::net::IpAddr;
#[cfg(feature = "rawsocket")]
use std::time::Duration;

#[cfg(any(feature = "ws", feature = "rawsocket"))]
use wamp_proto::Serializer;
#[cfg(feature = "rawsocket")]
use wamp_transport::socket::Probe;
#[cfg(any(feature = "ws", feature = "rawsocket"))]
use wamp_transport::socket::Socket;
#[cfg(all(feature = "rawsocket", unix))]
use wamp_transport::socket::dial_unix;

use super::error::{ConnectError, ConnectErrorKind};
use super::join::{Joining, Opening, join};
use super::router_url::{Kind, RouterUrl};
use super::settings::Settings;
use super::tcp::{self, Destination};

/// Connects within the time limit. Returns the future that joins.
pub(super) async fn open(url: String, settings: Settings) -> Result<Joining, ConnectError> {
    let timeout = settings.timeout;
    match tokio::time::timeout(timeout, connected(&url, settings)).await {
        Ok(joining) => joining?.await,
        Err(_) => Err(ConnectError::timeout(Some(&url), "the connection took too long")),
    }
}

async fn connected(url: &str, mut settings: Settings) -> Result<Opening, ConnectError> {
    let (kind, tls, host, port, request) = match RouterUrl::parse(url)? {
        RouterUrl::Unix { path } => return unix(url, &path, settings).await,
        RouterUrl::Tcp { kind, tls, host, port, request } => (kind, tls, host, port, request),
    };
    built_in(url, kind, tls)?;
    let is_wss = tls && kind == Kind::WebSocket;
    let to = Destination { url, host: &host, port, is_wss };
    let stream = tcp::dial(to, &settings.proxy, settings.timeout).await?;
    #[cfg(feature = "tls")]
    if tls {
        let stream = settings.tls.connect(&host, stream).await.map_err(|e| ConnectError::from_tls(url, e))?;
        return over(stream, url, kind, &request, settings).await;
    }
    // The other end of the stream may be a proxy on this machine.
    settings.is_exposed = !is_this_machine(&host);
    over(stream, url, kind, &request, settings).await
}

/// Returns whether this is a name or an address of the local machine.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Checks that this build has the transport and the TLS that a URL needs.
fn built_in(url: &str, kind: Kind, tls: bool) -> Result<(), ConnectError> {
    match kind {
        Kind::WebSocket if cfg!(not(feature = "ws")) => {
            Err(ConnectError::bad_url(url, "WebSocket is not built in (the cargo feature `ws`)"))
        }
        Kind::RawSocket if cfg!(not(feature = "rawsocket")) => {
            Err(ConnectError::bad_url(url, "RawSocket is not built in (the cargo feature `rawsocket`)"))
        }
        _ if tls && cfg!(not(feature = "tls")) => {
            let why = "TLS is not built in (the cargo feature `tls`)";
            Err(ConnectError::new(url, ConnectErrorKind::Tls, why))
        }
        _ => Ok(()),
    }
}

/// Does the handshake of the transport over a stream.
#[cfg_attr(not(feature = "ws"), expect(unused_variables))]
async fn over<S: Socket>(
    stream: S,
    url: &str,
    kind: Kind,
    request: &str,
    settings: Settings,
) -> Result<Opening, ConnectError> {
    match kind {
        #[cfg(feature = "ws")]
        Kind::WebSocket => websocket(stream, url, request, settings).await,
        #[cfg(feature = "rawsocket")]
        Kind::RawSocket => rawsocket(stream, url, settings).await,
        #[cfg(not(all(feature = "ws", feature = "rawsocket")))]
        _ => unreachable!("a URL of a transport that is not built in has been refused"),
    }
}

#[cfg(all(feature = "rawsocket", unix))]
async fn unix(url: &str, path: &str, settings: Settings) -> Result<Opening, ConnectError> {
    let dialed = dial_unix(path).await;
    let stream = dialed
        .map_err(|error| ConnectError::new(url, ConnectErrorKind::Connect, &error).with_source(error))?;
    rawsocket(stream, url, settings).await
}

#[cfg(not(all(feature = "rawsocket", unix)))]
async fn unix(url: &str, _: &str, _: Settings) -> Result<Opening, ConnectError> {
    let why = match cfg!(unix) {
        true => "RawSocket is not built in (the cargo feature `rawsocket`)",
        false => "there are no Unix sockets here",
    };
    Err(ConnectError::bad_url(url, why))
}

#[cfg(feature = "ws")]
async fn websocket<S: Socket>(
    socket: S,
    url: &str,
    request: &str,
    settings: Settings,
) -> Result<Opening, ConnectError> {
    let config = wamp_transport_ws::Config {
        max_receive: settings.max_message,
        ..wamp_transport_ws::Config::default()
    };
    let offers = settings.serializer.as_ref().map_or(Serializer::ALL, std::slice::from_ref);
    match wamp_transport_ws::connect(socket, request, offers, &config).await {
        Ok(transport) => Ok(Box::pin(join(transport, settings, Some(url.to_owned())))),
        Err(error) => Err(ConnectError::from_ws(url, error)),
    }
}

#[cfg(feature = "rawsocket")]
async fn rawsocket<S: Socket>(socket: S, url: &str, settings: Settings) -> Result<Opening, ConnectError> {
    let config = wamp_transport_rawsocket::Config {
        max_receive: settings.max_message,
        ..wamp_transport_rawsocket::Config::default()
    };
    // MessagePack, if it is built in.
    let Some(serializer) = settings.serializer.or_else(|| Serializer::ALL.first().copied()) else {
        return Err(ConnectError::bad_url(url, "no serializer is built in"));
    };
    let connected = async {
        // Some servers do not survive a PING, so the operating system probes the connection.
        if let Some(keepalive) = settings.keepalive {
            let (silence, answer, write) = (keepalive.silence, keepalive.answer, Duration::from_secs(1));
            socket.set_probe(&Probe { silence, answer, write })?;
        }
        wamp_transport_rawsocket::connect(socket, serializer, &config).await
    };
    match connected.await {
        Ok(transport) => Ok(Box::pin(join(transport, settings, Some(url.to_owned())))),
        Err(error) => Err(ConnectError::from_rawsocket(url, error)),
    }
}
