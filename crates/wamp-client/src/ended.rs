//! The ends of registrations and subscriptions.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use wamp_core::session::Closed;
use wamp_proto::{Uri, shown};

use crate::error::RequestError;

/// The longest reason of a router that is shown, in bytes.
const SHOWN: usize = 512;

/// The end of a registration or a subscription; see [`Registration::closed`](crate::Registration::closed) and
/// [`Subscription::closed`](crate::Subscription::closed).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The program has unregistered or unsubscribed.
    Withdrawn,
    /// The router revoked it.
    Revoked {
        /// The reason, if the router gives one.
        reason: Option<Uri>,
    },
    /// A later session declared it again, and the router refused.
    Refused(RequestError),
    /// The session is over.
    Session(Closed),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Withdrawn => f.write_str("this program has unregistered or unsubscribed"),
            Ended::Revoked { reason: Some(reason) } => {
                write!(f, "the router revoked it with {}", shown(reason, SHOWN))
            }
            Ended::Revoked { reason: None } => f.write_str("the router revoked it"),
            Ended::Refused(error) => write!(f, "the router did not accept it again: {error}"),
            Ended::Session(closed) => write!(f, "the session is over: {closed}"),
        }
    }
}

/// The end of a registration or subscription, shared by all its handles and over all connections.
pub(crate) struct End(watch::Sender<State>);

#[derive(Default)]
struct State {
    ended: Option<Ended>,
    /// Withdraws the declaration in each connection.
    withdraw: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl End {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::default()))
    }

    /// Records the end. A second one has no effect.
    pub(crate) fn set(&self, ended: Ended) {
        self.0.send_if_modified(|state| {
            let is_first = state.ended.is_none();
            state.ended.get_or_insert(ended);
            is_first
        });
    }

    /// Sets the function that withdraws the declaration. Returns `false` if the end came before.
    pub(crate) fn set_withdraw(&self, withdraw: impl FnOnce() + Send + Sync + 'static) -> bool {
        let mut is_open = false;
        self.0.send_if_modified(|state| {
            is_open = state.ended.is_none();
            state.withdraw = Some(Box::new(withdraw));
            false
        });
        is_open
    }

    /// Withdraws the declaration: it is not repeated. Must not be called under the lock of an engine or a
    /// link.
    pub(crate) fn forget(&self) {
        let mut withdraw = None;
        self.0.send_if_modified(|state| {
            withdraw = state.withdraw.take();
            false
        });
        if let Some(withdraw) = withdraw {
            withdraw();
        }
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> Ended {
        let mut receiver = self.0.subscribe();
        let state = receiver.wait_for(|state| state.ended.is_some()).await;
        // The sender lives as long as this.
        state.ok().and_then(|state| state.ended.clone()).unwrap_or(Ended::Session(Closed::Lost))
    }
}
