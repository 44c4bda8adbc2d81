//! The state that outlives the connections of a session that comes back: its machine, and its declarations.

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
use crate::link::testaments::Testament;

/// The state that outlives the connections of a session.
pub(crate) struct Comeback {
    core: Mutex<Core>,
    /// Notified after each input of the machine.
    pub(super) wake: Notify,
    pub(super) start: Instant,
    pub(super) dialer: Dialer,
}

/// The state behind the lock of a [`Comeback`]. Under it no lock of an engine is taken, and no value of the
/// application is dropped.
pub(super) struct Core {
    pub(super) machine: reconnect::Link,
    /// The engine of the present connection, from WELCOME to its end.
    pub(super) engine: Option<Arc<Engine>>,
    pub(super) kept: BTreeMap<DeclarationId, Kept>,
    /// The testaments, in their order.
    pub(super) testaments: Vec<Testament>,
    pub(super) watchers: Vec<Weak<StateInbox>>,
    /// The counters of earlier connections.
    pub(super) before: Stats,
    /// The failure of the last attempt.
    pub(super) error: Option<ConnectError>,
    /// The end of the last connection.
    pub(super) closed: Closed,
}

impl Comeback {
    /// The settings for later connections.
    pub(crate) fn new(machine: reconnect::Link, start: Instant, dialer: Dialer, engine: Arc<Engine>) -> Self {
        let core = Core {
            machine,
            engine: Some(engine),
            kept: BTreeMap::new(),
            testaments: Vec::new(),
            watchers: Vec::new(),
            before: Stats::default(),
            error: None,
            closed: Closed::Lost,
        };
        Self { core: Mutex::new(core), wake: Notify::new(), start, dialer }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic under the lock would be a bug; the tables stay valid.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine's next deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timeout = self.lock().machine.poll_timeout();
        timeout.and_then(|time| self.start.checked_add(time.since_origin()))
    }
}

impl Core {
    /// Notifies the watchers.
    pub(super) fn push(&mut self, state: ConnectionState, wakers: &mut Vec<Waker>) {
        self.watchers.retain(|watcher| {
            let Some(watcher) = watcher.upgrade() else { return false };
            if watcher.push(0, wakers, |_| state.clone()).is_err() {
                tracing::debug!(
                    "dropped a change of the connection for a reader of `states` that is too far behind"
                );
            }
            true
        });
    }
}
