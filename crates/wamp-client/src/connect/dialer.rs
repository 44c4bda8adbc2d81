//! Attempts to get a session, one place after the other.

use super::error::{ConnectError, shown};
use super::join::{Joining, Opening};
use super::open::open;
use super::settings::Settings;

/// Where a connection can go.
pub(crate) enum Place {
    Url(String),
    Connector(Box<dyn Fn(Settings) -> Opening + Send + Sync>),
}

/// Gets sessions.
pub(crate) struct Dialer {
    pub(crate) settings: Settings,
    pub(crate) places: Vec<Place>,
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
