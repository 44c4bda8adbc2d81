//! Cancels of invocations, at their handlers.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Notify;

use crate::error::CancelReason;

/// Whether an invocation is canceled, and whether it may still be answered.
#[derive(Debug, Default)]
pub(crate) struct CancelState {
    reason: OnceLock<CancelReason>,
    over: AtomicBool,
    changed: Notify,
    /// Notified when there is credit for progressive results.
    pub(crate) credit: Notify,
    /// The remaining progressive results that the current unit of the sender's task budget covers.
    paid: AtomicU32,
}

impl CancelState {
    /// Cancels the invocation; `over` means that no answer is awaited.
    pub(crate) fn cancel(&self, reason: CancelReason, over: bool) {
        let _ = self.reason.set(reason);
        if over {
            self.over.store(true, Ordering::Release);
        }
        self.changed.notify_waiters();
    }

    /// Records that the invocation has been answered.
    pub(crate) fn answered(&self) {
        self.over.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Returns the reason, if the invocation was canceled.
    pub(crate) fn reason(&self) -> Option<CancelReason> {
        self.reason.get().copied()
    }

    /// Returns whether no answer is awaited any more.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Returns whether the next progressive result needs a unit of the budget of its task. A unit pays for as many results
    /// as `per_unit` says. With several senders at a time, a unit may cover a few more results.
    pub(crate) fn needs_unit(&self, per_unit: impl FnOnce() -> u32) -> bool {
        let paid = self.paid.load(Ordering::Relaxed);
        self.paid.store(if paid == 0 { per_unit() } else { paid } - 1, Ordering::Relaxed);
        paid == 0
    }

    /// Waits for a cancel.
    pub(crate) async fn canceled(&self) -> CancelReason {
        self.until(Self::reason).await
    }

    /// Waits until no answer is awaited any more.
    pub(crate) async fn over(&self) {
        self.until(|this| this.is_over().then_some(())).await;
    }

    async fn until<T>(&self, check: impl Fn(&Self) -> Option<T>) -> T {
        loop {
            // Created before the check, so that it notices every later change.
            let changed = self.changed.notified();
            if let Some(value) = check(self) {
                return value;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_pays_for_several_results() {
        let state = CancelState::default();
        let units: Vec<bool> = [3, 0, 0, 1, 2, 0].map(|per_unit| state.needs_unit(|| per_unit)).into();
        assert_eq!(units, [true, false, false, true, true, false]);
    }
}
