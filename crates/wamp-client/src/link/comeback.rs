//! What outlives the connections of a session that comes back: the machine that decides, and what is declared anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use tokio::sync::Notify;
use tokio::time::Instant;
use wamp_core::reconnect::{self, DeclarationId};
use wamp_core::session::Closed;

use crate::connect::dialer::Dialer;
use crate::connect::error::ConnectError;
use crate::engine::shared::Engine;
use crate::engine::stats::Stats;
use crate::link::kept::Kept;
use crate::link::states::{ConnectionState, StateInbox};

/// What outlives the connections of a session.
pub(crate) struct Comeback {
    core: Mutex<Core>,
    /// The machine has been told something.
    pub(super) wake: Notify,
    pub(super) start: Instant,
    pub(super) dialer: Dialer,
}

/// What is behind the lock of a [`Comeback`]. No lock of an engine is taken and nothing of the application's is dropped
/// under it.
pub(super) struct Core {
    pub(super) machine: reconnect::Link,
    /// The engine of the present connection, from WELCOME to its end.
    pub(super) engine: Option<Arc<Engine>>,
    pub(super) kept: BTreeMap<DeclarationId, Kept>,
    pub(super) watchers: Vec<Weak<StateInbox>>,
    /// What earlier connections have counted.
    pub(super) before: Stats,
    /// How the last attempt failed.
    pub(super) error: Option<ConnectError>,
    /// How the last connection ended.
    pub(super) closed: Closed,
}

impl Comeback {
    /// What is needed after the first session.
    pub(crate) fn new(machine: reconnect::Link, start: Instant, dialer: Dialer, engine: Arc<Engine>) -> Self {
        let core = Core {
            machine,
            engine: Some(engine),
            kept: BTreeMap::new(),
            watchers: Vec::new(),
            before: Stats::default(),
            error: None,
            closed: Closed::Lost,
        };
        Self { core: Mutex::new(core), wake: Notify::new(), start, dialer }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic under the lock is a bug of ours; the tables hold what they held.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine's next deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timeout = self.lock().machine.poll_timeout();
        timeout.map(|time| self.start + time.since_origin())
    }
}

impl Core {
    /// Tells the watchers.
    pub(super) fn push(&mut self, state: ConnectionState, wakers: &mut Vec<Waker>) {
        self.watchers.retain(|watcher| {
            let Some(watcher) = watcher.upgrade() else { return false };
            if watcher.push(0, wakers, |_| state.clone()).is_err() {
                tracing::debug!("a change of the connection is not heard, since earlier ones are not taken");
            }
            true
        });
    }
}
