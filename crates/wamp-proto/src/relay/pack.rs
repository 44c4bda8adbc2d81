//! Payloads of plain messages in one buffer, for a receiver that takes them one by one.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::PlainReply;
use crate::error::PayloadError;
use crate::parts::Parts;
use crate::payload::Payload;
use crate::serializer::Serializer;

/// The length of a payload, and the number of its elements in the lowest two bits.
const HEAD: usize = 4;

/// The memory that a buffer has at first, in bytes.
const FIRST: usize = 1024;

/// No payload in a pack is longer than this, in bytes.
pub const MAX_PACKED: usize = 1 << 24;

/// A buffer in which payloads are gathered.
#[derive(Debug, Default)]
pub struct PackBuffer {
    bytes: Vec<u8>,
}

impl PackBuffer {
    /// An empty buffer without memory.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Appends the payload of a reply that was read from this frame. Returns `false`, and appends nothing, if it is longer
    /// than [`MAX_PACKED`].
    ///
    /// # Panics
    /// If the reply was read from a shorter frame.
    pub fn push(&mut self, reply: &PlainReply, frame: &[u8]) -> bool {
        let tail = &frame[reply.tail()];
        if tail.len() > MAX_PACKED {
            return false;
        }
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(FIRST);
        }
        self.bytes.extend_from_slice(&(((tail.len() << 2) as u32) | u32::from(reply.elements)).to_le_bytes());
        if reply.elements == 2 {
            self.bytes.extend_from_slice(&reply.kwargs_at().to_le_bytes());
        }
        self.bytes.extend_from_slice(tail);
        true
    }

    /// Returns whether there is no payload.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Copies the payloads out, all in this serializer, and empties the buffer.
    pub fn take(&mut self, serializer: Serializer) -> Pack {
        let bytes = Bytes::copy_from_slice(&self.bytes);
        self.bytes.clear();
        Pack { serializer, bytes, at: 0 }
    }
}

/// Payloads in one buffer, each of which is a slice of it.
///
/// ```
/// # use wamp_proto::{Limits, Payload, Serializer};
/// # use wamp_proto::relay::{PackBuffer, PlainReply};
/// # #[cfg(feature = "json")] {
/// let mut buffer = PackBuffer::new();
/// for frame in [&br#"[50,7,{"progress":true},[1]]"#[..], br#"[50,7,{"progress":true},[2]]"#] {
///     let reply = PlainReply::read(Serializer::Json, frame, &Limits::default()).unwrap();
///     assert!(buffer.push(&reply, frame));
/// }
/// let pack: Vec<Payload> = buffer.take(Serializer::Json).collect();
/// assert_eq!(pack, [Payload::new(Serializer::Json, &(1,))?, Payload::new(Serializer::Json, &(2,))?]);
/// # }
/// # Ok::<(), wamp_proto::EncodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pack {
    serializer: Serializer,
    bytes: Bytes,
    at: usize,
}

impl Pack {
    /// Returns the next payload without taking a share of the buffer.
    pub fn next_packed(&mut self) -> Option<Packed<'_>> {
        let (head, rest) = self.bytes.get(self.at..)?.split_first_chunk::<HEAD>()?;
        let head = u32::from_le_bytes(*head);
        let (len, elements) = ((head >> 2) as usize, (head & 3) as u8);
        let (mut start, mut kwargs_at) = (self.at + HEAD, 0);
        if elements == 2 {
            kwargs_at = u32::from_le_bytes(*rest.first_chunk()?) as usize;
            start += size_of::<u32>();
        }
        self.at = start + len;
        let serializer = (elements > 0).then_some(self.serializer);
        let bytes = self.bytes.get(start..self.at)?;
        let parts = Parts { serializer, elements, bytes, kwargs_at };
        debug_assert!(parts.checked().is_some());
        Some(Packed { buffer: &self.bytes, parts })
    }
}

impl Iterator for Pack {
    type Item = Payload;

    fn next(&mut self) -> Option<Payload> {
        self.next_packed().map(Packed::payload)
    }
}

/// A payload in a [`Pack`].
pub struct Packed<'a> {
    buffer: &'a Bytes,
    parts: Parts<&'a [u8]>,
}

impl Packed<'_> {
    /// Returns the value that the payload stands for; see [`Payload::decode`].
    ///
    /// # Errors
    /// The argument that does not fit.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, PayloadError> {
        self.parts.decode()
    }

    /// Returns the length of the payload, in bytes.
    pub fn encoded_len(&self) -> usize {
        self.parts.bytes.len()
    }

    /// Returns the payload as a slice of the buffer.
    pub fn payload(self) -> Payload {
        let Parts { serializer, elements, bytes, kwargs_at } = self.parts;
        // An empty slice would keep the buffer.
        let bytes = if bytes.is_empty() { Bytes::new() } else { self.buffer.slice_ref(bytes) };
        Payload::from_parts(serializer, elements, bytes, kwargs_at).unwrap_or_default()
    }
}

impl fmt::Debug for Packed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed").field("len", &self.parts.bytes.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "json", feature = "msgpack", feature = "cbor"))]
mod tests {
    use super::*;
    use crate::{Limits, Message, RequestId, message};

    #[test]
    fn payloads_come_out_as_they_were_put_in() {
        let payloads = |serializer| {
            [r#"[],{}"#, "[7]", r#"["text"],{"a":[1,2]}"#, "", "[]"].map(|text| {
                let frame =
                    format!("[50,7,{{\"progress\":true}}{}{text}]", if text.is_empty() { "" } else { "," });
                let limits = Limits::default();
                match Message::decode(Serializer::Json, &frame.into_bytes().into(), &limits).unwrap() {
                    Message::Result(result) => result.payload.transcode(serializer).unwrap(),
                    other => panic!("{other:?}"),
                }
            })
        };
        for serializer in Serializer::ALL {
            let mut buffer = PackBuffer::new();
            let payloads = payloads(*serializer);
            // Twice, since the buffer is used again.
            for _ in 0..2 {
                for payload in &payloads {
                    let options = message::ResultDetails { progress: Some(true), ..Default::default() };
                    let request = RequestId::new(7).unwrap();
                    let result = message::Result { request, details: options, payload: payload.clone() };
                    let frame = Message::from(result).encode(*serializer).unwrap();
                    let reply = PlainReply::read(*serializer, &frame, &Limits::default()).unwrap();
                    assert!(buffer.push(&reply, &frame));
                }
                assert!(!buffer.is_empty());
                assert_eq!(buffer.take(*serializer).collect::<Vec<_>>(), payloads);
                assert!(buffer.is_empty());
            }
        }
    }
}
