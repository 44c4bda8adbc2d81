//! How a handler learns that nobody waits for it any more.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use wamp_proto::{Uri, uri};

/// Why an invocation was canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// The caller canceled it; so a router says too that does not tell why.
    Canceled,
    /// The caller is gone.
    CallerGone,
    /// It took longer than its timeout.
    Timeout,
    /// The session is ending.
    Closing,
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CancelReason::Canceled => "its caller does not want it any more",
            CancelReason::CallerGone => "its caller is gone",
            CancelReason::Timeout => "it took longer than its timeout",
            CancelReason::Closing => "the session is ending",
        })
    }
}

impl CancelReason {
    /// What an INTERRUPT gives as its reason. Routers that give none mean a cancel.
    pub(crate) fn from_uri(reason: Option<&Uri>) -> Self {
        match reason {
            Some(reason) if *reason == uri::TIMEOUT => CancelReason::Timeout,
            Some(reason) if *reason == uri::CLOSE_REALM => CancelReason::CallerGone,
            Some(reason) if *reason == uri::SYSTEM_SHUTDOWN => CancelReason::Closing,
            _ => CancelReason::Canceled,
        }
    }
}

/// Whether an invocation is canceled, and whether it still wants an answer.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    reason: OnceLock<CancelReason>,
    over: AtomicBool,
    changed: Notify,
    /// There is credit for progressive results.
    pub(crate) credit: Notify,
}

impl Ending {
    /// The invocation is canceled; `over` says that no answer is wanted.
    pub(crate) fn cancel(&self, reason: CancelReason, over: bool) {
        let _ = self.reason.set(reason);
        if over {
            self.over.store(true, Ordering::Release);
        }
        self.changed.notify_waiters();
    }

    /// The invocation has been answered.
    pub(crate) fn answered(&self) {
        self.over.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Why it was canceled, if it was.
    pub(crate) fn reason(&self) -> Option<CancelReason> {
        self.reason.get().copied()
    }

    /// Whether no answer is wanted any more.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Waits for a cancel.
    pub(crate) async fn canceled(&self) -> CancelReason {
        self.until(Self::reason).await
    }

    /// Waits until no answer is wanted any more.
    pub(crate) async fn over(&self) {
        self.until(|this| this.is_over().then_some(())).await;
    }

    async fn until<T>(&self, check: impl Fn(&Self) -> Option<T>) -> T {
        loop {
            // Made before the check, so that it hears of every change after it.
            let changed = self.changed.notified();
            if let Some(value) = check(self) {
                return value;
            }
            changed.await;
        }
    }
}
