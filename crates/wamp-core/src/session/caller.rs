//! The caller: running calls, and their replies.

use std::time::Duration;

use wamp_proto::message::{self, CallOptions, CancelMode, CancelOptions, Ppt};
use wamp_proto::relay::PlainReply;
use wamp_proto::{Feature, Message, Payload, RequestId, Role, Uri};

use super::streams::Incoming;
use super::{Due, Event, PlainVerdict, Session, State, Stream, opaque};
use crate::credit::Sending;
use crate::deadlines::Deadline;
use crate::map::{Map, map};
use crate::progress::{Phase, Progress, ReplyKind, Verdict};
use crate::{Failure, Misuse, Reply, Time};

#[derive(Clone)]
pub(super) struct Caller {
    calls: Map<RequestId, Call>,
}

#[derive(Clone)]
struct Call {
    progress: Progress,
    /// The procedure of a call in chunks and the options of its opaque payloads, until its last chunk.
    upload: Option<(Uri, Option<Box<Ppt>>)>,
    /// The timeout of each result, if the router does not watch it.
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
    /// The stream of progressive results, if the hop uses credit.
    results: Option<Incoming>,
    /// The stream of chunks, if the hop uses credit.
    chunks: Option<Sending>,
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

    pub(super) fn results(&mut self, call: RequestId) -> Option<&mut Incoming> {
        self.calls.get_mut(&call)?.results.as_mut()
    }

    pub(super) fn chunks(&mut self, call: RequestId) -> Option<&mut Sending> {
        self.calls.get_mut(&call)?.chunks.as_mut()
    }
}

impl Session {
    /// Calls a procedure. Replies arrive as [`Event::Replied`].
    ///
    /// With `options.progress` this is the first of several chunks; [`send_chunk`](Self::send_chunk) sends the
    /// others, with the options of the first. If the router has no call timeouts, the session watches
    /// `options.timeout` itself, and cancels.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`]; [`Misuse::NotSupported`] for chunks and opaque payloads if the router did not announce them;
    /// [`Misuse::TooLarge`], [`Misuse::Encode`].
    pub fn call(
        &mut self,
        now: Time,
        options: CallOptions,
        procedure: Uri,
        payload: Payload,
    ) -> Result<RequestId, Misuse> {
        self.check_open()?;
        let in_chunks = options.progress == Some(true);
        if in_chunks && !self.router_has(Role::Dealer, Feature::ProgressiveCallInvocations) {
            return Err(Misuse::NotSupported);
        }
        self.check_opaque(Role::Dealer, options.ppt.as_deref(), &payload)?;
        let wants_progress = options.receive_progress == Some(true);
        let timeout = options
            .timeout
            .map(|millis| Duration::from_millis(millis.0))
            .filter(|timeout| !timeout.is_zero() && !self.router_has(Role::Dealer, Feature::CallTimeout));
        let upload = in_chunks.then(|| (procedure.clone(), options.ppt.clone()));
        let request = self.ids.peek();
        let message = Message::from(message::Call { request, options, procedure, payload });
        self.check_size(&message)?;
        let request = self.ids.next();
        let results = if wants_progress { self.incoming() } else { None };
        let mut chunks = if in_chunks { self.outgoing() } else { None };
        if let Some(chunks) = &mut chunks {
            chunks.charge(self.price(&message));
        }
        let call = Call {
            progress: Progress::new(wants_progress),
            upload,
            results,
            chunks,
            timeout,
            deadline: timeout.map(|timeout| self.deadlines.set(now + timeout, Due::Call(request))),
        };
        self.caller.calls.insert(request, call);
        self.send(message);
        Ok(request)
    }

    /// Sends a further chunk of a call; none may follow the last.
    ///
    /// # Errors
    /// [`Misuse::Unknown`] for a call that is over or has had its last chunk; [`Misuse::NoCredit`] if there is
    /// no credit, which the last chunk does not need; [`Misuse::TooLarge`], [`Misuse::Encode`].
    pub fn send_chunk(
        &mut self,
        _now: Time,
        call: RequestId,
        payload: Payload,
        last: bool,
    ) -> Result<(), Misuse> {
        let entry = self.caller.calls.get(&call).ok_or(Misuse::Unknown)?;
        let (procedure, ppt) = entry.upload.clone().ok_or(Misuse::Unknown)?;
        if !last && entry.chunks.is_some_and(|chunks| !chunks.has_credit()) {
            return Err(Misuse::NoCredit);
        }
        let ppt = ppt.filter(|_| !payload.is_empty());
        opaque::check(ppt.as_deref(), &payload).map_err(Misuse::Encode)?;
        let options = CallOptions { progress: (!last).then_some(true), ppt, ..CallOptions::default() };
        let message = Message::from(message::Call { request: call, options, procedure, payload });
        self.check_size(&message)?;
        let entry = self.caller.calls.get_mut(&call).ok_or(Misuse::Unknown)?;
        if last {
            entry.upload = None;
            entry.chunks = None;
        }
        let counted = entry.chunks.is_some();
        if counted {
            let price = self.price(&message);
            if let Some(chunks) = self.caller.chunks(call) {
                chunks.charge(price);
            }
        }
        self.send(message);
        Ok(())
    }

    /// Cancels a call. With [`CancelMode::Kill`] the callee decides how it ends. With the other modes, and if
    /// the router cannot cancel, the call ends at once with `wamp.error.canceled`.
    ///
    /// # Errors
    /// [`Misuse::Unknown`] for a call that is over.
    pub fn cancel(&mut self, _now: Time, call: RequestId, mode: CancelMode) -> Result<(), Misuse> {
        let progress = &mut self.caller.calls.get_mut(&call).ok_or(Misuse::Unknown)?.progress;
        if progress.on_cancel(mode) {
            self.give_up(call, mode, Failure::new(wamp_proto::uri::CANCELED));
        }
        Ok(())
    }

    /// Sends CANCEL, and ends the call here unless the callee is to end it.
    fn give_up(&mut self, call: RequestId, mode: CancelMode, failure: Failure) {
        let router_cancels = self.router_has(Role::Dealer, Feature::CallCanceling);
        if router_cancels {
            let options = CancelOptions { mode: Some(mode), ..CancelOptions::default() };
            self.send(message::Cancel { request: call, options });
        }
        if mode != CancelMode::Kill || !router_cancels {
            self.end_call(call);
            let reply = Reply::Error(failure);
            self.events.push_back(Event::Replied { call, reply, cost: 0 });
        }
    }

    fn end_call(&mut self, call: RequestId) {
        let Some(call) = self.caller.calls.remove(&call) else { return };
        if let Some(deadline) = call.deadline {
            self.deadlines.clear(deadline);
        }
        self.end_incoming(call.results);
    }

    pub(super) fn handle_call_deadline(&mut self, request: RequestId) {
        let Some(call) = self.caller.calls.get_mut(&request) else { return };
        call.deadline = None;
        call.progress.abandon();
        self.give_up(request, CancelMode::KillNoWait, Failure::new(wamp_proto::uri::TIMEOUT));
    }

    pub(super) fn handle_result(&mut self, now: Time, result: message::Result, len: usize) {
        let reply = match result.details.is_progress() {
            true => Reply::Progress(result.payload),
            false => Reply::Result(result.payload),
        };
        self.handle_reply(now, result.request, reply, result.details.ppt, len);
    }

    /// Handles a result that cannot be read: its call fails.
    pub(super) fn handle_faulty_result(
        &mut self,
        now: Time,
        request: RequestId,
        kind: ReplyKind,
        len: usize,
        failure: Failure,
    ) {
        if self.judge_reply(now, request, kind, len).is_none() {
            return;
        }
        if kind == ReplyKind::Last {
            let reply = Reply::Error(failure);
            return self.events.push_back(Event::Replied { call: request, reply, cost: 0 });
        }
        if let Some(call) = self.caller.calls.get_mut(&request) {
            call.progress.abandon();
            self.give_up(request, CancelMode::KillNoWait, failure);
        }
    }

    pub(super) fn handle_call_error(&mut self, now: Time, error: message::Error) {
        let (request, ppt) = (error.request, error.details.ppt.clone());
        self.handle_reply(now, request, Reply::Error(error.into()), ppt, 0);
    }

    /// Handles a plain RESULT whose payload the driver keeps, like [`handle_frame`](Self::handle_frame), but
    /// returns the outcome instead of an [`Event::Replied`]. The driver has polled before.
    #[doc(hidden)]
    pub fn handle_plain(&mut self, now: Time, plain: &PlainReply) -> PlainVerdict {
        if !matches!(self.state, State::Open | State::Leaving { .. }) {
            return PlainVerdict::Unusual;
        }
        let kind = if plain.progress { ReplyKind::Progress } else { ReplyKind::Last };
        match self.judge_reply(now, plain.request, kind, plain.encoded_len()) {
            Some(cost) => PlainVerdict::Deliver { cost },
            None => PlainVerdict::Discard,
        }
    }

    /// Handles plain progressive RESULTs of one call that arrived together, of these lengths, with the effect
    /// of [`handle_plain`](Self::handle_plain) for each. Returns the sum of their costs. Returns `None`,
    /// without a change, unless all of them are to be delivered without any other effect.
    #[doc(hidden)]
    pub fn handle_plain_run(
        &mut self,
        request: RequestId,
        lens: impl IntoIterator<Item = usize>,
    ) -> Option<u64> {
        matches!(self.state, State::Open | State::Leaving { .. }).then_some(())?;
        let call = self.caller.calls.get_mut(&request)?;
        let delivers = call.progress.phase() == Phase::Running
            && call.progress.on_reply(ReplyKind::Progress) == Verdict::Deliver;
        (delivers && call.timeout.is_none()).then_some(())?;
        Some(call.results.as_mut().map_or(0, |results| results.receive_run(lens)))
    }

    fn handle_reply(
        &mut self,
        now: Time,
        request: RequestId,
        reply: Reply,
        ppt: Option<Box<Ppt>>,
        len: usize,
    ) {
        if let Some(cost) = self.judge_reply(now, request, reply.kind(), len) {
            if let Some(ppt) = ppt {
                self.events.push_back(Event::OpaqueReply { call: request, ppt });
            }
            self.events.push_back(Event::Replied { call: request, reply, cost });
        }
    }

    /// The cost of a reply that is to be delivered. Others are counted.
    fn judge_reply(&mut self, now: Time, request: RequestId, kind: ReplyKind, len: usize) -> Option<u64> {
        let Some(call) = self.caller.calls.get_mut(&request) else {
            match self.ids.has_issued(request) {
                true => self.stats.late += 1,
                false => self.stats.unknown += 1,
            }
            return None;
        };
        match call.progress.on_reply(kind) {
            Verdict::Deliver => {}
            Verdict::Unsolicited => {
                self.stats.unsolicited += 1;
                return None;
            }
            Verdict::Late => {
                self.stats.late += 1;
                return None;
            }
        }
        let phase = call.progress.phase();
        if phase == Phase::Over {
            self.end_call(request);
            return Some(0);
        }
        if let Some(timeout) = call.timeout {
            if let Some(deadline) = call.deadline.take() {
                self.deadlines.clear(deadline);
            }
            call.deadline = Some(self.deadlines.set(now + timeout, Due::Call(request)));
        }
        let stream = Stream::Results(request);
        let mut cost = self.receive(stream, len);
        if phase == Phase::Canceling {
            // After a cancel the program does not take the replies, and the end is behind them.
            self.consume(now, stream, std::mem::take(&mut cost));
        }
        Some(cost)
    }
}
