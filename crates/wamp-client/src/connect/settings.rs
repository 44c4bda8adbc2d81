//! The settings of a connection, and of the session that joins over it.

use std::sync::Arc;
use std::time::Duration;

use wamp_core::session::Config;
use wamp_proto::Serializer;

use crate::auth::Credentials;
use crate::engine::silence::Keepalive;

/// The settings of a session, for each of its connections.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    /// The credentials to offer, in this order.
    pub(crate) auth: Vec<Arc<dyn Credentials>>,
    /// The connection leads through a third party, such as a proxy, wherever its other end is.
    pub(crate) is_exposed: bool,
    pub(crate) serializer: Option<Serializer>,
    pub(crate) max_message: usize,
    pub(crate) timeout: Duration,
    pub(crate) keepalive: Option<Keepalive>,
    /// The session may get another connection.
    pub(crate) comes_back: bool,
    #[cfg(feature = "dial")]
    pub(crate) proxy: super::tcp::Proxy,
    #[cfg(feature = "tls")]
    pub(crate) tls: wamp_tls::Client,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: Config::new("realm1"),
            auth: Vec::new(),
            is_exposed: false,
            serializer: None,
            max_message: 16 << 20,
            timeout: Duration::from_secs(10),
            keepalive: Some(Keepalive::default()),
            comes_back: false,
            #[cfg(feature = "dial")]
            proxy: super::tcp::Proxy::default(),
            #[cfg(feature = "tls")]
            tls: wamp_tls::Client::new(),
        }
    }
}
