//! The changes of the connection of a session, for the program.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use wamp_core::session::Closed;
use wamp_proto::{SessionId, Uri};

use crate::connect::error::ConnectError;
use crate::engine::inbox::{Inbox, Next};
use crate::error::RequestError;

/// The most memory of states that wait to be taken, in bytes. Further ones are dropped.
const BUFFER: usize = 64 << 10;

/// A change of the connection of a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionState {
    /// The connection is lost, and attempts to get another one follow.
    Down {
        /// The reason.
        closed: Closed,
    },
    /// An attempt follows after a delay.
    Retrying {
        /// Its URL, without a password.
        url: String,
        /// Its number since the connection was last stable.
        attempt: u32,
        /// The delay.
        delay: Duration,
        /// The failure of the last attempt; `None` before the first one.
        error: Option<ConnectError>,
    },
    /// The session is open again, and everything is registered and subscribed to, or waits for the router to give up
    /// the session before.
    Up {
        /// The id of the new session.
        id: SessionId,
        /// The time without a session. Events of this time are missed.
        gap: Duration,
    },
    /// The router has not answered to a registration or subscription of the session before within 10 s. The session is up
    /// without it. [`Restored`](Self::Restored) or [`Lost`](Self::Lost) follows if the router answers.
    Unanswered {
        /// The procedure or topic.
        uri: Uri,
    },
    /// A procedure that waited for the router to give up the session before is registered again, or the answer to a
    /// registration or subscription has arrived late.
    Restored {
        /// The procedure.
        uri: Uri,
    },
    /// The router has refused a registration, a subscription or a testament of the session before; it is dropped.
    Lost {
        /// The procedure or topic.
        uri: Uri,
        /// The reason.
        error: RequestError,
    },
    /// The session is over for good. No state follows.
    Closed {
        /// The end of the last session.
        closed: Closed,
        /// The failure of the last attempt to get another one.
        error: Option<ConnectError>,
    },
}

pub(crate) type StateInbox = Inbox<ConnectionState, ()>;

/// The changes of the connection of a session, in order; see [`Session::states`](crate::Session::states). It does not
/// keep the session.
pub struct ConnectionStates {
    inbox: Arc<StateInbox>,
    is_over: bool,
}

impl ConnectionStates {
    pub(super) fn new() -> (Self, Arc<StateInbox>) {
        let inbox = Arc::new(Inbox::new(BUFFER));
        (Self { inbox: inbox.clone(), is_over: false }, inbox)
    }

    /// The next change; `None` after the last one.
    #[allow(clippy::should_implement_trait, reason = "as every stream has it")]
    pub async fn next(&mut self) -> Option<ConnectionState> {
        poll_fn(|cx| self.poll_state(cx)).await
    }

    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<Option<ConnectionState>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.inbox.poll_take(cx)) {
            Next::Item(state, _) => Some(state),
            Next::End(()) => {
                self.is_over = true;
                None
            }
        })
    }
}

impl Stream for ConnectionStates {
    type Item = ConnectionState;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnectionState>> {
        self.get_mut().poll_state(cx)
    }
}

impl fmt::Debug for ConnectionStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionStates").finish_non_exhaustive()
    }
}
