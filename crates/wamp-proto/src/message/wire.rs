//! Reading and writing of the parts of a message, once for all serializers.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;

use crate::error::{DecodeError, EncodeError, Fault};
use crate::id::{PublicationId, RegistrationId, RequestId, SessionId, SubscriptionId};
use crate::payload::Payload;
use crate::serializer::{Format, Mark, Open, Reader, Serializer, Token};
use crate::uri::Uri;

/// A frame that is being read.
pub(crate) struct Source<'de, R> {
    pub(crate) frame: &'de Bytes,
    pub(crate) serializer: Serializer,
    pub(crate) reader: R,
    /// A reader at the first value of the frame.
    pub(crate) begin: R,
    /// The position at which a frame in a text format stops being UTF-8.
    pub(crate) cut: Option<usize>,
    /// Whether a HELLO is accepted.
    pub(crate) hello: bool,
    /// Whether a binary was found in the place of the arguments.
    pub(crate) binary: bool,
}

/// A fault in the payload, or in the list around it.
pub(crate) struct PayloadFault {
    /// The index of the element: 0 for Arguments, 1 for ArgumentsKw.
    index: usize,
    fault: Fault,
    /// Whether the message list itself is faulty, rather than an element of it.
    of_list: bool,
}

impl PayloadFault {
    /// Converts the fault to an error of `message`, in which Arguments has the index `first`.
    #[cold]
    pub(crate) fn of(self, message: &'static str, first: usize) -> DecodeError {
        let element = (first + self.index, if self.index == 0 { "Arguments" } else { "ArgumentsKw" });
        if self.of_list {
            DecodeError::new(Some(message), Some(element), self.fault)
        } else {
            DecodeError::in_payload(message, element, self.fault)
        }
    }
}

impl<'de, R: Reader<'de>> Source<'de, R> {
    /// Opens a dict.
    pub(crate) fn dict(&mut self) -> Result<Open, Fault> {
        match self.reader.value()? {
            Token::Dict(open) => Ok(open),
            other => Err(Fault::expected("dict", other.kind())),
        }
    }

    /// Reads a key and moves to its value.
    pub(crate) fn key(&mut self) -> Result<Cow<'de, str>, Fault> {
        let key = match self.reader.value()? {
            Token::Text(key) => key,
            other => return Err(Fault::expected("string as the key of a dict", other.kind())),
        };
        self.reader.colon()?;
        Ok(key)
    }

    /// Returns the next value without consuming it; of a list or dict, its start.
    pub(crate) fn peek(&self) -> Result<Token<'de>, Fault> {
        self.reader.clone().value()
    }

    /// Reads a boolean, or skips a value that is not one.
    pub(crate) fn try_bool(&mut self) -> Result<Option<bool>, Fault> {
        if let Ok(Token::Bool(value)) = self.peek() {
            self.reader.value()?;
            return Ok(Some(value));
        }
        self.reader.skip()?;
        Ok(None)
    }

    /// Reads the value of a known key. Returns `false` for an unusable value that is to be kept among the
    /// unknown keys.
    pub(crate) fn field<T: Field>(&mut self, slot: &mut T, key: &'static str) -> Result<bool, Fault> {
        let before = self.reader.clone();
        match T::read(self) {
            Ok(value) => {
                *slot = value;
                Ok(true)
            }
            Err(Fault::Expected { .. }) if T::LENIENT => {
                self.reader = before;
                self.pass(key).map(|()| false)
            }
            Err(fault) => {
                self.reader = before;
                match fault {
                    // Without this value the message would allow more than its sender wants.
                    Fault::Foreign { .. } if T::RESTRICTS && !self.is_undefined() => Err(fault.within(key)),
                    fault => self.amiss(fault, key).map(|()| true),
                }
            }
        }
    }

    /// Returns whether the next value is JavaScript's `undefined` in MessagePack: the extension of type 0
    /// with one byte, 0. In CBOR it is read as null.
    #[cold]
    fn is_undefined(&self) -> bool {
        #[cfg(feature = "msgpack")]
        if self.serializer == Serializer::MsgPack {
            return self.frame[self.reader.position()..].starts_with(&[0xd4, 0, 0]);
        }
        false
    }

    /// Skips the value of an unknown key. Returns `false` if the value cannot be kept.
    pub(crate) fn unknown(&mut self, key: &str) -> Result<bool, Fault> {
        let before = self.reader.clone();
        match self.reader.check() {
            Ok(()) => Ok(true),
            Err(Fault::Truncated) => Err(Fault::Truncated),
            Err(fault) => {
                self.reader = before;
                // An unusable value is dropped, if at least the next key can be found.
                self.reader.skip().map_err(|_| fault.within(key)).map(|()| false)
            }
        }
    }

    /// Skips the value of a key, of any type.
    fn pass(&mut self, key: &str) -> Result<(), Fault> {
        self.reader.skip().map_err(|fault| match fault {
            Fault::Truncated => fault,
            fault => fault.within(key),
        })
    }

    /// Handles the value of a key that cannot be read. A value of a type that WAMP lacks is skipped and
    /// counts as absent: some encoders write unset options in this way.
    #[cold]
    fn amiss(&mut self, fault: Fault, key: &str) -> Result<(), Fault> {
        match fault {
            Fault::Foreign { .. } if matches!(self.peek(), Err(Fault::Foreign { .. })) => self.pass(key),
            Fault::Truncated => Err(fault),
            fault => Err(fault.within(key)),
        }
    }

    /// Returns a text as a slice of the frame if it stands there unescaped, otherwise as a copy.
    fn text(&self, text: Cow<'de, str>) -> ByteString {
        match text {
            Cow::Borrowed("") => ByteString::new(),
            Cow::Borrowed(text) => ByteString::try_from(self.frame.slice_ref(text.as_bytes()))
                .expect("these bytes have just been read as UTF-8"),
            Cow::Owned(text) => text.into(),
        }
    }

    /// Checks the next value and returns its range in the frame.
    fn bytes(&mut self) -> Result<std::ops::Range<usize>, Fault> {
        let mut start = self.reader.position();
        self.reader.check()?;
        let end = self.reader.position();
        if self.serializer.has_spaces() {
            start += self.frame[start..end].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        }
        Ok(start..end)
    }

    /// Reads the next element of a message; `None` at the end.
    pub(crate) fn element<T: Wire>(&mut self, list: &mut Open) -> Result<Option<T>, Fault> {
        if self.advance(list)? { T::read(self).map(Some) } else { Ok(None) }
    }

    /// Moves to the next element of a message. Once the end is reached, it always returns `false`.
    pub(crate) fn advance(&mut self, list: &mut Open) -> Result<bool, Fault> {
        let more = list.left != Some(0) && self.reader.element(list)?;
        if !more {
            list.left = Some(0);
        }
        Ok(more)
    }

    /// Reads the rest of a message: Arguments and ArgumentsKw, or the one binary of payload transparency.
    pub(crate) fn payload(&mut self, list: &mut Open) -> Result<Payload, PayloadFault> {
        let args = self.part(list, 0, "list", |t| matches!(t, Token::List(_)))?;
        let kwargs = self.part(list, 1, "dict", |t| matches!(t, Token::Dict(_)))?;
        Ok(match (args, kwargs) {
            (None, None) => Payload::empty(),
            (Some(args), kwargs) => Payload::from_frame(self.serializer, self.frame, args, kwargs),
            (None, Some(kwargs)) => {
                let empty = self.serializer.empty_list();
                let bytes = Bytes::from([empty, &self.frame[kwargs]].concat());
                let all = bytes.len();
                Payload::from_frame(self.serializer, &bytes, 0..empty.len(), Some(empty.len()..all))
            }
        })
    }

    /// Reads one part of a payload, if it is present; `null` counts as absent.
    fn part(
        &mut self,
        list: &mut Open,
        index: usize,
        expected: &'static str,
        fits: fn(&Token<'_>) -> bool,
    ) -> Result<Option<std::ops::Range<usize>>, PayloadFault> {
        if !self.advance(list).map_err(|fault| PayloadFault { index, fault, of_list: true })? {
            return Ok(None);
        }
        let part = self.peek().and_then(|token| match token {
            token if fits(&token) && !self.binary => self.bytes().map(Some),
            Token::Null => self.reader.skip().map(|()| None),
            Token::Binary(_) if index == 0 => self.binary(),
            _ if self.binary => {
                Err(Fault::expected("the end of the message after a binary", "another element"))
            }
            other => Err(Fault::expected(expected, other.kind())),
        });
        part.map_err(|fault| PayloadFault { index, fault, of_list: false })
    }
}

impl<'de, R: Reader<'de>> Source<'de, R> {
    /// Reads the binary of payload transparency, if the options allow it.
    #[cold]
    fn binary(&mut self) -> Result<Option<std::ops::Range<usize>>, Fault> {
        // A tagged binary of CBOR is an array of numbers.
        let begins = self.frame.get(self.reader.position()).copied();
        let is_plain =
            self.serializer.has_spaces() || begins.is_some_and(|byte| self.serializer.is_binary(byte));
        if !is_plain || !self.is_transparent() {
            return Err(Fault::expected("list, or the option \"enc_algo\"", "binary"));
        }
        self.binary = true;
        self.bytes().map(Some)
    }
}

/// Begins an entry of a dict.
pub(crate) fn write_key<F: Format>(out: &mut Vec<u8>, dict: &mut Mark, key: &str) -> Result<(), EncodeError> {
    F::entry(out, dict);
    F::text(out, key)?;
    F::colon(out);
    Ok(())
}

/// A part of a message: a scalar, a list of scalars, or an options dict.
pub(crate) trait Wire: Sized {
    /// Whether an unusable value, as an option, is kept among the unknown keys and judged later.
    const LENIENT: bool = false;
    /// Whether the option restricts something. Such a value counts as absent only if it is null or `undefined`.
    const RESTRICTS: bool = false;
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault>;
    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// The value of a key in an options dict. An empty value is not written, nor is its key.
pub(crate) trait Field: Sized {
    const LENIENT: bool = false;
    const RESTRICTS: bool = false;
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault>;
    fn is_absent(&self) -> bool;
    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

impl<T: Wire> Field for Option<T> {
    const LENIENT: bool = T::LENIENT;
    const RESTRICTS: bool = T::RESTRICTS;

    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        if source.peek()? == Token::Null {
            source.reader.skip()?;
            return Ok(None);
        }
        T::read(source).map(Some)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Some(value) => value.write::<F>(out),
            None => {
                F::null(out);
                Ok(())
            }
        }
    }
}

impl Wire for bool {
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        match source.reader.value()? {
            Token::Bool(value) => Ok(value),
            other => Err(Fault::expected("boolean", other.kind())),
        }
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        F::bool(out, *self);
        Ok(())
    }
}

/// Reads a non-negative integer. An integral float is accepted too, since JavaScript encoders write those.
pub(crate) fn read_integer<'de, R: Reader<'de>>(
    source: &mut Source<'de, R>,
    expected: &'static str,
) -> Result<u64, Fault> {
    match source.reader.value()? {
        Token::Unsigned(value) => Ok(value),
        Token::Float(value) if value.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&value) => {
            Ok(value as u64)
        }
        Token::Float(_) => Err(Fault::expected(expected, "float")),
        Token::Signed(_) => Err(Fault::expected(expected, "negative integer")),
        Token::Big(_) => Err(Fault::expected(expected, "integer out of range")),
        other => Err(Fault::expected(expected, other.kind())),
    }
}

impl Wire for u64 {
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        read_integer(source, "non-negative integer")
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        F::unsigned(out, *self);
        Ok(())
    }
}

const EXPECTED_ID: &str = "integer between 1 and 2^53";

macro_rules! wire_id {
    ($($name:ident)*) => {
        $(impl Wire for $name {
            fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
                $name::new(read_integer(source, EXPECTED_ID)?)
                    .ok_or_else(|| Fault::expected(EXPECTED_ID, "integer out of range"))
            }

            fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                F::unsigned(out, self.get());
                Ok(())
            }
        })*
    };
}
wire_id! { SessionId PublicationId SubscriptionId RegistrationId RequestId }

/// `UNREGISTERED.Request` and `UNSUBSCRIBED.Request`: 0 means that the router revoked it unasked.
impl Wire for Option<RequestId> {
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        const EXPECTED: &str = "integer between 0 and 2^53";
        match read_integer(source, EXPECTED)? {
            0 => Ok(None),
            id => {
                RequestId::new(id).map(Some).ok_or_else(|| Fault::expected(EXPECTED, "integer out of range"))
            }
        }
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        F::unsigned(out, self.map_or(0, RequestId::get));
        Ok(())
    }
}

impl Wire for ByteString {
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        match source.reader.value()? {
            Token::Text(text) => Ok(source.text(text)),
            other => Err(Fault::expected("string", other.kind())),
        }
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        F::text(out, self)
    }
}

impl Wire for Uri {
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        match source.reader.value()? {
            Token::Text(text) => Ok(source.text(text).into()),
            other => Err(Fault::expected("URI", other.kind())),
        }
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        F::text(out, self)
    }
}

/// The longest list in options. Most elements take more room in memory than in a message.
const MAX_LIST: usize = 1024;

impl<T: Wire> Wire for Vec<T> {
    const RESTRICTS: bool = true;

    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        let mut list = match source.reader.value()? {
            Token::List(open) => open,
            other => return Err(Fault::expected("list", other.kind())),
        };
        let mut items = Vec::new();
        while source.reader.element(&mut list)? {
            if items.len() == MAX_LIST {
                return Err(Fault::expected("list of at most 1024 elements", "a longer one"));
            }
            items.push(T::read(source)?);
        }
        Ok(items)
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut list = F::begin_list(out, Some(self.len()));
        for item in self {
            F::element(out, &mut list);
            item.write::<F>(out)?;
        }
        F::end_list(out, list);
        Ok(())
    }
}

/// Options that belong together and are rare: kept in a box that exists only if one of them is present.
pub(crate) trait Group: Default {
    fn read<'de, R: Reader<'de>>(
        group: &mut Option<Box<Self>>,
        key: &str,
        source: &mut Source<'de, R>,
    ) -> Result<Option<bool>, Fault>;
    fn count(&self) -> usize;
    fn write<F: Format>(&self, out: &mut Vec<u8>, dict: &mut Mark) -> Result<(), EncodeError>;
}
