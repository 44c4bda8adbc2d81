//! What one read brought, read outside of the session's lock and handled under it, a part at a time.
//!
//! Most of what comes in numbers are plain results. These are read and handled without a message being made of
//! them, and the small ones of one call that come together are copied into one buffer of their own: what is
//! small and waits keeps no read buffer alive, and costs no allocation of its own.

use std::ops::Range;

use bytes::Bytes;
use wamp_core::Time;
use wamp_core::session::PlainVerdict;
use wamp_proto::relay::PlainReply;
use wamp_proto::{DecodeError, Limits, Message, RequestId, Serializer};
use wamp_transport::Incoming;

use crate::engine::events::drain;
use crate::engine::inbox::detach_unless_awaited;
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
    Plain { plain: PlainReply, frame: &'a Bytes, start: usize, copy: Option<CopiedRange> },
    Other(Box<Message>, usize),
    Faulty(Box<DecodeError>, usize),
    Ping(&'a Bytes),
}

/// Where a payload was copied to: which buffer, and where in it.
struct CopiedRange {
    buffer: usize,
    range: Range<usize>,
}

/// Pieces that have been read, up to [`AT_ONCE`].
pub(crate) struct Inbound<'a> {
    inputs: Vec<Input<'a>>,
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
        let (mut inputs, mut copies) = (Vec::new(), Copies::default());
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
                inputs.push(Input::Plain { plain, frame, start, copy });
                continue;
            }
            let octets = range.len();
            inputs.push(match Message::decode(serializer, &frame.slice(range), limits) {
                Ok(message) => Input::Other(Box::new(message), octets),
                Err(error) => Input::Faulty(Box::new(error), octets),
            });
        }
        copies.close();
        Self { inputs, copies }
    }

    /// Handles them in their order, and after each what follows from it: a consumer that does not follow is found
    /// out in time.
    pub(crate) fn handle(mut self, state: &mut State, now: Time, limits: &Limits) {
        let serializer = state.queue.serializer();
        for input in self.inputs {
            match input {
                Input::Plain { plain, frame, start, copy } => {
                    let tail = plain.tail();
                    match state.session.handle_plain(now, &plain) {
                        PlainVerdict::Deliver { cost } if plain.progress => {
                            let make = |waits| match copy {
                                Some(copy) => plain.payload(serializer, self.copies.take(copy)),
                                None => {
                                    let octets = frame.slice(start + tail.start..start + tail.end);
                                    detach_unless_awaited(plain.payload(serializer, octets), waits)
                                }
                            };
                            state.handle_progress(now, plain.request, tail.len(), cost, make);
                        }
                        PlainVerdict::Deliver { .. } => {
                            let octets = frame.slice(start + tail.start..start + tail.end);
                            state.handle_last(plain.request, Ok(plain.payload(serializer, octets)));
                        }
                        PlainVerdict::Discard => {}
                        _ => {
                            let frame = frame.slice(start..start + plain.encoded_len());
                            match Message::decode(serializer, &frame, limits) {
                                Ok(message) => state.session.handle_frame(now, message, plain.encoded_len()),
                                Err(error) => {
                                    state.session.handle_faulty(now, serializer, &error, plain.encoded_len())
                                }
                            }
                        }
                    }
                }
                Input::Other(message, octets) => state.session.handle_frame(now, *message, octets),
                Input::Faulty(error, octets) => state.session.handle_faulty(now, serializer, &error, octets),
                Input::Ping(payload) => state.queue.pong(payload.clone()),
            }
            while drain(state, now) {}
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
