//! The two ends of the way: the YIELD as a callee writes it, the RESULT as a caller reads it.

use std::ops::Range;

use bytes::Bytes;

use super::{Code, Parts, PlainResult, ResultHead};
use crate::id::RequestId;
use crate::message::Limits;
use crate::payload::Payload;
use crate::payload_buffer::PayloadBuffer;
use crate::serializer::Serializer;

/// A YIELD with no other option than `progress: true`, before its payload.
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
    /// One with this payload.
    pub fn new(request: RequestId, payload: &Payload) -> Self {
        Self::of(request, payload.elements(), payload.len())
    }

    /// One with the payload that is written there.
    pub fn written(request: RequestId, payload: &PayloadBuffer) -> Self {
        Self::of(request, payload.elements(), payload.as_bytes().len())
    }

    fn of(request: RequestId, elements: u8, payload: usize) -> Self {
        Self { head: PlainResult { request, progress: true, elements, added: 0 }, payload }
    }

    /// The invocation.
    pub fn request(&self) -> RequestId {
        self.head.request
    }

    /// The octets before the payload, the same as those of
    /// [`Message::encode_head`](crate::Message::encode_head). After the payload comes [`ResultHead::end`].
    pub fn head(&self, serializer: Serializer) -> ResultHead {
        self.head.head_of(Code::Yield, serializer)
    }

    /// The length of the whole message, in bytes.
    pub fn encoded_len(&self, serializer: Serializer) -> usize {
        // The heads of the two differ in the number of the message only.
        self.head.encoded_len(serializer, self.payload)
    }
}

/// A RESULT with no other detail than `progress`, as its caller reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainReply {
    /// The call.
    pub request: RequestId,
    /// Whether more results follow.
    pub progress: bool,
    elements: u8,
    tail: (u32, u32),
    kwargs_at: u32,
    octets: u32,
}

impl PlainReply {
    /// Reads a whole frame. `None` for everything that is no plain RESULT, or is one in an unusual spelling.
    ///
    /// Where this finds a plain RESULT, [`Message::decode`](crate::Message::decode) finds the same one, with
    /// the same payload. It does not allocate.
    pub fn read(serializer: Serializer, frame: &[u8], limits: &Limits) -> Option<Self> {
        let Parts { request, progress, elements, tail, kwargs_at, octets } =
            Parts::read(serializer, Code::Result, frame, limits)?;
        Some(Self { request, progress, elements, tail, kwargs_at, octets })
    }

    /// Where its payload stands in the frame; an empty range if there is none.
    pub fn tail(&self) -> Range<usize> {
        self.tail.0 as usize..self.tail.1 as usize
    }

    /// The length of the frame, in bytes.
    pub fn encoded_len(&self) -> usize {
        self.octets as usize
    }

    /// Its payload, of which these are the octets: what stands at [`tail`](Self::tail), or a copy.
    pub fn payload(&self, serializer: Serializer, octets: Bytes) -> Payload {
        debug_assert_eq!(octets.len(), self.tail().len());
        let kwargs_at = self.kwargs_at.saturating_sub(self.tail.0) as usize;
        let serializer = (self.elements > 0).then_some(serializer);
        Payload::from_parts(serializer, self.elements, octets, kwargs_at).unwrap_or_default()
    }
}
