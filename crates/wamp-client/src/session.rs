//! The handle of a session.

use std::fmt;
use std::sync::Arc;

use wamp_core::session::{Closed, Joined};
use wamp_proto::{Serializer, SessionId};

use crate::engine::shared::Engine;

/// A session with a router. Clones are handles of the same session.
///
/// It lives until [`leave`](Self::leave), until the router ends it or the connection is lost, or until the
/// last handle is dropped, which leaves in the background. Calls, streams and builders under way are handles
/// too; handlers, registrations and subscriptions are not: a program that only has those waits for
/// [`closed`](Self::closed). A handler that calls others takes [`Invocation::session`](crate::Invocation::session)
/// instead of a clone, which would keep the session for ever.
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
                // Nobody waits for the answer to HELLO any more.
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

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.joined().session
    }

    /// What the router said when it let the session in.
    pub fn joined(&self) -> &Joined {
        self.engine.joined()
    }

    /// What arguments are written in on this connection.
    pub fn serializer(&self) -> Serializer {
        self.engine.serializer()
    }

    /// Leaves the realm: what was queued is written, then GOODBYE, and the router's GOODBYE is awaited; for
    /// 5 s at most. Calls may still be answered meanwhile; those that are not end with
    /// [`Disconnected`](crate::CallError::Disconnected). Handlers are canceled.
    pub async fn leave(&self) -> Closed {
        // `NotOpen`: it is over, or about to be.
        let _ = self.engine.with(|state, now| state.leave(now));
        self.closed().await
    }

    /// Waits until the session is over and says why. By then what was queued is written, where that was
    /// still possible.
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

    /// What the session has met and ignored.
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

/// What a session has met and ignored, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Replies and cancels for what was over.
    pub late: u64,
    /// Progressive results that nobody had asked for.
    pub unsolicited: u64,
    /// Answers to requests that were never made.
    pub unknown: u64,
    /// Answers of handlers that nobody waited for any more.
    pub discarded: u64,
    /// Events that a slow subscriber has missed, or that could not be read.
    pub events_dropped: u64,
}
