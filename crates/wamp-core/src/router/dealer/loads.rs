//! The running calls of callees, counted where that matters: for `concurrency` (behaviour
//! [148](crate::behaviour#rule-148)) and for the policy `queue_least_loaded` (behaviour
//! [145](crate::behaviour#rule-145)).

use wamp_proto::RegistrationId;

use crate::map::{self, HashSeed, Map, map};
use crate::router::SessionKey;

/// The number of running calls of each registration at each of its callees. A callee without calls has no entry.
#[derive(Clone)]
pub(super) struct Loads(Map<(RegistrationId, SessionKey), u32>);

impl Loads {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self(map(seed))
    }

    pub(super) fn get(&self, registration: RegistrationId, callee: SessionKey) -> u32 {
        self.0.get(&(registration, callee)).copied().unwrap_or(0)
    }

    /// Counts a call that has begun.
    pub(super) fn add(&mut self, registration: RegistrationId, callee: SessionKey) {
        *self.0.entry((registration, callee)).or_insert(0) += 1;
    }

    /// Counts a call that has ended.
    pub(super) fn subtract(&mut self, registration: RegistrationId, callee: SessionKey) {
        if let Some(calls) = self.0.get_mut(&(registration, callee)) {
            *calls -= 1;
            if *calls == 0 {
                map::remove(&mut self.0, &(registration, callee));
            }
        }
    }

    /// The number of callees with running calls.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
