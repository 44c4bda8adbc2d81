//! Failed proofs, counted by address (behaviour [209](wamp_core::behaviour#rule-209)).
//!
//! An authid is never locked: otherwise any client could lock out any other.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::router::RouterState;

/// The time after which one more failure is forgiven.
const EACH: Duration = Duration::from_secs(6);

/// The most addresses that are recorded. Failures of further ones are not counted until an entry is free.
const ADDRESSES: usize = 65_536;

/// The failed proofs of all addresses.
#[derive(Debug)]
pub(crate) struct Attempts {
    /// The number of failures in a row.
    at_once: AtomicU32,
    /// The time at which an address has no failures any more.
    until: Mutex<HashMap<IpAddr, Instant>>,
}

impl Attempts {
    pub(crate) fn new(at_once: usize) -> Self {
        let attempts = Self { at_once: AtomicU32::new(0), until: Mutex::default() };
        attempts.set_limit(at_once);
        attempts
    }

    /// Changes the number of failures in a row.
    pub(crate) fn set_limit(&self, at_once: usize) {
        self.at_once.store(u32::try_from(at_once).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Returns whether a client at this address must wait.
    pub(crate) fn are_too_many(&self, address: Option<IpAddr>, now: Instant) -> bool {
        let Some(network) = address.map(network) else { return false };
        let room = EACH * self.at_once.load(Ordering::Relaxed).saturating_sub(1);
        self.lock().get(&network).is_some_and(|until| *until > now + room)
    }

    /// Counts a failed proof. A client without an address is in the same machine or process.
    pub(crate) fn count(&self, address: Option<IpAddr>, now: Instant) {
        let Some(network) = address.map(network) else { return };
        let mut until = self.lock();
        if until.len() >= ADDRESSES && !until.contains_key(&network) {
            until.retain(|_, until| *until > now);
            if until.len() >= ADDRESSES {
                return;
            }
        }
        let end = until.entry(network).or_insert(now);
        *end = (*end).max(now) + EACH;
    }

    /// Takes back a failure that was counted.
    pub(crate) fn forgive(&self, address: Option<IpAddr>) {
        let Some(network) = address.map(network) else { return };
        if let Some(until) = self.lock().get_mut(&network) {
            *until = until.checked_sub(EACH).unwrap_or(*until);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        // Nothing panics while holding it.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that an authenticator is asked about. If the client leaves before it has joined or is refused, that counts
/// as a failed proof: the question was for nothing. It is not counted in advance, since many clients that are admitted
/// may join at the same time.
pub(crate) struct Asking {
    router: Option<Arc<RouterState>>,
    address: Option<IpAddr>,
}

impl Asking {
    pub(crate) fn new(router: &Arc<RouterState>, address: Option<IpAddr>) -> Self {
        Self { router: Some(router.clone()), address }
    }

    /// The client has joined or was refused.
    pub(crate) fn settle(mut self) {
        self.router = None;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(router) = &self.router {
            router.attempts.count(self.address, Instant::now());
        }
    }
}

/// The address, or the network of an IPv6 address: one machine has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    // behaviour 209
    #[test]
    fn after_ten_failures_there_is_one_attempt_in_six_seconds() {
        let (attempts, start) = (Attempts::new(10), Instant::now());
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..10 {
            assert!(!attempts.are_too_many(here, start));
            attempts.count(here, start);
        }
        assert!(attempts.are_too_many(here, start) && !attempts.are_too_many(there, start));
        assert!(attempts.are_too_many(address("::ffff:192.0.2.1"), start));
        assert!(attempts.are_too_many(here, start + EACH - Duration::from_millis(1)));
        assert!(!attempts.are_too_many(here, start + EACH));
        attempts.count(here, start + EACH);
        assert!(attempts.are_too_many(here, start + EACH));
        assert!(!attempts.are_too_many(here, start + EACH * 20));
    }

    // behaviour 209
    #[test]
    fn a_network_counts_as_one_and_a_local_client_not_at_all() {
        let (attempts, now) = (Attempts::new(1), Instant::now());
        attempts.count(address("2001:db8::1"), now);
        assert!(attempts.are_too_many(address("2001:db8::2"), now));
        assert!(!attempts.are_too_many(address("2001:db8:0:1::1"), now));
        attempts.count(None, now);
        assert!(!attempts.are_too_many(None, now));
    }

    // behaviour 209
    #[test]
    fn the_memory_of_failures_is_limited() {
        let (attempts, now) = (Attempts::new(1), Instant::now());
        let many = |from: u32| (0..70_000).map(move |n| IpAddr::V4((from + n).into()));
        many(1 << 24).for_each(|address| attempts.count(Some(address), now));
        assert_eq!(attempts.lock().len(), ADDRESSES);
        let later = now + EACH * 2;
        attempts.count(address("192.0.2.1"), later);
        assert_eq!(attempts.lock().len(), 1);
    }
}
