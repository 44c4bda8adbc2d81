//! How a call ends otherwise than by its answer: canceled, too late, left alone by one of its ends. Whatever it is,
//! `end` takes its record away.

use std::time::Duration;

use wamp_proto::message::{self, CancelMode, InterruptOptions, RequestKind};
use wamp_proto::{Uri, uri};

use super::call::{Call, CallKey};
use crate::Time;
use crate::map;
use crate::progress::Phase;
use crate::router::outbox::failure;
use crate::router::realm::{Due, Realm};
use crate::router::sessions::{SessionKey, Sessions};

/// A timeout that stands still is looked at no more often than this, however short it is.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Realm {
    pub(in crate::router) fn handle_cancel(&mut self, now: Time, from: SessionKey, cancel: message::Cancel) {
        let Some(session) = self.sessions.get(from) else { return };
        // A call that is over is over: the caller learns that from its answer, which is on its way.
        let Some(key) = session.calls.get(&cancel.request).copied() else { return };
        let Some(call) = self.dealer.calls.get(key) else { return };
        let callee_takes_interrupt =
            self.sessions.get(call.callee).is_some_and(|callee| callee.announced.callee_canceling);
        let mode = match cancel.options.mode.unwrap_or(CancelMode::KillNoWait) {
            _ if !callee_takes_interrupt => CancelMode::Skip,
            mode => mode,
        };
        let Some(call) = self.dealer.calls.get_mut(key) else { return };
        if !call.progress.on_cancel(mode) {
            return;
        }
        match mode {
            CancelMode::Skip => self.set_free(key),
            _ => self.interrupt(key, mode, uri::CANCELED),
        }
        if mode == CancelMode::Kill {
            self.set_deadline(now, key, Some(self.config.kill_timeout));
        } else {
            self.fail(key, uri::CANCELED, "the call was canceled");
        }
    }

    pub(in crate::router) fn handle_call_deadline(&mut self, now: Time, key: CallKey) {
        let Some(call) = self.dealer.calls.get_mut(key) else { return };
        call.deadline = None;
        let excused = standing(call, &self.sessions, now).saturating_sub(call.held);
        if !excused.is_zero() {
            return self.set_deadline(now, key, Some(excused.max(LOOK_AGAIN)));
        }
        match call.progress.phase() {
            Phase::Canceling => {
                self.set_free(key);
                self.fail(key, uri::CANCELED, "the call was canceled, and the callee did not answer in time");
            }
            _ => {
                self.stats.timeouts += 1;
                self.interrupt(key, CancelMode::KillNoWait, uri::TIMEOUT);
                self.fail(key, uri::TIMEOUT, "the callee did not answer in time");
            }
        }
    }

    /// Ends a call with an ERROR for the caller.
    pub(in crate::router) fn fail(&mut self, key: CallKey, error: Uri, text: &str) {
        let Some(call) = self.end(key) else { return };
        if let Some(caller) = self.sessions.get(call.caller) {
            let answer = failure(error, text, caller).answer(RequestKind::Call, call.request);
            self.out.send(call.caller, answer);
        }
    }

    /// Tells the callee that its answer is not wanted any more, if it understands that.
    pub(in crate::router) fn interrupt(&mut self, key: CallKey, mode: CancelMode, reason: Uri) {
        let Some(call) = self.dealer.calls.get(key) else { return };
        let Some(callee) = self.sessions.get(call.callee) else { return };
        if callee.announced.callee_canceling {
            let mut options = InterruptOptions::default();
            options.mode = Some(mode);
            options.reason = Some(reason);
            self.out.send(call.callee, message::Interrupt { request: call.invocation, options });
        } else {
            self.set_free(key);
        }
    }

    /// Takes away the record of a call.
    pub(in crate::router) fn end(&mut self, key: CallKey) -> Option<Call> {
        let call = self.dealer.calls.remove(key)?;
        if let Some(caller) = self.sessions.get_mut(call.caller) {
            map::remove(&mut caller.calls, &call.request);
            caller.progressive_calls -= usize::from(call.progress.is_willing() || call.upload.is_some());
        }
        if let Some(callee) = self.sessions.get_mut(call.callee) {
            map::remove(&mut callee.invocations, &call.invocation);
        }
        self.unbind(call.caller, call.callee);
        if let Some(deadline) = call.deadline {
            self.deadlines.clear(deadline);
        }
        for starved in call.starving() {
            self.deadlines.clear(starved);
            self.starved -= 1;
        }
        Some(call)
    }

    pub(in crate::router) fn restart_timeout(&mut self, now: Time, key: CallKey) {
        if let Some(timeout) = self.dealer.calls.get(key).and_then(|call| call.timeout) {
            self.set_deadline(now, key, Some(timeout));
        }
    }

    fn set_deadline(&mut self, now: Time, key: CallKey, after: Option<Duration>) {
        let Some(call) = self.dealer.calls.get_mut(key) else { return };
        call.held = standing(call, &self.sessions, now);
        // All that came with one read comes at one time.
        if let (Some(deadline), Some(after)) = (call.deadline, after)
            && deadline.at() == now + after
        {
            return;
        }
        if let Some(deadline) = call.deadline.take() {
            self.deadlines.clear(deadline);
        }
        call.deadline = after.map(|after| self.deadlines.set(now + after, Due::Call(key)));
    }
}

/// How long the callee of a call could not have answered, in all: the router did not read from it, or it had no
/// credit. A callee that is to be heard after a cancel needs no grant for that.
fn standing(call: &Call, sessions: &Sessions, now: Time) -> Duration {
    let held = sessions.get(call.callee).map_or(Duration::ZERO, |callee| callee.held(now));
    match (&call.results, call.progress.phase()) {
        (Some(results), Phase::Running) => held + results.spent(now),
        _ => held,
    }
}
