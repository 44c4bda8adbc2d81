//! Canceling a call from another task.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use wamp_proto::message::CancelMode;
use wamp_proto::{Payload, RequestId, uri};

use crate::engine::shared::Engine;
use crate::error::CallError;

/// A handle that cancels a call from another task. It keeps neither the call nor the session alive.
#[derive(Clone)]
pub struct CallHandle(Target);

#[derive(Clone)]
enum Target {
    Sent(Sent),
    Later(Arc<Later>),
}

/// A call that was sent.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) engine: Arc<Engine>,
    pub(crate) id: RequestId,
}

/// A call that is perhaps not sent yet, or will be sent again.
#[derive(Default)]
pub(crate) struct Later {
    state: Mutex<State>,
    canceled: Notify,
}

#[derive(Default)]
enum State {
    #[default]
    Unsent,
    Sent {
        sent: Sent,
        /// It is not sent again.
        is_canceled: bool,
    },
    /// It was canceled while it was not sent, and is not sent any more.
    Canceled,
}

impl CallHandle {
    pub(crate) fn sent(engine: Arc<Engine>, id: RequestId) -> Self {
        Self(Target::Sent(Sent { engine, id }))
    }

    pub(crate) fn later(later: Arc<Later>) -> Self {
        Self(Target::Later(later))
    }

    /// Cancels the call. With [`CancelMode::Kill`] the callee decides how it ends and may go on sending until
    /// then; with the other modes it ends with [`CallError::Canceled`] after the results that have arrived. A call
    /// that is over stays as it is. A call that is not sent yet is not sent, and ends with [`CallError::Canceled`].
    pub fn cancel(&self, mode: CancelMode) {
        match &self.0 {
            Target::Sent(sent) => sent.cancel(mode),
            Target::Later(later) => later.cancel(mode),
        }
    }
}

impl Sent {
    pub(crate) fn cancel(&self, mode: CancelMode) {
        // `Unknown`: it is over.
        let _ = self.engine.with(|state, now| state.session.cancel(now, self.id, mode));
    }
}

impl Later {
    fn cancel(&self, mode: CancelMode) {
        let mut state = self.lock();
        match &mut *state {
            State::Unsent => {
                *state = State::Canceled;
                drop(state);
                self.canceled.notify_waiters();
            }
            State::Sent { sent, is_canceled } => {
                *is_canceled = true;
                let sent = sent.clone();
                drop(state);
                sent.cancel(mode);
            }
            State::Canceled => {}
        }
    }

    /// Records that the call was sent.
    pub(crate) fn handle_sent(&self, engine: &Arc<Engine>, id: RequestId) {
        let sent = Sent { engine: engine.clone(), id };
        let mut state = self.lock();
        match *state {
            State::Canceled => {
                drop(state);
                sent.cancel(CancelMode::KillNoWait);
            }
            State::Unsent | State::Sent { .. } => *state = State::Sent { sent, is_canceled: false },
        }
    }

    /// Records that the call has failed and will be sent again.
    pub(crate) fn handle_failed(&self) {
        let mut state = self.lock();
        if let State::Sent { is_canceled, .. } = *state {
            *state = if is_canceled { State::Canceled } else { State::Unsent };
        }
    }

    pub(crate) fn is_canceled(&self) -> bool {
        matches!(*self.lock(), State::Canceled)
    }

    /// Waits until the call is canceled while it is not sent.
    pub(crate) async fn canceled(&self) {
        loop {
            // Created before the check, so that it notices every later change.
            let canceled = self.canceled.notified();
            if self.is_canceled() {
                return;
            }
            canceled.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in this file panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a call that was canceled before it was sent.
pub(crate) fn canceled() -> CallError {
    CallError::Canceled { uri: uri::CANCELED, payload: Payload::empty() }
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Sent(sent) => f.debug_tuple("CallHandle").field(&sent.id).finish(),
            Target::Later(_) => f.debug_struct("CallHandle").finish_non_exhaustive(),
        }
    }
}
