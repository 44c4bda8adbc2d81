//! CREDIT, and the streams that it is for: grants towards their senders, and the end of those whose receivers grant
//! nothing.

use wamp_proto::message::{self, CreditOptions, Total};

use super::Dealer;
use super::call::CallKey;
use super::flow::{Stream, Watch};
use crate::router::context::{Context, Due, Violation};
use crate::router::event::Event;
use crate::router::sessions::SessionKey;

impl Dealer {
    /// Accounts for a forwarded message of a stream.
    pub(super) fn pass(&mut self, cx: &mut Context, key: CallKey, stream: Stream, came: usize, goes: usize) {
        let flow = self.calls.get_mut(key).and_then(|call| call.flow(stream));
        if flow.is_some_and(|flow| flow.pass(came, goes)) {
            self.grant_credit(cx, key, stream);
        }
    }

    /// The final chunk was forwarded: no credit is needed any more.
    pub(super) fn end_chunks(&mut self, cx: &mut Context, key: CallKey) {
        let upload = self.calls.get_mut(key).and_then(|call| call.upload.as_deref_mut());
        let flow = upload.and_then(|upload| upload.flow.take());
        if let Some(deadline) = flow.and_then(|flow| flow.starved) {
            cx.deadlines.clear(deadline);
            self.starved -= 1;
        }
    }

    /// Grants what can be granted, and asks for the report after which more can.
    pub(super) fn grant_credit(&mut self, cx: &mut Context, key: CallKey, stream: Stream) {
        let Some(credit) = cx.config.credit else { return };
        let Some(call) = self.calls.get_mut(key) else { return };
        let ((sender, request), receiver) = call.ends(stream);
        let Some(flow) = call.flow(stream) else { return };
        let Some(from) = &mut flow.from else { return };
        let ahead = flow.to.map(|to| to.left());
        if ahead.is_none_or(|ahead| ahead > from.window()) {
            from.widen(credit.max_window);
        }
        let total = from.grant(ahead);
        if flow.watched.is_none() && from.is_due() {
            flow.watched = Some(from.received());
            cx.events.push_back(Event::Watch { session: receiver, watch: Watch { call: key, stream } });
        }
        match flow.spent {
            None if from.is_spent() => flow.spent = Some(cx.now),
            Some(since) if !from.is_spent() => {
                flow.spent = None;
                flow.spent_before += cx.now.since(since);
            }
            _ => {}
        }
        let starves = from.is_spent() && ahead == Some(0);
        match flow.starved {
            None if starves => {
                let deadline = cx.deadlines.set(cx.now + credit.patience, Due::Starved(key, stream));
                flow.starved = Some(deadline);
                self.starved += 1;
            }
            Some(deadline) if !starves => {
                flow.starved = None;
                cx.deadlines.clear(deadline);
                self.starved -= 1;
            }
            _ => {}
        }
        if let Some(total) = total {
            let options = CreditOptions {
                chunks: (stream == Stream::Chunks).then_some(true),
                ..CreditOptions::default()
            };
            cx.out.send(sender, message::Credit { request, options, total: Total(Some(total)) });
        }
    }

    /// A call ends and its callee is not told. It must not wait for credit that never comes: what it still
    /// sends is late.
    pub(super) fn grant_unlimited(&mut self, cx: &mut Context, key: CallKey) {
        let Some(call) = self.calls.get(key) else { return };
        if call.results.as_deref().is_some_and(|flow| flow.from.is_some()) {
            let (options, total) = (CreditOptions::default(), Total(Some(wamp_proto::MAX_ID)));
            cx.out.send(call.callee, message::Credit { request: call.invocation, options, total });
        }
    }

    /// Everything sent to a session before [`Event::Watch`] has left for its socket.
    pub(in crate::router) fn handle_left(&mut self, cx: &mut Context, watch: Watch) {
        let Watch { call: key, stream } = watch;
        let Some(flow) = self.calls.get_mut(key).and_then(|call| call.flow(stream)) else { return };
        if let (Some(from), Some(received)) = (&mut flow.from, flow.watched.take()) {
            from.consume_until(received);
            self.grant_credit(cx, key, stream);
        }
    }

    /// Handles CREDIT of the receiver of a stream.
    pub(in crate::router) fn handle_credit(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        credit: message::Credit,
    ) -> Result<(), Violation> {
        let Some(session) = cx.sessions.get(from) else { return Ok(()) };
        let (caller, callee) = (session.announced.caller_credit, session.announced.callee_credit);
        if cx.config.credit.is_none() || caller.is_none() && callee.is_none() {
            return Err("CREDIT by a session that did not announce _progress_credit".into());
        }
        let Some(total) = credit.total.0 else {
            cx.stats.void_credits += 1;
            return Ok(());
        };
        let made = session.dealer.calls.get(&credit.request).copied();
        let got = session.dealer.invocations.get(&credit.request).copied();
        let streams = [(made, Stream::Results), (got, Stream::Chunks)];
        let found = streams.into_iter().find_map(|(key, stream)| {
            let wanted = credit.options.chunks.is_none_or(|chunks| chunks == (stream == Stream::Chunks));
            let key = key.filter(|_| wanted)?;
            let to = self.calls.get_mut(key)?.flow(stream)?.to.as_mut()?;
            to.raise(total);
            Some((key, stream))
        });
        // Without a stream the call is over, and so is its credit.
        if let Some((key, stream)) = found {
            self.grant_credit(cx, key, stream);
        }
        Ok(())
    }

    /// The receiver of a stream has granted nothing for too long.
    pub(in crate::router) fn handle_starved(&mut self, cx: &mut Context, key: CallKey, stream: Stream) {
        if let Some(flow) = self.calls.get_mut(key).and_then(|call| call.flow(stream)) {
            if flow.starved.take().is_some() {
                self.starved -= 1;
            }
            self.end_slow(cx, key);
        }
    }
}
