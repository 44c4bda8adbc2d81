//! Calls that wait until a callee can take another call of their procedure, in a realm with a `call_queue` (behaviour
//! [148](crate::behaviour#rule-148)).
//!
//! A waiting call has a record like every other, with the caller's request, the deadline and the kept CALL, and with
//! [`SessionKey::ROUTER`] in the place of its callee: no session has that key, so that every end of a call works for it,
//! and no callee is told. It gets a callee in the input that made room, before any later CALL.

use std::collections::BTreeSet;

use wamp_proto::message::{self, RequestKind};
use wamp_proto::{RegistrationId, RequestId, uri};

use super::Dealer;
use super::call::{Call, CallKey};
use super::flow::Flow;
use super::plan::{BUSY, NoPlan, timeout};
use super::reroute::Kept;
use crate::map::{self, HashSeed, Map, map};
use crate::progress::Progress;
use crate::router::context::{Context, Refused};
use crate::router::opaque;
use crate::router::outbox::FrameInfo;
use crate::router::roles::Actions;
use crate::router::sessions::SessionKey;

/// The error text of a call whose registration has ended while it waited.
const ENDED: &str = "the callee for which the call waited has gone";

/// The calls that wait, by their registration and in order.
#[derive(Clone)]
pub(super) struct Queues {
    of: Map<RegistrationId, BTreeSet<CallKey>>,
    len: usize,
    /// Registrations with waiting calls at which something has changed.
    changed: Vec<RegistrationId>,
}

impl Queues {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { of: map(seed), len: 0, changed: Vec::new() }
    }

    /// The number of waiting calls.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn of(&self, registration: RegistrationId) -> usize {
        self.of.get(&registration).map_or(0, BTreeSet::len)
    }

    /// Whether calls wait for a callee of a registration.
    #[inline]
    pub(super) fn has(&self, registration: RegistrationId) -> bool {
        self.len > 0 && self.of.contains_key(&registration)
    }

    fn first(&self, registration: RegistrationId) -> Option<CallKey> {
        self.of.get(&registration)?.first().copied()
    }

    fn keys(&self) -> Vec<CallKey> {
        self.of.values().flatten().copied().collect()
    }

    /// Removes a call.
    pub(super) fn remove(&mut self, registration: RegistrationId, key: CallKey) {
        let Some(queue) = self.of.get_mut(&registration) else { return };
        self.len -= usize::from(queue.remove(&key));
        if queue.is_empty() {
            map::remove(&mut self.of, &registration);
        }
    }

    /// Records that a callee of a registration may have room, or is gone.
    #[inline]
    pub(super) fn note(&mut self, registration: RegistrationId) {
        if self.has(registration) && !self.changed.contains(&registration) {
            self.changed.push(registration);
        }
    }
}

impl Dealer {
    /// The number of calls that wait for a callee with room.
    pub(in crate::router) fn queued(&self) -> usize {
        self.queues.len()
    }

    /// All of these calls.
    pub(in crate::router) fn queued_calls(&self) -> Vec<CallKey> {
        self.queues.keys()
    }

    /// Whether waiting calls are to be looked at.
    #[inline]
    pub(in crate::router) fn has_room_for_queued(&self) -> bool {
        !self.queues.changed.is_empty()
    }

    /// Lets a call wait whose callees have as many calls as they take. Returns `false` if it cannot wait.
    #[cold]
    pub(super) fn enqueue(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        call: &message::Call,
    ) -> Result<bool, Refused> {
        let message::Call { request, options, procedure, payload } = call;
        let Some((_, found)) = self.procedures.find(procedure) else { return Ok(false) };
        let registration = found.id;
        let Some(caller) = cx.sessions.get(from) else { return Ok(false) };
        // The chunks of a call would have to wait, too.
        let in_chunks = options.progress == Some(true);
        let queued = self.queues.of(registration);
        if in_chunks || queued >= cx.config.call_queue || queued == 0 && !found.is_at_limit(&self.loads) {
            return Ok(false);
        }
        if let Some(ppt) = &options.ppt {
            opaque::check(ppt, payload)?;
        }
        let disclosure = caller.authorize(Actions::CALL, procedure)?.unwrap_or(cx.config.disclosure);
        let wait = caller.time_left(timeout(options)?);
        let wants_progress = options.receive_progress == Some(true) && caller.announced.caller_progress;
        let Some(kept) = Kept::new(cx, call, caller, registration, disclosure, wait) else {
            return Ok(false);
        };
        let bytes = kept.bytes();
        let (nobody, none) = (SessionKey::ROUTER, RequestId::FIRST);
        let window = cx.config.credit.map(|credit| credit.window);
        let record = Call {
            kept: Some(kept),
            // The caller may grant credit already.
            results: if wants_progress {
                Flow::new(window, None, caller.announced.caller_credit)
            } else {
                None
            },
            ..Call::new(
                from,
                *request,
                nobody,
                none,
                Progress::new(wants_progress),
                (found, procedure, cx.now),
            )
        };
        let key = self.calls.insert(record, None);
        self.kept_bytes += bytes;
        if let Some(caller) = cx.sessions.get_mut(from) {
            caller.dealer.calls.insert(*request, key);
            caller.dealer.progressive_calls += usize::from(wants_progress);
            caller.dealer.kept_bytes += bytes;
        }
        self.queues.of.entry(registration).or_default().insert(key);
        self.queues.len += 1;
        if wait.is_some() {
            self.set_deadline(cx, key, wait);
        }
        cx.stats.calls_queued += 1;
        Ok(true)
    }

    /// Gives one waiting call to a callee that has room, or ends it if no callee can ever take it. Returns `false` if
    /// there is none to look at.
    pub(in crate::router) fn serve_queued(&mut self, cx: &mut Context) -> bool {
        let Some(registration) = self.queues.changed.last().copied() else { return false };
        let Some(key) = self.queues.first(registration) else {
            self.queues.changed.pop();
            return true;
        };
        let Some((_, found)) = self.procedures.get(registration) else {
            self.fail(cx, key, uri::UNAVAILABLE, ENDED);
            return true;
        };
        let is_full = |callee| cx.sessions.is_full(callee);
        if found.choose(Some(0), &self.loads, is_full).is_some() {
            self.start_queued(cx, key);
        } else if found.is_at_limit(&self.loads) {
            // The end of another call makes room.
            self.queues.changed.pop();
        } else {
            cx.stats.unavailable += 1;
            self.fail(cx, key, uri::UNAVAILABLE, BUSY);
        }
        true
    }

    /// Gives a waiting call to a callee.
    fn start_queued(&mut self, cx: &mut Context, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let (caller, request) = (call.caller, call.request);
        let Some(mut kept) = call.kept.take() else { return };
        let left = call.deadline.map(|deadline| deadline.at().since(cx.now));
        self.uncount_kept(cx, &kept, caller);
        kept.set_time(left, cx.now);
        let draw = cx.chance.draw();
        let (error, text) = loop {
            match self.plan(cx, caller, &kept.call, &FrameInfo::none(), draw, Some(&kept)) {
                Ok(mut plan) => {
                    if let Some(before) = self.end(cx, key) {
                        plan.call.tally = before.tally;
                        if let (Some(results), Some(before)) = (&mut plan.call.results, before.results) {
                            results.to = before.to;
                        }
                    }
                    plan.keep_again(cx, kept);
                    plan.continues = Some(key);
                    self.commit(cx, plan);
                    return;
                }
                Err(NoPlan::Gone(registration, callee)) => {
                    self.remove_callee(cx, registration, callee);
                    if self.procedures.get(kept.registration).is_none() {
                        break (uri::UNAVAILABLE, ENDED.to_owned());
                    }
                }
                Err(none) => break none.refusal(&mut cx.stats),
            }
        };
        self.end(cx, key);
        cx.refuse(caller, RequestKind::Call, request, error, &text);
    }
}
