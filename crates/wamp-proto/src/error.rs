//! What can be wrong with octets, with messages and with values, and how it is said.

use std::borrow::Cow;
use std::fmt;

/// What is wrong with octets, before anybody knows which message they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The octets end inside a value.
    Truncated,
    /// Octets that the format does not allow, and where.
    Malformed { what: &'static str, at: usize },
    /// More lists and dicts inside each other than the limit.
    TooDeep,
    /// A value of another kind than the place wants.
    Expected { expected: Cow<'static, str>, found: Cow<'static, str> },
    /// The list ended before this element.
    Missing { expected: Cow<'static, str> },
    /// A key of a dict and what is wrong with its value.
    Key { key: &'static str, fault: Box<Fault> },
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

    pub(crate) fn expected(expected: &'static str, found: &'static str) -> Self {
        Fault::Expected { expected: expected.into(), found: found.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Truncated => f.write_str("ends in the middle of a value"),
            Fault::Malformed { what, at } => write!(f, "{what} at octet {at}"),
            Fault::TooDeep => f.write_str("nested deeper than the limit"),
            Fault::Expected { expected, found } => write!(f, "expected {expected}, found {found}"),
            Fault::Missing { expected } => write!(f, "missing: expected {expected}"),
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
}

impl DecodeError {
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
        write!(f, "{}", self.fault)
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
