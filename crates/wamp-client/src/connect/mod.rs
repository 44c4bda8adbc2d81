//! From a URL, or from a transport of your own, to a session.
//!
//! A new transport is a scheme in `open`.

mod error;

use std::future::{Future, IntoFuture};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::session::{self, Config};
use wamp_proto::{ByteString, Serializer, Uri};
#[cfg(feature = "rawsocket")]
use wamp_transport::socket::Probe;
#[cfg(all(feature = "rawsocket", unix))]
use wamp_transport::socket::dial_unix;
#[cfg(any(feature = "ws", feature = "rawsocket"))]
use wamp_transport::socket::{Socket, dial_tcp};
use wamp_transport::{Queue, Transport};

pub use error::{ConnectError, ConnectErrorKind};

use crate::engine::shared::Engine;
use crate::engine::silence::{Keepalive, Watch};
use crate::engine::state::State;
use crate::engine::{reader, writer};
use crate::session::Session;

type Opening = Pin<Box<dyn Future<Output = Result<Session, ConnectError>> + Send>>;

/// Connects to a router and joins a realm, by default `realm1`.
///
/// | URL | transport |
/// |---|---|
/// | `ws://localhost:8080/ws` | WebSocket |
/// | `rs://localhost:8080` | RawSocket over TCP |
/// | `rs+unix:///run/wamp.sock` | RawSocket over a Unix socket |
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let session = wamp_client::connect("ws://127.0.0.1:8080/ws").realm("realm1").await?;
/// # Ok(())
/// # }
/// ```
///
/// Must be awaited inside a tokio runtime with time enabled; it spawns two tasks for the session.
pub fn connect(url: impl Into<String>) -> Connect {
    let url = url.into();
    Connect { settings: Settings::default(), target: Target::Url(url) }
}

/// Sources of sessions other than [`connect`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Client;

impl Client {
    /// Joins a realm over a transport of your own, or over one end of a [`wamp_transport::memory::pair`].
    ///
    /// The transport has its serializer already, so [`Connect::serializer`] changes nothing.
    pub fn over<T: Transport>(transport: T) -> Connect {
        let open = move |settings: Settings| -> Opening { Box::pin(join(transport, settings, None)) };
        Connect { settings: Settings::default(), target: Target::Open(Box::new(open)) }
    }
}

/// The settings of a connection to be made. Await it.
#[must_use = "nothing happens until it is awaited"]
pub struct Connect {
    settings: Settings,
    target: Target,
}

enum Target {
    Url(String),
    Open(Box<dyn FnOnce(Settings) -> Opening + Send>),
}

struct Settings {
    config: Config,
    serializer: Option<Serializer>,
    max_message: usize,
    timeout: Duration,
    keepalive: Option<Keepalive>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: Config::new("realm1"),
            serializer: None,
            max_message: 16 << 20,
            timeout: Duration::from_secs(10),
            keepalive: Some(Keepalive::default()),
        }
    }
}

impl Connect {
    /// Sets the realm; `realm1` by default.
    pub fn realm(mut self, realm: impl Into<Uri>) -> Self {
        self.settings.config.realm = realm.into();
        self
    }

    /// Sets the only serializer to offer. By default a WebSocket connection offers all that this build has, and
    /// a RawSocket connection asks for MessagePack.
    pub fn serializer(mut self, serializer: Serializer) -> Self {
        self.settings.serializer = Some(serializer);
        self
    }

    /// Sets the longest message to accept, in bytes; 16 MiB by default. A RawSocket peer is told.
    pub fn max_message(mut self, octets: usize) -> Self {
        self.settings.max_message = octets;
        self
    }

    /// Sets the name of this client's software in HELLO.
    pub fn agent(mut self, agent: impl Into<ByteString>) -> Self {
        self.settings.config.agent = agent.into();
        self
    }

    /// Sets the authentication id to ask for.
    pub fn authid(mut self, authid: impl Into<ByteString>) -> Self {
        self.settings.config.authid = Some(authid.into());
        self
    }

    /// Sets how the session notices a silent router; `None`: never.
    pub fn keepalive(mut self, keepalive: impl Into<Option<Keepalive>>) -> Self {
        self.settings.keepalive = keepalive.into();
        self
    }

    /// Sets how long connecting may take, and after it the router's answer to HELLO; 10 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }
}

impl IntoFuture for Connect {
    type Output = Result<Session, ConnectError>;
    type IntoFuture = Opening;

    fn into_future(self) -> Opening {
        match self.target {
            Target::Url(url) => Box::pin(async move {
                let timeout = self.settings.timeout;
                match tokio::time::timeout(timeout, open(url.clone(), self.settings)).await {
                    Ok(joining) => joining?.await,
                    Err(_) => Err(ConnectError::timeout(&url, "the connection took too long")),
                }
            }),
            Target::Open(open) => open(self.settings),
        }
    }
}

/// Connects. The returned transport has not joined yet.
#[cfg_attr(not(feature = "rawsocket"), expect(unused_variables))]
async fn open(url: String, settings: Settings) -> Result<Opening, ConnectError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(ConnectError::bad_url(&url, "it must begin with ws://, rs:// or rs+unix://"));
    };
    match scheme {
        #[cfg(feature = "ws")]
        "ws" => websocket(tcp(&url, &ws_address(&url)?).await?, url, settings).await,
        #[cfg(feature = "rawsocket")]
        "rs" => rawsocket(tcp(&url, rs_address(&url, rest)?).await?, url, settings).await,
        #[cfg(all(feature = "rawsocket", unix))]
        "rs+unix" => rawsocket(unix(&url, rest).await?, url, settings).await,
        #[cfg(not(feature = "ws"))]
        "ws" => Err(ConnectError::bad_url(&url, "WebSocket is not built in (the cargo feature `ws`)")),
        #[cfg(not(feature = "rawsocket"))]
        "rs" | "rs+unix" => {
            Err(ConnectError::bad_url(&url, "RawSocket is not built in (the cargo feature `rawsocket`)"))
        }
        #[cfg(all(feature = "rawsocket", not(unix)))]
        "rs+unix" => Err(ConnectError::bad_url(&url, "there are no Unix sockets here")),
        "wss" | "rss" => Err(ConnectError::new(&url, ConnectErrorKind::Tls, "TLS is not built in")),
        _ => Err(ConnectError::bad_url(&url, "it must begin with ws://, rs:// or rs+unix://")),
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

/// Sends HELLO over an established connection and waits for the answer.
async fn join<T: Transport>(
    transport: T,
    settings: Settings,
    url: Option<String>,
) -> Result<Session, ConnectError> {
    let Settings { mut config, max_message, timeout, keepalive, .. } = settings;
    config.join_timeout = timeout;
    let (serializer, max_send) = (transport.serializer(), transport.max_send());
    let watch = Watch::new(keepalive, &transport);
    config.credit = Some(session::Credit::new(serializer));
    config.answers_pings = true;
    config.max_send = Some(session::MaxSend::new(serializer, max_send));
    // No router can guess which ids collide in the tables.
    let seed = RandomState::new().hash_one(());
    let mut core = session::Session::new(Time::ORIGIN, config, seed);
    let mut queue = Queue::new(serializer);
    if let Some(hello) = core.poll_transmit() {
        queue.push_within(&hello, max_send).map_err(|error| ConnectError::unsent(url.as_deref(), error))?;
    }
    let (waiter, joined) = oneshot::channel();
    let state = State::new(core, queue, waiter);
    let engine = Engine::new(state, max_send, Instant::now());
    let (read, write) = transport.split();
    engine.runtime().spawn(reader::read(Arc::clone(&engine), read, max_message, watch));
    engine.runtime().spawn(writer::write(Arc::clone(&engine), write, keepalive.map(|it| it.write)));
    // From here on dropping the future ends the session.
    let session = Session::new(&engine);
    engine.with(|_, _| ());
    match joined.await {
        Ok(Ok(joined)) => {
            engine.set_joined(*joined);
            Ok(session)
        }
        Ok(Err(closed)) => Err(ConnectError::from_closed(url.as_deref(), closed)),
        // The waiter is kept until it is told.
        Err(_) => Err(ConnectError::from_closed(url.as_deref(), session::Closed::Lost)),
    }
}
