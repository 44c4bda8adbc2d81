//! The messages of one read: decoded outside of the session's lock, and handled under it in parts.
//!
//! Most messages in large numbers are plain results. They are handled without creating a `Message`. Small
//! ones of one call that arrive together are copied into one buffer: a small result that waits then keeps no
//! read buffer alive and needs no allocation of its own.

use std::ops::Range;

use bytes::Bytes;
use wamp_core::Time;
use wamp_core::session::{PlainVerdict, Stream};
use wamp_proto::relay::{Pack, PackBuffer, PlainReply};
use wamp_proto::{DecodeError, Limits, Message, Payload, RequestId, Serializer};
use wamp_transport::Incoming;

use crate::engine::events::drain;
use crate::engine::inbox::{LimitReached, detach_unless_awaited};
use crate::engine::state::{CallItem, State};

/// The number of messages that are decoded and then handled under one lock; the rest of the read follows in
/// further parts.
pub(crate) const AT_ONCE: usize = 64;

/// Payloads of progressive results with at most this many bytes together are copied.
const PACKED: usize = 4 * 1024;

/// A message or a PING, and its place in the received bytes.
pub(crate) enum Piece<'a> {
    Message(&'a Bytes, Range<usize>),
    Ping(&'a Bytes),
}

/// Returns the pieces of an item.
pub(crate) fn pieces(item: &Incoming) -> impl Iterator<Item = Piece<'_>> {
    let (one, run) = match item {
        Incoming::Message(frame) => (Some(Piece::Message(frame, 0..frame.len())), None),
        Incoming::Run(run) => (None, Some(run.messages().map(|range| Piece::Message(run.buffer(), range)))),
        Incoming::Ping(payload) => (Some(Piece::Ping(payload)), None),
        _ => (None, None),
    };
    one.into_iter().chain(run.into_iter().flatten())
}

/// A decoded piece.
enum Input<'a> {
    Plain(Plain<'a>),
    /// Small progressive results of one call that arrived together.
    Results(Results),
    /// The next of the messages.
    Other(usize),
    Faulty(Box<DecodeError>, usize),
    Ping(&'a Bytes),
}

/// A plain RESULT, and its place.
#[derive(Clone)]
struct Plain<'a> {
    reply: PlainReply,
    frame: &'a Bytes,
    start: usize,
}

impl<'a> Plain<'a> {
    /// Reads a plain RESULT; `None` for any other message.
    fn read(serializer: Serializer, frame: &'a Bytes, range: Range<usize>, limits: &Limits) -> Option<Self> {
        let start = range.start;
        let reply = PlainReply::read(serializer, &frame[range], limits)?;
        Some(Self { reply, frame, start })
    }

    /// Returns the place of the payload in the frame.
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.reply.encoded_len()
    }

    fn tail(&self) -> Bytes {
        let tail = self.reply.tail();
        self.frame.slice(self.start + tail.start..self.start + tail.end)
    }

    /// Returns its payload. `waits` means that its consumer is waiting for it now.
    fn payload(self, serializer: Serializer, waits: bool) -> Payload {
        if self.reply.progress && self.reply.tail().len() <= PACKED {
            let tail = self.reply.tail();
            let tail = &self.frame[self.start + tail.start..self.start + tail.end];
            return self.reply.payload(serializer, Bytes::copy_from_slice(tail));
        }
        detach_unless_awaited(self.reply.payload(serializer, self.tail()), waits)
    }
}

/// A progressive result that is to be delivered.
struct Delivery<'a> {
    plain: Plain<'a>,
    cost: u64,
    /// Its sender had credit for it.
    admitted: bool,
}

/// Small progressive results of one call that arrived together.
struct Results {
    call: RequestId,
    /// The indexes of their frames.
    frames: Range<usize>,
    payloads: Pack,
    /// The length of their payloads.
    bytes: usize,
}

/// Small progressive results that are being gathered.
struct Gathering<'a> {
    first: Plain<'a>,
    /// The index of the first one among the frames.
    at: usize,
    /// The length of their payloads.
    bytes: usize,
}

/// Decoded pieces, up to [`AT_ONCE`].
pub(crate) struct Inbound<'a> {
    inputs: Vec<Input<'a>>,
    messages: Vec<Message>,
    /// The frames of small results, as places in the received bytes.
    frames: Vec<(&'a Bytes, Range<usize>)>,
}

/// Reads pieces.
struct Reading<'a> {
    serializer: Serializer,
    read: Inbound<'a>,
    gathering: Option<Gathering<'a>>,
    /// The payloads of the gathered results, from the second on.
    payloads: PackBuffer,
}

impl<'a> Reading<'a> {
    fn add(&mut self, piece: Piece<'a>, limits: &Limits) {
        let (frame, range) = match piece {
            Piece::Message(frame, range) => (frame, range),
            Piece::Ping(payload) => return self.push(Input::Ping(payload)),
        };
        let bytes = range.len();
        if let Some(plain) = Plain::read(self.serializer, frame, range.clone(), limits) {
            return self.add_plain(plain);
        }
        match Message::decode(self.serializer, &frame.slice(range), limits) {
            Ok(message) => {
                self.read.messages.push(message);
                self.push(Input::Other(bytes));
            }
            Err(error) => self.push(Input::Faulty(Box::new(error), bytes)),
        }
    }

    fn add_plain(&mut self, plain: Plain<'a>) {
        let len = plain.reply.tail().len();
        if !plain.reply.progress || len > PACKED {
            return self.push(Input::Plain(plain));
        }
        let (frame, range) = (plain.frame, plain.range());
        match &mut self.gathering {
            Some(Gathering { first, bytes, .. })
                if first.reply.request == plain.reply.request && *bytes + len <= PACKED =>
            {
                if self.payloads.is_empty() {
                    self.payloads.push(&first.reply, &first.frame[first.range()]);
                }
                self.payloads.push(&plain.reply, &frame[range.clone()]);
                *bytes += len;
            }
            _ => {
                self.close();
                self.gathering = Some(Gathering { first: plain, at: self.read.frames.len(), bytes: len });
            }
        }
        self.read.frames.push((frame, range));
    }

    fn push(&mut self, input: Input<'a>) {
        self.close();
        self.read.inputs.push(input);
    }

    /// Ends the gathering: the next piece is not another result of the same call.
    fn close(&mut self) {
        let Some(Gathering { first, at, bytes }) = self.gathering.take() else { return };
        let input = if self.payloads.is_empty() {
            Input::Plain(first)
        } else {
            let frames = at..self.read.frames.len();
            let payloads = self.payloads.take(self.serializer);
            Input::Results(Results { call: first.reply.request, frames, payloads, bytes })
        };
        self.read.inputs.push(input);
    }
}

impl<'a> Inbound<'a> {
    /// Reads the next pieces.
    pub(crate) fn read(
        pieces: &mut impl Iterator<Item = Piece<'a>>,
        serializer: Serializer,
        limits: &Limits,
    ) -> Self {
        let read = Self { inputs: Vec::new(), messages: Vec::new(), frames: Vec::new() };
        let mut reading = Reading { serializer, read, gathering: None, payloads: PackBuffer::new() };
        for piece in pieces.take(AT_ONCE) {
            reading.add(piece, limits);
        }
        reading.close();
        reading.read
    }

    /// Handles the pieces in order, with the consequences of each, so that a slow consumer is detected in
    /// time. Progressive results of one call that arrived together are delivered together.
    pub(crate) fn handle(self, state: &mut State, now: Time, limits: &Limits) {
        let serializer = state.queue.serializer();
        let Self { inputs, messages, frames } = self;
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
                    deliver(state, now, call, &mut run);
                }
                Input::Results(results) => {
                    let frames = &frames[results.frames.clone()];
                    handle_results(state, now, limits, results, frames);
                }
                Input::Other(bytes) => {
                    if let Some(message) = messages.next() {
                        state.session.handle_frame(now, message, bytes);
                    }
                }
                Input::Faulty(error, bytes) => state.session.handle_faulty(now, serializer, &error, bytes),
                Input::Ping(payload) => state.queue.pong(payload.clone()),
            }
            while drain(state, now) {}
        }
    }
}

/// Handles the small progressive results of one call in these frames, and delivers them to its consumer.
fn handle_results(
    state: &mut State,
    now: Time,
    limits: &Limits,
    results: Results,
    frames: &[(&Bytes, Range<usize>)],
) {
    let Results { call, payloads, bytes, .. } = results;
    if let Some(waiting) = state.calls.get(&call) {
        let mut filling = waiting.replies.fill();
        if filling.has_room_for_several(frames.len(), bytes)
            && let Some(cost) =
                state.session.handle_plain_run(call, frames.iter().map(|(_, range)| range.len()))
        {
            let make = || CallItem::Several(payloads);
            let lent = filling.push_several(frames.len(), bytes, cost, &mut state.after.wakers, make);
            drop(filling);
            return match lent {
                Ok(lent) => state.session.consume(now, Stream::Results(call), lent),
                Err(LimitReached) => state.end_lagging(now, call),
            };
        }
    }
    // Otherwise one by one, since each may have other consequences.
    let mut run = Vec::new();
    for (frame, range) in frames {
        let plain = Plain::read(state.queue.serializer(), frame, range.clone(), limits);
        plain.into_iter().for_each(|plain| handle_plain(state, now, limits, plain, &mut run));
    }
    deliver(state, now, call, &mut run);
}

/// Returns whether this is a further progressive result of the run of this call.
fn is_more(next: &Input<'_>, call: RequestId, run: &[Delivery<'_>]) -> bool {
    matches!(next, Input::Plain(next) if !run.is_empty() && next.reply.progress && next.reply.request == call)
}

/// Handles a plain RESULT; a progressive one for delivery is added to the run.
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
            state.handle_last(reply.request, Ok(reply.payload(serializer, plain.tail())), None);
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

/// Delivers a run of progressive results to the consumer of their call.
fn deliver(state: &mut State, now: Time, call: RequestId, run: &mut Vec<Delivery<'_>>) {
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
        let make = |waits| CallItem::Result(plain.payload(serializer, waits));
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
        // The results behind it are late now, and are counted.
        for late in results {
            let _ = state.session.handle_plain(now, &late.plain.reply);
        }
    }
}
