//! Serde's errors in WAMP's words: types of values, never their contents.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::{Expected, Unexpected};

use crate::error::{EncodeError, Fault, PayloadError};

impl From<Fault> for EncodeError {
    fn from(fault: Fault) -> Self {
        EncodeError::Malformed(fault.to_string())
    }
}

impl From<Fault> for PayloadError {
    fn from(fault: Fault) -> Self {
        PayloadError { text: fault.to_string() }
    }
}

impl serde::ser::Error for EncodeError {
    fn custom<T: Display>(message: T) -> Self {
        EncodeError::Custom(message.to_string())
    }
}

impl PayloadError {
    /// Adds the place of the error: `argument 2`, `keyword "limit"`.
    pub(crate) fn within(mut self, place: impl Display) -> Self {
        self.text = format!("{place}: {}", self.text);
        self
    }
}

impl serde::de::Error for PayloadError {
    fn custom<T: Display>(message: T) -> Self {
        PayloadError { text: message.to_string() }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        PayloadError { text: format!("expected {}, found {}", word(expected), kind(unexpected)) }
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match unexpected {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "integer out of range".into(),
            other => format!("unsuitable {}", kind(other)),
        };
        PayloadError { text: format!("expected {}, found {found}", word(expected)) }
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        PayloadError { text: format!("expected {}, found length {length}", word(expected)) }
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        PayloadError { text: format!("expected one of {}, found another variant", Names(expected)) }
    }

    fn unknown_field(_field: &str, expected: &'static [&'static str]) -> Self {
        PayloadError { text: format!("expected only the keys {}, found another", Names(expected)) }
    }

    fn missing_field(field: &'static str) -> Self {
        PayloadError { text: format!("missing key {field:?}") }
    }

    fn duplicate_field(field: &'static str) -> Self {
        PayloadError { text: format!("the key {field:?} occurs twice") }
    }
}

struct Names(&'static [&'static str]);

impl Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{name:?}")?;
        }
        if self.0.is_empty() { f.write_str("(none)") } else { Ok(()) }
    }
}

/// WAMP's words for the expectation of a `Visitor`.
fn word(expected: &dyn Expected) -> Cow<'static, str> {
    let text = expected.to_string();
    match text.as_str() {
        "a sequence" => return "list".into(),
        "a map" => return "dict".into(),
        "unit" => return "null".into(),
        "byte array" | "a byte array" => return "binary".into(),
        _ => {}
    }
    match text.strip_prefix("a ").or_else(|| text.strip_prefix("an ")) {
        Some(rest) => rest.to_owned().into(),
        None => text.into(),
    }
}

fn kind(unexpected: Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "integer",
        Unexpected::Float(_) => "float",
        Unexpected::Char(_) | Unexpected::Str(_) => "string",
        Unexpected::Bytes(_) => "binary",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "list",
        Unexpected::Map => "dict",
        Unexpected::NewtypeStruct => "newtype struct",
        Unexpected::Enum => "enum",
        Unexpected::UnitVariant => "variant without a value",
        Unexpected::NewtypeVariant | Unexpected::TupleVariant | Unexpected::StructVariant => {
            "variant with a value"
        }
        // Serde's words, of a visitor that accepts no 128 bits.
        Unexpected::Other(text) if text.starts_with("integer") => "integer beyond 64 bits",
        Unexpected::Other(_) => "another kind of value",
    }
}
