//! Credit at a client's end: it grants to the results of its calls and the chunks of its invocations as the
//! program takes them, and spends the dealer's grants on the results and chunks that it sends.
//!
//! The arithmetic is in [`credit`](crate::credit). Without [`Config::credit`](super::Config::credit), or with a
//! router that does not announce it, there is no credit.

use std::time::Duration;

use wamp_proto::message::{self, CreditOptions, Total};
use wamp_proto::{Message, RequestId, Role, Serializer};

use super::{Due, Event, Session};
use crate::Time;
use crate::credit::{Receiving, Sending, cost};
use crate::deadlines::Deadline;

/// A stream of results or chunks at this end of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stream {
    /// The progressive results of a call that this session makes, or of an invocation that it answers.
    Results(RequestId),
    /// The chunks of a call that this session makes, or of an invocation that it answers.
    Chunks(RequestId),
}

/// The windows of a session's incoming streams.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Credit {
    /// The serializer of the connection: credit is counted in its bytes.
    pub serializer: Serializer,
    /// The bytes granted to each stream when it begins; 64 KiB by default.
    pub window: u64,
    /// The largest window of a stream whose items are taken at once, in bytes; 1 MiB by default.
    pub max_window: u64,
    /// The sum of all windows, where that is more than `window` for each; 64 MiB by default.
    pub session: u64,
    /// The time after which consumed bytes are granted even if they are few; 30 s by default. The router ends a
    /// call to which nothing is granted for long.
    pub delay: Duration,
}

impl Credit {
    /// The defaults, for messages in this serializer.
    pub fn new(serializer: Serializer) -> Self {
        Self {
            serializer,
            window: 64 << 10,
            max_window: 1 << 20,
            session: 64 << 20,
            delay: Duration::from_secs(30),
        }
    }
}

/// An incoming stream.
#[derive(Clone)]
pub(super) struct Incoming {
    receiving: Receiving,
    /// The deadline for granting a small number of consumed bytes.
    delayed: Option<Deadline>,
}

impl Incoming {
    /// Accounts for messages of these lengths, and returns their cost.
    pub(super) fn receive_run(&mut self, lens: impl IntoIterator<Item = usize>) -> u64 {
        let cost = lens.into_iter().map(cost).sum();
        self.receiving.receive(cost);
        cost
    }
}

impl Session {
    /// The bytes that the router grants to each stream when it begins, if both ends have credit.
    fn granted(&self) -> Option<u64> {
        self.config.credit?;
        self.router.get(Role::Dealer)?.credit
    }

    /// Begins an incoming stream.
    pub(super) fn incoming(&mut self) -> Option<Incoming> {
        self.granted()?;
        let window = self.config.credit?.window;
        self.windows += window;
        Some(Incoming { receiving: Receiving::new(window), delayed: None })
    }

    /// Ends an incoming stream.
    pub(super) fn end_incoming(&mut self, incoming: Option<Incoming>) {
        if let Some(incoming) = incoming {
            self.windows -= incoming.receiving.window();
            if let Some(deadline) = incoming.delayed {
                self.deadlines.clear(deadline);
            }
        }
    }

    /// Begins an outgoing stream.
    pub(super) fn outgoing(&self) -> Option<Sending> {
        self.granted().map(Sending::new)
    }

    /// The cost of an outgoing message of a stream.
    pub(super) fn price(&mut self, message: &Message) -> u64 {
        let payload = message.payload_tail().len();
        let Some(Credit { serializer, .. }) = self.config.credit else { return cost(payload) };
        self.scratch.clear();
        // A message that cannot be written is not sent either.
        let _ = message.encode_head(serializer, &mut self.scratch);
        cost(self.scratch.len() + payload + serializer.end().len())
    }

    fn incoming_of(&mut self, stream: Stream) -> Option<&mut Incoming> {
        match stream {
            Stream::Results(call) => self.caller.results(call),
            Stream::Chunks(invocation) => self.callee.chunks(invocation),
        }
    }

    fn outgoing_of(&mut self, stream: Stream) -> Option<&mut Sending> {
        match stream {
            Stream::Results(invocation) => self.callee.results(invocation),
            Stream::Chunks(call) => self.caller.chunks(call),
        }
    }

    /// Accounts for an incoming message of this length. Returns the cost to be given back by
    /// [`consume`](Self::consume).
    pub(super) fn receive(&mut self, stream: Stream, len: usize) -> u64 {
        match self.incoming_of(stream) {
            Some(incoming) => {
                incoming.receiving.receive(cost(len));
                cost(len)
            }
            None => 0,
        }
    }

    /// Gives back the cost of results or chunks that the program has taken, as the events state it; several may
    /// be added up. This makes room for more.
    pub fn consume(&mut self, now: Time, stream: Stream, cost: u64) {
        let Some(credit) = self.config.credit.filter(|_| cost > 0) else { return };
        let wider = credit.session.saturating_sub(self.windows);
        let Some(incoming) = self.incoming_of(stream) else { return };
        let receiving = &mut incoming.receiving;
        receiving.consume(cost);
        let grown = receiving.widen(credit.max_window.min(receiving.window().saturating_add(wider)));
        let total = receiving.grant(None);
        let waits = incoming.delayed;
        self.windows += grown;
        match total {
            Some(total) => self.grant(stream, total),
            None if waits.is_none() => {
                let deadline = self.deadlines.set(now + credit.delay, Due::Grant(stream));
                if let Some(incoming) = self.incoming_of(stream) {
                    incoming.delayed = Some(deadline);
                }
            }
            None => {}
        }
    }

    /// Grants consumed bytes that were too few for a grant until now.
    pub(super) fn handle_delayed_grant(&mut self, stream: Stream) {
        let Some(incoming) = self.incoming_of(stream) else { return };
        incoming.delayed = None;
        if let Some(total) = incoming.receiving.grant_now(None) {
            self.grant(stream, total);
        }
    }

    fn grant(&mut self, stream: Stream, total: u64) {
        if let Some(deadline) = self.incoming_of(stream).and_then(|incoming| incoming.delayed.take()) {
            self.deadlines.clear(deadline);
        }
        let mut options = CreditOptions::default();
        let request = match stream {
            Stream::Results(request) => request,
            Stream::Chunks(request) => {
                options.chunks = Some(true);
                request
            }
        };
        self.send(message::Credit { request, options, total: Total(Some(total)) });
    }

    /// Whether the latest message of a stream, of this cost, was sent without credit: its sender has no
    /// credit, and only the program limits it.
    pub fn is_overdrawn(&mut self, stream: Stream, cost: u64) -> bool {
        self.incoming_of(stream).is_none_or(|incoming| incoming.receiving.is_overdrawn(cost))
    }

    /// Whether the next progressive result of an invocation, or the next chunk of a call, has credit. If not,
    /// [`Event::Credit`] or the end of the call follows.
    pub fn may_send(&mut self, stream: Stream) -> bool {
        self.outgoing_of(stream).is_none_or(|sending| sending.has_credit())
    }

    pub(super) fn handle_credit(&mut self, now: Time, credit: message::Credit) {
        if self.granted().is_none() {
            return self.violation("CREDIT, where not both ends have announced _progress_credit".to_owned());
        }
        let Some(total) = credit.total.0 else {
            self.stats.unknown += 1;
            return;
        };
        let request = credit.request;
        let streams = match credit.options.chunks {
            Some(true) => [None, Some(Stream::Chunks(request))],
            Some(false) => [Some(Stream::Results(request)), None],
            None => [Some(Stream::Results(request)), Some(Stream::Chunks(request))],
        };
        for stream in streams.into_iter().flatten() {
            if let Some(sending) = self.outgoing_of(stream) {
                if sending.raise(total) {
                    if let Stream::Results(invocation) = stream {
                        self.resume_timeout(now, invocation);
                    }
                    self.events.push_back(Event::Credit { stream });
                }
                return;
            }
        }
        // Without a stream the call is over, and so is its credit.
    }
}
