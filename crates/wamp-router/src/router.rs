//! The router: its realms, and the links that it serves.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wamp_core::router::{Sizes, Stats};
use wamp_transport::socket::Peer;
use wamp_transport::{Transport, memory};

use crate::attempts::Attempts;
use crate::budget::Budget;
use crate::config::Builder;
use crate::connections::Connections;
use crate::link;
use crate::listeners::Listeners;
use crate::own_calls::any_serializer;
use crate::realms::Realms;
use crate::refusals::Refusals;
use crate::relief;
use crate::settings::Settings;
use crate::stats::{Memory, RouterStats};

/// A WAMP router. Cheap to clone; when the last clone is dropped, its links are closed.
///
/// It needs a tokio runtime with I/O and time.
#[derive(Clone, Debug)]
pub struct Router {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    state: Arc<RouterState>,
    /// The task that watches the memory.
    relief: AbortHandle,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.state.close(Duration::ZERO);
        self.relief.abort();
    }
}

/// The state that links and listeners share. It does not keep the router alive.
#[derive(Debug)]
pub(crate) struct RouterState {
    pub(crate) realms: Realms,
    pub(crate) settings: RwLock<Arc<Settings>>,
    pub(crate) listeners: Listeners,
    /// Held while the configuration changes.
    pub(crate) reloading: Mutex<()>,
    /// The memory of all links.
    pub(crate) budget: Arc<Budget>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) attempts: Attempts,
    /// Canceled when the router shuts down.
    pub(crate) closing: CancellationToken,
    /// The tasks of links and listeners, for which a shutdown waits.
    pub(crate) tasks: TaskTracker,
}

impl RouterState {
    /// Returns the settings for connections that begin now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        // Nothing panics while holding it.
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Accepts no more sessions, and sends GOODBYE to all of them within this time.
    fn close(&self, spread: Duration) {
        self.tasks.close();
        self.closing.cancel();
        for realm in self.realms.all() {
            realm.with_at_once(|machine, now| machine.shut_down_over(now, spread));
        }
    }
}

impl Builder {
    /// Builds the router. It does not listen yet.
    pub fn build(self) -> Router {
        Router::new(self.completed())
    }
}

impl Default for Router {
    fn default() -> Self {
        Builder::default().build()
    }
}

impl Router {
    /// Returns a builder of a router.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn new(config: Builder) -> Self {
        let Builder { realms, settings, .. } = config;
        let limits = settings.limits;
        let budget = Arc::new(Budget::new(&limits));
        let relief = tokio::spawn(relief::watch(budget.clone())).abort_handle();
        let state = Arc::new_cyclic(|router| RouterState {
            realms: Realms::new(realms, router.clone()),
            settings: RwLock::new(Arc::new(settings)),
            listeners: Listeners::default(),
            reloading: Mutex::default(),
            budget,
            connections: Arc::new(Connections::new(limits.connections)),
            refusals: Arc::default(),
            attempts: Attempts::new(limits.failed_proofs),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        Self { handle: Arc::new(Handle { state, relief }) }
    }

    pub(crate) fn state(&self) -> &Arc<RouterState> {
        &self.handle.state
    }

    /// Returns whether clients of TCP begin with TLS, or may do so.
    pub fn has_tls(&self) -> bool {
        self.state().settings().has_tls()
    }

    /// Serves an established connection, over any transport: the other end of an in-memory pair, or a
    /// transport of your own.
    pub fn attach<T: Transport>(&self, transport: T) {
        let state = self.state();
        let link = link::serve(state.clone(), state.settings(), transport, Peer::Other, Instant::now(), None);
        state.tasks.spawn(link);
    }

    /// Connects a client in the same program: returns one end of a connection in memory, of which the router serves the
    /// other, in the preferred serializer of this build. `Client::over(router.local())` of `wamp-client` joins over it.
    ///
    /// ```
    /// use wamp_transport::Transport;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let router = wamp_router::Router::default();
    /// let (read, write) = router.local().split();
    /// # }
    /// ```
    ///
    /// # Panics
    /// If no serializer is built in.
    pub fn local(&self) -> memory::Memory {
        let (ours, theirs) = memory::pair(any_serializer());
        self.attach(theirs);
        ours
    }

    /// Returns the counters and sizes of all realms together.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let router = wamp_router::Router::default();
    /// let stats = router.stats();
    /// println!("{} sessions, {} bytes queued", stats.now.sessions, stats.bytes_queued);
    /// println!("{} results, {} of them progressive", stats.total.results, stats.total.progressive_results);
    /// println!("held {} times, {:?} in all", stats.total.holds, stats.held_time);
    /// # }
    /// ```
    pub fn stats(&self) -> RouterStats {
        let state = self.state();
        let mut sum = RouterStats::default();
        for realm in state.realms.all() {
            let (total, now) = realm.stats();
            sum.total += total;
            sum.now += now;
            sum.held_time += realm.held_time();
        }
        (sum.connections, sum.refusals) = (state.connections.now(), state.connections.refused());
        let budget = &state.budget;
        sum.bytes_queued = budget.queued();
        sum.memory =
            Memory { limit: budget.limit(), queued: budget.queued_memory(), receiving: budget.receiving() };
        sum.gave_way = budget.holders.given_up();
        sum
    }

    /// Returns the counters and sizes of a realm; `None` if there is no such realm.
    pub fn realm_stats(&self, realm: &str) -> Option<(Stats, Sizes)> {
        self.state().realms.get(realm).map(|realm| realm.stats())
    }

    /// Returns the times for which tasks waited for the lock of a realm and held it; `None` if there is no
    /// such realm.
    #[cfg(feature = "lock-times")]
    pub fn lock_times(&self, realm: &str) -> Option<crate::LockTimes> {
        self.state().realms.get(realm).map(|realm| realm.lock_times())
    }

    /// Ends all sessions with GOODBYE `wamp.close.system_shutdown` (or as [`Shutdown`](crate::Shutdown) says), closes all listeners, and waits until the
    /// links have ended, at most as long as [`Limits::shutdown`](crate::Limits::shutdown) beyond
    /// [`Limits::shutdown_spread`](crate::Limits::shutdown_spread).
    pub async fn shut_down(&self) {
        let state = self.state();
        let limits = state.settings().limits;
        state.close(limits.shutdown_spread);
        let time = limits.shutdown.saturating_add(limits.shutdown_spread);
        if tokio::time::timeout(time, state.tasks.wait()).await.is_err() {
            tracing::warn!(links = state.tasks.len(), "shut down with links still open");
        }
    }
}
