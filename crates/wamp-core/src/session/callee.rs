//! The callee: registrations, and running invocations (behaviour [31](crate::behaviour#rule-31) to
//! [34](crate::behaviour#rule-34)).

use std::time::Duration;

use wamp_proto::message::{self, CancelMode, Ppt, RegisterOptions, RequestKind, YieldOptions};
use wamp_proto::relay::PlainProgress;
use wamp_proto::{EncodeError, Message, RegistrationId, RequestId, Role, Uri};

use super::streams::Incoming;
use super::{Due, Event, Request, Session, Stream};
use crate::credit::{Sending, cost};
use crate::deadlines::Deadline;
use crate::map::{Map, map};
use crate::progress::{Phase, Progress, ReplyKind, Verdict};
use crate::request_ids::{Sequence, Watermark};
use crate::{Failure, Misuse, Reply, ReplyError, Time};

#[derive(Clone)]
pub(super) struct Callee {
    registrations: Map<RegistrationId, Uri>,
    invocations: Map<RequestId, Invocation>,
    /// The options of the replies to invocations whose payloads are opaque to the router.
    opaque: Map<RequestId, Box<Ppt>>,
    /// The dealer's ids. An INTERRUPT with an id up to the latest one is late; one with a greater id is a
    /// violation.
    seen: Watermark,
}

#[derive(Clone)]
struct Invocation {
    progress: Progress,
    answers_cancel: bool,
    /// More chunks follow.
    uploading: bool,
    /// The timeout of each result, if the dealer leaves it to the callee.
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
    /// The stream of progressive results, if the hop uses credit.
    results: Option<Sending>,
    /// The stream of chunks, if the hop uses credit.
    chunks: Option<Incoming>,
}

impl Invocation {
    /// Whether a reply of this kind may go out now.
    fn admit(&mut self, kind: ReplyKind) -> Result<(), ReplyError> {
        match self.progress.on_reply(kind) {
            Verdict::Deliver => {}
            Verdict::Unsolicited => return Err(ReplyError::NotAsked),
            Verdict::Late => return Err(ReplyError::Over),
        }
        let is_progress = self.progress.phase() != Phase::Over;
        if is_progress && self.results.is_some_and(|results| !results.has_credit()) {
            return Err(ReplyError::NoCredit);
        }
        Ok(())
    }
}

impl Callee {
    pub(super) fn new(seed: u64) -> Self {
        Self { registrations: map(seed), invocations: map(seed), opaque: map(seed), seen: Watermark::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.invocations.len()
    }

    pub(super) fn clear(&mut self) {
        self.registrations.clear();
        self.invocations.clear();
        self.opaque.clear();
    }

    /// The options of the replies to an invocation. Few sessions have any.
    fn ppt(&self, invocation: RequestId) -> Option<&Ppt> {
        if self.opaque.is_empty() { None } else { self.opaque.get(&invocation).map(|ppt| &**ppt) }
    }

    pub(super) fn results(&mut self, invocation: RequestId) -> Option<&mut Sending> {
        self.invocations.get_mut(&invocation)?.results.as_mut()
    }

    pub(super) fn chunks(&mut self, invocation: RequestId) -> Option<&mut Incoming> {
        self.invocations.get_mut(&invocation)?.chunks.as_mut()
    }
}

impl Session {
    /// Registers a procedure; [`Event::Registered`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], [`Misuse::TooLarge`], [`Misuse::Encode`].
    pub fn register(
        &mut self,
        _now: Time,
        options: RegisterOptions,
        procedure: Uri,
    ) -> Result<RequestId, Misuse> {
        self.check_open()?;
        let about = Request::Register(procedure.clone());
        self.request(Some(about), |request| message::Register { request, options, procedure }.into())
    }

    /// Unregisters a procedure; [`Event::Unregistered`] or [`Event::Refused`] follows. Running invocations go
    /// on.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], or [`Misuse::Unknown`] if there is no such registration.
    pub fn unregister(&mut self, _now: Time, registration: RegistrationId) -> Result<RequestId, Misuse> {
        self.check_open()?;
        if !self.callee.registrations.contains_key(&registration) {
            return Err(Misuse::Unknown);
        }
        let about = Request::Unregister(registration);
        self.request(Some(about), |request| message::Unregister { request, registration }.into())
    }

    /// Replies to an invocation. A result or an error ends it.
    ///
    /// # Errors
    /// [`ReplyError::Over`] if the call has ended meanwhile; [`ReplyError::NotAsked`] for progress that the
    /// caller did not ask for; [`ReplyError::NoCredit`] for progress without credit; [`ReplyError::TooLarge`],
    /// [`ReplyError::Encode`]. Then nothing was sent, and the invocation is unchanged.
    pub fn reply(&mut self, now: Time, invocation: RequestId, reply: Reply) -> Result<(), ReplyError> {
        let (request, kind) = (invocation, reply.kind());
        let ppt = self.callee.ppt(invocation).cloned().map(Box::new);
        let mut options = YieldOptions::default();
        let message = match reply {
            Reply::Progress(payload) => {
                options.progress = Some(true);
                Message::from(message::Yield { request, options, payload })
            }
            Reply::Result(payload) => message::Yield { request, options, payload }.into(),
            Reply::Error(failure) => failure.answer(RequestKind::Invocation, request).into(),
        };
        let message = self.with_ppt(message, ppt)?;
        self.check_size(&message)?;
        self.admit_reply(now, invocation, kind)?;
        if kind == ReplyKind::Progress {
            self.charge_result(invocation, |session| session.price(&message));
        }
        self.send(message);
        Ok(())
    }

    /// Adds the options of an opaque payload to a reply. An error has them if its payload is a binary.
    fn with_ppt(&self, mut message: Message, ppt: Option<Box<Ppt>>) -> Result<Message, ReplyError> {
        let ppt = match &message {
            Message::Error(error) if !error.payload.is_binary() => None,
            _ => ppt,
        };
        match self.check_opaque(Role::Dealer, ppt.as_deref(), message.payload()) {
            Ok(()) => {}
            Err(Misuse::Encode(error)) => return Err(ReplyError::Encode(error)),
            Err(_) => {
                let text = "the router did not announce the form of this payload";
                return Err(ReplyError::Encode(EncodeError::Custom(text.to_owned())));
            }
        }
        match &mut message {
            Message::Yield(result) => result.options.ppt = ppt,
            Message::Error(error) => error.details.ppt = ppt,
            _ => {}
        }
        Ok(message)
    }

    /// Sends the replies to an invocation with these options, which say how to read their payloads. By payload
    /// transparency all results must be a binary in the place of the arguments. An error has the options only if its
    /// payload is such a binary.
    ///
    /// # Errors
    /// [`ReplyError::Over`] if the call has ended meanwhile.
    pub fn reply_opaquely(&mut self, invocation: RequestId, ppt: Ppt) -> Result<(), ReplyError> {
        if !self.callee.invocations.contains_key(&invocation) {
            return Err(ReplyError::Over);
        }
        self.callee.opaque.insert(invocation, Box::new(ppt));
        Ok(())
    }

    /// Sends a progressive result, as [`reply`](Self::reply) does, but the driver writes the YIELD itself,
    /// before all later messages of [`poll_transmit`](Self::poll_transmit). The driver has polled before.
    ///
    /// # Errors
    /// Those of [`reply`](Self::reply). Then nothing must be written.
    #[doc(hidden)]
    pub fn progress(
        &mut self,
        now: impl FnOnce() -> Time,
        progress: &PlainProgress,
    ) -> Result<(), ReplyError> {
        let invocation = progress.request();
        self.check_len(|serializer| progress.encoded_len(serializer))?;
        if !self.is_open() {
            return Err(ReplyError::Over);
        }
        if self.callee.ppt(invocation).is_some() {
            // It has options, so the driver has to send it by `reply`.
            return Err(ReplyError::NoCredit);
        }
        let entry = self.callee.invocations.get_mut(&invocation).ok_or(ReplyError::Over)?;
        entry.admit(ReplyKind::Progress)?;
        if let Some(credit) = self.config.credit
            && let Some(results) = &mut entry.results
        {
            results.charge(cost(progress.encoded_len(credit.serializer)));
        }
        if entry.timeout.is_some() {
            self.restart_timeout(now(), invocation);
        }
        Ok(())
    }

    /// Whether a reply of this kind may be sent now. If so, it counts as sent.
    fn admit_reply(&mut self, now: Time, invocation: RequestId, kind: ReplyKind) -> Result<(), ReplyError> {
        if !self.is_open() {
            return Err(ReplyError::Over);
        }
        let entry = self.callee.invocations.get_mut(&invocation).ok_or(ReplyError::Over)?;
        entry.admit(kind)?;
        if entry.progress.phase() == Phase::Over {
            self.end_invocation(invocation);
        } else {
            self.restart_timeout(now, invocation);
        }
        Ok(())
    }

    /// Restarts the timeout after a progressive result, unless there is no credit for the next one.
    fn restart_timeout(&mut self, now: Time, invocation: RequestId) {
        let Some(entry) = self.callee.invocations.get_mut(&invocation) else { return };
        let Some(timeout) = entry.timeout else { return };
        if let Some(deadline) = entry.deadline.take() {
            self.deadlines.clear(deadline);
        }
        if entry.results.is_none_or(|results| results.has_credit()) {
            entry.deadline = Some(self.deadlines.set(now + timeout, Due::Invocation(invocation)));
        }
    }

    /// Accounts for a progressive result. While there is no credit for another, this end waits for the caller,
    /// so the timeout is paused.
    fn charge_result(&mut self, invocation: RequestId, price: impl FnOnce(&mut Self) -> u64) {
        if self.callee.results(invocation).is_none() {
            return;
        }
        let price = price(self);
        let Some(entry) = self.callee.invocations.get_mut(&invocation) else { return };
        let Some(results) = &mut entry.results else { return };
        results.charge(price);
        if !results.has_credit()
            && let Some(deadline) = entry.deadline.take()
        {
            self.deadlines.clear(deadline);
        }
    }

    /// Resumes the timeout: there is credit again.
    pub(super) fn resume_timeout(&mut self, now: Time, invocation: RequestId) {
        if let Some(entry) = self.callee.invocations.get_mut(&invocation)
            && let (Some(timeout), None) = (entry.timeout, entry.deadline)
        {
            entry.deadline = Some(self.deadlines.set(now + timeout, Due::Invocation(invocation)));
        }
    }

    /// From now on a cancel that awaits an answer leaves the invocation running, and its handler answers it.
    /// Otherwise the session answers at once with `wamp.error.canceled`.
    ///
    /// # Errors
    /// [`ReplyError::Over`] if the call has ended.
    pub fn answer_cancel_myself(&mut self, invocation: RequestId) -> Result<(), ReplyError> {
        let entry = self.callee.invocations.get_mut(&invocation).ok_or(ReplyError::Over)?;
        entry.answers_cancel = true;
        Ok(())
    }

    /// Whether an invocation has not been answered yet.
    pub fn is_invoked(&self, invocation: RequestId) -> bool {
        self.callee.invocations.contains_key(&invocation)
    }

    pub(super) fn handle_registered(&mut self, registered: message::Registered) {
        let (request, registration) = (registered.request, registered.registration);
        if let Some(Request::Register(procedure)) =
            self.answered(request, |pending| matches!(pending, Request::Register(_)))
        {
            self.callee.registrations.insert(registration, procedure);
            self.events.push_back(Event::Registered { request, registration });
        }
    }

    pub(super) fn handle_unregistered(&mut self, unregistered: message::Unregistered) {
        let Some(request) = unregistered.request else {
            // An unknown registration was revoked before, or its revocation has crossed an UNREGISTER.
            if let Some(details) = unregistered.details
                && let Some(registration) = details.registration
                && self.callee.registrations.remove(&registration).is_some()
            {
                self.events.push_back(Event::Revoked { registration, reason: details.reason });
            }
            return;
        };
        if let Some(Request::Unregister(registration)) =
            self.answered(request, |pending| matches!(pending, Request::Unregister(_)))
        {
            self.callee.registrations.remove(&registration);
            self.events.push_back(Event::Unregistered { request, registration });
        }
    }

    /// Whether more chunks of an invocation follow.
    pub(super) fn is_uploading(&self, invocation: RequestId) -> bool {
        self.callee.invocations.get(&invocation).is_some_and(|entry| entry.uploading)
    }

    /// Records the id of an invocation. Returns `false` if the invocation is over, which is then counted.
    pub(super) fn is_new_invocation(&mut self, invocation: RequestId) -> bool {
        let is_new = self.callee.seen.check(invocation) != Sequence::Seen;
        // Otherwise the dealer sent this chunk before it knew that the invocation was over.
        self.stats.late += u64::from(!is_new);
        is_new
    }

    pub(super) fn handle_invocation(&mut self, now: Time, invocation: message::Invocation, len: usize) {
        let request = invocation.request;
        let more = invocation.details.progress == Some(true);
        if let Some(entry) = self.callee.invocations.get_mut(&request) {
            if !entry.uploading {
                return self
                    .violation(format!("INVOCATION with the request id {request}, which was used before"));
            }
            entry.uploading = more;
            let payload = invocation.payload;
            let ended = if more { None } else { entry.chunks.take() };
            self.end_incoming(ended);
            let cost = if more { self.receive(Stream::Chunks(request), len) } else { 0 };
            let chunk = Event::Chunk { invocation: request, payload, last: !more, cost };
            return self.events.push_back(chunk);
        }
        if !self.is_new_invocation(request) {
            return;
        }
        if !self.callee.registrations.contains_key(&invocation.registration) {
            // An UNREGISTER may have crossed it.
            let failure = Failure::new(wamp_proto::uri::NO_SUCH_REGISTRATION);
            return self.send(failure.answer(RequestKind::Invocation, request));
        }
        let timeout = invocation.details.timeout.map(|millis| Duration::from_millis(millis.0));
        let timeout = timeout.filter(|timeout| !timeout.is_zero());
        let wants_progress = invocation.details.receive_progress == Some(true);
        let results = if wants_progress { self.outgoing() } else { None };
        let chunks = if more { self.incoming() } else { None };
        let entry = Invocation {
            progress: Progress::new(wants_progress),
            answers_cancel: false,
            uploading: more,
            results,
            chunks,
            timeout,
            deadline: timeout
                .filter(|_| results.is_none_or(|results| results.has_credit()))
                .map(|timeout| self.deadlines.set(now + timeout, Due::Invocation(request))),
        };
        self.callee.invocations.insert(request, entry);
        self.events.push_back(Event::Invoked(invocation));
        let cost = self.receive(Stream::Chunks(request), len);
        self.consume(now, Stream::Chunks(request), cost);
    }

    /// Handles an invocation that took longer than its caller allowed (Advanced Profile, *Callee-Initiated
    /// Timeouts*).
    pub(super) fn handle_invocation_deadline(&mut self, invocation: RequestId) {
        let Some(entry) = self.callee.invocations.get_mut(&invocation) else { return };
        entry.deadline = None;
        self.end_invocation(invocation);
        let failure = Failure::new(wamp_proto::uri::TIMEOUT);
        self.send(failure.answer(RequestKind::Invocation, invocation));
        let reason = Some(wamp_proto::uri::TIMEOUT);
        self.events.push_back(Event::Interrupted { invocation, mode: CancelMode::KillNoWait, reason });
    }

    pub(super) fn end_invocation(&mut self, invocation: RequestId) {
        let Some(entry) = self.callee.invocations.remove(&invocation) else { return };
        if !self.callee.opaque.is_empty() {
            self.callee.opaque.remove(&invocation);
        }
        if let Some(deadline) = entry.deadline {
            self.deadlines.clear(deadline);
        }
        self.end_incoming(entry.chunks);
    }

    pub(super) fn handle_interrupt(&mut self, interrupt: message::Interrupt) {
        let invocation = interrupt.request;
        let Some(entry) = self.callee.invocations.get_mut(&invocation) else {
            self.stats.late += 1;
            return;
        };
        let mode = interrupt.options.mode.unwrap_or(CancelMode::KillNoWait);
        if !entry.progress.on_cancel(mode) {
            return;
        }
        let answers_itself = mode == CancelMode::Kill && entry.answers_cancel;
        if !answers_itself {
            self.end_invocation(invocation);
            if mode == CancelMode::Kill {
                let failure = Failure::new(wamp_proto::uri::CANCELED);
                self.send(failure.answer(RequestKind::Invocation, invocation));
            }
        }
        let reason = interrupt.options.reason;
        self.events.push_back(Event::Interrupted { invocation, mode, reason });
    }
}
