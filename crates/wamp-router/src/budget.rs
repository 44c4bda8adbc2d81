//! The octets that are queued in the whole router, and how much of them a link may have.
//!
//! A link that has no more than [`LEAST`] queued costs nothing and takes no share. The others are *active*:
//! each may have the same part of the limit, at most its high water, and together they may not have more than
//! the limit. So one slow link has all that a link may have; a thousand have little each, and whoever comes
//! when everything is taken still has [`LEAST`].

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Limits;

/// A link that has no more queued than this is never full.
const LEAST: usize = 16 << 10;

/// A link reports what it has queued when it differs by so much, not with every message.
const STEP: usize = 4 << 10;

/// What the links of a router have queued, in octets.
///
/// The numbers are independent of each other and only decide who waits, so no order is needed among them.
#[derive(Debug)]
pub(crate) struct Budget {
    queued: AtomicUsize,
    active: AtomicUsize,
    limit: usize,
    high_water: usize,
    low_water: usize,
}

/// What a link has reported.
#[derive(Debug, Default)]
pub(crate) struct Part(usize);

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            queued: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            limit: limits.queued,
            high_water: limits.high_water,
            low_water: limits.low_water,
        }
    }

    /// What is queued, up to a few KiB for each link.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Takes note of what a link has queued now.
    pub(crate) fn report(&self, part: &mut Part, octets: usize) {
        if octets == part.0 || octets != 0 && octets.abs_diff(part.0) < STEP {
            return;
        }
        if octets > part.0 {
            self.queued.fetch_add(octets - part.0, Ordering::Relaxed);
        } else {
            self.queued.fetch_sub(part.0 - octets, Ordering::Relaxed);
        }
        match (self.is_active(part.0), self.is_active(octets)) {
            (false, true) => {
                self.active.fetch_add(1, Ordering::Relaxed);
            }
            (true, false) => {
                self.active.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
        part.0 = octets;
    }

    /// Whether a link with so many octets is above its high water.
    pub(crate) fn is_full(&self, part: &Part, octets: usize) -> bool {
        // The queued octets of others need not be looked at for a link that has next to none.
        if octets < self.least() {
            return false;
        }
        let left = self.limit.saturating_sub(self.queued()).saturating_add(part.0);
        octets >= self.share().min(left).max(self.least())
    }

    /// Whether a link with so many octets is below its low water.
    pub(crate) fn has_room(&self, octets: usize) -> bool {
        // As far below its share as it is for a link that is alone.
        let low = self.share() as u64 * self.low_water as u64 / (self.high_water as u64).max(1);
        (octets as u64) < low.max(1)
    }

    fn share(&self) -> usize {
        let fair = self.limit / self.active.load(Ordering::Relaxed).max(1);
        fair.min(self.high_water).max(self.least())
    }

    fn is_active(&self, octets: usize) -> bool {
        octets > self.least()
    }

    fn least(&self) -> usize {
        LEAST.min(self.high_water)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn budget(limit: usize) -> Budget {
        let limits = Limits { queued: limit, ..Limits::default() };
        Budget::new(&limits)
    }

    /// Fills a link until it is full, and says how much it took.
    fn fill(budget: &Budget, part: &mut Part) -> usize {
        let mut octets = part.0;
        while !budget.is_full(part, octets) {
            octets += 1000;
            budget.report(part, octets);
        }
        octets
    }

    #[test]
    fn one_link_alone_has_its_high_water_and_is_let_go_at_low_water() {
        let (budget, mut part) = (budget(64 * MIB), Part::default());
        assert!(!budget.is_full(&part, MIB - 1));
        assert!(budget.is_full(&part, MIB));
        assert!((MIB..MIB + 1000).contains(&fill(&budget, &mut part)));
        assert!(!budget.has_room(768 << 10));
        assert!(budget.has_room((768 << 10) - 1));
        budget.report(&mut part, 0);
        assert_eq!((budget.queued(), budget.active.into_inner()), (0, 0));
    }

    #[test]
    fn a_thousand_links_share_and_who_comes_late_still_has_a_little() {
        let budget = budget(64 * MIB);
        let mut parts: Vec<Part> = (0..1000).map(|_| Part::default()).collect();
        let taken: Vec<usize> = parts.iter_mut().map(|part| fill(&budget, part)).collect();
        assert!(taken[0] >= MIB && taken[999] >= LEAST);
        assert!(taken[999] < LEAST + STEP + 1000);
        assert!(budget.queued() < 64 * MIB + 1000 * (LEAST + STEP), "{}", budget.queued());
        // All at once, they all have the same.
        for part in &mut parts {
            budget.report(part, 0);
        }
        let mut full = 0;
        let mut octets = 0;
        while full < 1000 {
            octets += 5000;
            full = 0;
            for part in &mut parts {
                if budget.is_full(part, part.0) {
                    full += 1;
                } else {
                    budget.report(part, octets);
                }
            }
        }
        assert!((60_000..=75_000).contains(&octets), "{octets}");
        assert!(budget.queued() <= 66 * MIB, "{}", budget.queued());
        assert!(!budget.has_room(52 << 10) && budget.has_room(45 << 10));
    }

    #[test]
    fn an_idle_link_takes_no_share() {
        let budget = budget(4 * MIB);
        let mut idle: Vec<Part> = (0..100).map(|_| Part::default()).collect();
        for part in &mut idle {
            budget.report(part, LEAST);
        }
        let mut part = Part::default();
        assert!(fill(&budget, &mut part) >= MIB);
    }

    #[test]
    fn what_is_small_is_not_reported_and_nothing_is_left_behind() {
        let (budget, mut part) = (budget(MIB), Part::default());
        budget.report(&mut part, STEP - 1);
        assert_eq!(budget.queued(), 0);
        budget.report(&mut part, STEP);
        assert_eq!(budget.queued(), STEP);
        budget.report(&mut part, 1);
        assert_eq!(budget.queued(), STEP);
        budget.report(&mut part, 0);
        assert_eq!(budget.queued(), 0);
    }
}
