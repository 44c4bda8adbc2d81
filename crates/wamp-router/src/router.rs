//! The router: its realms, and the links that it serves.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use wamp_core::router::{Seeds, Sizes, Stats};
use wamp_proto::Uri;
use wamp_transport::Transport;
use wamp_transport::socket::Peer;

use crate::budget::Budget;
use crate::config::{Builder, Limits, Shutdown};
use crate::connections::Connections;
use crate::link;
use crate::realm::Realm;
use crate::refusals::Refusals;
use crate::relief;
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
    shared: Arc<Shared>,
    /// The task that looks after memory.
    relief: AbortHandle,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
        self.relief.abort();
    }
}

/// Seeds for a realm, from the system.
fn seeds() -> Seeds {
    let mut random = [0; 48];
    getrandom::fill(&mut random).expect("a system without random numbers is none to run a router on");
    Seeds::new(random)
}

/// What links and listeners need of a router; it does not keep the router alive.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) realms: HashMap<Uri, Arc<Realm>>,
    pub(crate) limits: Limits,
    /// What is queued for all links.
    pub(crate) budget: Arc<Budget>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) anonymous_on_public: bool,
    pub(crate) shutdown: Shutdown,
    /// Set when the router shuts down.
    pub(crate) closing: watch::Sender<bool>,
    links: AtomicUsize,
    /// The last link has ended.
    idle: Notify,
}

impl Shared {
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Says GOODBYE to everybody, and lets nobody in any more.
    fn close(&self) {
        if self.closing.send_replace(true) {
            return;
        }
        for realm in self.realms.values() {
            realm.with_at_once(|machine, now| machine.shut_down(now));
        }
    }

    /// Counts a link until the guard is dropped.
    pub(crate) fn count(self: &Arc<Self>) -> Counted {
        self.links.fetch_add(1, Ordering::AcqRel);
        Counted(self.clone())
    }
}

/// A link that is being served.
pub(crate) struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.links.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl Default for Router {
    fn default() -> Self {
        Builder::default().build()
    }
}

impl Router {
    /// Begins to put a router together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(config: Builder) -> Self {
        let realms: HashMap<Uri, Arc<Realm>> = config
            .realms
            .into_iter()
            .map(|realm| (realm.name.clone(), Arc::new(Realm::new(realm, seeds()))))
            .collect();
        for realm in realms.values() {
            tokio::spawn(realm.clone().watch_deadlines());
        }
        let budget = Arc::new(Budget::new(&config.limits));
        let relief = tokio::spawn(relief::watch(budget.clone(), config.limits)).abort_handle();
        let shared = Arc::new(Shared {
            realms,
            budget,
            connections: Arc::new(Connections::new(config.limits.connections)),
            refusals: Arc::default(),
            limits: config.limits,
            anonymous_on_public: config.anonymous_on_public,
            shutdown: config.shutdown,
            closing: watch::Sender::new(false),
            links: AtomicUsize::new(0),
            idle: Notify::new(),
        });
        Self { handle: Arc::new(Handle { shared, relief }) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// Serves a connection that already stands, over any transport: the other end of an in-memory pair, or a
    /// transport of your own.
    pub fn attach<T: Transport>(&self, transport: T) {
        let counted = self.shared().count();
        let link = link::serve(self.shared().clone(), transport, Peer::Other, Instant::now(), None);
        tokio::spawn(async move {
            link.await;
            drop(counted);
        });
    }

    /// What has been counted in all realms, and how much there is now.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let router = wamp_router::Router::default();
    /// let stats = router.stats();
    /// println!("{} sessions, {} octets queued", stats.sessions, stats.octets_queued);
    /// println!("{} results, {} of them progressive", stats.results, stats.progressive_results);
    /// println!("held {} times, {:?} in all", stats.holds, stats.held_time);
    /// # }
    /// ```
    pub fn stats(&self) -> RouterStats {
        let shared = self.shared();
        let mut sum = RouterStats::default();
        for realm in shared.realms.values() {
            let (stats, sizes) = realm.stats();
            sum.add(stats, sizes, realm.held_time());
        }
        (sum.connections, sum.refusals) = (shared.connections.now(), shared.connections.refused());
        let budget = &shared.budget;
        sum.octets_queued = budget.queued();
        sum.memory =
            Memory { limit: budget.limit(), queued: budget.queued_memory(), receiving: budget.receiving() };
        sum.gave_way = budget.holders.given_up();
        sum
    }

    /// What a realm has counted, and how much it holds; `None` if there is no such realm.
    pub fn realm_stats(&self, realm: &str) -> Option<(Stats, Sizes)> {
        self.shared().realms.get(realm).map(|realm| realm.stats())
    }

    /// Ends all sessions with GOODBYE `wamp.close.system_shutdown` (or as [`Shutdown`] says), closes all listeners, and waits until the
    /// links have ended, at most as long as [`Limits::shutdown`].
    pub async fn shut_down(&self) {
        let shared = self.shared();
        shared.close();
        let idle = async {
            loop {
                let notified = shared.idle.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if shared.links.load(Ordering::Acquire) == 0 {
                    return;
                }
                notified.await;
            }
        };
        if tokio::time::timeout(shared.limits.shutdown, idle).await.is_err() {
            tracing::warn!(links = shared.links.load(Ordering::Acquire), "shut down with links still open");
        }
    }
}
