//! What a router has counted.

use std::time::Duration;

use wamp_core::router::{Sizes, Stats};

/// What a router has counted since its start, in all its realms, and how much it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterStats {
    /// Results that went to their callers, in messages; the progressive ones among them.
    pub results: u64,
    /// How many of them were progressive, in messages.
    pub progressive_results: u64,
    /// Replies, and chunks, that came for calls that were over, in messages.
    pub late: u64,
    /// Progressive results that no caller had asked for, in messages.
    pub unsolicited: u64,
    /// Chunks of progressive calls that went to their callees, in messages.
    pub chunks: u64,
    /// Calls that ended since their callee took too long.
    pub timeouts: u64,
    /// Calls that ended since their caller, or their callee, did not take what was for it.
    pub slow_consumers: u64,
    /// Calls that were refused since no callee had room, or since their caller did not read.
    pub unavailable: u64,
    /// Events that went to subscribers, in messages.
    pub events: u64,
    /// Events that did not: they did not fit, or the subscriber did not keep up; in messages.
    pub events_dropped: u64,
    /// Publications that were refused, acknowledged or not, in messages.
    pub publications_refused: u64,
    /// ERRORs of callees whose URI was none, and whose callers got another, in messages.
    pub invalid_error_uris: u64,
    /// Sessions that were aborted for breaking the protocol.
    pub violations: u64,
    /// Connections that were refused since there were too many.
    pub refusals: u64,
    /// How often a link was held: not read from, since what it sent had nowhere to go.
    pub holds: u64,
    /// For how long links were held until now, each counted by itself.
    pub held_time: Duration,
    /// CREDITs whose total was no number of octets, in messages.
    pub void_credits: u64,
    /// Streams now whose senders wait, since their receivers have granted nothing.
    pub starved: usize,
    /// Links that are held now.
    pub held: usize,
    /// What waits for all links now, in octets of their serializers; up to 4 KiB of each link are not counted.
    pub octets_queued: usize,
    /// The memory that is held for peers now, in bytes, by kind.
    pub memory: Memory,
    /// Links that were given up since more memory was held than [`Limits::memory`](crate::Limits::memory).
    pub gave_way: u64,
    /// Sessions now.
    pub sessions: usize,
    /// Calls under way now.
    pub calls: usize,
    /// Registrations now.
    pub registrations: usize,
    /// Topics with subscribers now.
    pub topics: usize,
    /// Connections that were accepted and have not ended; not those that were attached.
    pub connections: usize,
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

impl RouterStats {
    /// Adds a realm.
    pub(crate) fn add(&mut self, stats: Stats, sizes: Sizes, held_time: Duration) {
        self.results += stats.results;
        self.progressive_results += stats.progressive_results;
        self.late += stats.late;
        self.unsolicited += stats.unsolicited;
        self.chunks += stats.chunks;
        self.timeouts += stats.timeouts;
        self.slow_consumers += stats.slow_consumers;
        self.unavailable += stats.unavailable;
        self.events += stats.events;
        self.events_dropped += stats.events_dropped;
        self.publications_refused += stats.publications_refused;
        self.invalid_error_uris += stats.invalid_error_uris;
        self.violations += stats.violations;
        self.holds += stats.holds;
        self.void_credits += stats.void_credits;
        self.starved += sizes.starved;
        self.held_time += held_time;
        self.held += sizes.held;
        self.sessions += sizes.sessions;
        self.calls += sizes.calls;
        self.registrations += sizes.registrations;
        self.topics += sizes.topics;
    }
}
