//! The two ends of a relayed result: the YIELD that a callee writes, and the RESULT that a caller reads.

use std::ops::Range;

use bytes::Bytes;

use super::{Code, PlainParts, PlainResult, ResultHead};
use crate::id::RequestId;
use crate::message::Limits;
use crate::payload::Payload;
use crate::payload_buffer::PayloadBuffer;
use crate::serializer::Serializer;

/// The part of a YIELD before its payload, with no option but `progress: true`.
///
/// ```
/// # use wamp_proto::{Payload, RequestId, Serializer, relay::PlainProgress};
/// # #[cfg(feature = "json")] {
/// let payload = Payload::new(Serializer::Json, &("Y2010",)).unwrap();
/// let progress = PlainProgress::new(RequestId::new(3).unwrap(), &payload);
/// assert_eq!(progress.head(Serializer::Json).as_ref(), br#"[70,3,{"progress":true},"#);
/// assert_eq!(progress.encoded_len(Serializer::Json), r#"[70,3,{"progress":true},["Y2010"]]"#.len());
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainProgress {
    head: PlainResult,
    payload: usize,
}

impl PlainProgress {
    /// Creates a YIELD with this payload.
    pub fn new(request: RequestId, payload: &Payload) -> Self {
        Self::of(request, payload.elements(), payload.len())
    }

    /// Creates a YIELD with the payload in the buffer.
    pub fn written(request: RequestId, payload: &PayloadBuffer) -> Self {
        Self::of(request, payload.elements(), payload.as_bytes().len())
    }

    fn of(request: RequestId, elements: u8, payload: usize) -> Self {
        Self { head: PlainResult { request, progress: true, elements, added: 0 }, payload }
    }

    /// Returns the id of the invocation.
    pub fn request(&self) -> RequestId {
        self.head.request
    }

    /// Returns the bytes before the payload, the same as those of
    /// [`Message::encode_head`](crate::Message::encode_head). [`ResultHead::end`] follows the payload.
    pub fn head(&self, serializer: Serializer) -> ResultHead {
        self.head.head_of(Code::Yield, serializer)
    }

    /// Returns the length of the whole message, in bytes.
    pub fn encoded_len(&self, serializer: Serializer) -> usize {
        // The heads of RESULT and YIELD differ only in the code of the message.
        self.head.encoded_len(serializer, self.payload)
    }
}

/// A RESULT with no detail but `progress`, as its caller reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainReply {
    /// The id of the call.
    pub request: RequestId,
    /// Whether more results follow.
    pub progress: bool,
    pub(super) elements: u8,
    tail: (u32, u32),
    kwargs_at: u32,
    encoded_len: u32,
}

impl PlainReply {
    /// Reads a whole frame. Returns `None` for every frame that is not a plain RESULT in its usual encoding.
    ///
    /// If this returns a plain RESULT, [`Message::decode`](crate::Message::decode) returns the same one with
    /// the same payload. It does not allocate.
    pub fn read(serializer: Serializer, frame: &[u8], limits: &Limits) -> Option<Self> {
        let PlainParts { request, progress, elements, tail, kwargs_at, encoded_len } =
            PlainParts::read(serializer, Code::Result, frame, limits)?;
        Some(Self { request, progress, elements, tail, kwargs_at, encoded_len })
    }

    /// Returns the range of the payload in the frame; empty if there is no payload.
    pub fn tail(&self) -> Range<usize> {
        self.tail.0 as usize..self.tail.1 as usize
    }

    /// Returns the length of the frame, in bytes.
    pub fn encoded_len(&self) -> usize {
        self.encoded_len as usize
    }

    /// The offset of the keyword arguments in the payload; 0 without any.
    pub(super) fn kwargs_at(&self) -> u32 {
        self.kwargs_at.saturating_sub(self.tail.0)
    }

    /// Returns the payload. `tail` has the bytes at [`tail`](Self::tail), or a copy of them.
    pub fn payload(&self, serializer: Serializer, tail: Bytes) -> Payload {
        debug_assert_eq!(tail.len(), self.tail().len());
        let kwargs_at = self.kwargs_at() as usize;
        let serializer = (self.elements > 0).then_some(serializer);
        Payload::from_parts(serializer, self.elements, tail, kwargs_at).unwrap_or_default()
    }
}
