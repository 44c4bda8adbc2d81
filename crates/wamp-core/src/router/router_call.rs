//! Calls that the router makes itself, of procedures that decide about clients (behaviour
//! [266](crate::behaviour#rule-266)).

use std::time::Duration;

use wamp_proto::{Payload, Uri};

use super::dealer::CallKey;
use super::realm::Realm;
use crate::{Failure, Time};

/// A call that the router makes itself: without a session, and without authorization.
#[derive(Clone, Debug)]
pub struct RouterCall {
    /// The procedure.
    pub procedure: Uri,
    /// The arguments, in any serializer.
    pub payload: Payload,
    /// The time after which the call ends with `wamp.error.timeout`.
    pub timeout: Duration,
}

/// The key of a [`RouterCall`]. No other call of the realm ever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouterCallId(pub(super) CallKey);

impl Realm {
    /// Calls a procedure. The call ends with one [`Event::Answered`](super::Event::Answered), unless it is
    /// [abandoned](Self::abandon).
    ///
    /// # Errors
    /// No callee takes the call.
    pub fn call(&mut self, now: Time, call: &RouterCall) -> Result<RouterCallId, Failure> {
        self.cx.now = now;
        let made = self.dealer.call_of_router(&mut self.cx, call);
        if let Ok(key) = &made
            && let Some(callee) = self.dealer.callee(*key)
        {
            self.release_asked(callee);
        }
        self.pass_on();
        made.map(RouterCallId)
    }

    /// Ends a call without an event. Its callee is told. This has no effect if the call is over.
    pub fn abandon(&mut self, now: Time, call: RouterCallId) {
        self.cx.now = now;
        self.dealer.abandon(&mut self.cx, call.0);
        self.pass_on();
    }
}
