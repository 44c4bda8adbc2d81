//! CALL, YIELD and ERROR with a fault. The rules are in [`router::faults`](crate::router::faults).

use wamp_proto::message::{CancelMode, RequestKind};
use wamp_proto::{DecodeError, RequestId};

use super::Dealer;
use crate::progress::ReplyKind;
use crate::request_ids::Sequence;
use crate::router::context::{Context, Violation};
use crate::router::sessions::SessionKey;

impl Dealer {
    pub(in crate::router) fn handle_faulty_call(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        request: RequestId,
        error: &DecodeError,
    ) -> Result<(), Violation> {
        let Some(session) = cx.sessions.get(from) else { return Ok(()) };
        let (in_chunks, running) =
            (session.announced.caller_chunks, session.dealer.calls.get(&request).copied());
        match cx.sequence(from, request) {
            Sequence::Next => cx.refuse(from, RequestKind::Call, request, error.reason(), &error.to_string()),
            Sequence::Seen if in_chunks => {
                let Some(key) = running else {
                    cx.stats.late += 1;
                    return Ok(());
                };
                let upload = self.calls.get(key).and_then(|call| call.upload.as_ref());
                if upload.is_none_or(|upload| upload.finished) {
                    return Err(cx.wrong_id(from, "CALL", request, Sequence::Seen));
                }
                self.interrupt(cx, key, CancelMode::KillNoWait, error.reason());
                self.fail(cx, key, error.reason(), &error.to_string());
            }
            wrong => return Err(cx.wrong_id(from, "CALL", request, wrong)),
        }
        Ok(())
    }

    /// Handles a faulty answer to an invocation. It counts as the answer that it would have been.
    pub(in crate::router) fn handle_faulty_answer(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        (name, kind): (&str, ReplyKind),
        invocation: RequestId,
        error: &DecodeError,
        text: &str,
    ) -> Result<(), Violation> {
        let Some(key) = self.invoked(cx, from, name, invocation)? else { return Ok(()) };
        if self.judge_reply(cx, key, kind, 0).is_some() {
            if kind == ReplyKind::Progress {
                self.interrupt(cx, key, CancelMode::KillNoWait, error.reason());
            }
            self.fail(cx, key, error.reason(), text);
        }
        Ok(())
    }
}
