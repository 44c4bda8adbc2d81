//! The layer between the handles of a session and its engines: one engine, or successive engines for a
//! session that comes back.

pub(crate) mod comeback;
pub(crate) mod declared;
pub(crate) mod events;
pub(crate) mod kept;
pub(crate) mod states;
pub(crate) mod supervisor;
pub(crate) mod testaments;

use std::any::Any;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use wamp_core::session::Closed;

use crate::engine::shared::Engine;
use crate::error::RequestError;
use comeback::Comeback;

/// The state that all handles of a session share.
pub(crate) struct Link {
    phase: watch::Sender<Phase>,
    /// `None`: the session does not come back.
    comeback: Option<Comeback>,
}

/// The state of a session.
#[derive(Clone)]
struct Phase {
    /// The engine of the present connection, or of the last one.
    engine: Arc<Engine>,
    is_up: bool,
    /// The final end of a session that comes back.
    over: Option<Closed>,
}

impl Link {
    /// Creates a session that has this engine and no other.
    pub(crate) fn once(engine: Arc<Engine>) -> Arc<Self> {
        Self::new(engine, None)
    }

    /// Creates a session that comes back, which this engine has joined.
    fn new(engine: Arc<Engine>, comeback: Option<Comeback>) -> Arc<Self> {
        let phase = watch::Sender::new(Phase { engine: engine.clone(), is_up: true, over: None });
        let link = Arc::new(Self { phase, comeback });
        link.adopt(&engine);
        link
    }

    /// The session of an engine.
    pub(crate) fn of(engine: &Arc<Engine>) -> Arc<Self> {
        let above = engine.above().and_then(Weak::upgrade).and_then(|above| above.downcast().ok());
        // All handles are gone, so the session does not come back.
        above.unwrap_or_else(|| Self::once(engine.clone()))
    }

    fn adopt(self: &Arc<Self>, engine: &Engine) {
        let link: Arc<dyn Any + Send + Sync> = self.clone();
        engine.set_above(Arc::downgrade(&link));
    }

    /// The engine of the present connection, or of the last one.
    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.phase.borrow().engine.clone()
    }

    /// The engine for a handler that was invoked by this one. It may be invoked before everything else is declared again.
    pub(crate) fn engine_inside(&self, own: &Arc<Engine>) -> Arc<Engine> {
        let phase = self.phase.borrow();
        if phase.is_up || own.is_over() { phase.engine.clone() } else { own.clone() }
    }

    /// Returns the reason why a declaration is gone.
    pub(crate) fn gone(&self) -> RequestError {
        match &self.phase.borrow().over {
            Some(closed) => RequestError::from_closed(closed, false),
            None => RequestError::Gone,
        }
    }

    /// Whether requests can be made.
    pub(crate) fn is_open(&self) -> bool {
        let Phase { engine, is_up, .. } = self.phase.borrow().clone();
        is_up && engine.with(|state, _| state.session.is_open())
    }

    /// Waits for a connection, at most this long. Without one, the next request fails with the reason.
    pub(crate) async fn when_up(&self, limit: Duration) {
        let mut phase = self.phase.subscribe();
        let up = phase.wait_for(|phase| phase.over.is_some() || (phase.is_up && !phase.engine.is_over()));
        let _ = tokio::time::timeout(limit, up).await;
    }

    /// Waits until the session is over for good. Queued messages are written by then, if that was still
    /// possible.
    pub(crate) async fn closed(&self) -> Closed {
        if self.comeback.is_some() {
            let mut phase = self.phase.subscribe();
            let over = phase.wait_for(|phase| phase.over.is_some()).await;
            return over.ok().and_then(|phase| phase.over.clone()).unwrap_or(Closed::Lost);
        }
        self.engine().ended_and_written().await
    }
}
