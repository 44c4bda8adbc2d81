//! Messages with a fault: a fault that concerns one request ends that request, and one that concerns the link
//! ends the session (behaviour [70](crate::behaviour#rule-70)).
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
//! INTERRUPT goes only to a callee that announced `call_canceling`. A result that would not have been
//! forwarded, because it is late or unsolicited, is counted like one without a fault. The error is
//! `wamp.error.invalid_argument` with a text that names the element, or `wamp.error.feature_not_supported` for
//! binary in the place of arguments.
//!
//! `wamp_proto::message::Head` defines the head of each message.

use wamp_proto::message::{self, CancelOptions, CreditOptions, Head, RequestKind, Total};
use wamp_proto::{DecodeError, RequestId, quoted};

use super::context::{Context, Violation};
use super::realm::Realm;
use super::sessions::SessionKey;
use crate::Time;
use crate::progress::ReplyKind;

impl Realm {
    /// Handles a message that could not be read, or not completely.
    pub fn handle_faulty(&mut self, now: Time, from: SessionKey, error: &DecodeError) {
        self.cx.now = now;
        if !self.has(from) {
            return;
        }
        let handled = self.handle_head(from, error);
        self.conclude(from, handled);
    }

    fn handle_head(&mut self, from: SessionKey, error: &DecodeError) -> Result<(), Violation> {
        if self.has_authorizer(from) && self.ends_waiting(from, error) {
            return Ok(());
        }
        let Self { cx, dealer, .. } = self;
        match error.head() {
            Some(Head::Call { request }) => dealer.handle_faulty_call(cx, from, *request, error)?,
            Some(Head::Register { request }) => {
                refuse(cx, from, ("REGISTER", RequestKind::Register), *request, error)?;
            }
            Some(Head::Subscribe { request }) => {
                refuse(cx, from, ("SUBSCRIBE", RequestKind::Subscribe), *request, error)?;
            }
            Some(Head::Publish { request, acknowledge }) => {
                cx.check_request(from, "PUBLISH", *request)?;
                cx.stats.publications_refused += 1;
                if *acknowledge {
                    cx.refuse(from, RequestKind::Publish, *request, error.reason(), &error.to_string());
                }
            }
            Some(Head::Yield { request, progress }) => {
                let kind = if *progress == Some(false) { ReplyKind::Last } else { ReplyKind::Progress };
                let text = format!("the callee sent a result that cannot be read: {error}");
                dealer.handle_faulty_answer(cx, from, ("YIELD", kind), *request, error, &text)?;
            }
            Some(Head::Error { kind: RequestKind::Invocation, request, error: uri }) => {
                let said = uri.as_ref().map_or_else(String::new, |uri| format!(" {}", quoted(uri)));
                let text = format!("the callee sent an error{said} that cannot be read: {error}");
                dealer.handle_faulty_answer(cx, from, ("ERROR", ReplyKind::Last), *request, error, &text)?;
            }
            Some(Head::Cancel { request }) => {
                let cancel = message::Cancel { request: *request, options: CancelOptions::default() };
                dealer.handle_cancel(cx, from, cancel);
            }
            Some(Head::Credit { request }) => {
                let options = CreditOptions::default();
                let credit = message::Credit { request: *request, options, total: Total(None) };
                dealer.handle_credit(cx, from, credit)?;
            }
            _ => return Err(Violation(error.to_string())),
        }
        Ok(())
    }
}

impl Realm {
    /// Ends a call that waits for authorization, if a faulty chunk or a faulty CANCEL of it has come.
    fn ends_waiting(&mut self, from: SessionKey, error: &DecodeError) -> bool {
        let in_chunks = self.cx.sessions.get(from).is_some_and(|session| session.announced.caller_chunks);
        match error.head() {
            Some(Head::Call { request }) if in_chunks => {
                self.end_waiting(from, *request, error.reason(), &error.to_string())
            }
            Some(Head::Cancel { request }) => self.cancel_waiting(from, *request),
            _ => false,
        }
    }
}

/// Refuses a request other than a call.
fn refuse(
    cx: &mut Context,
    from: SessionKey,
    (name, kind): (&str, RequestKind),
    request: RequestId,
    error: &DecodeError,
) -> Result<(), Violation> {
    cx.check_request(from, name, request)?;
    cx.refuse(from, kind, request, error.reason(), &error.to_string());
    Ok(())
}
