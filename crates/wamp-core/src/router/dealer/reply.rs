//! YIELD and ERROR: replies of a callee to its caller (behaviour [16](crate::behaviour#rule-16),
//! [50](crate::behaviour#rule-50), [71](crate::behaviour#rule-71), [80](crate::behaviour#rule-80)).

use wamp_proto::message::{self, CancelMode, RequestKind, ResultDetails};
use wamp_proto::uri::{UriKind, UriLimits, UriRules};
use wamp_proto::{Message, Uri, uri};

use super::call::{Call, CallKey};
use super::call_end::{SLOW_CONSUMER, SMALL_REPLY};
use super::flow::Stream;
use super::{Dealer, measure, refused};
use crate::progress::{Phase, Progress, ReplyKind, Verdict};
use crate::router::context::{Context, Refused, Violation};
use crate::router::outbox::{FrameInfo, check, failure, sentence};
use crate::router::sessions::SessionKey;
use crate::{Failure, Reply};

impl Dealer {
    pub(in crate::router) fn handle_yield(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        result: message::Yield,
        len: usize,
        info: &FrameInfo,
    ) -> Result<(), Violation> {
        if let Some(ppt) = &result.options.ppt
            && cx.sessions.get(from).is_none_or(|session| session.announced.callee_ppt.forbid(ppt))
        {
            let text = "YIELD with ppt_scheme by a callee that did not announce payload_passthru_mode";
            return Err(text.into());
        }
        let Some(key) = self.invoked(cx, from, "YIELD", result.request)? else { return Ok(()) };
        let mut details = ResultDetails { ppt: result.options.ppt, ..ResultDetails::default() };
        let reply = if result.options.progress == Some(true) {
            details.progress = Some(true);
            Reply::Progress(result.payload)
        } else {
            Reply::Result(result.payload)
        };
        self.reply(cx, key, reply, details, len, info);
        Ok(())
    }

    pub(in crate::router) fn handle_error(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        error: message::Error,
        info: &FrameInfo,
    ) -> Result<(), Violation> {
        if error.kind != RequestKind::Invocation {
            let text =
                format!("ERROR for {}, where only an INVOCATION can fail at a client", error.kind.name());
            return Err(text.into());
        }
        let Some(key) = self.invoked(cx, from, "ERROR", error.request)? else { return Ok(()) };
        let mut details = ResultDetails::default();
        details.ppt = error.details.ppt.clone();
        let mut failure = Failure::from(error);
        if failure.error == uri::UNAVAILABLE && self.may_go_on(cx, key) {
            if self.reroute(cx, key) {
                return Ok(());
            }
            failure.error = uri::NO_AVAILABLE_CALLEE;
        }
        if let Some(text) = check_error(&failure.error, cx.config.limits.uri) {
            cx.stats.invalid_error_uris += 1;
            failure.error = uri::RUNTIME_ERROR;
            // Every serializer can write a text.
            let _ = details.extra.insert("message", sentence(&text));
            if let Some(callee) =
                cx.sessions.get(from).filter(|_| failure.payload.is_empty() && details.ppt.is_none())
            {
                failure = self::failure(failure.error, &text, callee);
            }
        }
        self.reply(cx, key, Reply::Error(failure), details, 0, info);
        Ok(())
    }

    /// Forwards a reply to the caller.
    fn reply(
        &mut self,
        cx: &mut Context,
        key: CallKey,
        reply: Reply,
        details: ResultDetails,
        len: usize,
        info: &FrameInfo,
    ) {
        let (kind, is_error) = (reply.kind(), matches!(reply, Reply::Error(_)));
        let Some(progress) = self.judge_reply(cx, key, kind, reply.payload().len()) else { return };
        let Some(call) = self.calls.get(key) else { return };
        if call.caller.is_router() {
            return self.answer_router(cx, key, reply, progress, len);
        }
        match self.answer(cx, call, reply, details, info) {
            Ok(answer) => {
                let caller = call.caller;
                cx.stats.callee_errors += u64::from(is_error);
                let flow = call.results.as_deref().filter(|_| kind == ReplyKind::Progress);
                let goes = cx.sessions.get(caller).map_or(0, |to| measure(&answer, to, flow));
                cx.out.send(caller, answer);
                self.delivered(cx, key, kind, progress, (len, goes));
            }
            Err((error, text)) => {
                if kind == ReplyKind::Progress {
                    self.interrupt(cx, key, CancelMode::KillNoWait, error.clone());
                }
                self.fail(cx, key, error, &text);
            }
        }
    }

    /// Judges a reply with a payload of this length. Returns the state of the call after it, if it is to be
    /// forwarded; otherwise it is counted.
    #[inline]
    pub(in crate::router) fn judge_reply(
        &mut self,
        cx: &mut Context,
        key: CallKey,
        kind: ReplyKind,
        payload: usize,
    ) -> Option<Progress> {
        let call = self.calls.get(key)?;
        let mut progress = call.progress;
        match progress.on_reply(kind) {
            Verdict::Deliver if cx.sessions.is_stalled(call.caller) && kind == ReplyKind::Progress => {
                self.end_slow(cx, key);
            }
            Verdict::Deliver if cx.sessions.is_stalled(call.caller) && payload > SMALL_REPLY => {
                cx.stats.slow_consumers += 1;
                self.fail(cx, key, uri::CANCELED, SLOW_CONSUMER);
            }
            Verdict::Deliver => return Some(progress),
            Verdict::Unsolicited => cx.stats.unsolicited += 1,
            Verdict::Late => cx.stats.late += 1,
        }
        None
    }

    /// Accounts for a reply that was forwarded, with its length as received and as sent.
    #[inline]
    pub(in crate::router) fn delivered(
        &mut self,
        cx: &mut Context,
        key: CallKey,
        kind: ReplyKind,
        progress: Progress,
        (came, goes): (usize, usize),
    ) {
        cx.stats.results += 1;
        if kind == ReplyKind::Last {
            self.time(cx.now, key);
            self.end(cx, key);
            return;
        }
        cx.stats.progressive_results += 1;
        if let Some(call) = self.calls.get_mut(key) {
            call.progress = progress;
            call.tally.results += 1;
            call.tally.bytes += came as u64;
            call.tally.last = cx.now;
            if call.is_fresh {
                if key.is_sampled() {
                    self.timings.first_result.observe(cx.now.since(call.tally.since));
                }
                self.settle(cx, key);
            }
        }
        self.pass(cx, key, Stream::Results, came, goes);
        if progress.phase() == Phase::Running {
            self.restart_timeout(cx, key);
        }
    }

    /// The message for the caller, checked against its limits.
    fn answer(
        &self,
        cx: &Context,
        call: &Call,
        reply: Reply,
        details: ResultDetails,
        info: &FrameInfo,
    ) -> Result<Message, Refused> {
        let gone = || (uri::CANCELED, "the caller has left".to_owned());
        let caller = cx.sessions.get(call.caller).ok_or_else(gone)?;
        let request = call.request;
        if let Some(ppt) = &details.ppt {
            caller.announced.caller_ppt.check(ppt, reply.payload(), "caller")?;
        }
        let message = match reply {
            Reply::Progress(payload) => {
                let mut payload = info.payload(&payload, caller).map_err(refused)?;
                if caller.announced.quirks.explicit_arguments {
                    payload = payload.explicit(caller.serializer);
                }
                Message::from(message::Result { request, details, payload })
            }
            Reply::Result(payload) => {
                let payload = info.payload(&payload, caller).map_err(refused)?;
                Message::from(message::Result { request, details, payload })
            }
            Reply::Error(Failure { error, payload }) => {
                let error = if error == uri::CANCELLED { uri::CANCELED } else { error };
                let payload = info.payload(&payload, caller).map_err(refused)?;
                let mut answer = Failure { error, payload }.answer(RequestKind::Call, request);
                (answer.details.ppt, answer.details.extra) = (details.ppt, details.extra);
                Message::from(answer)
            }
        };
        check(&message, caller).map_err(refused)?;
        Ok(message)
    }
}

/// The error in the URI of a callee's ERROR.
///
/// A caller may treat an ERROR with an invalid URI as a violation and end its session, though it has done
/// nothing wrong. It gets `wamp.error.runtime_error` instead, with a text that quotes the original, as
/// `Details.message`, and as the argument of an ERROR without a payload. Arguments of the callee stay as they
/// are. The loose rules hold in every realm, since callers check those.
fn check_error(error: &Uri, limits: UriLimits) -> Option<String> {
    let wrong = error.check_size(limits).and_then(|()| error.check(UriRules::Loose, UriKind::Exact)).err()?;
    Some(format!("the callee sent an ERROR with an invalid URI: {wrong}"))
}
