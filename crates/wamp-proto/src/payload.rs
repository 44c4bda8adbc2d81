//! The arguments of a message, as the bytes they arrived in.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{EncodeError, Fault, PayloadError};
use crate::serializer::transcode::transcode;
use crate::serializer::{Format, Reader, Serializer, Token, with_format};
use crate::value::args::ArgsDe;
use crate::value::kwargs::KwargsDe;
use crate::value::read::{Nothing, Received};
use crate::value::sent::Draft;
use crate::value::{READ_DEPTH, is_tuple};

/// Positional and keyword arguments, opaque: bytes in some [`Serializer`], a slice of the frame they arrived
/// in. Cloning is cheap.
///
/// Only [`decode`](Payload::decode), [`args`](Payload::args) and [`kwargs`](Payload::kwargs) turn them into
/// values. This table says how values become arguments, and back:
///
/// | value | written as | read from |
/// |---|---|---|
/// | `()` | nothing | nothing, or one null |
/// | a tuple | the positional arguments | all positional arguments; missing last ones are `None` |
/// | `Option` | `None` as one null, `Some(t)` like `t` | nothing or one null as `None`, else like its inner type |
/// | a struct or a map | one argument | the one argument, or the keywords if there are no arguments |
/// | anything else: numbers, strings, `Vec`, arrays, enums, newtypes | one argument | the one argument |
/// | binary: `Bytes` of the crate `bytes` (its feature `serde`), or what `serde_bytes` has | one argument | the one argument; for a `Vec<u8>` or `&[u8]` it is a list of integers |
/// | [`Value(t)`](crate::Value) | one argument, whatever `t` is | the one argument |
/// | [`Kwargs(t)`](crate::Kwargs) | the keywords | the keywords, where there are no arguments |
/// | [`ArgsKwargs(a, k)`](crate::ArgsKwargs) | both | both |
/// | a `Payload` | itself | itself |
///
/// ```
/// # use wamp_proto::{Payload, Serializer};
/// # #[cfg(feature = "json")] {
/// let payload = Payload::new(Serializer::Json, &("Y2010", 120))?;
/// assert_eq!(payload.args_bytes(), br#"["Y2010",120]"#);
///
/// let (year, revenue): (String, u32) = payload.decode()?;
/// assert_eq!((year.as_str(), revenue), ("Y2010", 120));
///
/// let error = payload.decode::<(String, String)>().unwrap_err();
/// assert_eq!(error.to_string(), "argument 2: expected string, found integer");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What a payload may hold
///
/// A payload is forwarded as it arrived, so [`Message::decode`](crate::Message::decode) accepts only what every
/// reader survives. It checks in one pass, at any depth (behaviour 55 to 59):
///
/// * It is well-formed, and not nested deeper than [`Limits::depth`](crate::Limits::depth).
/// * Text is UTF-8. Keys of dicts are text.
/// * Integers have at most 300 digits. Beyond 64 bits JSON has their digits and CBOR a bignum; MessagePack has
///   none, and transcoding to it fails. No integer becomes a float.
/// * JSON: text that begins with U+0000 is base64, with padding. Every number is within the range of floats;
///   there is no NaN and no infinity. Escapes are whole characters.
/// * MessagePack: no extension types, timestamps included.
/// * CBOR: the simple values are booleans, null and `undefined`, which is null elsewhere. The tags are those
///   for dates, big numbers, URIs, UUIDs and arrays of numbers, each before a value of its type; other formats
///   get the value without the tag, and cannot express decimals (4, 5). Short floats and indefinite lengths are
///   fine.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// `None` only if there are no bytes.
    serializer: Option<Serializer>,
    /// 0 for no arguments, 1 for positional arguments, 2 for positional and keyword arguments.
    elements: u8,
    /// As in a message: from the first byte of Arguments to the last of ArgumentsKw, with the format's
    /// separator between them.
    tail: Bytes,
    /// The position of ArgumentsKw in `tail`, if there are any.
    kwargs_at: usize,
}

impl Payload {
    /// No arguments.
    pub const fn empty() -> Self {
        Payload { serializer: None, elements: 0, tail: Bytes::new(), kwargs_at: 0 }
    }

    /// The arguments that a value stands for, by the table above.
    pub fn new<T: Serialize + ?Sized>(serializer: Serializer, value: &T) -> Result<Self, EncodeError> {
        let mut draft = Draft::new(serializer);
        draft.write(value)?;
        Ok(Self::from_draft(draft))
    }

    /// The value that these arguments stand for, by the table above. May borrow from the payload.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.parts().decode()
    }

    /// The list of positional arguments, as a tuple, an array or a `Vec`; an empty list if there is none.
    pub fn args<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        let parts = self.parts();
        match self.serializer {
            Some(serializer) => with_format!(serializer, F => T::deserialize(parts.args_de::<F>()?)),
            None => T::deserialize(ArgsDe(None::<Nothing>)),
        }
    }

    /// The keyword arguments, as a struct or a map; an empty dict if there are none.
    pub fn kwargs<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        let parts = self.parts();
        match self.serializer {
            Some(serializer) => with_format!(serializer, F => T::deserialize(parts.kwargs_de::<F>()?)),
            None => T::deserialize(KwargsDe(None::<Nothing>)),
        }
    }

    /// The list of positional arguments as it was written; empty if there is none.
    pub fn args_bytes(&self) -> &[u8] {
        self.parts().args_bytes()
    }

    /// The dict of keyword arguments as it was written; empty if there is none.
    pub fn kwargs_bytes(&self) -> &[u8] {
        self.parts().kwargs_bytes()
    }

    fn parts(&self) -> PayloadParts<'_> {
        let Self { serializer, elements, ref tail, kwargs_at } = *self;
        PayloadParts { serializer, elements, tail, kwargs_at }
    }

    /// The serializer of the bytes; `None` for an empty payload.
    pub fn serializer(&self) -> Option<Serializer> {
        self.serializer
    }

    /// Whether there are neither Arguments nor ArgumentsKw, not even empty ones.
    pub fn is_empty(&self) -> bool {
        self.elements == 0
    }

    /// The length in a message, in bytes.
    pub fn len(&self) -> usize {
        self.tail.len()
    }

    /// Transcodes the arguments token by token. To the same format it is a cheap clone.
    ///
    /// Fails where the other format cannot express a value: JSON has no NaN, no infinities, no text that begins
    /// with U+0000; MessagePack has no integers beyond 64 bits; only CBOR has decimals.
    pub fn transcode(&self, to: Serializer) -> Result<Self, EncodeError> {
        let from = match self.serializer {
            Some(from) if from != to => from,
            _ => return Ok(self.clone()),
        };
        let mut draft = Draft::new(to);
        draft.out.reserve(self.tail.len());
        draft.elements = self.elements;
        with_format!(from, From => with_format!(to, To => {
            copy::<From, To>(self.args_bytes(), &mut draft.out)?;
            if self.elements == 2 {
                draft.begin_kwargs();
                copy::<From, To>(self.kwargs_bytes(), &mut draft.out)?;
            }
        }));
        Ok(Self::from_draft(draft))
    }

    /// The same bytes in a buffer of their own, so that a small payload does not keep a large frame in memory.
    pub fn detached(self) -> Self {
        Payload { tail: Bytes::copy_from_slice(&self.tail), ..self }
    }

    /// The same arguments with an empty list and an empty dict where they are missing, for a peer that needs
    /// them.
    pub fn explicit(self, serializer: Serializer) -> Self {
        if self.elements == 2 {
            return self;
        }
        let mut draft = Draft::new(self.serializer.unwrap_or(serializer));
        draft.elements = 2;
        with_format!(draft.serializer, F => {
            if self.elements == 1 {
                draft.out.extend_from_slice(&self.tail);
            } else {
                let list = F::begin_list(&mut draft.out, Some(0));
                F::end_list(&mut draft.out, list);
            }
            draft.begin_kwargs();
            let dict = F::begin_dict(&mut draft.out, Some(0));
            F::end_dict(&mut draft.out, dict);
        });
        Self::from_draft(draft)
    }

    /// The number of elements of a message: 0, 1 or 2.
    pub(crate) fn elements(&self) -> u8 {
        self.elements
    }

    /// The bytes of these elements.
    pub(crate) fn tail(&self) -> &Bytes {
        &self.tail
    }

    pub(crate) fn into_tail(self) -> Bytes {
        self.tail
    }

    pub(crate) fn kwargs_at(&self) -> usize {
        self.kwargs_at
    }

    /// A payload from a frame, in which a decoder has found a well-formed list and dict at these places. Copies
    /// only if more than the separator is between them.
    pub(crate) fn from_frame(
        serializer: Serializer,
        frame: &Bytes,
        args: Range<usize>,
        kwargs: Option<Range<usize>>,
    ) -> Self {
        let Some(kwargs) = kwargs else {
            return Payload {
                serializer: Some(serializer),
                elements: 1,
                tail: frame.slice(args),
                kwargs_at: 0,
            };
        };
        let separator = serializer.separator();
        let kwargs_at = args.len() + separator.len();
        let tail = if frame.get(args.end..kwargs.start) == Some(separator) {
            frame.slice(args.start..kwargs.end)
        } else {
            [&frame[args], separator, &frame[kwargs]].concat().into()
        };
        Payload { serializer: Some(serializer), elements: 2, tail, kwargs_at }
    }

    /// Parts of unknown origin; `None` if they do not belong together.
    pub(crate) fn from_parts(
        serializer: Option<Serializer>,
        elements: u8,
        tail: Bytes,
        kwargs_at: usize,
    ) -> Option<Self> {
        let parts = PayloadParts { serializer, elements, tail: &tail, kwargs_at };
        parts.belong_together().then_some(Payload { serializer, elements, tail, kwargs_at })
    }

    /// Whether bytes of unknown origin are a list, a separator and a dict.
    pub(crate) fn is_well_formed(&self) -> bool {
        let Some(serializer) = self.serializer else { return true };
        let (args, kwargs) = (self.args_bytes(), self.kwargs_bytes());
        let between = &self.tail[args.len()..self.tail.len() - kwargs.len()];
        let separated = between == if self.elements == 2 { serializer.separator() } else { b"" };
        with_format!(serializer, F => {
            separated
                && is_exactly::<F>(args, |token| matches!(token, Token::List(_)))
                && (self.elements < 2 || is_exactly::<F>(kwargs, |token| matches!(token, Token::Dict(_))))
        })
    }

    pub(crate) fn from_draft(draft: Draft) -> Self {
        let Draft { serializer, out, elements, kwargs_at } = draft;
        Payload { serializer: (elements > 0).then_some(serializer), elements, tail: out.into(), kwargs_at }
    }
}

/// A payload whose bytes are elsewhere.
#[derive(Clone, Copy)]
pub(crate) struct PayloadParts<'de> {
    pub(crate) serializer: Option<Serializer>,
    pub(crate) elements: u8,
    pub(crate) tail: &'de [u8],
    pub(crate) kwargs_at: usize,
}

impl<'de> PayloadParts<'de> {
    pub(crate) fn belong_together(self) -> bool {
        match (self.serializer, self.elements) {
            (None, 0) => self.tail.is_empty() && self.kwargs_at == 0,
            (Some(_), 1) => self.kwargs_at == 0,
            (Some(serializer), 2) => {
                (serializer.separator().len()..=self.tail.len()).contains(&self.kwargs_at)
            }
            _ => false,
        }
    }

    /// See [`Payload::decode`].
    pub(crate) fn decode<T: Deserialize<'de>>(self) -> Result<T, PayloadError> {
        let tuple = is_tuple::<T>();
        let Some(serializer) = self.serializer else {
            let (args, kwargs) = (ArgsDe(None::<Nothing>), KwargsDe(None::<Nothing>));
            return T::deserialize(Received { payload: self, args, kwargs, tuple });
        };
        with_format!(serializer, F => {
            let (args, kwargs) = (self.args_de::<F>()?, self.kwargs_de::<F>()?);
            T::deserialize(Received { payload: self, args, kwargs, tuple })
        })
    }

    fn args_bytes(self) -> &'de [u8] {
        match (self.serializer, self.elements) {
            (Some(serializer), 2) => &self.tail[..self.kwargs_at - serializer.separator().len()],
            _ => self.tail,
        }
    }

    fn kwargs_bytes(self) -> &'de [u8] {
        if self.elements == 2 { &self.tail[self.kwargs_at..] } else { &[] }
    }

    fn args_de<F: Format>(self) -> Result<ArgsDe<F::Reader<'de>>, Fault> {
        let there = self.elements > 0;
        Ok(ArgsDe(there.then(|| F::reader(self.args_bytes(), READ_DEPTH)).transpose()?))
    }

    fn kwargs_de<F: Format>(self) -> Result<KwargsDe<F::Reader<'de>>, Fault> {
        let there = self.elements == 2;
        Ok(KwargsDe(there.then(|| F::reader(self.kwargs_bytes(), READ_DEPTH)).transpose()?))
    }
}

impl fmt::Debug for Payload {
    /// Without the contents, which do not belong in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(serializer) = self.serializer else { return f.write_str("Payload(empty)") };
        write!(f, "Payload({serializer}, {} bytes)", self.len())
    }
}

/// Transcodes one value.
pub(crate) fn copy<From: Format, To: Format>(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut reader = From::reader(bytes, READ_DEPTH)?;
    transcode::<_, To>(&mut reader, out)?;
    Ok(reader.finish()?)
}

/// Whether `bytes` is exactly one well-formed value of this type.
fn is_exactly<F: Format>(bytes: &[u8], kind: impl Fn(&Token<'_>) -> bool) -> bool {
    let check = || {
        let mut reader = F::reader(bytes, READ_DEPTH)?;
        let starts = reader.position() == 0 && kind(&reader.clone().value()?);
        reader.skip()?;
        Ok::<_, Fault>(starts && reader.position() == bytes.len())
    };
    check() == Ok(true)
}

#[cfg(all(test, feature = "json", feature = "cbor"))]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_shared_where_it_can_be() {
        let frame = Bytes::from_static(br#"[50,1,{},[1,2],{"a":3}]"#);
        let payload = Payload::from_frame(Serializer::Json, &frame, 9..14, Some(15..22));
        assert_eq!(payload.args_bytes(), b"[1,2]");
        assert_eq!(payload.kwargs_bytes(), br#"{"a":3}"#);
        assert_eq!(payload.tail().as_ptr(), frame[9..].as_ptr());
        assert_ne!(payload.clone().detached().tail().as_ptr(), payload.tail().as_ptr());

        let args = Payload::from_frame(Serializer::Json, &frame, 9..14, None);
        assert_eq!((args.args_bytes(), args.kwargs_bytes()), (b"[1,2]".as_slice(), b"".as_slice()));
        assert_eq!(args.tail().as_ptr(), frame[9..].as_ptr());

        let cbor = Bytes::from_static(b"\x85\x18\x32\x01\xa0\x81\x01\xa1\x61\x61\x03");
        let payload = Payload::from_frame(Serializer::Cbor, &cbor, 5..7, Some(7..11));
        assert_eq!((payload.args_bytes(), payload.kwargs_bytes()), (&cbor[5..7], &cbor[7..]));
        assert_eq!(payload.tail().as_ptr(), cbor[5..].as_ptr());
    }

    #[test]
    fn space_between_the_elements_is_no_part_of_them() {
        let frame = Bytes::from_static(br#"[50, 1, {}, [1, 2] , {"a": 3} ]"#);
        let payload = Payload::from_frame(Serializer::Json, &frame, 12..18, Some(21..29));
        assert_eq!(payload.args_bytes(), b"[1, 2]");
        assert_eq!(payload.kwargs_bytes(), br#"{"a": 3}"#);
        assert_eq!(payload.tail().as_ref(), br#"[1, 2],{"a": 3}"#);
        assert!(payload.is_well_formed());
    }
}
