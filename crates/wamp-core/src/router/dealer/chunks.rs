//! CALL: a new call, or a further chunk of one (Advanced Profile, *Progressive Call Invocations*; behaviour
//! [2](crate::behaviour#rule-2) to [4](crate::behaviour#rule-4), [14](crate::behaviour#rule-14),
//! [18](crate::behaviour#rule-18)).

use wamp_proto::message::{self, CancelMode, Ppt};
use wamp_proto::{Message, Payload};

use super::flow::Stream;
use super::{Dealer, measure};
use crate::router::context::{Context, Violation};
use crate::router::opaque;
use crate::router::outbox::{FrameInfo, Refusal, check};
use crate::router::sessions::{Session, SessionKey};

impl Dealer {
    pub(in crate::router) fn handle_call(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        call: message::Call,
        len: usize,
        info: &FrameInfo,
    ) -> Result<(), Violation> {
        if cx.check_call(from, &call)? {
            return self.handle_chunk(cx, from, call, len, info);
        }
        self.call(cx, from, &call, len, info);
        Ok(())
    }

    /// A further chunk of a call (Advanced Profile, *Progressive Call Invocations*).
    pub(in crate::router) fn handle_chunk(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        chunk: message::Call,
        len: usize,
        info: &FrameInfo,
    ) -> Result<(), Violation> {
        let message::Call { request, options, procedure, payload } = chunk;
        let Some(key) = cx.sessions.get(from).and_then(|session| session.dealer.calls.get(&request)).copied()
        else {
            // The caller does not know yet that its call is over.
            cx.stats.late += 1;
            return Ok(());
        };
        let Some(call) = self.calls.get(key) else { return Ok(()) };
        let upload = match &call.upload {
            Some(upload) if upload.procedure != procedure => {
                cx.stats.late += 1;
                return Ok(());
            }
            Some(upload) if !upload.finished => upload,
            Some(_) => {
                let text =
                    format!("CALL with a further chunk of call {request}, whose last chunk has arrived");
                return Err(text.into());
            }
            None => {
                let text = format!("CALL with the request id {request}, which was used before");
                return Err(text.into());
            }
        };
        let Some(callee) = cx.sessions.get(call.callee) else { return Ok(()) };
        let more = options.progress == Some(true);
        if more && cx.sessions.is_stalled(call.callee) {
            self.end_slow(cx, key);
            return Ok(());
        }
        let invocation = info.payload(&payload, callee).and_then(|payload| {
            let mut details = upload.details.clone();
            details.progress = more.then_some(true);
            if options.ppt.is_some() || details.ppt.is_some() {
                opaque_chunk(options.ppt, &mut details.ppt, &payload, callee)?;
            }
            let registration = call.registration;
            let message = message::Invocation { request: call.invocation, registration, details, payload };
            let message = Message::from(message);
            check(&message, callee).map(|()| (measure(&message, callee, upload.flow.as_deref()), message))
        });
        match invocation {
            Ok((goes, message)) => {
                cx.out.send(call.callee, message);
                cx.stats.chunks += 1;
                self.settle(cx, key);
                let call = self.calls.get_mut(key);
                if let Some(upload) = call.and_then(|call| call.upload.as_mut()) {
                    upload.finished = !more;
                }
                if more {
                    self.pass(cx, key, Stream::Chunks, len, goes);
                } else {
                    self.end_chunks(cx, key);
                }
            }
            Err(refusal) => {
                self.interrupt(cx, key, CancelMode::KillNoWait, refusal.error.clone());
                self.fail(cx, key, refusal.error, &refusal.text);
            }
        }
        Ok(())
    }
}

/// Checks an opaque payload of a chunk, and sets its details. By payload transparency each chunk has options of its own;
/// those of payload passthru mode are the options of the first one.
#[cold]
fn opaque_chunk(
    own: Option<Box<Ppt>>,
    details: &mut Option<Box<Ppt>>,
    payload: &Payload,
    callee: &Session,
) -> Result<(), Refusal> {
    if let Some(ppt) = &own {
        let checked = callee.announced.callee_ppt.check(ppt, payload, "callee");
        checked.map_err(|(error, text)| Refusal { error, text })?;
    }
    if opaque::is_transparent(own.as_deref()) || opaque::is_transparent(details.as_deref()) {
        *details = own;
    }
    Ok(())
}
