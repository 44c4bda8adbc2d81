//! The dealer: registrations, and calls from their CALL to their one end.
//!
//! For each call there is one record with a [`Progress`]; whatever happens to it, `end` takes the record away
//! and exactly one message tells the caller. A reply for a record that is gone is late, and ignored; the
//! watermark of the callee's session tells it from one for an invocation that never was.

mod call;
mod call_end;
mod disclosure;
mod flow;
mod index;
mod plan;
mod prefixes;
mod procedures;
mod wildcards;

use wamp_proto::message::{self, CancelMode, InvocationPolicy, MatchPolicy, RequestKind, ResultDetails};
use wamp_proto::uri::{UriKind, UriLimits, UriRules};
use wamp_proto::{Message, RequestId, Serializer, Uri, quoted, uri};

use self::call::Calls;
pub(in crate::router) use self::call::{Call, CallKey};
use self::flow::Flow;
pub(in crate::router) use self::flow::Stream;
pub use self::flow::Watch;
pub(in crate::router) use self::procedures::RegistrationKey;
use self::procedures::{Callee, NotRegistered, Procedures};
use self::wildcards::{COMPONENTS, NoRoom};
use crate::map::{self, HashSeed};
use crate::progress::{Phase, Progress, ReplyKind, Verdict};
use crate::request_ids::Sequence;
use crate::router::outbox::{Prepared, Refusal, check, failure, sentence};
use crate::router::pace::{SLOW_CONSUMER, SMALL_REPLY};
use crate::router::realm::Realm;
use crate::router::sessions::{Session, SessionKey, table_bytes};
use crate::{Failure, Reply, Time};

#[derive(Clone)]
pub(in crate::router) struct Dealer {
    pub(in crate::router) procedures: Procedures,
    pub(in crate::router) calls: Calls,
    /// The call that `relay` has had last; many results in a row are of one call.
    pub(in crate::router) last_relayed: Option<CallKey>,
}

impl Dealer {
    pub(in crate::router) fn new(seed: HashSeed) -> Self {
        Self { procedures: Procedures::new(seed), calls: Calls::new(), last_relayed: None }
    }
}

/// A request that is answered with an ERROR: its URI and a sentence.
pub(in crate::router) type Refused = (Uri, String);

impl Realm {
    pub(in crate::router) fn handle_register(&mut self, from: SessionKey, register: message::Register) {
        let request = register.request;
        if !self.is_next(from, "REGISTER", request) {
            return;
        }
        if let Err((error, text)) = self.register(from, &register) {
            self.refuse(from, RequestKind::Register, request, error, &text);
        }
    }

    fn register(&mut self, from: SessionKey, register: &message::Register) -> Result<(), Refused> {
        let Some(session) = self.sessions.get(from) else { return Ok(()) };
        let message::Register { options, procedure, .. } = register;
        for key in ["match", "invoke"] {
            if options.extra.contains(key) {
                return Err((
                    uri::INVALID_ARGUMENT,
                    format!("the option {key:?} has no value that is known"),
                ));
            }
        }
        let policy = options.policy.unwrap_or(MatchPolicy::Exact);
        let invoke = options.invoke.unwrap_or(InvocationPolicy::Single);
        let kind = match policy {
            MatchPolicy::Prefix => UriKind::Prefix,
            MatchPolicy::Wildcard => UriKind::Wildcard,
            _ => UriKind::Exact,
        };
        self.config.check_uri(procedure, kind).map_err(|error| (uri::INVALID_URI, error.to_string()))?;
        if procedure.is_reserved() {
            return Err((
                uri::INVALID_URI,
                format!("{} is reserved: it begins with \"wamp\"", quoted(procedure)),
            ));
        }
        let limit = self.config.limits.registrations;
        if session.registrations.len() >= limit {
            return Err((uri::UNAVAILABLE, format!("a session may have {limit} registrations")));
        }
        let table_bytes = session.check_table(procedure, &self.config.limits)?;
        let callee = Callee {
            session: from,
            forward_timeout: options.forward_timeout == Some(true) && session.announced.callee_timeout,
            disclose_caller: options.disclose_caller == Some(true),
        };
        let shapes = self.config.limits.wildcard_shapes;
        let procedures = &mut self.dealer.procedures;
        let mut registered = procedures.register(procedure, policy, invoke, callee, shapes);
        if registered.is_err() && procedures.retain(procedure, policy, |key| self.sessions.has(key)) {
            registered = procedures.register(procedure, policy, invoke, callee, shapes);
        }
        let (registration, key) = registered.map_err(|reason| match reason {
            NotRegistered::Exists => {
                (uri::PROCEDURE_ALREADY_EXISTS, format!("{} is registered already", quoted(procedure)))
            }
            NotRegistered::NoRoom(NoRoom::Components) => {
                (uri::INVALID_URI, format!("a wildcard pattern may have {COMPONENTS} components"))
            }
            NotRegistered::NoRoom(NoRoom::Shapes) => {
                let text = format!(
                    "the wildcard patterns with as many components have gaps in {shapes} combinations of places, \
                     which are all that this realm takes"
                );
                (uri::UNAVAILABLE, text)
            }
        })?;
        if let Some(session) = self.sessions.get_mut(from) {
            session.registrations.insert(registration, key);
            session.table_bytes = table_bytes;
        }
        self.out.send(from, message::Registered { request: register.request, registration });
        Ok(())
    }

    pub(in crate::router) fn handle_unregister(&mut self, from: SessionKey, unregister: message::Unregister) {
        let message::Unregister { request, registration } = unregister;
        if !self.is_next(from, "UNREGISTER", request) {
            return;
        }
        let Some(session) = self.sessions.get_mut(from) else { return };
        let Some(key) = map::remove(&mut session.registrations, &registration) else {
            let text = format!("this session has no registration {registration}");
            return self.refuse(from, RequestKind::Unregister, request, uri::NO_SUCH_REGISTRATION, &text);
        };
        session.table_bytes -= table_bytes(self.dealer.procedures.procedure(key));
        self.dealer.procedures.remove(key, from);
        self.out.send(from, message::Unregistered { request: Some(request), details: None });
    }

    pub(in crate::router) fn handle_call(
        &mut self,
        now: Time,
        from: SessionKey,
        call: message::Call,
        octets: usize,
        prepared: &Prepared,
    ) {
        let request = call.request;
        let Some(session) = self.sessions.get(from) else { return };
        let announced = session.announced;
        match self.sequence(from, request) {
            Sequence::Next => {}
            Sequence::Seen if announced.caller_chunks => {
                return self.handle_chunk(now, from, call, octets, prepared);
            }
            wrong => return self.wrong_id(from, "CALL", request, wrong),
        }
        if call.options.progress == Some(true) && !announced.caller_chunks {
            let text = "CALL with progress by a caller that did not announce progressive_call_invocations";
            return self.violation(from, text);
        }
        if call.options.ppt.is_some() && !announced.caller_ppt {
            let text = "CALL with ppt_scheme by a caller that did not announce payload_passthru_mode";
            return self.violation(from, text);
        }
        self.call(now, from, &call, octets, prepared);
    }

    /// A further chunk of a call (Advanced Profile, *Progressive Call Invocations*).
    fn handle_chunk(
        &mut self,
        now: Time,
        from: SessionKey,
        chunk: message::Call,
        octets: usize,
        prepared: &Prepared,
    ) {
        let message::Call { request, options, procedure, payload } = chunk;
        let Some(key) = self.sessions.get(from).and_then(|session| session.calls.get(&request)).copied()
        else {
            // The caller does not know yet that its call is over.
            self.stats.late += 1;
            return;
        };
        let Some(call) = self.dealer.calls.get(key) else { return };
        let upload = match &call.upload {
            Some(upload) if upload.procedure != procedure => {
                self.stats.late += 1;
                return;
            }
            Some(upload) if !upload.finished => upload,
            Some(_) => {
                let text = format!("CALL that continues call {request}, whose last chunk has come");
                return self.violation(from, &text);
            }
            None => {
                let text = format!("CALL with the request id {request}, which was used before");
                return self.violation(from, &text);
            }
        };
        let Some(callee) = self.sessions.get(call.callee) else { return };
        let more = options.progress == Some(true);
        if more && self.sessions.is_stalled(call.callee) {
            return self.end_slow(key);
        }
        let invocation = prepared.payload(&payload, callee).and_then(|payload| {
            let mut details = upload.details.clone();
            details.progress = more.then_some(true);
            let registration = upload.registration;
            let message = message::Invocation { request: call.invocation, registration, details, payload };
            let message = Message::from(message);
            check(&message, callee).map(|()| (measure(&message, callee, upload.flow.as_deref()), message))
        });
        match invocation {
            Ok((goes, message)) => {
                self.out.send(call.callee, message);
                self.stats.chunks += 1;
                let call = self.dealer.calls.get_mut(key);
                if let Some(upload) = call.and_then(|call| call.upload.as_mut()) {
                    upload.finished = !more;
                }
                if more {
                    self.pass(now, key, Stream::Chunks, octets, goes);
                } else {
                    self.end_chunks(key);
                }
            }
            Err(refusal) => {
                self.interrupt(key, CancelMode::KillNoWait, refusal.error.clone());
                self.fail(key, refusal.error, &refusal.text);
            }
        }
    }

    pub(in crate::router) fn handle_yield(
        &mut self,
        now: Time,
        from: SessionKey,
        result: message::Yield,
        octets: usize,
        prepared: &Prepared,
    ) {
        if result.options.ppt.is_some() && !self.sessions.get(from).is_some_and(|s| s.announced.callee_ppt) {
            let text = "YIELD with ppt_scheme by a callee that did not announce payload_passthru_mode";
            return self.violation(from, text);
        }
        let Some(key) = self.invoked(from, "YIELD", result.request) else { return };
        let mut details = ResultDetails::default();
        details.ppt = result.options.ppt;
        let reply = if result.options.progress == Some(true) {
            details.progress = Some(true);
            Reply::Progress(result.payload)
        } else {
            Reply::Result(result.payload)
        };
        self.reply(now, key, reply, details, octets, prepared);
    }

    pub(in crate::router) fn handle_error(
        &mut self,
        now: Time,
        from: SessionKey,
        error: message::Error,
        prepared: &Prepared,
    ) {
        if error.kind != RequestKind::Invocation {
            let text =
                format!("ERROR for {}, where only an INVOCATION can fail at a client", error.kind.name());
            return self.violation(from, &text);
        }
        let Some(key) = self.invoked(from, "ERROR", error.request) else { return };
        let mut details = ResultDetails::default();
        details.ppt = error.details.ppt.clone();
        let mut failure = Failure::from(error);
        if let Some(text) = check_error(&failure.error, self.config.limits.uri) {
            self.stats.invalid_error_uris += 1;
            failure.error = uri::RUNTIME_ERROR;
            // A text can be written in every serializer.
            let _ = details.extra.insert("message", sentence(&text));
            if let Some(callee) =
                self.sessions.get(from).filter(|_| failure.payload.is_empty() && details.ppt.is_none())
            {
                failure = self::failure(failure.error, &text, callee);
            }
        }
        self.reply(now, key, Reply::Error(failure), details, 0, prepared);
    }

    /// The call that an answer of a callee is for. Without one the answer is late, or a violation.
    pub(in crate::router) fn invoked(
        &mut self,
        from: SessionKey,
        name: &str,
        invocation: RequestId,
    ) -> Option<CallKey> {
        let session = self.sessions.get(from)?;
        let call = session.invocations.get(&invocation).copied();
        if call.is_none() {
            if session.invocation_ids.has_issued(invocation) {
                self.stats.late += 1;
            } else {
                self.violation(from, &format!("{name} for the invocation {invocation}, which never was"));
            }
        }
        call
    }

    /// Passes an answer on to the caller.
    fn reply(
        &mut self,
        now: Time,
        key: CallKey,
        reply: Reply,
        details: ResultDetails,
        octets: usize,
        prepared: &Prepared,
    ) {
        let kind = reply.kind();
        let Some(progress) = self.judge_reply(key, kind, reply.payload().len()) else { return };
        let Some(call) = self.dealer.calls.get(key) else { return };
        match self.answer(call, reply, details, prepared) {
            Ok(answer) => {
                let caller = call.caller;
                let flow = call.results.as_deref().filter(|_| kind == ReplyKind::Progress);
                let goes = self.sessions.get(caller).map_or(0, |to| measure(&answer, to, flow));
                self.out.send(caller, answer);
                self.delivered(now, key, kind, progress, (octets, goes));
            }
            Err((error, text)) => {
                if kind == ReplyKind::Progress {
                    self.interrupt(key, CancelMode::KillNoWait, error.clone());
                }
                self.fail(key, error, &text);
            }
        }
    }

    /// Judges an answer: how the call stands after it, if it is to be passed on; otherwise it is counted.
    /// Its payload has so many octets.
    pub(in crate::router) fn judge_reply(
        &mut self,
        key: CallKey,
        kind: ReplyKind,
        payload: usize,
    ) -> Option<Progress> {
        let call = self.dealer.calls.get(key)?;
        let mut progress = call.progress;
        match progress.on_reply(kind) {
            Verdict::Deliver if self.sessions.is_stalled(call.caller) && kind == ReplyKind::Progress => {
                self.end_slow(key);
            }
            Verdict::Deliver if self.sessions.is_stalled(call.caller) && payload > SMALL_REPLY => {
                self.stats.slow_consumers += 1;
                self.fail(key, uri::CANCELED, SLOW_CONSUMER);
            }
            Verdict::Deliver => return Some(progress),
            Verdict::Unsolicited => self.stats.unsolicited += 1,
            Verdict::Late => self.stats.late += 1,
        }
        None
    }

    /// An answer that was judged is on its way to the caller: so many octets have come, and so many go.
    pub(in crate::router) fn delivered(
        &mut self,
        now: Time,
        key: CallKey,
        kind: ReplyKind,
        progress: Progress,
        (came, goes): (usize, usize),
    ) {
        self.stats.results += 1;
        if kind == ReplyKind::Last {
            self.end(key);
            return;
        }
        self.stats.progressive_results += 1;
        if let Some(call) = self.dealer.calls.get_mut(key) {
            call.progress = progress;
        }
        self.pass(now, key, Stream::Results, came, goes);
        if progress.phase() == Phase::Running {
            self.restart_timeout(now, key);
        }
    }

    /// The message for the caller, checked.
    fn answer(
        &self,
        call: &Call,
        reply: Reply,
        details: ResultDetails,
        prepared: &Prepared,
    ) -> Result<Message, Refused> {
        let gone = || (uri::CANCELED, "the caller is gone".to_owned());
        let caller = self.sessions.get(call.caller).ok_or_else(gone)?;
        let request = call.request;
        if details.ppt.is_some() && !caller.announced.caller_ppt {
            let text = "the caller does not take payload_passthru_mode";
            return Err((uri::FEATURE_NOT_SUPPORTED, text.to_owned()));
        }
        let message = match reply {
            Reply::Progress(payload) => {
                let mut payload = prepared.payload(&payload, caller).map_err(refused)?;
                if caller.announced.quirks.explicit_arguments {
                    payload = payload.explicit(caller.serializer);
                }
                Message::from(message::Result { request, details, payload })
            }
            Reply::Result(payload) => {
                let payload = prepared.payload(&payload, caller).map_err(refused)?;
                Message::from(message::Result { request, details, payload })
            }
            Reply::Error(Failure { error, payload }) => {
                let error = if error == uri::CANCELLED { uri::CANCELED } else { error };
                let payload = prepared.payload(&payload, caller).map_err(refused)?;
                let mut answer = Failure { error, payload }.answer(RequestKind::Call, request);
                (answer.details.ppt, answer.details.extra) = (details.ppt, details.extra);
                Message::from(answer)
            }
        };
        check(&message, caller).map_err(refused)?;
        Ok(message)
    }

    pub(in crate::router) fn serializer_of_callee(
        &self,
        from: SessionKey,
        call: &message::Call,
    ) -> Option<Serializer> {
        let running = self.sessions.get(from)?.calls.get(&call.request);
        let callee = match running.and_then(|key| self.dealer.calls.get(*key)) {
            Some(call) => call.callee,
            None => {
                let is_full = |callee| self.sessions.is_full(callee);
                self.dealer.procedures.find(&call.procedure)?.1.choose(None, is_full)?.1.session
            }
        };
        Some(self.sessions.get(callee)?.serializer)
    }

    /// The serializer of the caller that a reply of this callee goes to; `None` if the call is over.
    pub fn serializer_of_caller(&self, callee: SessionKey, invocation: RequestId) -> Option<Serializer> {
        let key = self.sessions.get(callee)?.invocations.get(&invocation)?;
        Some(self.sessions.get(self.dealer.calls.get(*key)?.caller)?.serializer)
    }
}

/// How long a message will be, where somebody counts that.
pub(in crate::router) fn measure(message: &Message, to: &Session, flow: Option<&Flow>) -> usize {
    match flow {
        Some(flow) if flow.is_measured() => message.encoded_len(to.serializer).unwrap_or(0),
        _ => 0,
    }
}

pub(in crate::router) fn refused(refusal: Refusal) -> Refused {
    (refusal.error, refusal.text)
}

/// What is wrong with the error URI of a callee, if anything is.
///
/// Callers take an ERROR whose URI is none for a violation of the protocol and end their session, though they have
/// done nothing wrong. They get `wamp.error.runtime_error` instead, with a sentence that quotes the original, as
/// `Details.message`, and as the argument of an ERROR that has none. Arguments that the callee sent stay as they are.
/// The rules are the loose ones in every realm: they are what callers check.
fn check_error(error: &Uri, limits: UriLimits) -> Option<String> {
    let wrong = error.check_size(limits).and_then(|()| error.check(UriRules::Loose, UriKind::Exact)).err()?;
    Some(format!("the callee failed with an error whose URI is none: {wrong}"))
}
