//! From a URL to a connection. A new transport is a scheme in `open_any`.

#[cfg(feature = "rawsocket")]
use std::time::Duration;

#[cfg(any(feature = "ws", feature = "rawsocket"))]
use wamp_proto::Serializer;
#[cfg(feature = "rawsocket")]
use wamp_transport::socket::Probe;
#[cfg(all(feature = "rawsocket", unix))]
use wamp_transport::socket::dial_unix;
#[cfg(any(feature = "ws", feature = "rawsocket"))]
use wamp_transport::socket::{Socket, dial_tcp};
#[cfg(all(feature = "tls", any(feature = "ws", feature = "rawsocket")))]
use {super::tls, tokio_rustls::client::TlsStream, wamp_transport::socket::AnyStream};

use super::error::ConnectError;
#[cfg(any(feature = "ws", feature = "rawsocket"))]
use super::error::ConnectErrorKind;
#[cfg(any(feature = "ws", feature = "rawsocket"))]
use super::join::join;
use super::join::{Joining, Opening};
use super::settings::Settings;

/// Connects, in time; what it gives joins.
pub(super) async fn open(url: String, settings: Settings) -> Result<Joining, ConnectError> {
    let timeout = settings.timeout;
    match tokio::time::timeout(timeout, open_any(&url, settings)).await {
        Ok(joining) => joining?.await,
        Err(_) => Err(ConnectError::timeout(Some(&url), "the connection took too long")),
    }
}

#[cfg_attr(not(any(feature = "rawsocket", all(feature = "tls", feature = "ws"))), expect(unused_variables))]
async fn open_any(url: &str, settings: Settings) -> Result<Opening, ConnectError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(ConnectError::bad_url(url, "it must begin with ws://, rs:// or rs+unix://"));
    };
    match scheme {
        #[cfg(feature = "ws")]
        "ws" => websocket(tcp(url, &ws_address(url)?).await?, url.to_owned(), settings).await,
        #[cfg(feature = "rawsocket")]
        "rs" => rawsocket(tcp(url, rs_address(url, rest)?).await?, url.to_owned(), settings).await,
        #[cfg(all(feature = "rawsocket", unix))]
        "rs+unix" => rawsocket(unix(url, rest).await?, url.to_owned(), settings).await,
        #[cfg(not(feature = "ws"))]
        "ws" => Err(ConnectError::bad_url(url, "WebSocket is not built in (the cargo feature `ws`)")),
        #[cfg(not(feature = "rawsocket"))]
        "rs" | "rs+unix" => {
            Err(ConnectError::bad_url(url, "RawSocket is not built in (the cargo feature `rawsocket`)"))
        }
        #[cfg(all(feature = "rawsocket", not(unix)))]
        "rs+unix" => Err(ConnectError::bad_url(url, "there are no Unix sockets here")),
        #[cfg(all(feature = "tls", feature = "ws"))]
        "wss" => websocket(over_tls(url, rest, Some(443), &settings).await?, url.to_owned(), settings).await,
        #[cfg(all(feature = "tls", feature = "rawsocket"))]
        "rss" => rawsocket(over_tls(url, rest, None, &settings).await?, url.to_owned(), settings).await,
        #[cfg(not(all(feature = "tls", feature = "ws")))]
        "wss" => Err(ConnectError::no_tls(url)),
        #[cfg(not(all(feature = "tls", feature = "rawsocket")))]
        "rss" => Err(ConnectError::no_tls(url)),
        _ => Err(ConnectError::bad_url(url, "it must begin with ws://, rs:// or rs+unix://")),
    }
}

#[cfg(any(feature = "ws", feature = "rawsocket"))]
async fn tcp(url: &str, address: &str) -> Result<tokio::net::TcpStream, ConnectError> {
    dial_tcp(address).await.map_err(|error| ConnectError::new(url, ConnectErrorKind::Connect, error))
}

#[cfg(all(feature = "rawsocket", unix))]
async fn unix(url: &str, path: &str) -> Result<tokio::net::UnixStream, ConnectError> {
    if !path.starts_with('/') {
        return Err(ConnectError::bad_url(url, "it must be rs+unix:///path"));
    }
    dial_unix(path).await.map_err(|error| ConnectError::new(url, ConnectErrorKind::Connect, error))
}

/// Connects to the host of a URL, and begins TLS.
#[cfg(all(feature = "tls", any(feature = "ws", feature = "rawsocket")))]
async fn over_tls(
    url: &str,
    rest: &str,
    default_port: Option<u16>,
    settings: &Settings,
) -> Result<AnyStream<TlsStream<tokio::net::TcpStream>>, ConnectError> {
    let (host, port) = tls::host_and_port(url, rest, default_port)?;
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    settings.tls.over(url, &host, tcp(url, &address).await?).await
}

#[cfg(feature = "ws")]
fn ws_address(url: &str) -> Result<String, ConnectError> {
    wamp_transport_ws::tcp_address(url).map_err(|error| ConnectError::from_ws(url, error))
}

#[cfg(feature = "rawsocket")]
fn rs_address<'a>(url: &str, address: &'a str) -> Result<&'a str, ConnectError> {
    let address = address.trim_end_matches('/');
    if address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
        return Err(ConnectError::bad_url(url, "it must be rs://host:port"));
    }
    Ok(address)
}

#[cfg(feature = "ws")]
async fn websocket<S: Socket>(socket: S, url: String, settings: Settings) -> Result<Opening, ConnectError> {
    let config = wamp_transport_ws::Config {
        max_receive: settings.max_message,
        ..wamp_transport_ws::Config::default()
    };
    let offers = settings.serializer.as_ref().map_or(Serializer::ALL, std::slice::from_ref);
    match wamp_transport_ws::connect(socket, &url, offers, &config).await {
        Ok(transport) => Ok(Box::pin(join(transport, settings, Some(url)))),
        Err(error) => Err(ConnectError::from_ws(&url, error)),
    }
}

#[cfg(feature = "rawsocket")]
async fn rawsocket<S: Socket>(socket: S, url: String, settings: Settings) -> Result<Opening, ConnectError> {
    let config = wamp_transport_rawsocket::Config {
        max_receive: settings.max_message,
        ..wamp_transport_rawsocket::Config::default()
    };
    // MessagePack, if it is built in.
    let Some(serializer) = settings.serializer.or_else(|| Serializer::ALL.first().copied()) else {
        return Err(ConnectError::bad_url(&url, "no serializer is built in"));
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
        Ok(transport) => Ok(Box::pin(join(transport, settings, Some(url)))),
        Err(error) => Err(ConnectError::from_rawsocket(&url, error)),
    }
}
