//! Attempts to get a session, one place after the other.

use super::error::{ConnectError, shown};
use super::join::{Joining, Opening};
#[cfg(feature = "dial")]
use super::open::open;
#[cfg(feature = "dial")]
use super::router_url::RouterUrl;
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
            #[cfg(feature = "dial")]
            Some(Place::Url(url)) => open(url.clone(), self.settings.clone()).await,
            #[cfg(not(feature = "dial"))]
            Some(Place::Url(url)) => {
                let why = "no transport is built in (the cargo features `ws` and `rawsocket`)";
                Err(ConnectError::bad_url(url, why))
            }
            Some(Place::Connector(open)) => open(self.settings.clone()).await,
            None => Err(ConnectError::no_url()),
        }
    }

    /// Checks all URLs.
    #[cfg(feature = "dial")]
    pub(crate) fn check(&self) -> Result<(), ConnectError> {
        self.places.iter().try_for_each(|place| match place {
            Place::Url(url) => RouterUrl::parse(url).map(|_| ()),
            Place::Connector(_) => Ok(()),
        })
    }

    /// The URL of a place, without a password.
    pub(crate) fn shown(&self, index: usize) -> String {
        match self.places.get(index) {
            Some(Place::Url(url)) => shown(url),
            Some(Place::Connector(_)) | None => "a transport of one's own".to_owned(),
        }
    }
}
