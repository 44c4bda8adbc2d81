//! The door of a realm: which clients may join it, as which principal.

use std::time::{SystemTime, UNIX_EPOCH};

use wamp_core::auth::{Begun, Denied, Method, Offer, Principals, Secret};
use wamp_proto::message::HelloDetails;
use wamp_proto::{SessionId, uri};

/// The principals of a realm, and the secret for those that do not exist.
#[derive(Debug)]
pub(crate) struct Door {
    principals: Principals,
    methods: Vec<Method>,
    shadows: Secret,
}

impl Door {
    pub(crate) fn new(principals: Principals) -> Self {
        let mut shadows = [0; 32];
        getrandom::fill(&mut shadows).expect("a system without random numbers is none to run a router on");
        Self { methods: principals.methods(), principals, shadows: Secret::from(&shadows[..]) }
    }

    /// Returns whether clients without a proof may join.
    pub(crate) fn is_open(&self) -> bool {
        self.principals.anonymous().is_some()
    }

    /// Decides about a client, whose link has this channel binding.
    pub(crate) fn begin(&self, details: &HelloDetails, channel: Option<&[u8; 32]>) -> Result<Begun, Denied> {
        let mut random = [0; 80];
        if let Err(error) = getrandom::fill(&mut random) {
            tracing::error!(%error, "cannot get random numbers");
            return Err(Denied {
                reason: uri::AUTHENTICATION_FAILED,
                text: "the router has no random numbers",
            });
        }
        let (random, session) = random.split_first_chunk::<72>().expect("80 bytes are more than 72");
        let session = session.first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default() >> 11;
        let session = SessionId::new(session + 1).expect("a number from 1 to 2^53");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut offer = Offer::new(random, self.shadows.clone(), session, now);
        offer.channel = channel.copied();
        self.principals.begin(&self.methods, details, &offer)
    }
}
