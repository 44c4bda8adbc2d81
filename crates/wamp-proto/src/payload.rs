//! The arguments of a message, as the bytes they arrived in.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{self, Serialize};

use crate::error::{EncodeError, Fault, PayloadError};
use crate::parts::{Parts, READ_DEPTH};
use crate::serializer::{Format, Reader as _, Serializer, Token, with_format};
use crate::value::args::ArgsDe;
use crate::value::is_tuple;
use crate::value::kwargs::KwargsDe;
use crate::value::payload_de::Received;
use crate::value::payload_ser;

/// Positional and keyword arguments, opaque: bytes in some [`Serializer`], a slice of the frame they arrived
/// in. Cloning is cheap.
///
/// Only [`decode`](Payload::decode), [`args`](Payload::args) and [`kwargs`](Payload::kwargs) turn them into
/// values. This table has the conversion between values and arguments:
///
/// | value | written as | read from |
/// |---|---|---|
/// | `()` | nothing | nothing, or one null |
/// | a tuple | the positional arguments | all positional arguments; missing last ones are `None` |
/// | `Option` | `None` as one null, `Some(t)` like `t` | nothing or one null as `None`, else like its inner type |
/// | a struct or a map | one argument | the one argument, or the keywords if there are no arguments |
/// | anything else: numbers, strings, `Vec`, arrays, enums, newtypes | one argument | the one argument |
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
/// A payload is forwarded as it arrived, so [`Message::decode`](crate::Message::decode) accepts only payloads
/// that every reader survives. It checks in one pass, at any depth (behaviour 55 to 59):
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
pub struct Payload(Parts<Bytes>);

impl Payload {
    /// No arguments.
    pub const fn empty() -> Self {
        Payload(Parts { serializer: None, elements: 0, bytes: Bytes::new(), kwargs_at: 0 })
    }

    /// The arguments that a value stands for, by the table above.
    pub fn new<T: Serialize + ?Sized>(serializer: Serializer, value: &T) -> Result<Self, EncodeError> {
        let mut parts = Parts::begin(serializer, Vec::new());
        payload_ser::write(&mut parts, serializer, value)?;
        Ok(Self::from_written(parts))
    }

    /// The value that these arguments stand for, by the table above. May borrow from the payload.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.0.borrowed().decode()
    }

    /// The list of positional arguments, as a tuple, an array or a `Vec`; an empty list if there is none.
    pub fn args<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        let parts = self.0.borrowed();
        with_format!(parts.format()?, F => T::deserialize(parts.args_de::<F>()?))
    }

    /// The keyword arguments, as a struct or a map; an empty dict if there are none.
    pub fn kwargs<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        let parts = self.0.borrowed();
        with_format!(parts.format()?, F => T::deserialize(parts.kwargs_de::<F>()?))
    }

    /// The list of positional arguments as it was written; empty if there is none.
    pub fn args_bytes(&self) -> &[u8] {
        self.0.args()
    }

    /// The dict of keyword arguments as it was written; empty if there is none.
    pub fn kwargs_bytes(&self) -> &[u8] {
        self.0.kwargs()
    }

    /// The payload of payload transparency: one binary in the place of the arguments
    /// ([`Ppt`](crate::message::Ppt)).
    ///
    /// ```
    /// # use wamp_proto::{Payload, Serializer};
    /// # #[cfg(all(feature = "json", feature = "msgpack"))] {
    /// let payload = Payload::from_binary(Serializer::Json, &[1, 2, 3]);
    /// assert_eq!(payload.args_bytes(), br#""\u0000AQID""#);
    /// let packed = payload.transcode(Serializer::MsgPack)?;
    /// assert_eq!(packed.args_bytes(), [0xc4, 3, 1, 2, 3]);
    /// assert_eq!(packed.as_binary().as_deref(), Some([1, 2, 3].as_slice()));
    /// assert!(packed.decode::<wamp_proto::Payload>().is_ok() && packed.decode::<Vec<u8>>().is_err());
    /// # }
    /// # Ok::<(), wamp_proto::EncodeError>(())
    /// ```
    pub fn from_binary(serializer: Serializer, binary: &[u8]) -> Self {
        let mut parts = Parts::begin(serializer, Vec::with_capacity(binary.len() + 8));
        parts.elements = 1;
        with_format!(serializer, F => F::binary(&mut parts.bytes, binary));
        Self::from_written(parts)
    }

    /// Whether it is one binary in the place of the arguments.
    pub fn is_binary(&self) -> bool {
        self.0.is_binary()
    }

    /// The binary in the place of the arguments; `None` for arguments. Copies it only from JSON, and from CBOR in
    /// several pieces.
    pub fn as_binary(&self) -> Option<Bytes> {
        let serializer = self.0.serializer.filter(|_| self.is_binary())?;
        with_format!(serializer, F => match F::reader(&self.0.bytes, READ_DEPTH).ok()?.value().ok()? {
            Token::Binary(Cow::Borrowed(binary)) => Some(self.0.bytes.slice_ref(binary)),
            Token::Binary(Cow::Owned(binary)) => Some(binary.into()),
            _ => None,
        })
    }

    /// The serializer of the bytes; `None` for an empty payload.
    pub fn serializer(&self) -> Option<Serializer> {
        self.0.serializer
    }

    /// Whether there are neither Arguments nor ArgumentsKw, not even empty ones.
    pub fn is_empty(&self) -> bool {
        self.0.elements == 0
    }

    /// The length in a message, in bytes.
    pub fn len(&self) -> usize {
        self.0.bytes.len()
    }

    /// Transcodes the arguments token by token. To the same format it is a cheap clone.
    ///
    /// Fails where the other format cannot express a value: JSON has no NaN, no infinities, no text that begins
    /// with U+0000; MessagePack has no integers beyond 64 bits; only CBOR has decimals.
    pub fn transcode(&self, to: Serializer) -> Result<Self, EncodeError> {
        match self.0.transcoded(to) {
            Some(made) => Ok(Self::from_written(made?)),
            None => Ok(self.clone()),
        }
    }

    /// The same bytes in a buffer of their own, so that a small payload does not keep a large frame in memory.
    pub fn detached(self) -> Self {
        Payload(Parts { bytes: Bytes::copy_from_slice(&self.0.bytes), ..self.0 })
    }

    /// The same arguments with an empty list and an empty dict where they are missing, for a peer that needs
    /// them.
    pub fn explicit(self, serializer: Serializer) -> Self {
        if self.0.elements == 2 || self.is_binary() {
            return self;
        }
        let serializer = self.0.serializer.unwrap_or(serializer);
        let mut parts = Parts::begin(serializer, Vec::new());
        parts.elements = 2;
        with_format!(serializer, F => {
            if self.0.elements == 1 {
                parts.bytes.extend_from_slice(&self.0.bytes);
            } else {
                parts.bytes.extend_from_slice(F::EMPTY_LIST);
            }
            parts.begin_kwargs::<F>();
            let dict = F::begin_dict(&mut parts.bytes, Some(0));
            F::end_dict(&mut parts.bytes, dict);
        });
        Self::from_written(parts)
    }

    /// The number of elements of a message: 0, 1 or 2.
    pub(crate) fn elements(&self) -> u8 {
        self.0.elements
    }

    /// The bytes of these elements.
    pub(crate) fn tail(&self) -> &Bytes {
        &self.0.bytes
    }

    /// A payload from a frame, in which a decoder has found a well-formed list and dict at these places. Copies
    /// only if more than the separator is between them.
    pub(crate) fn from_frame(
        serializer: Serializer,
        frame: &Bytes,
        args: Range<usize>,
        kwargs: Option<Range<usize>>,
    ) -> Self {
        Payload(Parts::of_frame(serializer, frame, args, kwargs))
    }

    /// Parts of unknown origin; `None` if they do not belong together.
    pub(crate) fn from_parts(
        serializer: Option<Serializer>,
        elements: u8,
        bytes: Bytes,
        kwargs_at: usize,
    ) -> Option<Self> {
        Parts { serializer, elements, bytes, kwargs_at }.checked().map(Payload)
    }

    pub(crate) fn from_written(parts: Parts<Vec<u8>>) -> Self {
        Payload(parts.ended().frozen())
    }
}

impl<'de> Parts<&'de [u8]> {
    /// See [`Payload::decode`].
    pub(crate) fn decode<T: Deserialize<'de>>(self) -> Result<T, PayloadError> {
        let tuple = is_tuple::<T>();
        with_format!(self.format()?, F => {
            let (args, kwargs) = (self.args_de::<F>()?, self.kwargs_de::<F>()?);
            T::deserialize(Received { parts: self, args, kwargs, tuple })
        })
    }

    /// The serializer to read with. Any serializer can read an empty payload.
    fn format(self) -> Result<Serializer, PayloadError> {
        let any = || Serializer::ALL.first().copied();
        self.serializer.or_else(any).ok_or_else(|| PayloadError::custom("no serializer is built in"))
    }

    fn args_de<F: Format>(self) -> Result<ArgsDe<F::Reader<'de>>, Fault> {
        let there = self.elements > 0;
        Ok(ArgsDe(there.then(|| F::reader(self.split().0, READ_DEPTH)).transpose()?))
    }

    fn kwargs_de<F: Format>(self) -> Result<KwargsDe<F::Reader<'de>>, Fault> {
        let there = self.elements == 2;
        Ok(KwargsDe(there.then(|| F::reader(self.split().1, READ_DEPTH)).transpose()?))
    }
}

impl Serialize for Payload {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer).map(|parts| Payload(parts.frozen()))
    }
}

impl fmt::Debug for Payload {
    /// Without the contents, which do not belong in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(serializer) = self.0.serializer else { return f.write_str("Payload(empty)") };
        write!(f, "Payload({serializer}, {} bytes)", self.len())
    }
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
        assert!(payload.0.is_well_formed());
    }
}
