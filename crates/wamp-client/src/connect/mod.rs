//! From a URL, or from a transport of your own, to a session.
//!
//! A new transport is a scheme in `open`.

mod dialer;
mod error;
#[cfg(feature = "tls")]
#[cfg_attr(not(any(feature = "ws", feature = "rawsocket")), allow(dead_code))]
mod tls;

use std::future::{Future, IntoFuture};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::reconnect::{self, Action};
use wamp_core::session::{self, Config};
use wamp_proto::{ByteString, Serializer, Uri};
#[cfg(feature = "rawsocket")]
use wamp_transport::socket::Probe;
#[cfg(all(feature = "rawsocket", unix))]
use wamp_transport::socket::dial_unix;
#[cfg(any(feature = "ws", feature = "rawsocket"))]
use wamp_transport::socket::{Socket, dial_tcp};
use wamp_transport::{Queue, Transport};
#[cfg(all(feature = "tls", any(feature = "ws", feature = "rawsocket")))]
use {tokio_rustls::client::TlsStream, wamp_transport::socket::AnyStream};

pub(crate) use dialer::{Dialer, Joining};
use dialer::{Opening, Place};
pub use error::{ConnectError, ConnectErrorKind};

use crate::engine::shared::Engine;
use crate::engine::silence::{Keepalive, Watch};
use crate::engine::state::State;
use crate::engine::{reader, writer};
use crate::link::Link;
use crate::link::comeback::Comeback;
use crate::link::supervisor::supervise;
use crate::session::Session;

type Connecting = Pin<Box<dyn Future<Output = Result<Session, ConnectError>> + Send>>;

/// Connects to a router and joins a realm, by default `realm1`.
///
/// | URL | transport |
/// |---|---|
/// | `ws://localhost:8080/ws` | WebSocket |
/// | `rs://localhost:8080` | RawSocket over TCP |
/// | `rs+unix:///run/wamp.sock` | RawSocket over a Unix socket |
/// | `wss://example.com/ws`, `rss://example.com:8080` | the same over TLS (the cargo feature `tls`) |
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let session = wamp_client::connect("ws://127.0.0.1:8080/ws").realm("realm1").await?;
/// # Ok(())
/// # }
/// ```
///
/// Must be awaited inside a tokio runtime with time enabled; tasks for the session are spawned there.
///
/// # Sessions that come back
///
/// The first connection must succeed, unless [`Connect::retry_initial`] says otherwise. After that a lost connection is
/// followed by attempts to get another one, until the session is left or a router gives a final answer, as that there is
/// no such realm. All handles stay valid. Procedures and topics are registered and subscribed to again, with their
/// options, before the session is [up](crate::ConnectionState::Up) again; calls under way fail at once with
/// [`Disconnected`](crate::CallError::Disconnected), and so do new ones until then, unless [`Call::when_up`] or
/// [`Call::retry`] say otherwise. Nothing is buffered, and events that are published meanwhile are missed.
///
/// [`Call::when_up`]: crate::Call::when_up
/// [`Call::retry`]: crate::Call::retry
pub fn connect(url: impl Into<String>) -> Connect {
    Connect::new(Target::Places(vec![Place::Url(url.into())]))
}

/// Sources of sessions other than [`connect`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Client;

impl Client {
    /// Joins a realm over a transport of your own, or over one end of a [`wamp_transport::memory::pair`]. The session
    /// ends with this transport; see [`with_connector`](Self::with_connector) for one that comes back.
    ///
    /// The transport has its serializer already, so [`Connect::serializer`] changes nothing.
    pub fn over<T: Transport>(transport: T) -> Connect {
        let open = move |settings: Settings| -> Opening { Box::pin(join(transport, settings, None)) };
        Connect::new(Target::Once(Box::new(open)))
    }

    /// Joins a realm over a transport that a function makes, once for each connection.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use wamp_client::{Client, Serializer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let router = Arc::new(wamp_router::Router::default());
    /// let session = Client::with_connector(move || {
    ///     let (ours, theirs) = wamp_transport::memory::pair(Serializer::Json);
    ///     router.attach(theirs);
    ///     async { Ok(ours) }
    /// })
    /// .await?;
    /// # session.leave().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_connector<C, F, T>(connector: C) -> Connect
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = std::io::Result<T>> + Send + 'static,
        T: Transport,
    {
        let open = move |settings: Settings| -> Opening {
            let connecting = connector();
            Box::pin(async move {
                let timeout = settings.timeout;
                match tokio::time::timeout(timeout, connecting).await {
                    Ok(Ok(transport)) => join(transport, settings, None).await,
                    Ok(Err(error)) => Err(ConnectError::from_connector(error)),
                    Err(_) => Err(ConnectError::timeout(None, "the connection took too long")),
                }
            })
        };
        Connect::new(Target::Places(vec![Place::Connector(Box::new(open))]))
    }
}

/// The settings of a connection to be made. Await it.
#[must_use = "nothing happens until it is awaited"]
pub struct Connect {
    settings: Settings,
    target: Target,
    config: reconnect::Config,
    comes_back: bool,
}

enum Target {
    Places(Vec<Place>),
    Once(Box<dyn FnOnce(Settings) -> Opening + Send>),
}

#[derive(Clone)]
struct Settings {
    config: Config,
    serializer: Option<Serializer>,
    max_message: usize,
    timeout: Duration,
    keepalive: Option<Keepalive>,
    /// The session may get another connection.
    comes_back: bool,
    #[cfg(feature = "tls")]
    tls: tls::Tls,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: Config::new("realm1"),
            serializer: None,
            max_message: 16 << 20,
            timeout: Duration::from_secs(10),
            keepalive: Some(Keepalive::default()),
            comes_back: false,
            #[cfg(feature = "tls")]
            tls: tls::Tls::default(),
        }
    }
}

impl Connect {
    fn new(target: Target) -> Self {
        let comes_back = matches!(target, Target::Places(_));
        Self { settings: Settings::default(), target, config: reconnect::Config::new(1), comes_back }
    }

    /// Another URL of the same realm. Each attempt to connect takes the next one.
    pub fn or(mut self, url: impl Into<String>) -> Self {
        if let Target::Places(places) = &mut self.target {
            places.push(Place::Url(url.into()));
        }
        self
    }

    /// Trusts the authorities whose certificates these are, in PEM, and no others. By default those of the operating
    /// system are trusted.
    #[cfg(feature = "tls")]
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.tls.ca = Some(pem.into());
        self
    }

    /// Shows the router this chain of certificates, for which this is the key; both in PEM.
    #[cfg(feature = "tls")]
    pub fn client_cert(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.settings.tls.client = Some((chain.into(), key.into()));
        self
    }

    /// Wants the certificate to be for this name instead of the host of the URL.
    #[cfg(feature = "tls")]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.settings.tls.server_name = Some(name.into());
        self
    }

    /// Does TLS as this says. [`ca`](Self::ca) and [`client_cert`](Self::client_cert) change nothing then.
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: Arc<tokio_rustls::rustls::ClientConfig>) -> Self {
        self.settings.tls.config = Some(config);
        self
    }

    /// Ends the session with its connection.
    pub fn no_reconnect(mut self) -> Self {
        self.comes_back = false;
        self
    }

    /// Waits for the first connection like for all later ones. By default each URL is tried once.
    pub fn retry_initial(mut self) -> Self {
        self.config.waits_for_first = true;
        self
    }

    /// Comes back also after an administrator has closed the session (`wamp.close.*`). By default only the shutdown of the
    /// router is followed by attempts to reconnect.
    pub fn return_after_close(mut self) -> Self {
        self.config.returns_after_close = true;
        self
    }

    /// The shortest and the longest delay before an attempt to reconnect; 250 ms and 15 s by default. Delays double from
    /// one attempt to the next, and each is drawn from once to twice that.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        (self.config.first_delay, self.config.longest_delay) = (first, longest);
        self
    }

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
    type IntoFuture = Connecting;

    fn into_future(self) -> Connecting {
        let Connect { mut settings, target, config, comes_back } = self;
        settings.comes_back = comes_back;
        match target {
            Target::Places(places) => Box::pin(first_session(Dialer { settings, places }, config)),
            Target::Once(open) => {
                let joining = open(settings);
                Box::pin(async move { Ok(Session::new(Link::once(joining.await?.joined()))) })
            }
        }
    }
}

/// Makes attempts until one succeeds or there is no other.
async fn first_session(dialer: Dialer, mut config: reconnect::Config) -> Result<Session, ConnectError> {
    config.urls = dialer.places.len();
    let start = Instant::now();
    // No two clients wait equally long.
    let mut machine = reconnect::Link::new(config, RandomState::new().hash_one(()));
    let mut last = None;
    let engine = loop {
        let now = Time::after(start.elapsed());
        match machine.poll_action() {
            Some(Action::Dial { url }) => match dialer.dial(url).await {
                Ok(joining) => break joining.joined(),
                Err(error) => {
                    tracing::debug!(%error, "an attempt to connect has failed");
                    machine.handle_failed(Time::after(start.elapsed()), error.fault());
                    last = Some(error);
                }
            },
            // Nothing is declared yet.
            Some(Action::Ask(_)) => {}
            None => match (machine.poll_timeout(), last.take()) {
                (Some(at), _) => {
                    tokio::time::sleep_until(start + at.since_origin()).await;
                    machine.handle_timeout(now.max(at));
                }
                (None, Some(error)) => return Err(error),
                (None, None) => return Err(ConnectError::no_url()),
            },
        }
    };
    machine.handle_joined(Time::after(start.elapsed()));
    while machine.poll_event().is_some() {}
    if !dialer.settings.comes_back {
        return Ok(Session::new(Link::once(engine)));
    }
    let link = Link::lasting(engine.clone(), Comeback::new(machine, start, dialer, engine.clone()));
    engine.runtime().spawn(supervise(link.clone(), engine.clone()));
    Ok(Session::new(link))
}

/// Connects, in time; what it gives joins.
async fn open(url: String, settings: Settings) -> Result<Joining, ConnectError> {
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

/// Sends HELLO over an established connection and waits for the answer.
async fn join<T: Transport>(
    transport: T,
    settings: Settings,
    url: Option<String>,
) -> Result<Joining, ConnectError> {
    let Settings { mut config, max_message, timeout, keepalive, comes_back, .. } = settings;
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
    let mut state = State::new(core, queue, waiter);
    state.keeps_feeds = comes_back;
    let engine = Engine::new(state, max_send, Instant::now());
    let (read, write) = transport.split();
    engine.runtime().spawn(reader::read(Arc::clone(&engine), read, max_message, watch));
    engine.runtime().spawn(writer::write(Arc::clone(&engine), write, keepalive.map(|it| it.write)));
    // From here on dropping the future ends the session.
    let joining = Joining(Some(engine.clone()));
    engine.with(|_, _| ());
    match joined.await {
        Ok(Ok(joined)) => {
            engine.set_joined(*joined);
            Ok(joining)
        }
        Ok(Err(closed)) => Err(ConnectError::from_closed(url.as_deref(), closed)),
        // The waiter is kept until it is told.
        Err(_) => Err(ConnectError::from_closed(url.as_deref(), session::Closed::Lost)),
    }
}
