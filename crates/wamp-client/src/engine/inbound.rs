//! What one read brought, read outside of the session's lock and handled under it, a part at a time.
//!
//! Most of what comes in numbers are plain results. These are read and handled without a message being made of
//! them, and the small ones of one call that come together are copied into one buffer of their own: what is
//! small and waits keeps no read buffer alive, and costs no allocation of its own.

use std::ops::Range;

use bytes::Bytes;
use wamp_core::Time;
use wamp_core::session::{PlainVerdict, Stream};
use wamp_proto::relay::{Pack, PackBuffer, PlainReply};
use wamp_proto::{DecodeError, Limits, Message, Payload, RequestId, Serializer};
use wamp_transport::Incoming;

use crate::engine::events::drain;
use crate::engine::inbox::{LimitReached, detach_unless_awaited};
use crate::engine::state::{Arrived, State};

/// So many messages are read and then handled under one lock; the others that one read brought come after them.
pub(crate) const AT_ONCE: usize = 64;

/// Payloads of progressive results that have no more than this many bytes together are copied.
const PACKED: usize = 4 * 1024;

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
    /// Small progressive results of one call that came together.
    Results(Results),
    /// The next of the messages.
    Other(usize),
    Faulty(Box<DecodeError>, usize),
    Ping(&'a Bytes),
}

/// A plain RESULT, and where it stands.
#[derive(Clone)]
struct Plain<'a> {
    reply: PlainReply,
    frame: &'a Bytes,
    start: usize,
}

impl<'a> Plain<'a> {
    /// Reads it, if it is one.
    fn read(serializer: Serializer, frame: &'a Bytes, range: Range<usize>, limits: &Limits) -> Option<Self> {
        let start = range.start;
        let reply = PlainReply::read(serializer, &frame[range], limits)?;
        Some(Self { reply, frame, start })
    }

    /// Its place in the frame.
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.reply.encoded_len()
    }

    fn tail(&self) -> Bytes {
        let tail = self.reply.tail();
        self.frame.slice(self.start + tail.start..self.start + tail.end)
    }

    /// Its payload. `waits`: its consumer waits for it right now.
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
    /// Its sender had the credit for it.
    admitted: bool,
}

/// Small progressive results of one call that came together.
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

/// Pieces that have been read, up to [`AT_ONCE`].
pub(crate) struct Inbound<'a> {
    inputs: Vec<Input<'a>>,
    messages: Vec<Message>,
    /// The frames of small results, as they stand in what has come.
    frames: Vec<(&'a Bytes, Range<usize>)>,
}

/// Reads pieces.
struct Reading<'a> {
    serializer: Serializer,
    read: Inbound<'a>,
    gathering: Option<Gathering<'a>>,
    /// The payloads of what is gathered, once there are two.
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

    /// Handles them in their order, and after each what follows from it: a consumer that does not follow is found
    /// out in time. Progressive results of one call that come together are delivered together.
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

/// Handles small progressive results of one call, which stand in these frames, and gives them to its consumer.
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
            let make = || Arrived::Several(payloads);
            let lent = filling.push_several(frames.len(), bytes, cost, &mut state.after.wakers, make);
            drop(filling);
            return match lent {
                Ok(lent) => state.session.consume(now, Stream::Results(call), lent),
                Err(LimitReached) => state.end_lagging(now, call),
            };
        }
    }
    // Or one by one: something else may follow from each.
    let mut run = Vec::new();
    for (frame, range) in frames {
        let plain = Plain::read(state.queue.serializer(), frame, range.clone(), limits);
        plain.into_iter().for_each(|plain| handle_plain(state, now, limits, plain, &mut run));
    }
    deliver(state, now, call, &mut run);
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
            state.handle_last(reply.request, Ok(reply.payload(serializer, plain.tail())));
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
        let make = |waits| Arrived::Result(plain.payload(serializer, waits));
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
