//! Ends of a call other than a reply: cancel, timeout, departure of either side (behaviour
//! [25](crate::behaviour#rule-25) to [30](crate::behaviour#rule-30), [35](crate::behaviour#rule-35) to
//! [42](crate::behaviour#rule-42)). Each of them removes the record of the call by `end`.

use std::time::Duration;

use wamp_proto::message::{self, CancelMode, InterruptOptions, RequestKind};
use wamp_proto::{RequestId, Uri, uri};

use super::call::{Call, CallKey};
use super::{Dealer, Remains, own};
use crate::Time;
use crate::map;
use crate::progress::Phase;
use crate::router::context::{Context, Due};
use crate::router::outbox::failure;
use crate::router::sessions::{SessionKey, Sessions};

/// The argument of the ERROR that ends a call with a slow peer.
pub(super) const SLOW_CONSUMER: &str = "slow consumer";

/// A last reply to a stalled session becomes an ERROR if its payload is longer than this, in bytes.
pub(super) const SMALL_REPLY: usize = 1 << 10;

/// The shortest interval between two checks of a paused timeout.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Dealer {
    pub(in crate::router) fn handle_cancel(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        cancel: message::Cancel,
    ) {
        let Some(session) = cx.sessions.get(from) else { return };
        // The call is over: its end is on the way to the caller.
        let Some(key) = session.dealer.calls.get(&cancel.request).copied() else { return };
        let Some(call) = self.calls.get(key) else { return };
        let callee_takes_interrupt =
            cx.sessions.get(call.callee).is_some_and(|callee| callee.announced.callee_canceling);
        let mode = match cancel.options.mode.unwrap_or(CancelMode::KillNoWait) {
            _ if !callee_takes_interrupt => CancelMode::Skip,
            mode => mode,
        };
        let Some(call) = self.calls.get_mut(key) else { return };
        if !call.progress.on_cancel(mode) {
            return;
        }
        match mode {
            CancelMode::Skip => self.grant_unlimited(cx, key),
            _ => self.interrupt(cx, key, mode, uri::CANCELED),
        }
        match mode {
            CancelMode::Skip => cx.stats.cancels_skip += 1,
            CancelMode::Kill => cx.stats.cancels_kill += 1,
            _ => cx.stats.cancels_killnowait += 1,
        }
        if mode == CancelMode::Kill {
            self.settle(cx, key);
            self.set_deadline(cx, key, Some(cx.config.kill_timeout));
        } else {
            self.fail(cx, key, uri::CANCELED, "the call was canceled");
        }
    }

    pub(in crate::router) fn handle_call_deadline(&mut self, cx: &mut Context, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        call.deadline = None;
        let excused = standing(call, &cx.sessions, cx.now).saturating_sub(call.held);
        if !excused.is_zero() && !call.caller.is_router() {
            return self.set_deadline(cx, key, Some(excused.max(LOOK_AGAIN)));
        }
        match call.progress.phase() {
            Phase::Canceling => {
                self.grant_unlimited(cx, key);
                self.fail(
                    cx,
                    key,
                    uri::CANCELED,
                    "the call was canceled, and the callee did not answer in time",
                );
            }
            _ => {
                cx.stats.timeouts += 1;
                self.interrupt(cx, key, CancelMode::KillNoWait, uri::TIMEOUT);
                self.fail(cx, key, uri::TIMEOUT, "the callee did not answer in time");
            }
        }
    }

    /// Ends a call with an ERROR for the caller.
    pub(in crate::router) fn fail(&mut self, cx: &mut Context, key: CallKey, error: Uri, text: &str) {
        self.time(cx.now, key);
        let Some(call) = self.end(cx, key) else { return };
        cx.stats.ended += 1;
        if call.caller.is_router() {
            own::fail(cx, key, error, text);
        } else if let Some(caller) = cx.sessions.get(call.caller) {
            let answer = failure(error, text, caller).answer(RequestKind::Call, call.request);
            cx.out.send(call.caller, answer);
        }
    }

    /// Tells the callee that no answer is awaited any more, if it takes INTERRUPT.
    pub(super) fn interrupt(&mut self, cx: &mut Context, key: CallKey, mode: CancelMode, reason: Uri) {
        let Some(call) = self.calls.get(key) else { return };
        let Some(callee) = cx.sessions.get(call.callee) else { return };
        if callee.announced.callee_canceling {
            let options =
                InterruptOptions { mode: Some(mode), reason: Some(reason), ..InterruptOptions::default() };
            cx.out.send(call.callee, message::Interrupt { request: call.invocation, options });
        } else {
            self.grant_unlimited(cx, key);
        }
    }

    /// Ends a call because one of its peers does not keep up.
    pub(in crate::router) fn end_slow(&mut self, cx: &mut Context, key: CallKey) {
        cx.stats.slow_consumers += 1;
        self.interrupt(cx, key, CancelMode::KillNoWait, uri::CANCELED);
        self.fail(cx, key, uri::CANCELED, SLOW_CONSUMER);
    }

    /// Removes one entry of a session that is over. Returns `false` if there was none left.
    pub(in crate::router) fn remove_one(
        &mut self,
        cx: &mut Context,
        session: SessionKey,
        remains: &mut Remains,
    ) -> bool {
        if let Some(call) = remains.calls.pop() {
            self.interrupt(cx, call, CancelMode::KillNoWait, uri::CLOSE_REALM);
            self.end(cx, call);
        } else if let Some(call) = remains.invocations.pop() {
            self.fail(cx, call, uri::CANCELED, "the callee has left");
        } else if let Some(registration) = remains.registrations.pop() {
            self.remove_callee(cx, registration, session);
        } else {
            return false;
        }
        true
    }

    /// Removes the record of a call.
    pub(super) fn end(&mut self, cx: &mut Context, key: CallKey) -> Option<Call> {
        let mut call = self.calls.remove(key)?;
        if call.is_waiting() {
            self.queues.remove(call.registration, key);
        }
        self.forget_kept(cx, call.kept.take(), call.caller);
        if let Some(caller) = cx.sessions.get_mut(call.caller) {
            map::remove(&mut caller.dealer.calls, &call.request);
            caller.dealer.progressive_calls -=
                usize::from(call.progress.wants_progress() || call.upload.is_some());
        }
        if let Some(callee) = cx.sessions.get_mut(call.callee) {
            map::remove(&mut callee.dealer.invocations, &call.invocation);
        }
        self.untie(cx, call.caller, call.callee);
        if call.is_counted {
            self.loads.subtract(call.registration, call.callee);
            self.queues.note(call.registration);
        }
        if let Some(deadline) = call.deadline {
            cx.deadlines.clear(deadline);
        }
        for starved in call.starving() {
            cx.deadlines.clear(starved);
            self.starved -= 1;
        }
        Some(call)
    }

    pub(super) fn restart_timeout(&mut self, cx: &mut Context, key: CallKey) {
        if let Some(timeout) = self.calls.get(key).and_then(|call| call.timeout) {
            self.set_deadline(cx, key, Some(timeout));
        }
    }

    /// Ends a call in chunks one of whose chunks is lost.
    pub(in crate::router) fn end_chunked(
        &mut self,
        cx: &mut Context,
        caller: SessionKey,
        request: RequestId,
        error: Uri,
        text: &str,
    ) {
        let session = cx.sessions.get(caller);
        if let Some(key) = session.and_then(|session| session.dealer.calls.get(&request)).copied() {
            self.interrupt(cx, key, CancelMode::KillNoWait, error.clone());
            self.fail(cx, key, error, text);
        }
    }

    pub(super) fn set_deadline(&mut self, cx: &mut Context, key: CallKey, after: Option<Duration>) {
        let Some(call) = self.calls.get_mut(key) else { return };
        call.held = standing(call, &cx.sessions, cx.now);
        // All messages of one read have the same time.
        if let (Some(deadline), Some(after)) = (call.deadline, after)
            && deadline.at() == cx.now + after
        {
            return;
        }
        if let Some(deadline) = call.deadline.take() {
            cx.deadlines.clear(deadline);
        }
        call.deadline = after.map(|after| cx.deadlines.set(cx.now + after, Due::Call(key)));
    }
}

/// How long the callee could not have answered, in all: the router did not read from it, or it had no credit.
/// After a cancel an answer needs no credit.
pub(super) fn standing(call: &Call, sessions: &Sessions, now: Time) -> Duration {
    let held = sessions.get(call.callee).map_or(Duration::ZERO, |callee| callee.held(now));
    match (&call.results, call.progress.phase()) {
        (Some(results), Phase::Running) => held + results.spent(now),
        _ => held,
    }
}
