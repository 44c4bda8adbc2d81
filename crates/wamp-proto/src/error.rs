//! Errors of decoding and encoding, and their texts.

use std::borrow::Cow;
use std::fmt;

use crate::message::Head;
use crate::uri::{self, Uri};

/// A fault in bytes, before it is known of which message they are a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes end inside a value.
    Truncated,
    /// Bytes that the format does not allow, and their position.
    Malformed { what: &'static str, at: usize },
    /// A value of a type that WAMP does not have, and its position.
    #[cfg_attr(not(any(feature = "msgpack", feature = "cbor")), allow(dead_code))]
    Foreign { what: &'static str, at: usize },
    /// Lists and dicts nested deeper than the limit.
    TooDeep,
    /// A value of the wrong type.
    Expected { expected: Cow<'static, str>, found: Cow<'static, str> },
    /// The list ends before this element.
    Missing { expected: Cow<'static, str> },
    /// A fault in the value of this key of a dict.
    Key { key: Cow<'static, str>, fault: Box<Fault> },
    /// A HELLO in an open session; it was not read.
    Opened,
}

impl Fault {
    /// A function for `ok_or_else`: dropping a fault that is not needed costs time in the hottest readers.
    #[cold]
    pub(crate) fn truncated() -> Self {
        Fault::Truncated
    }

    /// See [`truncated`](Self::truncated).
    #[cold]
    pub(crate) fn too_deep() -> Self {
        Fault::TooDeep
    }

    /// A frame of a text format that is not UTF-8 from this byte on.
    #[cold]
    pub(crate) fn not_utf8(at: usize) -> Self {
        Fault::Malformed { what: "text is not UTF-8", at }
    }

    /// Corrects the fault of a frame that was read only up to `cut`, where it stops being UTF-8.
    pub(crate) fn at_cut(self, cut: Option<usize>) -> Self {
        match (self, cut) {
            (Fault::Truncated, Some(at)) => Self::not_utf8(at),
            (fault, _) => fault,
        }
    }

    /// A dict key that is not a string.
    #[cold]
    pub(crate) fn key(at: usize) -> Self {
        Fault::Malformed { what: "a dict key that is not a string", at }
    }

    pub(crate) fn expected(expected: &'static str, found: &'static str) -> Self {
        Fault::Expected { expected: expected.into(), found: found.into() }
    }
}

/// The longest key shown in an error, in bytes.
const KEY: usize = 64;

impl Fault {
    /// Wraps a fault in the value of a key.
    #[cold]
    pub(crate) fn within(self, key: &str) -> Self {
        let end = (0..=KEY.min(key.len())).rev().find(|end| key.is_char_boundary(*end)).unwrap_or(0);
        Fault::Key { key: key[..end].to_owned().into(), fault: Box::new(self) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Truncated => f.write_str("ends in the middle of a value"),
            Fault::Malformed { what, at } => write!(f, "{what} at byte {at}"),
            Fault::Foreign { what, at } => write!(f, "{what}, which WAMP does not have, at byte {at}"),
            Fault::TooDeep => f.write_str("nested deeper than the limit"),
            Fault::Expected { expected, found } => write!(f, "expected {expected}, found {found}"),
            Fault::Missing { expected } => write!(f, "missing: expected {expected}"),
            Fault::Opened => f.write_str("HELLO after the session was established"),
            Fault::Key { key, fault } => write!(f, "key {key:?}: {fault}"),
        }
    }
}

/// Bytes that are not a WAMP message. The text names the message, the element and the expected type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    pub(crate) message: Option<&'static str>,
    pub(crate) element: Option<(usize, &'static str)>,
    pub(crate) fault: Fault,
    /// The fault is in the value of an option, or in the payload.
    pub(crate) concerns_request: bool,
    pub(crate) head: Option<Box<Head>>,
}

impl DecodeError {
    /// A fault that concerns the link.
    pub(crate) fn new(
        message: Option<&'static str>,
        element: Option<(usize, &'static str)>,
        fault: Fault,
    ) -> Self {
        // The key of an option was read, so only this value of the dict is faulty.
        let concerns_request = matches!(fault, Fault::Key { .. });
        Self { message, element, fault, concerns_request, head: None }
    }

    /// A fault in the payload.
    pub(crate) fn in_payload(message: &'static str, element: (usize, &'static str), fault: Fault) -> Self {
        Self { concerns_request: true, ..Self::new(Some(message), Some(element), fault) }
    }

    /// The request that the fault concerns, if the fault is in the value of an option or in the payload: the
    /// session may go on. `None` if the fault, in this message or at this place, ends the session.
    ///
    /// ```
    /// # use wamp_proto::{Limits, Message, Serializer, message::Head};
    /// # #[cfg(feature = "json")] {
    /// let frame = br#"[70,3,{},[{"mean":NaN}]]"#.as_slice().into();
    /// let error = Message::decode(Serializer::Json, &frame, &Limits::default()).unwrap_err();
    /// assert!(matches!(error.head(), Some(Head::Yield { request, .. }) if request.get() == 3));
    /// # }
    /// ```
    pub fn head(&self) -> Option<&Head> {
        self.head.as_deref()
    }

    /// The error URI for the request of [`head`](Self::head): `wamp.error.invalid_argument`.
    pub fn reason(&self) -> Uri {
        uri::INVALID_ARGUMENT
    }

    /// The name of the message, such as `CALL`; `None` if its code could not be read.
    pub fn message(&self) -> Option<&'static str> {
        self.message
    }

    /// The faulty element, counted from 1 for the message code, and its name in the specification.
    pub fn element(&self) -> Option<(usize, &'static str)> {
        self.element
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = self.message {
            write!(f, "{message}")?;
            if let Some((number, name)) = self.element {
                write!(f, ", element {number} ({name})")?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}", self.fault)
    }
}

impl std::error::Error for DecodeError {}

/// A value that cannot be written, in any format or in this one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// NaN or an infinity, which JSON cannot express.
    #[error("{0} cannot be written in JSON")]
    NotFinite(&'static str),
    /// A text that begins with U+0000, which means binary in WAMP's JSON.
    #[error("a string that begins with U+0000 cannot be written in JSON")]
    NulText,
    /// A dict key that is not a string, an integer or a boolean.
    #[error("a dict key must be a string, found {0}")]
    Key(&'static str),
    /// Lists and dicts nested deeper than [`Limits::depth`](crate::Limits).
    #[error("nested deeper than the limit of {0}")]
    TooDeep(usize),
    /// An integer beyond 64 bits.
    #[error("the integer {0} does not fit into 64 bits")]
    Integer(String),
    /// A payload that proved malformed while it was transcoded.
    #[error("the payload cannot be transcoded: {0}")]
    Malformed(String),
    /// A payload in another serializer than that of the message.
    #[error("the payload is in another serializer and has not been transcoded")]
    Untranscoded,
    /// An error of the value's own `Serialize`.
    #[error("{0}")]
    Custom(String),
}

/// Arguments of the wrong type or number. The text is such as `argument 2: expected u32, found string`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadError {
    pub(crate) text: String,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for PayloadError {}
