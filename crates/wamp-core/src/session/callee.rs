//! The callee: registrations, and invocations under way.

use std::time::Duration;

use wamp_proto::message::{self, CancelMode, RegisterOptions, RequestKind, YieldOptions};
use wamp_proto::{RegistrationId, RequestId, Uri};

use super::{Due, Event, Request, Session};
use crate::deadlines::Deadline;
use crate::map::{Map, map};
use crate::progress::{Phase, Progress, Verdict};
use crate::request_ids::{Sequence, Watermark};
use crate::{Failure, Misuse, Reply, ReplyError, Time};

#[derive(Clone)]
pub(super) struct Callee {
    registrations: Map<RegistrationId, Uri>,
    invocations: Map<RequestId, Invocation>,
    /// The dealer's ids; an INTERRUPT at or below it is late, one above it is nonsense.
    seen: Watermark,
}

#[derive(Clone)]
struct Invocation {
    progress: Progress,
    answers_cancel: bool,
    /// More chunks are to come.
    uploading: bool,
    /// How long each result may take, where the dealer leaves it to the callee to watch that.
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
}

impl Callee {
    pub(super) fn new(seed: u64) -> Self {
        Self { registrations: map(seed), invocations: map(seed), seen: Watermark::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.invocations.len()
    }

    pub(super) fn clear(&mut self) {
        self.registrations.clear();
        self.invocations.clear();
    }
}

impl Session {
    /// Registers a procedure; [`Event::Registered`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`].
    pub fn register(
        &mut self,
        _now: Time,
        options: RegisterOptions,
        procedure: Uri,
    ) -> Result<RequestId, Misuse> {
        self.check_open()?;
        let request = self.request(Request::Register(procedure.clone()));
        self.send(message::Register { request, options, procedure });
        Ok(request)
    }

    /// Takes a procedure back; [`Event::Unregistered`] or [`Event::Refused`] follows. Invocations under way
    /// go on.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], or [`Misuse::Unknown`] for what is not registered.
    pub fn unregister(&mut self, _now: Time, registration: RegistrationId) -> Result<RequestId, Misuse> {
        self.check_open()?;
        if !self.callee.registrations.contains_key(&registration) {
            return Err(Misuse::Unknown);
        }
        let request = self.request(Request::Unregister(registration));
        self.send(message::Unregister { request, registration });
        Ok(request)
    }

    /// Answers an invocation. After a result or an error it is over.
    ///
    /// # Errors
    /// [`ReplyError::Over`] if the call has ended meanwhile; [`ReplyError::NotAsked`] for progress that the
    /// caller did not ask for. Then nothing was sent.
    pub fn reply(&mut self, now: Time, invocation: RequestId, reply: Reply) -> Result<(), ReplyError> {
        if !self.is_open() {
            return Err(ReplyError::Over);
        }
        let entry = self.callee.invocations.get_mut(&invocation).ok_or(ReplyError::Over)?;
        match entry.progress.on_reply(reply.kind()) {
            Verdict::Deliver => {}
            Verdict::Unsolicited => return Err(ReplyError::NotAsked),
            Verdict::Late => return Err(ReplyError::Over),
        }
        if entry.progress.phase() == Phase::Over {
            self.end_invocation(invocation);
        } else if let Some(timeout) = entry.timeout {
            if let Some(deadline) = entry.deadline.take() {
                self.deadlines.clear(deadline);
            }
            entry.deadline = Some(self.deadlines.set(now + timeout, Due::Invocation(invocation)));
        }
        let request = invocation;
        match reply {
            Reply::Progress(payload) => {
                let mut options = YieldOptions::default();
                options.progress = Some(true);
                self.send(message::Yield { request, options, payload });
            }
            Reply::Result(payload) => {
                self.send(message::Yield { request, options: YieldOptions::default(), payload });
            }
            Reply::Error(failure) => self.send(failure.answer(RequestKind::Invocation, request)),
        }
        Ok(())
    }

    /// From now on a cancel that awaits an answer leaves the invocation under way, and its handler answers
    /// it. Otherwise the session answers for it, with `wamp.error.canceled`, at once.
    ///
    /// # Errors
    /// [`ReplyError::Over`] if the call has ended.
    pub fn answer_cancel_myself(&mut self, invocation: RequestId) -> Result<(), ReplyError> {
        let entry = self.callee.invocations.get_mut(&invocation).ok_or(ReplyError::Over)?;
        entry.answers_cancel = true;
        Ok(())
    }

    /// Whether an invocation still wants an answer.
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
            let revoked = unregistered.details.and_then(|details| details.registration);
            if let Some(registration) = revoked.filter(|id| self.callee.registrations.remove(id).is_some()) {
                self.events.push_back(Event::Revoked { registration });
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

    pub(super) fn handle_invocation(&mut self, now: Time, invocation: message::Invocation) {
        let request = invocation.request;
        let more = invocation.details.progress == Some(true);
        if let Some(entry) = self.callee.invocations.get_mut(&request) {
            if !entry.uploading {
                return self
                    .violation(format!("INVOCATION with the request id {request}, which was used before"));
            }
            entry.uploading = more;
            let chunk = Event::Chunk { invocation: request, payload: invocation.payload, last: !more };
            return self.events.push_back(chunk);
        }
        if let Sequence::Seen = self.callee.seen.check(request) {
            // A chunk that the dealer sent before it knew that the invocation is over.
            self.stats.late += 1;
            return;
        }
        if !self.callee.registrations.contains_key(&invocation.registration) {
            // An UNREGISTER may have crossed it on the way.
            let failure = Failure::new(wamp_proto::uri::NO_SUCH_REGISTRATION);
            return self.send(failure.answer(RequestKind::Invocation, request));
        }
        let timeout = invocation.details.timeout.map(|millis| Duration::from_millis(millis.0));
        let timeout = timeout.filter(|timeout| !timeout.is_zero());
        let entry = Invocation {
            progress: Progress::new(invocation.details.receive_progress == Some(true)),
            answers_cancel: false,
            uploading: more,
            timeout,
            deadline: timeout.map(|timeout| self.deadlines.set(now + timeout, Due::Invocation(request))),
        };
        self.callee.invocations.insert(request, entry);
        self.events.push_back(Event::Invoked(invocation));
    }

    /// An invocation took longer than its caller allowed (Advanced Profile, *Callee-Initiated Timeouts*).
    pub(super) fn handle_invocation_deadline(&mut self, invocation: RequestId) {
        let Some(entry) = self.callee.invocations.get_mut(&invocation) else { return };
        entry.deadline = None;
        self.end_invocation(invocation);
        let failure = Failure::new(wamp_proto::uri::TIMEOUT);
        self.send(failure.answer(RequestKind::Invocation, invocation));
        let reason = Some(wamp_proto::uri::TIMEOUT);
        self.events.push_back(Event::Interrupted { invocation, mode: CancelMode::KillNoWait, reason });
    }

    fn end_invocation(&mut self, invocation: RequestId) {
        if let Some(deadline) = self.callee.invocations.remove(&invocation).and_then(|entry| entry.deadline) {
            self.deadlines.clear(deadline);
        }
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
