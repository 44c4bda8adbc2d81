//! The counters of a router.

use std::time::Duration;

use wamp_core::router::{Sizes, Stats};

/// The counters of a router since its start, in all its realms, and its current sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterStats {
    /// The counters of all realms together.
    pub total: Stats,
    /// The current sizes of all realms together.
    pub now: Sizes,
    /// The time for which links were held until now, summed over the links.
    pub held_time: Duration,
    /// Connections that were refused because there were too many.
    pub refusals: u64,
    /// Accepted connections that have not ended; attached ones do not count.
    pub connections: usize,
    /// The bytes that are queued for all links now; up to 4 KiB of each link are not counted.
    pub bytes_queued: usize,
    /// The memory that is held for peers now, in bytes, by kind.
    pub memory: Memory,
    /// Links that were dropped because more memory was held than [`Limits::memory`](crate::Limits::memory).
    pub gave_way: u64,
}

/// The memory that a router holds for its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// The limit: [`Limits::memory`](crate::Limits::memory).
    pub limit: usize,
    /// Messages that wait for peers to read them; up to 4 KiB of each link are not counted.
    pub queued: usize,
    /// Messages that are still being received; up to 8 KiB of each link are not counted.
    pub receiving: usize,
}
