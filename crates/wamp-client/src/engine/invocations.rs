//! The callee's tables: invocations under way, and those whose handlers or results wait while the router is
//! behind.
//!
//! * A handler does not begin while the outbound queue is full. Its invocation waits in `delayed`, in order;
//!   the first of them waits for room like every other message.
//! * A result that cannot be sent yet waits in the task of its handler, and is counted in the
//!   [`Budget`](crate::engine::budget::Budget). When the
//!   budget is used up, the streams that have waited longest for credit end, with `wamp.error.unavailable`.
//! * Refusals are sent at once, even if the queue is full; the reader stops when there are too many of them
//!   (`reader`).

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wamp_core::session::Stream;
use wamp_core::{Failure, Reply, ReplyError, Time};
use wamp_proto::message::{self, Ppt};
use wamp_proto::relay::PlainProgress;
use wamp_proto::{Payload, PayloadBuffer, RegistrationId, RequestId, uri};
use wamp_transport::COPIED_BELOW;

use crate::arguments::sentence;
use crate::engine::budget::{LIMIT, LIMIT_OF_CALLS};
use crate::engine::cancel::CancelState;
use crate::engine::inbox::{Inbox, detach_unless_awaited, held};
use crate::engine::procedure::{Job, Procedure};
use crate::engine::state::{Invoked, State, WaitingResult};
use crate::error::{CancelReason, RequestError};

/// The most invocations under way; further ones are refused.
const MAX_INVOCATIONS: usize = 65_536;

/// The cost of an invocation in the budget, besides its arguments.
const INVOCATION: usize = 1024;

/// The cost of a waiting result in the budget, besides its payload.
const WAITING: usize = 256;

/// The most bytes of chunks of one invocation that its handler has not taken; with more it is refused.
const MAX_UPLOAD_OCTETS: usize = 64 << 20;

impl State {
    /// Sends a progressive result from a buffer, if there is credit for it.
    pub(crate) fn progress_written(
        &mut self,
        now: impl FnOnce() -> Time,
        head: &PlainProgress,
        payload: &PayloadBuffer,
    ) -> Option<Result<(), ReplyError>> {
        match self.session.progress(now, head) {
            Ok(()) => {
                self.queue.push_plain(&head.head(self.queue.serializer()), payload.as_bytes());
                Some(Ok(()))
            }
            Err(ReplyError::NoCredit) => None,
            Err(over) => Some(Err(over)),
        }
    }

    /// Sends a progressive result, if there is credit for it; otherwise it is recorded among those that wait.
    pub(crate) fn progress(
        &mut self,
        now: Time,
        id: RequestId,
        waiting: &mut Option<Payload>,
        place: &mut WaitingResult,
    ) -> Option<Result<(), ReplyError>> {
        if self.session.may_send(Stream::Results(id)) {
            self.leave_place(place);
            return Some(self.session.reply(now, id, Reply::Progress(waiting.take()?)));
        }
        if !self.wait_in_place(now, id, waiting.as_ref().map_or(0, memory), place) {
            return Some(Err(ReplyError::Over));
        }
        let seq = self.invocations.starved_before;
        if place.starved.is_none() {
            self.invocations.starved_before += 1;
            self.invocations.starved.insert(seq, (id, place.cost));
            place.starved = Some(seq);
        }
        None
    }

    /// Counts a result that has to wait. Returns `false` if there is no room for it; its call has then ended.
    pub(crate) fn wait_in_place(
        &mut self,
        now: Time,
        id: RequestId,
        bytes: usize,
        place: &mut WaitingResult,
    ) -> bool {
        if !place.is_empty() {
            return true;
        }
        let cost = bytes + WAITING;
        if !self.find_room(now, cost, LIMIT) {
            self.give_up(now, id, "the callee has too many results that wait to be sent");
            return false;
        }
        place.cost = cost;
        true
    }

    /// Takes bytes from the budget. If it is used up, streams whose callers take nothing end.
    fn find_room(&mut self, now: Time, cost: usize, limit: usize) -> bool {
        while !self.invocations.budget.take(cost, limit) {
            let Some((_, (longest, freed))) = self.invocations.starved.pop_first() else { return false };
            self.invocations.budget.give(freed);
            self.give_up(now, longest, "the caller has not taken results for too long");
        }
        true
    }

    /// Records that a result has stopped waiting.
    pub(crate) fn leave_place(&mut self, place: &mut WaitingResult) {
        let WaitingResult { cost, starved } = std::mem::take(place);
        // It may have been displaced.
        if starved.is_none_or(|seq| self.invocations.starved.remove(&seq).is_some()) {
            self.invocations.budget.give(cost);
        }
    }

    /// Handles the end of a handler, with its answer.
    pub(crate) fn finish(&mut self, now: Time, id: RequestId, procedure: &Arc<Procedure>, answer: Reply) {
        if self.answer(now, id, answer).is_err() {
            self.discarded += 1;
        }
        self.end(id, procedure);
    }

    /// Sends an answer, or an error in its place if it cannot be sent.
    fn answer(&mut self, now: Time, id: RequestId, answer: Reply) -> Result<(), ReplyError> {
        let is_result = matches!(answer, Reply::Result(_));
        let mut sent = self.session.reply(now, id, answer);
        let mut instead = |error, text: &str| {
            let payload = sentence(self.queue.serializer(), text);
            self.session.reply(now, id, Reply::Error(Failure { error, payload }))
        };
        if let Err(why) = &sent
            && is_unsendable(why)
        {
            sent = match is_result {
                true => instead(uri::PAYLOAD_SIZE_EXCEEDED, &why.to_string()),
                false => {
                    let text = "the error that the procedure gave is too long or cannot be written";
                    instead(uri::RUNTIME_ERROR, text)
                }
            };
        }
        sent
    }

    /// Handles the end of a handler, or a handler that will not begin.
    pub(crate) fn end(&mut self, id: RequestId, procedure: &Arc<Procedure>) {
        // The handler holds another handle of the procedure, so the last one is not dropped here.
        drop(self.forget_invocation(id));
        if let Some(job) = procedure.next() {
            self.begin(procedure.clone(), job);
        }
    }

    /// Lets a handler begin, after those that wait for room.
    fn begin(&mut self, procedure: Arc<Procedure>, mut job: Job) {
        if self.invocations.one_begins {
            self.invocations.delayed.insert(job.id(), (procedure, job));
            return;
        }
        if self.full {
            self.invocations.one_begins = true;
            job.delay();
        }
        self.after.jobs.push((procedure, job));
    }

    /// Continues with the next of the handlers that wait for room: the first has begun, or never will.
    pub(crate) fn begin_next(&mut self) {
        self.invocations.one_begins = false;
        if let Some((_, (procedure, mut job))) = self.invocations.delayed.pop_first() {
            self.invocations.one_begins = true;
            job.delay();
            self.after.jobs.push((procedure, job));
        }
    }

    pub(crate) fn handle_invoked(&mut self, now: Time, invocation: message::Invocation) {
        let id = invocation.request;
        if !self.session.is_open() {
            // The INVOCATION crossed our GOODBYE; the router answers it for us.
            return;
        }
        let Some(procedure) = self.procedures.get(&invocation.registration).cloned() else {
            return self.refuse(now, id, Failure::new(uri::NO_SUCH_REGISTRATION));
        };
        let cost = cost(&invocation);
        if self.invocations.table.len() >= MAX_INVOCATIONS || !self.find_room(now, cost, LIMIT_OF_CALLS) {
            let text = sentence(self.queue.serializer(), "the callee has too many invocations under way");
            return self.refuse(now, id, Failure { error: uri::UNAVAILABLE, payload: text });
        }
        let cancel_state = Arc::new(CancelState::default());
        let in_chunks = invocation.details.progress == Some(true);
        let upload = in_chunks.then(|| {
            let budget = self.invocations.budget.clone();
            Arc::new(Inbox::within(budget, MAX_UPLOAD_OCTETS))
        });
        let invoked = Invoked {
            cancel_state: cancel_state.clone(),
            procedure: procedure.clone(),
            cost,
            wants_progress: invocation.details.receive_progress == Some(true),
            upload: upload.clone(),
        };
        self.invocations.streams += usize::from(invoked.wants_progress);
        self.invocations.table.insert(id, invoked);
        if let Some(job) = procedure.admit(Job::new(invocation, upload, cancel_state)) {
            self.begin(procedure, job);
        }
    }

    pub(crate) fn handle_chunk(&mut self, now: Time, id: RequestId, payload: Payload, last: bool, cost: u64) {
        let Some(upload) = self.invocations.table.get(&id).and_then(|invoked| invoked.upload.as_ref()) else {
            return;
        };
        let ends_only = last && payload.is_empty();
        let wakers = &mut self.after.wakers;
        let pushed = || {
            let bytes = held(payload.len());
            upload.push_counted(bytes, cost, false, wakers, |waits| detach_unless_awaited(payload, waits))
        };
        if !ends_only && pushed().is_err() {
            upload.finish(Err(CancelReason::Canceled));
            return self.give_up(now, id, "the callee takes the chunks too slowly");
        }
        if last {
            upload.finish(Ok(()));
        }
    }

    fn refuse(&mut self, now: Time, invocation: RequestId, failure: Failure) {
        // `Over`: it is canceled already.
        let _ = self.session.reply(now, invocation, Reply::Error(failure));
    }

    /// Ends a call whose handler is running.
    fn give_up(&mut self, now: Time, id: RequestId, text: &str) {
        let text = sentence(self.queue.serializer(), text);
        self.refuse(now, id, Failure { error: uri::UNAVAILABLE, payload: text });
        self.handle_interrupted(id, CancelReason::Canceled);
    }

    pub(crate) fn handle_interrupted(&mut self, id: RequestId, reason: CancelReason) {
        let Some(invoked) = self.invocations.table.get(&id) else { return };
        let over = !self.session.is_invoked(id);
        invoked.cancel_state.cancel(reason, over);
        if let Some(upload) = &invoked.upload {
            upload.finish(Err(reason));
        }
        // A handler that has not begun will not begin.
        if over {
            self.withdraw(id);
        }
    }

    /// Withdraws an invocation whose handler has not begun.
    fn withdraw(&mut self, id: RequestId) {
        let Some(invoked) = self.invocations.table.get(&id) else { return };
        let procedure = invoked.procedure.clone();
        if procedure.withdraw(id) {
            self.forget_invocation(id);
        } else if self.invocations.delayed.remove(&id).is_some() {
            self.end(id, &procedure);
        }
        // It may be the last handle of the procedure.
        self.after.trash.push(procedure);
    }

    fn forget_invocation(&mut self, id: RequestId) -> Option<Arc<Procedure>> {
        let invoked = self.invocations.table.remove(&id)?;
        invoked.cancel_state.answered();
        if let Some(upload) = &invoked.upload {
            upload.finish(Err(CancelReason::Canceled));
        }
        self.invocations.budget.give(invoked.cost);
        self.invocations.streams -= usize::from(invoked.wants_progress);
        if !self.invocations.drains.is_empty() && self.invocations.table.is_empty() {
            self.after.wakers.append(&mut self.invocations.drains);
        }
        Some(invoked.procedure)
    }

    /// Unregisters all procedures. The answers follow.
    pub(crate) fn unregister_all(&mut self, now: Time) -> Vec<oneshot::Receiver<Result<(), RequestError>>> {
        let registrations: Vec<RegistrationId> = self.procedures.keys().copied().collect();
        let mut answers = Vec::new();
        for registration in registrations {
            let (waiter, answer) = oneshot::channel();
            if self.unregister(now, registration, Some(waiter)).is_ok() {
                answers.push(answer);
            }
        }
        answers
    }

    /// Waits until no handler is running, or the session is over.
    pub(crate) fn poll_without_invocations(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.invocations.table.is_empty() || self.closed.is_some() {
            return Poll::Ready(());
        }
        if !self.invocations.drains.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.invocations.drains.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Resumes an outgoing stream.
    pub(crate) fn handle_credit_of_results(&mut self, invocation: RequestId) {
        if let Some(invoked) = self.invocations.table.get(&invocation) {
            invoked.cancel_state.credit.notify_waiters();
        }
    }

    /// Ends all invocations with the session, since no answer can be sent any more.
    pub(crate) fn end_invocations(&mut self, reason: CancelReason) {
        for invoked in self.invocations.table.values() {
            invoked.cancel_state.cancel(reason, true);
            if let Some(upload) = &invoked.upload {
                upload.finish(Err(reason));
            }
        }
        let delayed = std::mem::take(&mut self.invocations.delayed);
        let waiting = self.invocations.table.iter().filter(|(id, invoked)| invoked.procedure.withdraw(**id));
        let waiting: Vec<RequestId> = waiting.map(|(id, _)| *id).chain(delayed.into_keys()).collect();
        for id in waiting {
            let procedure = self.forget_invocation(id);
            self.after.trash.extend(procedure);
        }
    }
}

/// The most memory that a waiting progressive result holds. Unless it is small, it is in the buffer that it
/// was written into, which has grown by doubling.
pub(crate) fn memory(payload: &Payload) -> usize {
    if payload.len() < COPIED_BELOW { payload.len() } else { 2 * payload.len() }
}

/// Returns the cost of an invocation in the budget.
fn cost(invocation: &message::Invocation) -> usize {
    let details = &invocation.details;
    let uri = details.procedure.as_ref().map_or(0, |uri| uri.len());
    let peer = details.peer.as_deref().map_or(0, |peer| {
        let len = |text: &Option<wamp_proto::ByteString>| text.as_ref().map_or(0, |text| text.len());
        len(&peer.caller_authid) + len(&peer.caller_authrole)
    });
    let ppt = details.ppt.as_deref().map_or(0, Ppt::len);
    held(invocation.payload.len()) + uri + peer + ppt + details.extra.encoded_len() + INVOCATION
}

fn is_unsendable(why: &ReplyError) -> bool {
    matches!(why, ReplyError::TooLarge { .. } | ReplyError::Encode(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    // A peer can make each of them long.
    #[test]
    fn the_texts_of_an_invocation_count_in_the_budget() {
        let text = || wamp_proto::ByteString::from("x".repeat(1000));
        let id = RequestId::FIRST;
        let registration = RegistrationId::new(1).unwrap();
        let cost = |change: fn(&mut message::InvocationDetails, wamp_proto::ByteString)| {
            let mut details = message::InvocationDetails::default();
            change(&mut details, text());
            cost(&message::Invocation { request: id, registration, details, payload: Payload::empty() })
        };
        let bare = cost(|_, _| {});
        let changes: [fn(&mut message::InvocationDetails, wamp_proto::ByteString); 4] = [
            |details, text| {
                details.ppt = Some(Box::new(Ppt { enc_key: Some(text), ..Ppt::default() }));
            },
            |details, text| details.procedure = Some(text.into()),
            |details, text| {
                let peer = message::Discloser { caller_authid: Some(text), ..message::Discloser::default() };
                details.peer = Some(Box::new(peer));
            },
            |details, text| details.set("_key", &*text).unwrap(),
        ];
        for change in changes {
            assert!(cost(change) >= bare + 1000);
        }
    }
}
