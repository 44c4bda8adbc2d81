//! The caller: calls under way, and what becomes of them.

use wamp_proto::message::{self, CallOptions, CancelMode, CancelOptions};
use wamp_proto::{Feature, Payload, RequestId, Role, Uri};

use super::{Event, Session};
use crate::map::{Map, map};
use crate::progress::{Progress, Verdict};
use crate::{Failure, Misuse, Reply, Time};

pub(super) struct Caller {
    calls: Map<RequestId, Progress>,
}

impl Caller {
    pub(super) fn new(seed: u64) -> Self {
        Self { calls: map(seed) }
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
    }
}

impl Session {
    /// Calls a procedure. Answers come as [`Event::Replied`].
    ///
    /// # Errors
    /// [`Misuse::NotOpen`].
    pub fn call(
        &mut self,
        _now: Time,
        options: CallOptions,
        procedure: Uri,
        payload: Payload,
    ) -> Result<RequestId, Misuse> {
        self.check_open()?;
        let request = self.ids.next();
        let willing = options.receive_progress == Some(true);
        self.caller.calls.insert(request, Progress::new(willing));
        self.send(message::Call { request, options, procedure, payload });
        Ok(request)
    }

    /// Cancels a call. With [`CancelMode::Kill`] the callee still decides how it ends; with the other modes,
    /// and where the router cannot cancel, the call ends here and now with `wamp.error.canceled`.
    ///
    /// # Errors
    /// [`Misuse::Unknown`] for a call that is over: it has been answered, so there is nothing to cancel.
    pub fn cancel(&mut self, _now: Time, call: RequestId, mode: CancelMode) -> Result<(), Misuse> {
        let progress = self.caller.calls.get_mut(&call).ok_or(Misuse::Unknown)?;
        if !progress.on_cancel(mode) {
            return Ok(());
        }
        let router_cancels = self.router_has(Role::Dealer, Feature::CallCanceling);
        if router_cancels {
            let mut options = CancelOptions::default();
            options.mode = Some(mode);
            self.send(message::Cancel { request: call, options });
        }
        if mode != CancelMode::Kill || !router_cancels {
            self.caller.calls.remove(&call);
            let reply = Reply::Error(Failure::new(wamp_proto::uri::CANCELED));
            self.events.push_back(Event::Replied { call, reply });
        }
        Ok(())
    }

    pub(super) fn handle_result(&mut self, result: message::Result) {
        let reply = match result.details.is_progress() {
            true => Reply::Progress(result.payload),
            false => Reply::Result(result.payload),
        };
        self.handle_reply(result.request, reply);
    }

    pub(super) fn handle_call_error(&mut self, error: message::Error) {
        self.handle_reply(error.request, Reply::Error(error.into()));
    }

    fn handle_reply(&mut self, call: RequestId, reply: Reply) {
        let Some(progress) = self.caller.calls.get_mut(&call) else {
            match self.ids.has_issued(call) {
                true => self.stats.late += 1,
                false => self.stats.unknown += 1,
            }
            return;
        };
        match progress.on_reply(reply.kind()) {
            Verdict::Deliver => {
                if progress.phase() == crate::progress::Phase::Over {
                    self.caller.calls.remove(&call);
                }
                self.events.push_back(Event::Replied { call, reply });
            }
            Verdict::Unsolicited => self.stats.unsolicited += 1,
            Verdict::Late => self.stats.late += 1,
        }
    }
}
