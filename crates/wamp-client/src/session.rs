//! The handle of a session.

use std::fmt;
use std::sync::Arc;

use wamp_core::session::{Closed, Joined};
use wamp_proto::{Serializer, SessionId};

use crate::engine::shared::Engine;

/// A session with a router. Clones are handles of the same session.
///
/// It lives until [`leave`](Self::leave), until the router ends it or the connection is lost, or until the last
/// handle is dropped, which leaves in the background. Calls, streams and builders are handles too; handlers,
/// registrations and subscriptions are not: a program that has only those waits for [`closed`](Self::closed). A
/// handler that makes calls uses [`Invocation::session`](crate::Invocation::session) instead of a clone, which
/// would keep the session for ever.
#[derive(Clone)]
pub struct Session {
    pub(crate) engine: Arc<Engine>,
    /// `None` in a handler.
    #[expect(dead_code, reason = "kept for its drop")]
    last: Option<Arc<Last>>,
}

/// Leaves when the last handle is dropped.
struct Last(Arc<Engine>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.with(|state, now| {
            if state.leave(now).is_err() && !state.session.is_leaving() {
                // The answer to HELLO is not awaited any more.
                state.session.handle_closed(now);
            }
        });
    }
}

impl Session {
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        Self { engine: engine.clone(), last: Some(Arc::new(Last(engine.clone()))) }
    }

    /// A handle that does not keep the session.
    pub(crate) fn inside(engine: &Arc<Engine>) -> Self {
        Self { engine: engine.clone(), last: None }
    }

    /// The session id.
    pub fn id(&self) -> SessionId {
        self.joined().session
    }

    /// What the router said in WELCOME.
    pub fn joined(&self) -> &Joined {
        self.engine.joined()
    }

    /// The serializer of this connection.
    pub fn serializer(&self) -> Serializer {
        self.engine.serializer()
    }

    /// Leaves the realm: writes what was queued, then GOODBYE, and waits for the router's GOODBYE; for 5 s at
    /// most. Calls may still be answered meanwhile; the others end with
    /// [`Disconnected`](crate::CallError::Disconnected). Handlers are canceled.
    pub async fn leave(&self) -> Closed {
        // `NotOpen`: it is over, or about to be.
        let _ = self.engine.with(|state, now| state.leave(now));
        self.closed().await
    }

    /// Waits until the session is over and returns why. By then everything queued is written, if that was still
    /// possible.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.engine.closed();
        match closed.wait_for(Option::is_some).await {
            Ok(closed) => closed.clone().unwrap_or(Closed::Lost),
            // The sender lives as long as the session's handle.
            Err(_) => Closed::Lost,
        }
    }

    /// Whether requests can be made.
    pub fn is_open(&self) -> bool {
        self.engine.with(|state, _| state.session.is_open())
    }

    /// The counters of ignored messages.
    pub fn stats(&self) -> Stats {
        self.engine.with(|state, _| {
            let ignored = state.session.stats();
            Stats {
                late: ignored.late,
                unsolicited: ignored.unsolicited,
                unknown: ignored.unknown,
                discarded: state.discarded,
                events_dropped: state.events_dropped + ignored.faulty_events,
            }
        })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Messages that a session has ignored, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Replies and cancels for calls that were over.
    pub late: u64,
    /// Progressive results for calls that did not ask for them.
    pub unsolicited: u64,
    /// Answers to requests that were never made.
    pub unknown: u64,
    /// Answers of handlers for calls that were over.
    pub discarded: u64,
    /// Events that a slow subscriber has missed, or that could not be read.
    pub events_dropped: u64,
}
