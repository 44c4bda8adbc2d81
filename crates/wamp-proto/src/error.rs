//! What can be wrong with octets, with messages and with values, and how it is said.

use std::borrow::Cow;
use std::fmt;

use crate::message::Head;
use crate::uri::{self, Uri};

/// What is wrong with octets, before anybody knows which message they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The octets end inside a value.
    Truncated,
    /// Octets that the format does not allow, and where.
    Malformed { what: &'static str, at: usize },
    /// A value of a type that WAMP does not have, and where.
    #[cfg_attr(not(any(feature = "msgpack", feature = "cbor")), allow(dead_code))]
    Foreign { what: &'static str, at: usize },
    /// More lists and dicts inside each other than the limit.
    TooDeep,
    /// A value of another kind than the place wants.
    Expected { expected: Cow<'static, str>, found: Cow<'static, str> },
    /// The list ended before this element.
    Missing { expected: Cow<'static, str> },
    /// A key of a dict and what is wrong with its value.
    Key { key: Cow<'static, str>, fault: Box<Fault> },
    /// A HELLO where the session has been opened already; it has not been read.
    Opened,
}

impl Fault {
    /// A function, for `ok_or_else`: a value that is made in vain costs its drop where readers are hottest.
    #[cold]
    pub(crate) fn truncated() -> Self {
        Fault::Truncated
    }

    /// Likewise.
    #[cold]
    pub(crate) fn too_deep() -> Self {
        Fault::TooDeep
    }

    /// A frame that is no text from there on, in a format that is text.
    #[cold]
    pub(crate) fn not_utf8(at: usize) -> Self {
        Fault::Malformed { what: "text is not UTF-8", at }
    }

    /// The fault of a frame that has been read up to there only, where it is no text any more.
    pub(crate) fn at_cut(self, cut: Option<usize>) -> Self {
        match (self, cut) {
            (Fault::Truncated, Some(at)) => Self::not_utf8(at),
            (fault, _) => fault,
        }
    }

    /// A dict key that is no string.
    #[cold]
    pub(crate) fn key(at: usize) -> Self {
        Fault::Malformed { what: "a dict key that is no string", at }
    }

    pub(crate) fn expected(expected: &'static str, found: &'static str) -> Self {
        Fault::Expected { expected: expected.into(), found: found.into() }
    }
}

/// A key in an error is no longer than this, in bytes.
const KEY: usize = 64;

impl Fault {
    /// A fault in the value of a key.
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
            Fault::Malformed { what, at } => write!(f, "{what} at octet {at}"),
            Fault::Foreign { what, at } => write!(f, "{what}, which WAMP has not, at octet {at}"),
            Fault::TooDeep => f.write_str("nested deeper than the limit"),
            Fault::Expected { expected, found } => write!(f, "expected {expected}, found {found}"),
            Fault::Missing { expected } => write!(f, "missing: expected {expected}"),
            Fault::Opened => f.write_str("HELLO after the session was established"),
            Fault::Key { key, fault } => write!(f, "key {key:?}: {fault}"),
        }
    }
}

/// Octets that are no WAMP message. Says which message, which element, what was expected.
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
    /// One that concerns the link.
    pub(crate) fn new(
        message: Option<&'static str>,
        element: Option<(usize, &'static str)>,
        fault: Fault,
    ) -> Self {
        // The key of an option is known, so the dict is one and only this value is faulty.
        let concerns_request = matches!(fault, Fault::Key { .. });
        Self { message, element, fault, concerns_request, head: None }
    }

    /// One in the payload.
    pub(crate) fn in_payload(message: &'static str, element: (usize, &'static str), fault: Fault) -> Self {
        Self { concerns_request: true, ..Self::new(Some(message), Some(element), fault) }
    }

    /// Where the fault is in the value of an option or in the payload, so that it concerns one request only: which
    /// one. The session may go on. `None`: a message of its kind, or at this place, ends the session.
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

    /// What the request of [`head`](Self::head) is refused with: `wamp.error.feature_not_supported` for binary in
    /// the place of arguments, which is how older clients send what they have encrypted, and else
    /// `wamp.error.invalid_argument`.
    pub fn reason(&self) -> Uri {
        match &self.fault {
            Fault::Expected { expected, found }
                if self.concerns_request && expected == "list" && found == "binary" =>
            {
                uri::FEATURE_NOT_SUPPORTED
            }
            _ => uri::INVALID_ARGUMENT,
        }
    }

    /// The message whose code was read, as `CALL`; `None` where it did not come to that.
    pub fn message(&self) -> Option<&'static str> {
        self.message
    }

    /// The element that is wrong, counted from 1 for the code itself, and its name in the specification.
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
        write!(f, "{}", self.fault)?;
        if self.reason() == uri::FEATURE_NOT_SUPPORTED {
            f.write_str("; payload transparency (enc_algo) is not supported")?;
        }
        Ok(())
    }
}

impl std::error::Error for DecodeError {}

/// A value that cannot be written, or not in this format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// NaN or an infinity, which JSON has no way to write.
    #[error("{0} cannot be written in JSON")]
    NotFinite(&'static str),
    /// A text that begins with U+0000: in WAMP's JSON that means binary.
    #[error("a string that begins with U+0000 cannot be written in JSON")]
    NulText,
    /// A dict key that is neither a string nor an integer nor a boolean.
    #[error("a dict key must be a string, found {0}")]
    Key(&'static str),
    /// More lists and dicts inside each other than [`Limits::depth`](crate::Limits).
    #[error("nested deeper than the limit of {0}")]
    TooDeep(usize),
    /// An integer beyond 64 bits.
    #[error("the integer {0} does not fit into 64 bits")]
    Integer(String),
    /// A payload that turned out not to be well-formed when it was rewritten in another format.
    #[error("the payload cannot be rewritten: {0}")]
    Malformed(String),
    /// A payload in another serializer than the message is to be written in.
    #[error("the payload is in another serializer and has not been transcoded")]
    Untranscoded,
    /// The value's own `Serialize` gave up.
    #[error("{0}")]
    Custom(String),
}

/// Arguments that do not fit what was asked of them, as `argument 2: expected u32, found string`.
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
