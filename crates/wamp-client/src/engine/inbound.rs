//! What one read brought, read outside of the session's lock and handled under it, a part at a time.
//!
//! Most of what comes in numbers are plain results. These are read and handled without a message being made of
//! them, and the small ones of one call that come together are copied into one buffer of their own: what is
//! small and waits keeps no read buffer alive, and costs no allocation of its own.

use std::ops::Range;

use bytes::Bytes;
use wamp_core::Time;
use wamp_core::session::{PlainVerdict, Stream};
use wamp_proto::relay::PlainReply;
use wamp_proto::{DecodeError, Limits, Message, Payload, RequestId, Serializer};
use wamp_transport::Incoming;

use crate::engine::events::drain;
use crate::engine::inbox::{LimitReached, detach_unless_awaited};
use crate::engine::state::State;

/// So many messages are read and then handled under one lock; the others that one read brought come after them.
pub(crate) const AT_ONCE: usize = 64;

/// The payload of a progressive result that is shorter than this is copied.
const COPIED_BELOW: usize = 4 * 1024;

/// A message or a PING as it stands in what has come.
pub(crate) enum Piece<'a> {
    Message(&'a Bytes, Range<usize>),
    Ping(&'a Bytes),
}

/// The pieces of an item.
pub(crate) fn pieces(item: &Incoming) -> impl Iterator<Item = Piece<'_>> {
    let (one, run) = match item {
        Incoming::Message(frame) => (Some(Piece::Message(frame, 0..frame.len())), None),
        Incoming::Run(run) => (None, Some(run.messages().map(|range| Piece::Message(run.buffer(), range)))),
        Incoming::Ping(payload) => (Some(Piece::Ping(payload)), None),
        _ => (None, None),
    };
    one.into_iter().chain(run.into_iter().flatten())
}

/// A piece that has been read.
enum Input<'a> {
    Plain(Plain<'a>),
    /// The next of the messages.
    Other(usize),
    Faulty(Box<DecodeError>, usize),
    Ping(&'a Bytes),
}

/// A plain RESULT, and where it stands.
struct Plain<'a> {
    reply: PlainReply,
    frame: &'a Bytes,
    start: usize,
    copy: Option<CopiedRange>,
}

impl Plain<'_> {
    fn octets(&self) -> Bytes {
        let tail = self.reply.tail();
        self.frame.slice(self.start + tail.start..self.start + tail.end)
    }

    /// Its payload. `waits`: its consumer waits for it right now.
    fn payload(self, serializer: Serializer, copies: &mut Copies, waits: bool) -> Payload {
        match self.copy {
            Some(copy) => self.reply.payload(serializer, copies.take(copy)),
            None => detach_unless_awaited(self.reply.payload(serializer, self.octets()), waits),
        }
    }
}

/// A progressive result that is to be delivered.
struct Delivery<'a> {
    plain: Plain<'a>,
    cost: u64,
    /// Its sender had the credit for it.
    admitted: bool,
}

/// Where a payload was copied to: which buffer, and where in it.
struct CopiedRange {
    buffer: usize,
    range: Range<usize>,
}

/// Pieces that have been read, up to [`AT_ONCE`].
pub(crate) struct Inbound<'a> {
    inputs: Vec<Input<'a>>,
    messages: Vec<Message>,
    copies: Copies,
}

/// Payloads that were copied, those of one call that stand together in one buffer.
#[derive(Default)]
struct Copies {
    full: Vec<Bytes>,
    filling: Vec<u8>,
    /// The call whose payloads are in the buffer that is being filled.
    of: Option<RequestId>,
}

impl Copies {
    /// Copies a small payload.
    fn add(&mut self, call: RequestId, payload: &[u8]) -> CopiedRange {
        if self.of != Some(call) || self.filling.len() + payload.len() > COPIED_BELOW {
            self.close();
            self.of = Some(call);
        }
        let start = self.filling.len();
        self.filling.extend_from_slice(payload);
        CopiedRange { buffer: self.full.len(), range: start..self.filling.len() }
    }

    fn close(&mut self) {
        if self.of.take().is_some() {
            self.full.push(Bytes::copy_from_slice(&self.filling));
            self.filling.clear();
        }
    }

    /// A payload that has been copied.
    fn take(&mut self, copy: CopiedRange) -> Bytes {
        if copy.range.is_empty() {
            return Bytes::new();
        }
        // The only one of a buffer that is not empty has it for itself.
        let buffer = &mut self.full[copy.buffer];
        if copy.range == (0..buffer.len()) { std::mem::take(buffer) } else { buffer.slice(copy.range) }
    }
}

impl<'a> Inbound<'a> {
    /// Reads the next pieces.
    pub(crate) fn read(
        pieces: &mut impl Iterator<Item = Piece<'a>>,
        serializer: Serializer,
        limits: &Limits,
    ) -> Self {
        let (mut inputs, mut messages, mut copies) = (Vec::new(), Vec::new(), Copies::default());
        for piece in pieces.take(AT_ONCE) {
            let (frame, range) = match piece {
                Piece::Message(frame, range) => (frame, range),
                Piece::Ping(payload) => {
                    inputs.push(Input::Ping(payload));
                    continue;
                }
            };
            if let Some(plain) = PlainReply::read(serializer, &frame[range.clone()], limits) {
                let (start, tail) = (range.start, plain.tail());
                let copy = (plain.progress && tail.len() < COPIED_BELOW)
                    .then(|| copies.add(plain.request, &frame[start + tail.start..start + tail.end]));
                inputs.push(Input::Plain(Plain { reply: plain, frame, start, copy }));
                continue;
            }
            let octets = range.len();
            inputs.push(match Message::decode(serializer, &frame.slice(range), limits) {
                Ok(message) => {
                    messages.push(message);
                    Input::Other(octets)
                }
                Err(error) => Input::Faulty(Box::new(error), octets),
            });
        }
        copies.close();
        Self { inputs, messages, copies }
    }

    /// Handles them in their order, and after each what follows from it: a consumer that does not follow is found
    /// out in time. Progressive results of one call that come together are delivered together.
    pub(crate) fn handle(self, state: &mut State, now: Time, limits: &Limits) {
        let serializer = state.queue.serializer();
        let Self { inputs, messages, mut copies } = self;
        let mut messages = messages.into_iter();
        let mut inputs = inputs.into_iter().peekable();
        let mut run = Vec::new();
        while let Some(input) = inputs.next() {
            match input {
                Input::Plain(plain) => {
                    let call = plain.reply.request;
                    handle_plain(state, now, limits, plain, &mut run);
                    while let Some(Input::Plain(next)) = inputs.next_if(|next| is_more(next, call, &run)) {
                        handle_plain(state, now, limits, next, &mut run);
                    }
                    deliver(state, now, call, &mut run, &mut copies);
                }
                Input::Other(octets) => {
                    if let Some(message) = messages.next() {
                        state.session.handle_frame(now, message, octets);
                    }
                }
                Input::Faulty(error, octets) => state.session.handle_faulty(now, serializer, &error, octets),
                Input::Ping(payload) => state.queue.pong(payload.clone()),
            }
            while drain(state, now) {}
        }
    }
}

/// Whether this is a further progressive result of a run for this call.
fn is_more(next: &Input<'_>, call: RequestId, run: &[Delivery<'_>]) -> bool {
    matches!(next, Input::Plain(next) if !run.is_empty() && next.reply.progress && next.reply.request == call)
}

/// Handles a plain RESULT; a progressive one that is to be delivered comes to the run.
fn handle_plain<'a>(
    state: &mut State,
    now: Time,
    limits: &Limits,
    plain: Plain<'a>,
    run: &mut Vec<Delivery<'a>>,
) {
    let serializer = state.queue.serializer();
    let reply = plain.reply;
    match state.session.handle_plain(now, &reply) {
        PlainVerdict::Deliver { cost } if reply.progress => {
            let stream = Stream::Results(reply.request);
            let admitted = cost > 0 && !state.session.is_overdrawn(stream, cost);
            run.push(Delivery { plain, cost, admitted });
        }
        PlainVerdict::Deliver { .. } => {
            state.handle_last(reply.request, Ok(reply.payload(serializer, plain.octets())));
        }
        PlainVerdict::Discard => {}
        _ => {
            let frame = plain.frame.slice(plain.start..plain.start + reply.encoded_len());
            match Message::decode(serializer, &frame, limits) {
                Ok(message) => state.session.handle_frame(now, message, reply.encoded_len()),
                Err(error) => state.session.handle_faulty(now, serializer, &error, reply.encoded_len()),
            }
        }
    }
}

/// Gives a run of progressive results to the consumer of their call.
fn deliver(state: &mut State, now: Time, call: RequestId, run: &mut Vec<Delivery<'_>>, copies: &mut Copies) {
    if run.is_empty() {
        return;
    }
    let serializer = state.queue.serializer();
    let Some(waiting) = state.calls.get(&call) else { return run.clear() };
    let (wakers, mut lent, mut lags) = (&mut state.after.wakers, 0, false);
    let mut results = run.drain(..);
    let mut filling = waiting.replies.fill();
    for Delivery { plain, cost, admitted } in results.by_ref() {
        let len = plain.reply.tail().len();
        let make = |waits| plain.payload(serializer, copies, waits);
        match filling.push(len, cost, admitted, wakers, make) {
            Ok(more) => lent += more,
            Err(LimitReached) => {
                lags = true;
                break;
            }
        }
    }
    drop(filling);
    state.session.consume(now, Stream::Results(call), lent);
    if lags {
        state.end_lagging(now, call);
        // Those behind it have come too late now, and are counted.
        for late in results {
            let _ = state.session.handle_plain(now, &late.plain.reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(call: u64) -> RequestId {
        RequestId::new(call).unwrap()
    }

    /// What is copied for these calls, and how many buffers that takes.
    fn copied(payloads: &[(u64, &[u8])]) -> (Vec<Bytes>, usize) {
        let mut copies = Copies::default();
        let places: Vec<_> = payloads.iter().map(|(call, payload)| copies.add(id(*call), payload)).collect();
        copies.close();
        let buffers = copies.full.len();
        (places.into_iter().map(|place| copies.take(place)).collect(), buffers)
    }

    #[test]
    fn payloads_of_one_call_share_a_buffer_and_those_of_another_do_not() {
        let (copies, buffers) =
            copied(&[(1, b"[1]"), (1, b""), (1, b"[2]"), (2, b"[3]"), (1, b"[4]"), (3, b"")]);
        assert_eq!(copies, [&b"[1]"[..], b"", b"[2]", b"[3]", b"[4]", b""]);
        assert_eq!(buffers, 4);
        assert_eq!(copied(&[(1, b"[1]"), (1, b"")]).0, [&b"[1]"[..], b""]);
        assert_eq!(copied(&[(1, b""), (1, b"[1]")]).0, [&b""[..], b"[1]"]);
        assert_eq!(copied(&[]), (vec![], 0));
    }

    #[test]
    fn no_buffer_is_longer_than_what_is_copied_at_most() {
        let long = vec![b'x'; COPIED_BELOW / 2 - 1];
        let (copies, buffers) = copied(&[(1, &long), (1, &long), (1, b"[]"), (1, b"[]")]);
        assert_eq!(copies, [&long[..], &long, b"[]", b"[]"]);
        assert_eq!(buffers, 2, "the third fills the first buffer");
    }
}
