//! The memory that peers can make a callee hold: counted in bytes, with one limit for each session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most bytes of received calls (arguments of running invocations, untaken chunks) and of results that
/// cannot be sent yet.
pub(crate) const LIMIT: usize = 240 << 20;

/// The most bytes of received calls. Further calls are refused, so that there is always room for results.
pub(crate) const LIMIT_OF_CALLS: usize = 176 << 20;

/// The bytes that a session holds for its peers.
#[derive(Debug, Default)]
pub(crate) struct Budget(AtomicUsize);

impl Budget {
    /// Adds bytes, unless there would be more than `limit` in all.
    pub(crate) fn take(&self, bytes: usize, limit: usize) -> bool {
        let add = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= limit);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Removes bytes.
    pub(crate) fn give(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes of a budget that are given back when this is dropped.
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// An empty share.
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: budget.clone(), bytes: 0 }
    }

    /// Adds bytes, unless there is no room for them.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let grown = self.budget.take(bytes, LIMIT);
        self.bytes += if grown { bytes } else { 0 };
        grown
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_the_limit_are_refused_and_dropped_ones_are_free_again() {
        let budget = Arc::new(Budget::default());
        assert!(budget.take(LIMIT_OF_CALLS, LIMIT_OF_CALLS));
        assert!(!budget.take(1, LIMIT_OF_CALLS));
        let mut share = Share::new(&budget);
        assert!(share.grow(LIMIT - LIMIT_OF_CALLS));
        assert!(!share.grow(1));
        assert!(!share.grow(usize::MAX));
        drop(share);
        assert!(Share::new(&budget).grow(1));
    }
}
