//! Attempts to get a session, one place after the other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::error::{ConnectError, shown};
use super::{Settings, open};
use crate::engine::shared::Engine;

/// A connection being made, and a session joined over it.
pub(super) type Opening = Pin<Box<dyn Future<Output = Result<Joining, ConnectError>> + Send>>;

/// Where a connection can go.
pub(super) enum Place {
    Url(String),
    Connector(Box<dyn Fn(Settings) -> Opening + Send + Sync>),
}

/// Gets sessions.
pub(crate) struct Dialer {
    pub(super) settings: Settings,
    pub(super) places: Vec<Place>,
}

impl Dialer {
    /// Makes an attempt to get a session from the place with this index.
    pub(crate) async fn dial(&self, index: usize) -> Result<Joining, ConnectError> {
        match self.places.get(index) {
            Some(Place::Url(url)) => open(url.clone(), self.settings.clone()).await,
            Some(Place::Connector(open)) => open(self.settings.clone()).await,
            None => Err(ConnectError::no_url()),
        }
    }

    /// The URL of a place, without a password.
    pub(crate) fn shown(&self, index: usize) -> String {
        match self.places.get(index) {
            Some(Place::Url(url)) => shown(url),
            Some(Place::Connector(_)) | None => "a transport of one's own".to_owned(),
        }
    }
}

/// The engine of a session that has joined. Dropped before it is used, it ends the session.
pub(crate) struct Joining(pub(super) Option<Arc<Engine>>);

impl Joining {
    pub(crate) fn joined(mut self) -> Arc<Engine> {
        self.0.take().expect("it is taken once, by value")
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        if let Some(engine) = &self.0 {
            engine.with(|state, now| {
                if state.leave(now).is_err() && !state.session.is_leaving() {
                    // Nothing waits for the answer to HELLO any more.
                    state.session.handle_closed(now);
                }
            });
        }
    }
}
