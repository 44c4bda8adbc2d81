//! What a router has counted.

use std::time::Duration;

use wamp_core::router::{Sizes, Stats};

/// What a router has counted since its start, in all its realms, and how much it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterStats {
    /// The counters of all realms together.
    pub total: Stats,
    /// How much all realms together hold now.
    pub now: Sizes,
    /// How long links were held until now, each counted by itself.
    pub held_time: Duration,
    /// Connections that were refused since there were too many.
    pub refusals: u64,
    /// Connections that were accepted and have not ended; not those that were attached.
    pub connections: usize,
    /// What waits for all links now, in bytes of their serializers; up to 4 KiB of each link are not counted.
    pub bytes_queued: usize,
    /// The memory that is held for peers now, in bytes, by kind.
    pub memory: Memory,
    /// Links that were given up since more memory was held than [`Limits::memory`](crate::Limits::memory).
    pub gave_way: u64,
}

/// The memory that a router holds for its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// How much it may be: [`Limits::memory`](crate::Limits::memory).
    pub limit: usize,
    /// Messages that wait for peers to read them; up to 4 KiB of each link are not counted.
    pub queued: usize,
    /// Messages that are not whole yet; up to 8 KiB of each link are not counted.
    pub receiving: usize,
}
