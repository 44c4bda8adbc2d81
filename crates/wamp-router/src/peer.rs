//! Who is at the other end of a link.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

/// Who is at the other end of a link, for the log.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    /// Somebody who has come by a Unix socket.
    Unix(Arc<Path>),
    /// A connection that the program has brought.
    Attached,
}

impl Peer {
    /// The address that it shares with others on its machine, or behind it.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self {
            Peer::Tcp(address) => Some(address.ip()),
            _ => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unix(path) => path.display().fmt(f),
            Peer::Attached => f.write_str("attached"),
        }
    }
}
