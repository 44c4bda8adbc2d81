//! Results relayed as bytes: a router turns a plain YIELD into a plain RESULT, a callee writes the one and a
//! caller reads the other.
//!
//! A plain YIELD has no option but `progress`. [`PlainYield`] reads the head of its frame and checks the
//! payload in one pass, as described at [`Payload`](crate::Payload). [`PlainResult`] is the head that
//! precedes the same payload on its way to the caller. Both recognize only the usual encoding of a head. All
//! other frames are left to [`Message::decode`](crate::Message::decode), which alone finds the fault of a
//! frame.
//!
//! ```text
//! [70, request, {"progress": true}, …payload…]      read
//! [50, request, {"progress": true}, …payload…]      written
//! ```
//!
//! For a caller with another serializer the payload is [transcoded](PlainYield::rewrite).

pub(crate) mod canonical;
#[cfg(feature = "cbor")]
mod cbor;
mod ends;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;
mod pack;

use std::ops::Range;

use crate::error::{EncodeError, Fault};
use crate::id::RequestId;
use crate::message::Limits;
use crate::parts::READ_DEPTH;
use crate::serializer::transcode::transcode;
use crate::serializer::{Format, MAX_DEPTH, Reader, Serializer, with_format};

pub use ends::{PlainProgress, PlainReply};
pub use pack::{MAX_PACKED, Pack, PackBuffer, Packed};

/// A YIELD with no option but `progress`, read as far as a router needs it.
///
/// ```
/// # use wamp_proto::{Limits, RequestId, Serializer, relay::PlainYield};
/// # #[cfg(feature = "json")] {
/// let frame = br#"[70,3,{"progress":true},["Y2010"]]"#;
/// let plain = PlainYield::read(Serializer::Json, frame, &Limits::default()).unwrap();
/// assert_eq!((plain.request.get(), plain.progress), (3, true));
/// assert_eq!(&frame[plain.tail()], br#"["Y2010"]"#);
///
/// let result = plain.result(RequestId::new(7).unwrap());
/// assert_eq!(result.head(Serializer::Json).as_ref(), br#"[50,7,{"progress":true},"#);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainYield {
    /// The id of the invocation.
    pub request: RequestId,
    /// Whether more results follow.
    pub progress: bool,
    /// 0 for no payload, 1 for positional arguments, 2 for positional and keyword arguments.
    elements: u8,
    /// The place of the payload in the frame. Frames of 4 GiB or more are not read.
    tail: (u32, u32),
    /// The length of the frame, in bytes.
    encoded_len: u32,
}

impl PlainYield {
    /// Reads a whole frame. Returns `None` for every frame that is not a plain YIELD in its usual encoding.
    ///
    /// If this returns a plain YIELD, [`Message::decode`](crate::Message::decode) returns the same one, with
    /// the same bytes as its payload. It does not allocate.
    pub fn read(serializer: Serializer, frame: &[u8], limits: &Limits) -> Option<Self> {
        let PlainParts { request, progress, elements, tail, encoded_len, .. } =
            PlainParts::read(serializer, Code::Yield, frame, limits)?;
        Some(Self { request, progress, elements, tail, encoded_len })
    }

    /// Returns the range of the payload in the frame; empty if there is no payload.
    pub fn tail(&self) -> Range<usize> {
        self.tail.0 as usize..self.tail.1 as usize
    }

    /// Returns whether there is a payload, even if it is only an empty list.
    pub fn has_payload(&self) -> bool {
        self.elements > 0
    }

    /// Returns the length of the frame, in bytes.
    pub fn encoded_len(&self) -> usize {
        self.encoded_len as usize
    }

    /// Appends the payload in another serializer, exactly as
    /// [`Payload::transcode`](crate::Payload::transcode) would write it, and returns its length. `frame` is
    /// the frame that this was read from.
    ///
    /// ```
    /// # use wamp_proto::{Limits, Serializer, relay::PlainYield};
    /// # #[cfg(all(feature = "json", feature = "msgpack"))] {
    /// let frame = b"\x95\x46\x03\x80\x91\x07\x81\xa1a\xc3";
    /// let plain = PlainYield::read(Serializer::MsgPack, frame, &Limits::default()).unwrap();
    /// let mut bytes = Vec::new();
    /// assert_eq!(plain.rewrite(frame, Serializer::MsgPack, Serializer::Json, &mut bytes), Ok(14));
    /// assert_eq!(bytes, br#"[7],{"a":true}"#);
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Payload::transcode`](crate::Payload::transcode). On an error nothing is appended.
    pub fn rewrite(
        &self,
        frame: &[u8],
        from: Serializer,
        to: Serializer,
        out: &mut Vec<u8>,
    ) -> Result<usize, EncodeError> {
        let start = out.len();
        let tail = frame.get(self.tail()).ok_or(Fault::Truncated)?;
        let rewritten = with_format!(from, From => with_format!(to, To => {
            rewrite::<From, To>(tail, self.elements, (from.separator(), to.separator()), out)
        }));
        match rewritten {
            Ok(()) => Ok(out.len() - start),
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    /// Returns the RESULT for the caller that made the call under this id.
    pub fn result(&self, request: RequestId) -> PlainResult {
        PlainResult { request, progress: self.progress, elements: self.elements, added: 0 }
    }
}

/// The part of a RESULT before its payload, with no detail but `progress`, as a router makes it of a YIELD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainResult {
    /// The id of the call.
    pub request: RequestId,
    /// Whether more results follow.
    pub progress: bool,
    /// The number of elements after the details, including the added ones.
    elements: u8,
    /// The number of these elements that are empty and not part of the payload.
    added: u8,
}

impl PlainResult {
    /// Returns the same result with an explicit empty list and dict in place of arguments that the payload
    /// lacks. They are part of [`ResultHead::end`].
    #[must_use]
    pub fn explicit(self) -> Self {
        Self { elements: 2, added: self.added + (2 - self.elements), ..self }
    }

    /// Returns the bytes before the payload, the same as those of
    /// [`Message::encode_head`](crate::Message::encode_head). [`ResultHead::end`] follows the payload.
    pub fn head(&self, serializer: Serializer) -> ResultHead {
        self.head_of(Code::Result, serializer)
    }

    fn head_of(&self, code: Code, serializer: Serializer) -> ResultHead {
        let mut head = ResultHead { bytes: [0; MAX_HEAD], len: 0, end: self.end(serializer) };
        with_format!(serializer, F => F::write(&mut head, code, self));
        head
    }

    /// Returns the length of the whole message with a payload of this length, in bytes.
    pub fn encoded_len(&self, serializer: Serializer, payload: usize) -> usize {
        let head: usize = with_format!(serializer, F => F::len(self));
        head + payload + self.end(serializer).len()
    }

    /// Returns the bytes after the payload.
    fn end(&self, serializer: Serializer) -> &'static [u8] {
        with_format!(serializer, F => F::ENDS[usize::from(self.added)])
    }
}

/// Transcodes `elements` values, which are separated by `separators.0` and will be separated by
/// `separators.1`.
fn rewrite<From: Format, To: Format>(
    mut rest: &[u8],
    elements: u8,
    separators: (&[u8], &[u8]),
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    for element in 0..elements {
        if element > 0 {
            rest = rest.strip_prefix(separators.0).ok_or(Fault::Truncated)?;
            out.extend_from_slice(separators.1);
        }
        let mut reader = From::reader(rest, READ_DEPTH)?;
        transcode::<_, To>(&mut reader, out)?;
        rest = rest.get(reader.position()..).unwrap_or_default();
    }
    if rest.is_empty() { Ok(()) } else { Err(Fault::Malformed { what: "bytes after the end", at: 0 }.into()) }
}

/// Room for the longest head of any format. JSON has it: 39 bytes, 16 of them digits of an id. A test writes
/// the longest head of each format.
const MAX_HEAD: usize = 48;

/// The bytes before the payload of a RESULT or a YIELD, and those after it.
#[derive(Clone, Copy, Debug)]
pub struct ResultHead {
    bytes: [u8; MAX_HEAD],
    len: usize,
    end: &'static [u8],
}

impl ResultHead {
    /// Returns the bytes after the payload: explicit empty arguments, if any, and the end of the message.
    pub fn end(&self) -> &'static [u8] {
        self.end
    }

    #[inline]
    fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(bytes);
        self.len += N;
    }
}

impl AsRef<[u8]> for ResultHead {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The code of a message that can be plain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Result = 50,
    Yield = 70,
}

/// The only entry of a dict: the range of its key, and its value. `None` for an empty dict.
pub(crate) type Flag = Option<(Range<usize>, bool)>;

/// The usual encoding of plain messages in a format. Without these functions, frames in a format are left to
/// [`Message::decode`](crate::Message::decode), and heads are written token by token.
pub(crate) trait PlainFormat: Format {
    /// Reads the beginning of a message. Returns the number of elements after the code, if the format gives
    /// it in advance, then the code, and the position after the code.
    fn begin(frame: &[u8]) -> Option<(Option<u8>, u8, usize)> {
        let _ = frame;
        None
    }

    /// Reads a non-negative integer. Returns its value and its length in bytes.
    fn integer(rest: &[u8]) -> Option<(u64, usize)> {
        let _ = rest;
        None
    }

    /// Reads a text; its contents are not checked for UTF-8. Returns their range, and the length of the whole
    /// value.
    fn string(rest: &[u8]) -> Option<(Range<usize>, usize)> {
        let _ = rest;
        None
    }

    /// Reads an empty dict, or one with a single entry, a boolean. Returns the entry and the length of the
    /// dict.
    fn flag(rest: &[u8]) -> Option<(Flag, usize)> {
        let _ = rest;
        None
    }

    /// Reads the head of a frame with this code.
    fn head(frame: &[u8], code: Code) -> Option<Head> {
        let _ = (frame, code);
        None
    }

    /// Reads and checks the payload after a head.
    fn tail(frame: &[u8], head: Head, depth: usize) -> Option<Tail> {
        let _ = (frame, head, depth);
        None
    }

    /// Returns the length of the head of a RESULT.
    fn len(result: &PlainResult) -> usize {
        tokens::<Self>(Code::Result, result).len()
    }

    /// Writes a head of at most [`MAX_HEAD`] bytes.
    fn write(head: &mut ResultHead, code: Code, result: &PlainResult) {
        let bytes = tokens::<Self>(code, result);
        head.bytes[..bytes.len()].copy_from_slice(&bytes);
        head.len = bytes.len();
    }
}

/// Returns a head, written token by token.
fn tokens<F: Format + ?Sized>(code: Code, result: &PlainResult) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_HEAD);
    let mut list = F::begin_list(&mut out, Some(3 + usize::from(result.elements)));
    for number in [code as u64, result.request.get()] {
        F::element(&mut out, &mut list);
        F::unsigned(&mut out, number);
    }
    F::element(&mut out, &mut list);
    let mut dict = F::begin_dict(&mut out, Some(result.progress.into()));
    if result.progress {
        F::entry(&mut out, &mut dict);
        F::text(&mut out, "progress").expect("this text is written in every format");
        F::colon(&mut out);
        F::bool(&mut out, true);
    }
    F::end_dict(&mut out, dict);
    if result.elements > 0 {
        out.extend_from_slice(F::SEPARATOR);
    }
    out
}

/// The parts of a plain frame.
struct PlainParts {
    request: RequestId,
    progress: bool,
    elements: u8,
    tail: (u32, u32),
    /// The position of the dict of keyword arguments in the frame, if it is present.
    kwargs_at: u32,
    encoded_len: u32,
}

impl PlainParts {
    fn read(serializer: Serializer, code: Code, frame: &[u8], limits: &Limits) -> Option<Self> {
        let encoded_len = u32::try_from(frame.len()).ok().filter(|_| frame.len() <= limits.message)?;
        // The depth left inside the message list. Its dict needs one more level.
        let depth = limits.depth.min(MAX_DEPTH).checked_sub(1).filter(|depth| *depth > 0)?;
        let (head, end): (Head, Tail) = with_format!(serializer, F => {
            let head = F::head(frame, code)?;
            (head, F::tail(frame, head, depth)?)
        });
        Some(Self {
            request: RequestId::new(head.request)?,
            progress: head.progress,
            elements: end.elements,
            tail: (end.tail.start as u32, end.tail.end as u32),
            kwargs_at: end.kwargs_at as u32,
            encoded_len,
        })
    }
}

/// The head of a plain frame: everything before the payload.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    request: u64,
    progress: bool,
    /// The number of elements to come, if the format gives it in advance.
    #[cfg_attr(not(any(feature = "msgpack", feature = "cbor")), allow(dead_code))]
    elements: u8,
    /// The position after the head.
    end: usize,
}

/// The part of a plain frame after the head.
pub(crate) struct Tail {
    elements: u8,
    tail: Range<usize>,
    /// The position of the second element in the frame, if it is present.
    kwargs_at: usize,
}

/// Reads a number of `N` bytes.
#[cfg_attr(not(any(feature = "msgpack", feature = "cbor")), allow(dead_code))]
fn number<const N: usize>(bytes: &[u8]) -> Option<(u64, usize)> {
    let digits = bytes.get(1..)?.first_chunk::<N>()?;
    Some((digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)), 1 + N))
}

/// Reads the payload in a format that gives lengths in advance: a list, then a dict, up to the end of the
/// frame.
#[cfg_attr(not(any(feature = "msgpack", feature = "cbor")), allow(dead_code))]
fn counted_tail<F: Format>(
    frame: &[u8],
    head: Head,
    depth: usize,
    is_list: fn(u8) -> bool,
    is_dict: fn(u8) -> bool,
) -> Option<Tail> {
    let tail = frame.get(head.end..)?;
    let mut reader = F::reader(tail, depth).ok()?;
    let mut kwargs_at = 0;
    for (index, fits) in [is_list, is_dict].into_iter().take(head.elements.into()).enumerate() {
        fits(*tail.get(reader.position())?).then_some(())?;
        if index == 1 {
            kwargs_at = head.end + reader.position();
        }
        reader.check().ok()?;
    }
    let is_all = reader.position() == tail.len();
    is_all.then_some(Tail { elements: head.elements, tail: head.end..frame.len(), kwargs_at })
}

#[cfg(all(test, feature = "json", feature = "msgpack", feature = "cbor"))]
mod tests;
