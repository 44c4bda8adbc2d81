//! The memory that peers can make the router hold, and the share of each link.
//!
//! Two kinds are counted: messages queued for peers, and messages that are [being
//! received](crate::receiving). Together they may take [`Limits::memory`].
//!
//! A link with at most [`LEAST`] bytes queued takes no share. The other links are *active*: they share three
//! quarters of the limit equally, and each may have at most its high water. So a single slow link has all
//! that a link may have, a thousand slow links have little each, and a new link always has [`LEAST`]. A
//! quarter of the limit is left for messages being received.
//!
//! A link beyond its share is full. Messages added to a full link, mostly last replies, may exceed the limit;
//! then [the largest links give way](crate::relief).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use wamp_transport::{Batch, SharedBatch, SharedMemory};

use crate::Limits;
use crate::receiving::Waiters;
use crate::relief::Holders;
use crate::wakes::EventTurns;

/// A link with no more than this queued is never full.
const LEAST: usize = 16 << 10;

/// Events may exceed the high water of a link by this much, or by the high water if that is less.
const SLACK: usize = 64 << 10;

/// A link reports its queued bytes when they have changed by this much, not for every message.
const STEP: usize = 4 << 10;

/// The bytes that the links of a router hold.
///
/// The counters are independent of each other and only decide which link waits, so they need no memory order.
#[derive(Debug)]
pub(crate) struct Budget {
    /// The queued bytes, and the memory that they take.
    queued: AtomicUsize,
    queued_memory: AtomicUsize,
    /// The memory of events that several links have queued.
    shared: SharedMemory,
    /// The memory of messages that are being received.
    receiving: AtomicUsize,
    active: AtomicUsize,
    limit: AtomicUsize,
    /// The most that is held while every link keeps to its bounds.
    most: AtomicUsize,
    high_water: AtomicUsize,
    low_water: AtomicUsize,
    limits: Mutex<Limits>,
    /// Links that are not read from, for lack of memory.
    pub(crate) waiters: Waiters,
    /// All links.
    pub(crate) holders: Holders,
    /// The received and sent bytes of connections that have ended.
    ended: [AtomicU64; 2],
    /// The received and sent bytes as they were last shown.
    shown: [AtomicU64; 2],
    /// Notified when more than the limit is held, or a link waits.
    pub(crate) pressed: Notify,
    /// The turns of writers that have events to write.
    pub(crate) event_turns: EventTurns,
}

/// The last report of a link.
#[derive(Debug, Default)]
pub(crate) struct Part {
    bytes: usize,
    memory: usize,
    /// The link is counted among the active ones.
    is_active: bool,
}

impl Part {
    /// Returns the memory that the link holds for its peer.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        let budget = Self {
            queued: AtomicUsize::new(0),
            queued_memory: AtomicUsize::new(0),
            shared: SharedMemory::default(),
            receiving: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            high_water: AtomicUsize::new(0),
            low_water: AtomicUsize::new(0),
            limits: Mutex::new(*limits),
            waiters: Waiters::default(),
            holders: Holders::default(),
            ended: Default::default(),
            shown: Default::default(),
            pressed: Notify::new(),
            event_turns: EventTurns::new(),
        };
        budget.set_limits(limits);
        budget
    }

    /// Changes the limits, from the next message on.
    pub(crate) fn set_limits(&self, limits: &Limits) {
        let message = limits.message;
        // Nothing panics while holding it.
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = *limits;
        self.limit.store(limits.memory, Ordering::Relaxed);
        let most = limits.memory.saturating_add((limits.memory / 4).max(message.saturating_add(message / 8)));
        self.most.store(most, Ordering::Relaxed);
        self.high_water.store(limits.high_water, Ordering::Relaxed);
        self.low_water.store(limits.low_water, Ordering::Relaxed);
        // There may be more room, or too much held.
        self.waiters.wake(self);
        self.pressed.notify_one();
    }

    /// Returns the current limits.
    pub(crate) fn limits(&self) -> Limits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns [`Limits::memory`].
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    fn high_water(&self) -> usize {
        self.high_water.load(Ordering::Relaxed)
    }

    /// Returns the queued bytes, without a few KiB for each link.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Returns the memory of the queued bytes.
    pub(crate) fn queued_memory(&self) -> usize {
        self.queued_memory.load(Ordering::Relaxed) + self.shared.get()
    }

    /// Returns the memory of messages that are being received.
    pub(crate) fn receiving(&self) -> usize {
        self.receiving.load(Ordering::Relaxed)
    }

    /// Returns the received and the sent bytes of all connections. They never decrease.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        let ended = self.ended.each_ref().map(|ended| ended.load(Ordering::Relaxed));
        let sum = self
            .holders
            .all()
            .iter()
            .map(|link| link.traffic())
            .fold(ended, |sum, link| [sum[0] + link[0], sum[1] + link[1]]);
        // A connection that ends meanwhile may be missing in both.
        let [received, sent] =
            [0, 1].map(|of| self.shown[of].fetch_max(sum[of], Ordering::Relaxed).max(sum[of]));
        (received, sent)
    }

    /// Counts the bytes of a connection that has ended.
    pub(crate) fn add_traffic(&self, traffic: [u64; 2]) {
        self.ended.iter().zip(traffic).for_each(|(ended, bytes)| {
            ended.fetch_add(bytes, Ordering::Relaxed);
        });
    }

    /// Returns all held memory.
    pub(crate) fn held(&self) -> usize {
        self.queued_memory() + self.receiving()
    }

    /// Returns whether there is memory for this many more bytes.
    pub(crate) fn has_memory(&self, more: usize) -> bool {
        self.held().saturating_add(more) <= self.limit()
    }

    /// Returns whether unfinished messages may take this many more bytes: within three quarters of the limit,
    /// or within the quarter that is reserved for them.
    pub(crate) fn may_receive(&self, more: usize) -> bool {
        let (limit, held) = (self.limit(), self.held().saturating_add(more));
        let quarter = limit / 4;
        held <= limit - quarter || held <= limit && self.receiving().saturating_add(more) <= quarter
    }

    /// Returns whether more is held than the bounds of all links together allow.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.held() > self.most.load(Ordering::Relaxed)
    }

    /// Updates the memory of a message that is being received.
    pub(crate) fn receive(&self, before: usize, now: usize) {
        self.receiving.fetch_add(now, Ordering::Relaxed);
        self.receiving.fetch_sub(before, Ordering::Relaxed);
    }

    /// Converts a batch into events that the queues of several links can share.
    pub(crate) fn share_events(&self, batch: Batch) -> SharedBatch {
        let events = batch.into_shared(&self.shared);
        if self.is_exceeded() {
            self.pressed.notify_one();
        }
        events
    }

    /// Updates the queued bytes of a link and their memory, if they have changed enough.
    pub(crate) fn report(&self, part: &mut Part, bytes: usize, memory: usize) {
        let is_near = bytes.abs_diff(part.bytes) < STEP && memory.abs_diff(part.memory) < STEP;
        let is_at_an_end = bytes == 0 && part.bytes != 0;
        if !is_near || is_at_an_end {
            self.report_exactly(part, bytes, memory);
        }
    }

    /// The same, however small the change.
    pub(crate) fn report_exactly(&self, part: &mut Part, bytes: usize, memory: usize) {
        let is_active = self.is_active(bytes);
        let before = std::mem::replace(part, Part { bytes, memory, is_active });
        if bytes >= before.bytes {
            self.queued.fetch_add(bytes - before.bytes, Ordering::Relaxed);
        } else {
            self.queued.fetch_sub(before.bytes - bytes, Ordering::Relaxed);
        }
        match (before.is_active, is_active) {
            (false, true) => {
                self.active.fetch_add(1, Ordering::Relaxed);
            }
            (true, false) => {
                self.active.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
        if memory >= before.memory {
            self.queued_memory.fetch_add(memory - before.memory, Ordering::Relaxed);
            if self.is_exceeded() {
                self.pressed.notify_one();
            }
        } else {
            self.queued_memory.fetch_sub(before.memory - memory, Ordering::Relaxed);
        }
        // These bytes may have been the last of a shared batch, whose memory no link reports.
        if memory < before.memory || bytes < before.bytes {
            self.waiters.wake(self);
        }
    }

    /// Removes a link, including small amounts that it has not reported.
    pub(crate) fn release(&self, part: &mut Part) {
        self.report_exactly(part, 0, 0);
    }

    /// Returns whether a link with this many bytes is above its high water.
    pub(crate) fn is_full(&self, part: &Part, bytes: usize) -> bool {
        // A link with almost nothing queued is below any share.
        if bytes < self.least() {
            return false;
        }
        bytes >= self.share() || part.memory >= self.fair() || self.queued_memory() >= self.for_queues()
    }

    /// Returns how many more bytes of events a link may take.
    ///
    /// Publishers are held from its high water on, but messages that were already read may add a little.
    /// Beyond that, or when memory is short, events are dropped.
    pub(crate) fn room_for_events(&self, part: &Part, bytes: usize) -> usize {
        let with_slack = |most: usize| most + most.max(SLACK);
        let is_short =
            part.memory >= with_slack(self.fair()) || self.held() >= self.limit() - self.limit() / 8;
        if is_short {
            // An arena may be half empty, which adds up with thousands of links.
            return self.least().saturating_sub(bytes.max(part.memory));
        }
        with_slack(self.share()).saturating_sub(bytes)
    }

    /// Returns whether a link with this many bytes is below its low water.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        // In the same proportion to its share as for a link that is alone.
        let low = self.share() as u64 * self.low_water.load(Ordering::Relaxed) as u64
            / (self.high_water() as u64).max(1);
        (bytes as u64) < low.max(1)
    }

    fn share(&self) -> usize {
        self.fair().min(self.high_water()).max(self.least())
    }

    /// Returns the share of each active link.
    fn fair(&self) -> usize {
        (self.for_queues() / self.active.load(Ordering::Relaxed).max(1)).max(self.least())
    }

    fn for_queues(&self) -> usize {
        let limit = self.limit();
        limit - limit / 4
    }

    fn is_active(&self, bytes: usize) -> bool {
        bytes > self.least()
    }

    fn least(&self) -> usize {
        LEAST.min(self.high_water())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn budget(limit: usize) -> Budget {
        let limits = Limits { memory: limit, ..Limits::default() };
        Budget::new(&limits)
    }

    #[test]
    fn events_go_a_little_beyond_high_water_and_no_further() {
        let mut limits = Limits { memory: 64 * MIB, ..Limits::default() };
        for (high_water, most) in [(MIB, 2 * MIB), (32 << 10, 96 << 10)] {
            limits.high_water = high_water;
            let budget = Budget::new(&limits);
            let mut part = Part::default();
            for bytes in [0, high_water, most - 1, most, 2 * most] {
                budget.report_exactly(&mut part, bytes, 0);
                assert_eq!(budget.room_for_events(&part, bytes), most.saturating_sub(bytes));
            }
            // Each link has the minimum even when memory is short.
            budget.receive(0, 64 * MIB);
            assert_eq!(budget.room_for_events(&part, LEAST), 0);
            assert_eq!(budget.room_for_events(&part, 100), LEAST - 100);
        }
    }

    /// Fills a link until it is full. Returns how much it took.
    fn fill(budget: &Budget, part: &mut Part) -> usize {
        let mut bytes = part.bytes;
        while !budget.is_full(part, bytes) {
            bytes += 1000;
            budget.report(part, bytes, bytes);
        }
        bytes
    }

    #[test]
    fn one_link_alone_has_its_high_water_and_is_let_go_at_low_water() {
        let (budget, mut part) = (budget(64 * MIB), Part::default());
        assert!(!budget.is_full(&part, MIB - 1));
        assert!(budget.is_full(&part, MIB));
        assert!((MIB..MIB + 1000).contains(&fill(&budget, &mut part)));
        assert!(!budget.has_room(768 << 10));
        assert!(budget.has_room((768 << 10) - 1));
        budget.report(&mut part, 0, 0);
        assert_eq!((budget.queued(), budget.held(), budget.active.into_inner()), (0, 0, 0));
    }

    #[test]
    fn a_thousand_links_share_and_a_late_one_has_the_minimum() {
        let budget = budget(64 * MIB);
        let mut parts: Vec<Part> = (0..1000).map(|_| Part::default()).collect();
        let taken: Vec<usize> = parts.iter_mut().map(|part| fill(&budget, part)).collect();
        assert!(taken[0] >= MIB && taken[999] >= LEAST);
        assert!(taken[999] < LEAST + STEP + 1000);
        assert!(budget.held() < 48 * MIB + 1000 * (LEAST + STEP), "{}", budget.held());
        assert!(!budget.is_exceeded());
        // When all are active, all have the same.
        for part in &mut parts {
            budget.report(part, 0, 0);
        }
        let mut full = 0;
        let mut bytes = 0;
        while full < 1000 {
            bytes += 5000;
            full = 0;
            for part in &mut parts {
                if budget.is_full(part, part.bytes) {
                    full += 1;
                } else {
                    budget.report(part, bytes, bytes);
                }
            }
        }
        assert!((48_000..=60_000).contains(&bytes), "{bytes}");
        assert!(budget.held() <= 52 * MIB, "{}", budget.held());
        assert!(!budget.has_room(40 << 10) && budget.has_room(35 << 10));
    }

    #[test]
    fn memory_that_is_not_full_of_messages_counts() {
        let budget = budget(64 * MIB);
        let mut parts: Vec<Part> = (0..100).map(|_| Part::default()).collect();
        for part in &mut parts {
            let mut bytes = 0;
            while !budget.is_full(part, bytes) {
                bytes += 1000;
                budget.report(part, bytes, 4 * bytes);
            }
        }
        assert!(budget.held() < 49 * MIB + 100 * 4 * (LEAST + STEP), "{}", budget.held());
    }

    #[test]
    fn an_idle_link_takes_no_share() {
        let budget = budget(4 * MIB);
        let mut idle: Vec<Part> = (0..100).map(|_| Part::default()).collect();
        for part in &mut idle {
            budget.report(part, LEAST, LEAST);
        }
        let mut part = Part::default();
        assert!(fill(&budget, &mut part) >= MIB);
    }

    #[test]
    fn limits_that_change_hold_from_then_on_and_the_shares_stay_right() {
        let (budget, mut parts) = (budget(64 * MIB), [Part::default(), Part::default()]);
        budget.report(&mut parts[0], 10 << 10, 10 << 10);
        // With less high water this link would have been active, and it was not counted.
        let limits =
            Limits { memory: 16 * MIB, high_water: 8 << 10, low_water: 4 << 10, ..Limits::default() };
        budget.set_limits(&limits);
        assert!(budget.is_full(&parts[0], 10 << 10) && !budget.is_full(&parts[1], (8 << 10) - 1));
        budget.report(&mut parts[0], 0, 0);
        assert_eq!(budget.active.load(Ordering::Relaxed), 0);
        budget.report(&mut parts[0], 10 << 10, 10 << 10);
        budget.set_limits(&Limits::default());
        assert!(!budget.is_full(&parts[0], 10 << 10));
        budget.report(&mut parts[0], 0, 0);
        assert_eq!((budget.active.load(Ordering::Relaxed), budget.limit()), (0, 64 * MIB));
        assert!((MIB..MIB + 1000).contains(&fill(&budget, &mut parts[1])));
    }

    #[test]
    fn what_is_small_is_not_reported_and_nothing_is_left_behind() {
        let (budget, mut part) = (budget(MIB), Part::default());
        budget.report(&mut part, STEP - 1, STEP - 1);
        assert_eq!((budget.queued(), budget.held()), (0, 0));
        budget.report(&mut part, STEP, 2 * STEP);
        assert_eq!((budget.queued(), budget.held()), (STEP, 2 * STEP));
        budget.report(&mut part, 1, 2 * STEP);
        assert_eq!(budget.queued(), STEP);
        budget.report(&mut part, 0, 256);
        assert_eq!((budget.queued(), budget.held()), (0, 256));
        budget.report(&mut part, 0, STEP + 256);
        assert_eq!(budget.held(), STEP + 256);
        budget.report(&mut part, 0, 300);
        assert_eq!(budget.held(), STEP + 256, "the difference is small");
        budget.release(&mut part);
        assert_eq!((budget.queued(), budget.held()), (0, 0));
    }

    #[test]
    fn events_that_links_share_are_counted_once() {
        let limits = Limits { memory: 4 * MIB, ..Limits::default() };
        let budget = std::sync::Arc::new(Budget::new(&limits));
        let settings = std::sync::Arc::new(crate::settings::Settings::from(limits));
        let link =
            || crate::outbound::Outbound::new(wamp_proto::Serializer::Json, settings.clone(), budget.clone());
        let links: Vec<_> = std::iter::repeat_with(link).take(1000).collect();
        let mut batch = Batch::new();
        batch.push_bytes(&[b'x'; 12 << 10]);
        let events = links[0].share(batch);
        for link in &links {
            link.append_events(&events);
        }
        drop(events);
        assert!((12 << 10..MIB).contains(&budget.held()), "{}", budget.held());
        assert_eq!(budget.queued(), 1000 * (12 << 10));
        assert!(!budget.is_exceeded());
        assert!(links[7].memory() >= 12 << 10, "the largest holders are found anyway");
        drop(links);
        assert_eq!((budget.queued(), budget.held()), (0, 0));
    }
}
