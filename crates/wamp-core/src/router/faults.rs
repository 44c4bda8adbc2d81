//! Messages with a fault: what concerns one request ends that request, and what concerns the link ends the session.
//!
//! | from a client | its payload, or the value of an option, is faulty |
//! |---|---|
//! | CALL | ERROR for it. A further chunk ends its call: ERROR, and INTERRUPT for the callee |
//! | REGISTER, SUBSCRIBE | ERROR for it |
//! | PUBLISH | counted, dropped; ERROR for it if it was to be acknowledged |
//! | YIELD | the call ends with ERROR for the caller, and INTERRUPT for the callee unless it was the last result |
//! | ERROR | the call ends with ERROR for the caller |
//! | CANCEL | as if it had no options |
//! | CREDIT | counted, ignored |
//! | all others, and every message whose head cannot be read | ABORT |
//!
//! INTERRUPT goes to a callee that announced `call_canceling`, as always. A result that would not have been passed on,
//! since nobody waits for it or nobody asked for it, is counted like one without a fault. The error is
//! `wamp.error.invalid_argument` with a sentence that names the element, or `wamp.error.feature_not_supported` where
//! there is binary in the place of arguments.
//!
//! Where a head ends is decided in `wamp_proto::message::Head`.

use wamp_proto::message::{self, CancelMode, CancelOptions, CreditOptions, Head, RequestKind, Total};
use wamp_proto::{DecodeError, RequestId, quoted};

use super::realm::Realm;
use super::sessions::SessionKey;
use crate::Time;
use crate::progress::ReplyKind;
use crate::request_ids::Sequence;

impl Realm {
    /// A message has come from a session that could not be read, or not in full.
    pub fn handle_faulty(&mut self, now: Time, from: SessionKey, error: &DecodeError) {
        self.now = now;
        if !self.has(from) {
            return;
        }
        let Some(head) = error.head() else { return self.violation(from, &error.to_string()) };
        match head {
            Head::Call { request } => self.handle_faulty_call(from, *request, error),
            Head::Register { request } => {
                self.refuse_faulty(from, ("REGISTER", RequestKind::Register), *request, error);
            }
            Head::Subscribe { request } => {
                self.refuse_faulty(from, ("SUBSCRIBE", RequestKind::Subscribe), *request, error);
            }
            Head::Publish { request, acknowledge } => {
                if self.is_next(from, "PUBLISH", *request) {
                    self.stats.publications_refused += 1;
                    if *acknowledge {
                        let text = error.to_string();
                        self.refuse(from, RequestKind::Publish, *request, error.reason(), &text);
                    }
                }
            }
            Head::Yield { request, progress } => {
                let kind = if *progress == Some(false) { ReplyKind::Last } else { ReplyKind::Progress };
                let text = format!("the callee sent a result that cannot be read: {error}");
                self.handle_faulty_answer(from, ("YIELD", kind), *request, error, &text);
            }
            Head::Error { kind: RequestKind::Invocation, request, error: uri } => {
                let said = uri.as_ref().map_or_else(String::new, |uri| format!(" {}", quoted(uri)));
                let text = format!("the callee sent an error{said} that cannot be read: {error}");
                self.handle_faulty_answer(from, ("ERROR", ReplyKind::Last), *request, error, &text);
            }
            Head::Cancel { request } => {
                let cancel = message::Cancel { request: *request, options: CancelOptions::default() };
                self.handle_cancel(now, from, cancel);
            }
            Head::Credit { request } => {
                let options = CreditOptions::default();
                let credit = message::Credit { request: *request, options, total: Total(None) };
                self.handle_credit(now, from, credit);
            }
            _ => self.violation(from, &error.to_string()),
        }
    }

    fn refuse_faulty(
        &mut self,
        from: SessionKey,
        (name, kind): (&str, RequestKind),
        request: RequestId,
        error: &DecodeError,
    ) {
        if self.is_next(from, name, request) {
            self.refuse(from, kind, request, error.reason(), &error.to_string());
        }
    }

    fn handle_faulty_call(&mut self, from: SessionKey, request: RequestId, error: &DecodeError) {
        let Some(session) = self.sessions.get(from) else { return };
        let (in_chunks, running) = (session.announced.caller_chunks, session.calls.get(&request).copied());
        match self.sequence(from, request) {
            Sequence::Next => {
                self.refuse(from, RequestKind::Call, request, error.reason(), &error.to_string());
            }
            Sequence::Seen if in_chunks => {
                let Some(key) = running else {
                    self.stats.late += 1;
                    return;
                };
                let upload = self.dealer.calls.get(key).and_then(|call| call.upload.as_ref());
                if upload.is_some_and(|upload| !upload.finished) {
                    self.interrupt(key, CancelMode::KillNoWait, error.reason());
                    self.fail(key, error.reason(), &error.to_string());
                } else {
                    self.wrong_id(from, "CALL", request, Sequence::Seen);
                }
            }
            wrong => self.wrong_id(from, "CALL", request, wrong),
        }
    }

    /// An answer to an invocation is faulty. It counts as the answer that it would have been.
    fn handle_faulty_answer(
        &mut self,
        from: SessionKey,
        (name, kind): (&str, ReplyKind),
        invocation: RequestId,
        error: &DecodeError,
        text: &str,
    ) {
        let Some(key) = self.invoked(from, name, invocation) else { return };
        if self.judge_reply(key, kind, 0).is_none() {
            return;
        }
        if kind == ReplyKind::Progress {
            self.interrupt(key, CancelMode::KillNoWait, error.reason());
        }
        self.fail(key, error.reason(), text);
    }
}
