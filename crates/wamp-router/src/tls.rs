//! TLS on the addresses of a router.

use wamp_tls::Server;
use wamp_transport::socket::Peer;

/// Whether clients may connect without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsMode {
    /// A client without TLS is refused, except over a Unix socket, which only this machine can reach.
    #[default]
    Required,
    /// Clients with and without TLS are served on the same port.
    Optional,
}

/// The router's TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) server: Server,
    pub(crate) mode: TlsMode,
}

impl Tls {
    /// Returns whether this client must begin with TLS.
    pub(crate) fn is_required(&self, peer: &Peer) -> bool {
        self.mode == TlsMode::Required && !matches!(peer, Peer::Unix(_))
    }
}
