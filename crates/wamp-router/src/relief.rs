//! The choice of the link that is dropped when the router holds too much memory.
//!
//! No link is dropped while all keep to their bounds. Two things exceed them:
//!
//! * Messages that are added to full links, such as last replies. If they exceed the
//!   [limit](crate::Limits::memory) by more than a message, the links that hold most are dropped until the
//!   limit is kept.
//! * Messages that are being received use up the memory, and others [wait](crate::receiving). After half of
//!   [`stall`](crate::Limits::stall), the links are dropped that have not kept their
//!   [rate](crate::Limits::message_rate) in that time; if all have, then after the whole of it the link that
//!   holds most.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::Limits;
use crate::budget::Budget;
use crate::outbound::Outbound;

/// The interval of checks while too much is held.
const TICK: Duration = Duration::from_millis(10);

/// All links of a router.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    links: Mutex<HashMap<usize, Weak<Outbound>>>,
    next: AtomicUsize,
    given_up: AtomicU64,
}

impl Holders {
    pub(crate) fn next_id(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn add(&self, id: usize, link: &Arc<Outbound>) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::downgrade(link));
    }

    pub(crate) fn remove(&self, id: usize) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.remove(&id);
        if links.len() < links.capacity() / 4 {
            links.shrink_to_fit();
        }
    }

    /// Returns the number of dropped links.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Returns all links.
    pub(crate) fn all(&self) -> Vec<Arc<Outbound>> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.values().filter_map(Weak::upgrade).collect()
    }

    /// Returns the links that hold anything, the largest first.
    fn largest(&self) -> Vec<Arc<Outbound>> {
        let links = self.all();
        let mut sized: Vec<(usize, Arc<Outbound>)> =
            links.into_iter().map(|link| (link.memory(), link)).filter(|(memory, _)| *memory > 0).collect();
        sized.sort_unstable_by_key(|(memory, _)| std::cmp::Reverse(*memory));
        sized.into_iter().map(|(_, link)| link).collect()
    }

    fn give_up(&self, link: &Outbound) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
        let memory = link.memory();
        tracing::info!(memory, "closed the link that holds most, since the memory is used up");
        link.give_way();
    }
}

/// Watches a budget forever.
pub(crate) async fn watch(budget: Arc<Budget>) {
    loop {
        budget.pressed.notified().await;
        let mut starving = None;
        while budget.is_exceeded() || budget.waiters.waiting_since().is_some() {
            if budget.is_exceeded() {
                relieve(&budget);
            }
            starving = starve(&budget, &budget.limits(), starving);
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = budget.pressed.notified() => {}
            }
        }
    }
}

/// Drops the largest links until the limit is kept.
fn relieve(budget: &Budget) {
    let mut links = budget.holders.largest().into_iter();
    while !budget.has_memory(0)
        && let Some(link) = links.next()
    {
        budget.holders.give_up(&link);
    }
}

/// Messages that are being received while others wait.
struct Starving {
    /// The time since which this goes on without a link being dropped.
    begin: Instant,
    /// The time at which the bytes of the messages were recorded.
    seen: Instant,
    bytes: HashMap<usize, usize>,
}

impl Starving {
    fn new(budget: &Budget, begin: Instant, seen: Instant) -> Self {
        let links = budget.holders.largest();
        let bytes = links.iter().map(|link| (link.receiving().id(), link.receiving().bytes())).collect();
        Self { begin, seen, bytes }
    }

    /// Returns whether the message of a link has gained fewer than `enough` bytes since they were recorded.
    fn has_stopped(&self, link: &Outbound, enough: usize) -> bool {
        let receiving = link.receiving();
        let Some(before) = self.bytes.get(&receiving.id()) else { return false };
        let came = receiving.bytes().checked_sub(*before);
        receiving.memory() > 0 && !receiving.is_waiting() && came.is_some_and(|came| came < enough)
    }
}

/// Checks whether links have waited long enough for others to be dropped.
fn starve(budget: &Budget, limits: &Limits, starving: Option<Starving>) -> Option<Starving> {
    let waiting_since = budget.waiters.waiting_since()?;
    let now = Instant::now();
    let starving = starving.filter(|starving| starving.begin >= waiting_since);
    let Some(starving) = starving else { return Some(Starving::new(budget, now, now)) };
    let passed = now - starving.seen;
    if passed < limits.stall / 2 {
        return Some(starving);
    }
    let enough = limits.message_rate as u128 * passed.as_millis() / 1000;
    let enough = usize::try_from(enough).unwrap_or(usize::MAX);
    let links = budget.holders.largest();
    let mut any = false;
    for link in links.iter().filter(|link| starving.has_stopped(link, enough)) {
        budget.holders.give_up(link);
        any = true;
    }
    if !any && now - starving.begin >= limits.stall {
        links.iter().take(1).for_each(|largest| budget.holders.give_up(largest));
        any = true;
    }
    Some(Starving::new(budget, if any { now } else { starving.begin }, now))
}
