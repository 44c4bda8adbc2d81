//! The admin listener: health, metrics, tables, and a page. It answers HTTP/1.1 only.
//!
//! It has few connections, since a proxy or a browser needs few, and each request has a time limit. A reload binds a new
//! address before it changes anything.

mod api;
mod events;
mod guard;
mod metrics;
mod page;
mod process;
mod rows;

use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use axum::Router as Routes;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutWriter;
use wamp_router::Router;
use wamp_tls::Server;

use crate::config::{AdminConfig, Config};

/// The most connections at a time.
const CONNECTIONS: usize = 64;

/// The most event streams at a time.
const WATCHERS: usize = 32;

/// The time for the handshake of TLS, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest head of a request, and the most bytes of a response that wait for the socket.
const BUFFER: usize = 64 << 10;

/// A connection is closed if its peer accepts nothing for this time. A request whose answer has not begun by then, perhaps since
/// its body is missing, is refused.
const STALLED: Duration = Duration::from_secs(30);

/// The admin listener of a router, or its absence.
pub(crate) struct Admin {
    state: Arc<State>,
    listening: Option<Listening>,
}

/// A listener that is served.
struct Listening {
    config: AdminConfig,
    task: JoinHandle<()>,
}

/// A change of the listener that cannot fail any more.
pub(crate) struct Change {
    config: Option<AdminConfig>,
    tls: Option<Server>,
    /// A new listener, if the address is new.
    bound: Option<TcpListener>,
}

/// The state that all requests share.
struct State {
    router: Router,
    started: Instant,
    started_at: SystemTime,
    settings: RwLock<Arc<Settings>>,
    /// Changes with the settings, which ends all event streams and connections.
    version: watch::Sender<u64>,
    watchers: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    /// [`STALLED`], or less in tests.
    stalled: Duration,
}

/// The settings of the listener, which a reload replaces.
struct Settings {
    config: Option<AdminConfig>,
    tls: Option<Server>,
}

/// Changes when the settings are no longer those that a connection was accepted with.
#[derive(Clone)]
struct Version(watch::Receiver<u64>);

/// The address at which a connection was accepted.
#[derive(Clone, Copy)]
struct LocalAddress(SocketAddr);

impl State {
    fn new(router: Router, stalled: Duration) -> Self {
        Self {
            router,
            started: Instant::now(),
            started_at: SystemTime::now(),
            settings: RwLock::new(Arc::new(Settings { config: None, tls: None })),
            version: watch::Sender::new(0),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            stalled,
        }
    }

    fn settings(&self) -> Arc<Settings> {
        // Nothing panics while holding it.
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Admin {
    pub(crate) fn new(router: Router) -> Self {
        Self { state: Arc::new(State::new(router, STALLED)), listening: None }
    }

    /// Binds the address of a configuration, if it is a new one.
    ///
    /// # Errors
    /// The address cannot be used.
    pub(crate) async fn prepare(&self, config: &Config) -> Result<Change, Box<dyn Error>> {
        let tls = config.tls.as_ref().map(|files| files.server.clone());
        let admin = config.admin.clone();
        let is_there = |listen| self.listening.as_ref().is_some_and(|one| one.config.listen == listen);
        let bound = match &admin {
            Some(admin) if !is_there(admin.listen) => {
                let listener = TcpListener::bind(admin.listen).await;
                Some(listener.map_err(|error| format!("admin listener on {}: {error}", admin.listen))?)
            }
            _ => None,
        };
        let tls = tls.filter(|_| admin.as_ref().is_some_and(|admin| admin.tls));
        Ok(Change { config: admin, tls, bound })
    }

    /// Makes a change. Returns lines for standard output.
    pub(crate) async fn commit(&mut self, change: Change) -> Option<String> {
        let Change { config, tls, bound } = change;
        let settings = Settings { config: config.clone(), tls };
        *self.state.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.state.version.send_modify(|version| *version += 1);
        let stays = config.is_some() && bound.is_none();
        if !stays && let Some(old) = self.listening.take() {
            old.task.abort();
            let _ = old.task.await;
        }
        let config = config?;
        let Some(listener) = bound else {
            if let Some(listening) = &mut self.listening {
                listening.config = config;
            }
            return None;
        };
        let address = listener.local_addr().unwrap_or(config.listen);
        let scheme = if config.tls { "https" } else { "http" };
        let task = tokio::spawn(listen(self.state.clone(), listener));
        self.listening = Some(Listening { config, task });
        Some(format!("Admin listener on {scheme}://{address}/"))
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.task.abort();
        }
    }
}

async fn listen(state: Arc<State>, listener: TcpListener) {
    let routes = routes(state.clone());
    loop {
        let Ok(permit) = state.connections.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the admin listener could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (state, routes) = (state.clone(), routes.clone());
        tokio::spawn(async move {
            let _permit = permit;
            serve(state, routes, stream).await;
        });
    }
}

async fn serve(state: Arc<State>, routes: Routes, stream: TcpStream) {
    let Ok(local) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true);
    // Before the settings are read, so that no change of them is missed.
    let version = Version(state.version.subscribe());
    match &state.settings().tls {
        None => answer(&state, routes, local, version, stream).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(&[], stream)).await {
                answer(&state, routes, local, version, stream).await;
            }
        }
    }
}

/// Answers the requests of a connection, until it ends or the settings change.
async fn answer<S>(state: &State, routes: Routes, local: SocketAddr, version: Version, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut changed = version.0.clone();
    let routes = routes.layer(axum::Extension(version)).layer(axum::Extension(LocalAddress(local)));
    let service = TowerToHyperService::new(routes);
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(state.stalled));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(BUFFER);
    let mut connection = pin!(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        // It answers the request that it has, and ends.
        _ = changed.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the admin listener ended");
    }
}

fn routes(state: Arc<State>) -> Routes {
    Routes::new()
        .merge(api::routes())
        .merge(events::routes())
        .merge(metrics::routes())
        .merge(page::routes())
        .layer(axum::middleware::from_fn_with_state(state.clone(), guard::check))
        .with_state(state)
}

#[cfg(test)]
mod tests;
