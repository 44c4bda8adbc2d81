//! Credit of one stream inside the dealer, which terminates both hops: it is the receiver towards the sending
//! client and the sender towards the receiving one ([`credit_extension`](crate::credit_extension)).
//!
//! ```text
//!            results              results
//!   callee ───────────▶ dealer ───────────▶ caller
//!          ◀─ ─ ─ ─ ─ ─        ◀─ ─ ─ ─ ─ ─
//!             CREDIT               CREDIT
//! ```
//!
//! Messages are forwarded at once, credit or not: credit limits what a client sends, not what the dealer
//! accepts. The dealer grants as messages leave for the receiver's socket, and never more than the receiver has
//! granted. Chunks go the other way by the same rule.

use std::time::Duration;

use wamp_proto::message::{self, CreditOptions, Total};

use super::Dealer;
use super::call::{Call, CallKey};
use crate::Time;
use crate::credit::{Receiving, Sending, cost};
use crate::deadlines::Deadline;
use crate::router::context::{Context, Due, Violation};
use crate::router::realm::Event;
use crate::router::sessions::SessionKey;

/// One of the two streams that a call may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::router) enum Stream {
    /// From the callee to the caller.
    Results,
    /// From the caller to the callee.
    Chunks,
}

/// A report that the driver owes, as [`Event::Watch`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    call: CallKey,
    stream: Stream,
}

/// One stream of a call; there is none if neither side announced credit.
#[derive(Clone)]
pub(super) struct Flow {
    /// The credit of its sender, if it announced credit.
    from: Option<Receiving>,
    /// The credit towards its receiver, if it announced credit.
    to: Option<Sending>,
    /// The value of `received` at the time of the pending [`Watch`].
    watched: Option<u64>,
    /// Since when its sender has no credit.
    spent: Option<Time>,
    /// How long it had none before that, in all.
    spent_before: Duration,
    /// The deadline of a receiver that has granted nothing.
    starved: Option<Deadline>,
}

impl Flow {
    /// A stream between two sessions, each with the credit it announced.
    pub(super) fn new(window: Option<u64>, sender: Option<u64>, receiver: Option<u64>) -> Option<Box<Self>> {
        let window = window?;
        let from = sender.map(|_| Receiving::new(window));
        let to = receiver.map(Sending::new);
        let flow = Self { from, to, watched: None, spent: None, spent_before: Duration::ZERO, starved: None };
        (from.is_some() || to.is_some()).then(|| Box::new(flow))
    }

    /// Whether its receiver announced credit.
    pub(super) fn is_measured(&self) -> bool {
        self.to.is_some()
    }

    /// Accounts for a message with its length as received and as sent. Returns `true` if a grant may be due.
    pub(super) fn pass(&mut self, came: usize, goes: usize) -> bool {
        if let Some(to) = &mut self.to {
            to.charge(cost(goes));
        }
        match &mut self.from {
            Some(from) => {
                from.receive(cost(came));
                from.is_spent() || self.watched.is_none() && from.is_due()
            }
            None => false,
        }
    }

    /// How long its sender had no credit, in all.
    pub(super) fn spent(&self, now: Time) -> Duration {
        self.spent_before + self.spent.map_or(Duration::ZERO, |since| now.since(since))
    }
}

impl Call {
    fn flow(&mut self, stream: Stream) -> Option<&mut Flow> {
        match stream {
            Stream::Results => self.results.as_deref_mut(),
            Stream::Chunks => self.upload.as_deref_mut()?.flow.as_deref_mut(),
        }
    }

    /// The sender of a stream with its id of the call, and the receiver.
    fn ends(&self, stream: Stream) -> ((SessionKey, wamp_proto::RequestId), SessionKey) {
        match stream {
            Stream::Results => ((self.callee, self.invocation), self.caller),
            Stream::Chunks => ((self.caller, self.request), self.callee),
        }
    }

    /// The deadlines of its streams.
    pub(super) fn starving(&self) -> impl Iterator<Item = Deadline> + '_ {
        let chunks = self.upload.as_deref().and_then(|upload| upload.flow.as_deref());
        [self.results.as_deref(), chunks].into_iter().flatten().filter_map(|flow| flow.starved)
    }
}

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
