//! Signs of life of a peer; the rule is in [`wamp_transport::keepalive`].

use tokio::time::Instant;
use wamp_transport::keepalive::{self, Config};
pub(crate) use wamp_transport::keepalive::{Seen, Verdict};

use crate::Limits;

/// The signs of life of a link's peer.
pub(crate) type Keepalive = keepalive::Keepalive<Instant>;

impl From<&Limits> for Config {
    fn from(limits: &Limits) -> Self {
        Config { silence: limits.silence, pong: limits.pong, rate: limits.message_rate }
    }
}
