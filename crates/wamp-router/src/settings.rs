//! The settings that connections are served by. [`Router::reload`](crate::Router::reload) replaces them; a connection
//! keeps those with which it began.

use wamp_transport_ws::Origins;

use crate::config::{Builder, Limits, Shutdown};
use crate::proxies::Proxies;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// The settings of connections.
#[derive(Clone, Debug)]
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

impl From<&Builder> for Settings {
    fn from(builder: &Builder) -> Self {
        Self {
            limits: builder.limits,
            anonymous_on_public: builder.anonymous_on_public,
            shutdown: builder.shutdown,
            origins: builder.origins.clone(),
            proxies: builder.proxies.clone(),
            #[cfg(feature = "tls")]
            tls: builder.tls.clone(),
        }
    }
}

#[cfg(test)]
impl From<Limits> for Settings {
    fn from(limits: Limits) -> Self {
        Self::from(&Builder::default().limits(limits))
    }
}
