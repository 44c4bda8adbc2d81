//! Which link gives way when the router holds too much.
//!
//! Nobody gives way while every link keeps to its bounds. Two things go beyond them:
//!
//! * Messages that are added to links which are full already, as last replies are. When they are more than the
//!   [limit](crate::Limits::memory) and a message, the links that hold most are given up, until there is no more
//!   than the limit.
//! * Messages that are being received take all there is, and others [wait](crate::receiving). After half of
//!   [`stall`](crate::Limits::stall) those are given up that have not kept their
//!   [rate](crate::Limits::message_rate) meanwhile; if all have, after all of it the one that holds most.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::Limits;
use crate::budget::Budget;
use crate::outbound::Outbound;

/// How often to look while too much is held.
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

    /// How many links have given way.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// The links that hold anything, the largest first.
    fn largest(&self) -> Vec<Arc<Outbound>> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let links: Vec<_> = links.values().filter_map(Weak::upgrade).collect();
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

/// Looks after a budget for ever.
pub(crate) async fn watch(budget: Arc<Budget>, limits: Limits) {
    loop {
        budget.pressed.notified().await;
        let mut starving = None;
        while budget.is_exceeded() || budget.waiters.waiting_since().is_some() {
            if budget.is_exceeded() {
                relieve(&budget);
            }
            starving = starve(&budget, &limits, starving);
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = budget.pressed.notified() => {}
            }
        }
    }
}

/// Gives up the largest until there is no more than the limit.
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
    /// Since when that goes on with no link having given way.
    begin: Instant,
    /// How far the messages were at some time since then.
    seen: Instant,
    bytes: HashMap<usize, usize>,
}

impl Starving {
    fn new(budget: &Budget, begin: Instant, seen: Instant) -> Self {
        let links = budget.holders.largest();
        let bytes = links.iter().map(|link| (link.receiving().id(), link.receiving().bytes())).collect();
        Self { begin, seen, bytes }
    }

    /// Whether a link has kept less than this rate, in bytes, since its message was seen.
    fn has_stopped(&self, link: &Outbound, enough: usize) -> bool {
        let receiving = link.receiving();
        let Some(before) = self.bytes.get(&receiving.id()) else { return false };
        let came = receiving.bytes().checked_sub(*before);
        receiving.memory() > 0 && !receiving.is_waiting() && came.is_some_and(|came| came < enough)
    }
}

/// Looks whether links have waited for long enough for others to give way.
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
