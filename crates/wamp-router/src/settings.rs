//! The settings that connections are served by. [`Router::reload`](crate::Router::reload) replaces them; a connection
//! keeps those with which it began.

use wamp_transport_ws::Origins;

use crate::config::{Limits, Shutdown};
use crate::proxies::Proxies;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// The settings of connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) anonymous_on_public: bool,
    pub(crate) shutdown: Shutdown,
    pub(crate) origins: Origins,
    pub(crate) proxies: Proxies,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}

impl Settings {
    /// Clients of TCP begin with TLS, or may do so.
    pub(crate) fn has_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

#[cfg(test)]
impl From<Limits> for Settings {
    fn from(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }
}
