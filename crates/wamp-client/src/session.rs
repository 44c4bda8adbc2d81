//! The handle of a session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wamp_core::reconnect::Declaration;
use wamp_core::session::{Closed, Joined};
use wamp_proto::{Serializer, SessionId};

use crate::engine::shared::Engine;
use crate::engine::stats::Stats;
use crate::error::SubmitError;
use crate::link::Link;
use crate::link::declared::Declaring;
use crate::link::states::ConnectionStates;

/// A session with a router. Clones are handles of the same session.
///
/// It lives until [`leave`](Self::leave), until the router ends it for good, or until the last handle is dropped,
/// which leaves in the background. A session with a URL comes back when its connection is lost, with everything that
/// is registered and subscribed to; see [`connect`](crate::connect()). Calls, streams and builders are handles too;
/// handlers, registrations and subscriptions are not: a program that has only those waits for
/// [`closed`](Self::closed). A handler that makes calls uses [`Invocation::session`](crate::Invocation::session)
/// instead of a clone, which would keep the session for ever.
#[derive(Clone)]
pub struct Session {
    link: Arc<Link>,
    keep: Keep,
}

#[derive(Clone)]
enum Keep {
    /// Keeps the session alive.
    Session(#[expect(dead_code, reason = "kept for its drop")] Arc<Last>),
    /// In a handler, which was invoked by this engine and does not keep the session.
    Inside(Arc<Engine>),
}

/// Leaves when the last handle is dropped.
struct Last(Arc<Link>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Session {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { keep: Keep::Session(Arc::new(Last(link.clone()))), link }
    }

    /// A handle that does not keep the session.
    pub(crate) fn inside(engine: &Arc<Engine>) -> Self {
        Self { link: Link::of(engine), keep: Keep::Inside(engine.clone()) }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// The engine of the present connection, or of the last one.
    pub(crate) fn engine(&self) -> Arc<Engine> {
        match &self.keep {
            Keep::Session(_) => self.link.engine(),
            Keep::Inside(engine) => self.link.engine_inside(engine),
        }
    }

    pub(crate) fn declare(&self, declaration: Declaration) -> Result<Declaring, SubmitError> {
        self.link.declare(declaration)
    }

    /// The session's id. A session that comes back gets another one.
    pub fn id(&self) -> SessionId {
        self.engine().joined().session
    }

    /// Returns the contents of the latest WELCOME.
    pub fn joined(&self) -> Arc<Joined> {
        self.engine().joined().clone()
    }

    /// The changes of the connection from now on: when it is lost, how attempts to get another one fail, and when the
    /// session is open again. A session that does not come back has none.
    ///
    /// ```no_run
    /// # async fn example(session: wamp_client::Session) {
    /// use wamp_client::ConnectionState;
    ///
    /// let mut states = session.states();
    /// while let Some(state) = states.next().await {
    ///     match state {
    ///         ConnectionState::Up { id, gap } => println!("session {id} after {gap:?}"),
    ///         other => println!("{other:?}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn states(&self) -> ConnectionStates {
        self.link.states()
    }

    /// The serializer of this connection.
    pub fn serializer(&self) -> Serializer {
        self.engine().serializer()
    }

    /// Leaves the realm: writes the queued messages, then GOODBYE, and waits for the router's GOODBYE; for 5
    /// s at most. Calls may still be answered meanwhile; the others end with
    /// [`Disconnected`](crate::CallError::Disconnected). Handlers are canceled.
    pub async fn leave(&self) -> Closed {
        self.link.leave();
        self.closed().await
    }

    /// Ends the session without canceling its running invocations: unregisters its procedures, waits until
    /// the invocations have ended, at most this long, and then [leaves](Self::leave). Calls, subscriptions
    /// and publications go on meanwhile.
    ///
    /// ```
    /// # async fn example(session: wamp_client::Session) {
    /// # async fn terminated() {}
    /// terminated().await; // such as tokio::signal::ctrl_c()
    /// session.drain(std::time::Duration::from_secs(30)).await;
    /// # }
    /// ```
    pub async fn drain(&self, limit: Duration) -> Closed {
        let engine = self.engine();
        self.link.withdraw_procedures();
        let drained = async {
            // Invocations may still arrive until the router has answered.
            for answer in engine.with(|state, now| state.unregister_all(now)) {
                let _ = answer.await;
            }
            engine.without_invocations().await;
        };
        let _ = tokio::time::timeout(limit, drained).await;
        self.leave().await
    }

    /// Waits until the session is over for good, and returns the reason. Queued messages are written by then,
    /// if that was still possible.
    pub async fn closed(&self) -> Closed {
        self.link.closed().await
    }

    /// Whether requests can be made.
    pub fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// The counters of ignored messages.
    pub fn stats(&self) -> Stats {
        self.link.stats()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish_non_exhaustive()
    }
}
