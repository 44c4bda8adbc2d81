//! The way of a result through a router, as octets: a plain YIELD in, a plain RESULT out.
//!
//! Plain is a YIELD that says nothing but whether it is progressive. Of its frame [`PlainYield`] reads the
//! head, and checks the payload for being well-formed in one pass; [`PlainResult`] is the head that goes before
//! the same payload on its way to the caller. Both know the octets of a head by heart. What looks otherwise is
//! left to [`Message::decode`](crate::Message::decode), which alone judges what is wrong with a frame.
//!
//! ```text
//! [70, request, {"progress": true}, …payload…]      read
//! [50, request, {"progress": true}, …payload…]      written
//! ```

use std::ops::Range;

use crate::id::RequestId;
use crate::message::Limits;
use crate::serializer::{Format, MAX_DEPTH, Reader, Serializer};

/// A YIELD with no other option than `progress`, read as far as a router has to know it.
///
/// ```
/// # use wamp_proto::{Limits, Serializer, relay::{PlainResult, PlainYield}};
/// # #[cfg(feature = "json")] {
/// let frame = br#"[70,3,{"progress":true},["Y2010"]]"#;
/// let plain = PlainYield::read(Serializer::Json, frame, &Limits::default()).unwrap();
/// assert_eq!((plain.request.get(), plain.progress), (3, true));
/// assert_eq!(&frame[plain.tail()], br#"["Y2010"]"#);
///
/// let result = PlainResult { progress: true, ..plain.result(plain.request) };
/// assert_eq!(result.head(Serializer::Json).as_ref(), br#"[50,3,{"progress":true},"#);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainYield {
    /// The invocation.
    pub request: RequestId,
    /// Whether more results follow.
    pub progress: bool,
    /// 0 for no payload, 1 for positional arguments, 2 for positional and keyword arguments.
    elements: u8,
    /// Where its payload begins and ends in the frame. No frame that is read is longer than that.
    tail: (u32, u32),
    /// The length of the frame.
    octets: u32,
}

impl PlainYield {
    /// Reads a whole frame. `None` for everything that is no plain YIELD, or is one in an unusual spelling.
    ///
    /// Where this finds a plain YIELD, [`Message::decode`](crate::Message::decode) finds the same one, with the
    /// same octets as its payload. It does not allocate.
    pub fn read(serializer: Serializer, frame: &[u8], limits: &Limits) -> Option<Self> {
        let octets = u32::try_from(frame.len()).ok().filter(|_| frame.len() <= limits.message)?;
        // What is left once the list that is the message has been entered; its dict needs one more.
        let depth = limits.depth.min(MAX_DEPTH).checked_sub(1).filter(|depth| *depth > 0)?;
        let (head, end): (Head, Tail) = match serializer {
            #[cfg(feature = "json")]
            Serializer::Json => {
                let head = json::head(frame)?;
                (head, json::tail(frame, head, depth)?)
            }
            #[cfg(feature = "msgpack")]
            Serializer::MsgPack => {
                let head = msgpack::head(frame)?;
                (head, msgpack::tail(frame, head, depth)?)
            }
            #[cfg(feature = "cbor")]
            Serializer::Cbor => {
                let head = cbor::head(frame)?;
                (head, cbor::tail(frame, head, depth)?)
            }
        };
        Some(Self {
            request: RequestId::new(head.request)?,
            progress: head.progress,
            elements: end.elements,
            tail: (end.tail.start as u32, end.tail.end as u32),
            octets,
        })
    }

    /// Where its payload stands in the frame; an empty range if there is none.
    pub fn tail(&self) -> Range<usize> {
        self.tail.0 as usize..self.tail.1 as usize
    }

    /// Whether it has a payload, if only an empty list.
    pub fn has_payload(&self) -> bool {
        self.elements > 0
    }

    /// The length of the frame.
    pub fn octets(&self) -> usize {
        self.octets as usize
    }

    /// The result that it becomes for a caller who has made the call under this id.
    pub fn result(&self, request: RequestId) -> PlainResult {
        PlainResult { request, progress: self.progress, elements: self.elements }
    }
}

/// A RESULT with no other detail than `progress`, before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainResult {
    /// The call.
    pub request: RequestId,
    /// Whether more results follow.
    pub progress: bool,
    elements: u8,
}

impl PlainResult {
    /// The octets before the payload, the same as those of
    /// [`Message::encode_head`](crate::Message::encode_head). After the payload comes [`Serializer::end`].
    pub fn head(&self, serializer: Serializer) -> ResultHead {
        let mut head = ResultHead { octets: [0; MAX_HEAD], len: 0 };
        match serializer {
            #[cfg(feature = "json")]
            Serializer::Json => json::write(&mut head, self),
            #[cfg(feature = "msgpack")]
            Serializer::MsgPack => msgpack::write(&mut head, self),
            #[cfg(feature = "cbor")]
            Serializer::Cbor => cbor::write(&mut head, self),
        }
        head
    }

    /// The length of the whole message with a payload of so many octets.
    pub fn octets(&self, serializer: Serializer, payload: usize) -> usize {
        let head = match serializer {
            #[cfg(feature = "json")]
            Serializer::Json => json::len(self),
            #[cfg(feature = "msgpack")]
            Serializer::MsgPack => msgpack::len(self),
            #[cfg(feature = "cbor")]
            Serializer::Cbor => cbor::len(self),
        };
        head + payload + serializer.end().len()
    }
}

/// What the longest head takes: JSON's, with 16 digits of an id.
const MAX_HEAD: usize = 40;

/// The octets that go before the payload of a RESULT.
#[derive(Clone, Copy, Debug)]
pub struct ResultHead {
    octets: [u8; MAX_HEAD],
    len: usize,
}

impl ResultHead {
    #[inline]
    fn put<const N: usize>(&mut self, octets: &[u8; N]) {
        self.octets[self.len..self.len + N].copy_from_slice(octets);
        self.len += N;
    }
}

impl AsRef<[u8]> for ResultHead {
    fn as_ref(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// What goes before the payload of a YIELD.
#[derive(Clone, Copy)]
struct Head {
    request: u64,
    progress: bool,
    /// How many elements follow, where the format says it in advance.
    elements: u8,
    /// Where it ends.
    end: usize,
}

/// What follows the head.
struct Tail {
    elements: u8,
    tail: Range<usize>,
}

/// A number of `N` octets.
#[cfg(any(feature = "msgpack", feature = "cbor"))]
fn number<const N: usize>(octets: &[u8]) -> Option<(u64, usize)> {
    let digits = octets.get(1..)?.first_chunk::<N>()?;
    Some((digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)), 1 + N))
}

/// The payload of a format that says its lengths in advance: so many values up to the end of the frame, the
/// first a list and the second a dict.
#[cfg(any(feature = "msgpack", feature = "cbor"))]
fn counted_tail<F: Format>(
    frame: &[u8],
    head: Head,
    depth: usize,
    is_list: fn(u8) -> bool,
    is_dict: fn(u8) -> bool,
) -> Option<Tail> {
    let tail = frame.get(head.end..)?;
    let mut reader = F::reader(tail, depth).ok()?;
    for fits in [is_list, is_dict].into_iter().take(head.elements.into()) {
        fits(*tail.get(reader.position())?).then_some(())?;
        reader.skip().ok()?;
    }
    (reader.position() == tail.len()).then_some(Tail { elements: head.elements, tail: head.end..frame.len() })
}

#[cfg(feature = "msgpack")]
mod msgpack {
    use super::*;
    use crate::serializer::msgpack::MsgPack;

    pub(super) fn head(frame: &[u8]) -> Option<Head> {
        let (&[list @ 0x93..=0x95, 70], rest) = frame.split_first_chunk()? else { return None };
        let (request, len) = match *rest.first()? {
            small @ 0..0x80 => (small.into(), 1),
            0xcc => number::<1>(rest)?,
            0xcd => number::<2>(rest)?,
            0xce => number::<4>(rest)?,
            0xcf => number::<8>(rest)?,
            _ => return None,
        };
        let rest = &rest[len..];
        let (progress, options) = match rest.split_first_chunk() {
            Some((b"\x81\xa8progress\xc3", _)) => (true, 11),
            Some((b"\x81\xa8progress\xc2", _)) => (false, 11),
            _ if *rest.first()? == 0x80 => (false, 1),
            _ => return None,
        };
        Some(Head { request, progress, elements: list - 0x93, end: 2 + len + options })
    }

    pub(super) fn tail(frame: &[u8], head: Head, depth: usize) -> Option<Tail> {
        let is_list = |octet: u8| matches!(octet, 0x90..=0x9f | 0xdc | 0xdd);
        let is_dict = |octet: u8| matches!(octet, 0x80..=0x8f | 0xde | 0xdf);
        counted_tail::<MsgPack>(frame, head, depth, is_list, is_dict)
    }

    pub(super) fn len(result: &PlainResult) -> usize {
        let request = match result.request.get() {
            ..0x80 => 1,
            0x80..0x100 => 2,
            0x100..0x1_0000 => 3,
            0x1_0000..0x1_0000_0000 => 5,
            _ => 9,
        };
        2 + request + if result.progress { 11 } else { 1 }
    }

    pub(super) fn write(head: &mut ResultHead, result: &PlainResult) {
        head.put(&[0x93 + result.elements, 50]);
        let request = result.request.get();
        if request < 0x80 {
            head.put(&[request as u8]);
        } else if let Ok(request) = u8::try_from(request) {
            head.put(&[0xcc, request]);
        } else if let Ok(request) = u16::try_from(request) {
            head.put(&[0xcd]);
            head.put(&request.to_be_bytes());
        } else if let Ok(request) = u32::try_from(request) {
            head.put(&[0xce]);
            head.put(&request.to_be_bytes());
        } else {
            head.put(&[0xcf]);
            head.put(&request.to_be_bytes());
        }
        if result.progress {
            head.put(b"\x81\xa8progress\xc3");
        } else {
            head.put(b"\x80");
        }
    }
}

#[cfg(feature = "cbor")]
mod cbor {
    use super::*;
    use crate::serializer::cbor::Cbor;

    pub(super) fn head(frame: &[u8]) -> Option<Head> {
        let (&[list @ 0x83..=0x85, 0x18, 70], rest) = frame.split_first_chunk()? else { return None };
        let (request, len) = match *rest.first()? {
            small @ 0..24 => (small.into(), 1),
            24 => number::<1>(rest)?,
            25 => number::<2>(rest)?,
            26 => number::<4>(rest)?,
            27 => number::<8>(rest)?,
            _ => return None,
        };
        let rest = &rest[len..];
        let (progress, options) = match rest.split_first_chunk() {
            Some((b"\xa1\x68progress\xf5", _)) => (true, 11),
            Some((b"\xa1\x68progress\xf4", _)) => (false, 11),
            _ if *rest.first()? == 0xa0 => (false, 1),
            _ => return None,
        };
        Some(Head { request, progress, elements: list - 0x83, end: 3 + len + options })
    }

    pub(super) fn tail(frame: &[u8], head: Head, depth: usize) -> Option<Tail> {
        let is_list = |octet: u8| octet >> 5 == 4;
        let is_dict = |octet: u8| octet >> 5 == 5;
        counted_tail::<Cbor>(frame, head, depth, is_list, is_dict)
    }

    pub(super) fn len(result: &PlainResult) -> usize {
        let request = match result.request.get() {
            ..24 => 1,
            24..0x100 => 2,
            0x100..0x1_0000 => 3,
            0x1_0000..0x1_0000_0000 => 5,
            _ => 9,
        };
        3 + request + if result.progress { 11 } else { 1 }
    }

    pub(super) fn write(head: &mut ResultHead, result: &PlainResult) {
        head.put(&[0x83 + result.elements, 0x18, 50]);
        let request = result.request.get();
        if request < 24 {
            head.put(&[request as u8]);
        } else if let Ok(request) = u8::try_from(request) {
            head.put(&[24, request]);
        } else if let Ok(request) = u16::try_from(request) {
            head.put(&[25]);
            head.put(&request.to_be_bytes());
        } else if let Ok(request) = u32::try_from(request) {
            head.put(&[26]);
            head.put(&request.to_be_bytes());
        } else {
            head.put(&[27]);
            head.put(&request.to_be_bytes());
        }
        if result.progress {
            head.put(b"\xa1\x68progress\xf5");
        } else {
            head.put(b"\xa0");
        }
    }
}

#[cfg(feature = "json")]
mod json {
    use super::*;
    use crate::serializer::json::Json;

    /// More digits than the greatest id has are not read.
    const DIGITS: usize = 16;

    pub(super) fn head(frame: &[u8]) -> Option<Head> {
        let rest = frame.strip_prefix(b"[70,")?;
        let mut request = 0;
        let mut len = 0;
        while let Some(digit @ b'0'..=b'9') = rest.get(len) {
            request = request * 10 + u64::from(digit - b'0');
            len += 1;
            if len > DIGITS {
                return None;
            }
        }
        // No id begins with a zero, and JSON has no other number that does.
        if len == 0 || rest[0] == b'0' {
            return None;
        }
        let rest = rest[len..].strip_prefix(b",{")?;
        let (progress, options) = match rest.split_first_chunk::<17>() {
            _ if rest.first() == Some(&b'}') => (false, 1),
            _ if rest.starts_with(br#""progress":true}"#) => (true, 16),
            Some((br#""progress":false}"#, _)) => (false, 17),
            _ => return None,
        };
        Some(Head { request, progress, elements: 0, end: 4 + len + 2 + options })
    }

    pub(super) fn tail(frame: &[u8], head: Head, depth: usize) -> Option<Tail> {
        let rest = frame.get(head.end..)?;
        if rest == b"]" {
            return Some(Tail { elements: 0, tail: 0..0 });
        }
        let args = head.end + 1;
        let args_end = args + value(rest.strip_prefix(b",")?, b'[', depth)?;
        let rest = &frame[args_end..];
        if rest == b"]" {
            return Some(Tail { elements: 1, tail: args..args_end });
        }
        let kwargs_end = args_end + 1 + value(rest.strip_prefix(b",")?, b'{', depth)?;
        (&frame[kwargs_end..] == b"]").then_some(Tail { elements: 2, tail: args..kwargs_end })
    }

    /// How many octets the value takes that begins so.
    fn value(octets: &[u8], first: u8, depth: usize) -> Option<usize> {
        octets.first().filter(|octet| **octet == first)?;
        let mut reader = Json::reader(octets, depth).ok()?;
        reader.skip().ok()?;
        Some(reader.position())
    }

    fn digits(request: RequestId) -> usize {
        1 + request.get().ilog10() as usize
    }

    pub(super) fn len(result: &PlainResult) -> usize {
        let details = if result.progress { 18 } else { 3 };
        4 + digits(result.request) + details + usize::from(result.elements > 0)
    }

    pub(super) fn write(head: &mut ResultHead, result: &PlainResult) {
        head.put(b"[50,");
        let mut request = result.request.get();
        let len = digits(result.request);
        for digit in head.octets[head.len..head.len + len].iter_mut().rev() {
            *digit = b'0' + (request % 10) as u8;
            request /= 10;
        }
        head.len += len;
        if result.progress {
            head.put(br#",{"progress":true}"#);
        } else {
            head.put(b",{}");
        }
        if result.elements > 0 {
            head.put(b",");
        }
    }
}

#[cfg(all(test, feature = "json", feature = "msgpack", feature = "cbor"))]
mod tests;
