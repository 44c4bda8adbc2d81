//! The builder of a session: from a URL, or from a transport of your own.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::reconnect::{self, Action};
use wamp_proto::{ByteString, Serializer, Uri};
use wamp_transport::Transport;

use crate::auth::Credentials;
use crate::connect::dialer::{Dialer, Place};
use crate::connect::error::ConnectError;
use crate::connect::join::{Opening, join};
use crate::connect::settings::Settings;
#[cfg(feature = "dial")]
use crate::connect::tcp::Proxy;
use crate::deferred::Deferred;
use crate::engine::silence::Keepalive;
use crate::link::Link;
use crate::link::comeback::Comeback;
use crate::link::supervisor::supervise;
use crate::session::Session;

/// Connects to a router and joins a realm, by default `realm1`.
///
/// | URL | transport |
/// |---|---|
/// | `ws://localhost:8080/ws` | WebSocket |
/// | `rs://localhost:8080` | RawSocket over TCP |
/// | `rs+unix:///run/wamp.sock` | RawSocket over a Unix socket |
/// | `wss://example.com/ws`, `rss://example.com:8080` | the same over TLS (the cargo feature `tls`, on by default) |
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let session = wamp_client::connect("ws://127.0.0.1:8080/ws").realm("realm1").await?;
/// # Ok(())
/// # }
/// ```
///
/// It must be awaited inside a tokio runtime with time enabled; the tasks of the session are spawned there.
///
/// # Sessions that come back
///
/// The first connection must succeed, unless [`Connect::retry_initial`] says otherwise. After that a lost
/// connection is followed by attempts to get another one, until the session is left or a router gives a final
/// answer, for example that there is no such realm. All handles stay valid. Procedures and topics are
/// registered and subscribed to again, with their options, before the session is
/// [up](crate::ConnectionState::Up) again; calls under way fail at once with
/// [`Disconnected`](crate::CallError::Disconnected), and so do new ones until then, unless [`Call::when_up`]
/// or [`Call::retry`] says otherwise. Nothing is buffered, and events published meanwhile are missed.
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

/// A request for a connection: its settings, and a future of the session.
#[must_use = "nothing happens until it is awaited"]
pub struct Connect(Deferred<'static, Connecting, Result<Session, ConnectError>>);

struct Connecting {
    settings: Settings,
    target: Target,
    config: reconnect::Config,
}

enum Target {
    Places(Vec<Place>),
    Once(Box<dyn FnOnce(Settings) -> Opening + Send>),
}

impl Connect {
    fn new(target: Target) -> Self {
        let comes_back = matches!(target, Target::Places(_));
        let settings = Settings { comes_back, ..Settings::default() };
        Self(Deferred::new(Connecting { settings, target, config: reconnect::Config::new(1) }))
    }

    fn with(mut self, change: impl FnOnce(&mut Connecting)) -> Self {
        self.0.set(change);
        self
    }

    /// Returns the connection as a future, for functions that take no builder.
    pub fn send(self) -> impl Future<Output = Result<Session, ConnectError>> + Send + use<> {
        self
    }

    /// Adds another URL of the same realm, of any scheme. Each attempt to connect uses the next one.
    pub fn or(self, url: impl Into<String>) -> Self {
        self.with(|it| {
            if let Target::Places(places) = &mut it.target {
                places.push(Place::Url(url.into()));
            }
        })
    }

    /// Trusts the authorities with these certificates, in PEM, and no others. By default the operating system
    /// verifies certificates.
    #[cfg(feature = "tls")]
    pub fn ca(self, pem: impl Into<Vec<u8>>) -> Self {
        self.with_tls(|tls| tls.authorities(pem))
    }

    /// Shows the router this chain of certificates, with its private key; both in PEM.
    #[cfg(feature = "tls")]
    pub fn client_cert(self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.with_tls(|tls| tls.certificate(chain, key))
    }

    /// Requires a certificate for this name instead of the host of the URL.
    #[cfg(feature = "tls")]
    pub fn server_name(self, name: impl Into<String>) -> Self {
        self.with_tls(|tls| tls.server_name(name))
    }

    /// Uses this configuration of `rustls`. [`ca`](Self::ca) and [`client_cert`](Self::client_cert) then have
    /// no effect.
    #[cfg(feature = "tls")]
    pub fn tls_config(self, config: Arc<wamp_tls::rustls::ClientConfig>) -> Self {
        self.with_tls(|tls| tls.config(config))
    }

    #[cfg(feature = "tls")]
    fn with_tls(self, change: impl FnOnce(wamp_tls::Client) -> wamp_tls::Client) -> Self {
        self.with(|it| it.settings.tls = change(std::mem::take(&mut it.settings.tls)))
    }

    /// Connects through a proxy: `http://user:password@proxy:3128` (CONNECT), `socks5h://proxy:1080`, where the proxy
    /// looks up the name of the router, or `socks5://proxy:1080`, where the client does.
    ///
    /// By default the environment names the proxy, unless the router is on this machine: `HTTPS_PROXY` (for
    /// `wss://` only), then `ALL_PROXY`; `NO_PROXY` lists the hosts without a proxy. The names may be in
    /// lower case.
    #[cfg(feature = "dial")]
    pub fn proxy(self, url: impl Into<String>) -> Self {
        self.with(|it| it.settings.proxy = Proxy::Given(url.into()))
    }

    /// Connects through no proxy, and ignores the environment.
    #[cfg(feature = "dial")]
    pub fn no_proxy(self) -> Self {
        self.with(|it| it.settings.proxy = Proxy::None)
    }

    /// Ends the session with its connection.
    pub fn no_reconnect(self) -> Self {
        self.with(|it| it.settings.comes_back = false)
    }

    /// Waits for the first connection as for later ones. By default each URL is tried once.
    pub fn retry_initial(self) -> Self {
        self.with(|it| it.config.waits_for_first = true)
    }

    /// Also reconnects after an administrator has closed the session (`wamp.close.*`). By default only a
    /// shutdown of the router is followed by attempts to reconnect.
    pub fn return_after_close(self) -> Self {
        self.with(|it| it.config.returns_after_close = true)
    }

    /// The shortest and the longest delay before an attempt to reconnect; 250 ms and 15 s by default. Delays
    /// double from one attempt to the next; each is drawn at random between once and twice that value.
    pub fn backoff(self, first: Duration, longest: Duration) -> Self {
        self.with(|it| (it.config.first_delay, it.config.longest_delay) = (first, longest))
    }

    /// Sets the realm; `realm1` by default.
    pub fn realm(self, realm: impl Into<Uri>) -> Self {
        self.with(|it| it.settings.config.realm = realm.into())
    }

    /// Sets the only serializer to offer. By default a WebSocket connection offers all serializers of this
    /// build, and a RawSocket connection asks for MessagePack.
    pub fn serializer(self, serializer: Serializer) -> Self {
        self.with(|it| it.settings.serializer = Some(serializer))
    }

    /// Sets the longest message to accept, in bytes; 16 MiB by default. A RawSocket handshake announces it.
    pub fn max_message(self, bytes: usize) -> Self {
        self.with(|it| it.settings.max_message = bytes)
    }

    /// Sets the name of this client's software in HELLO.
    pub fn agent(self, agent: impl Into<ByteString>) -> Self {
        self.with(|it| it.settings.config.agent = agent.into())
    }

    /// Offers a credential. Several are offered in the order of these calls, and must have the same authid; the router
    /// chooses. Without any the session is anonymous. See [`auth`](crate::auth).
    pub fn auth(self, credentials: impl Credentials) -> Self {
        self.with(|it| it.settings.auth.push(Arc::new(credentials)))
    }

    /// Sets the role to ask for, one of the roles of the authid.
    pub fn authrole(self, authrole: impl Into<ByteString>) -> Self {
        self.with(|it| it.settings.config.authrole = Some(authrole.into()))
    }

    /// Sets the authentication id to ask for.
    pub fn authid(self, authid: impl Into<ByteString>) -> Self {
        self.with(|it| it.settings.config.authid = Some(authid.into()))
    }

    /// Sets how the session detects a silent router; `None` turns that off.
    pub fn keepalive(self, keepalive: impl Into<Option<Keepalive>>) -> Self {
        self.with(|it| it.settings.keepalive = keepalive.into())
    }

    /// Sets how long connecting may take, and after it the router's answer to HELLO; 10 s by default.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.with(|it| it.settings.timeout = timeout)
    }
}

impl Future for Connect {
    type Output = Result<Session, ConnectError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx, |connecting| {
            let Connecting { settings, target, config } = connecting;
            match target {
                Target::Places(places) => Box::pin(first_session(Dialer { settings, places }, config)),
                Target::Once(open) => {
                    let joining = open(settings);
                    Box::pin(async move { Ok(Session::new(Link::once(joining.await?.joined()))) })
                }
            }
        })
    }
}

/// Without the URLs, which may have passwords.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").finish_non_exhaustive()
    }
}

/// Makes attempts until one succeeds or none is left.
async fn first_session(dialer: Dialer, mut config: reconnect::Config) -> Result<Session, ConnectError> {
    // A URL that can never work is reported at once, and not when its turn comes.
    #[cfg(feature = "dial")]
    dialer.check()?;
    config.urls = dialer.places.len();
    let start = Instant::now();
    // Different clients have different delays.
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
                    tokio::time::sleep(at.since_origin().saturating_sub(start.elapsed())).await;
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
