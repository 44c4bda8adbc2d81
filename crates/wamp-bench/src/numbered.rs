//! The contents of results: a text whose first 16 characters are a number, and whose rest is filling.
//!
//! A text has the same length in each serializer. The number is a sequence number, or the time of sending.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The shortest text: nothing but the number.
pub(crate) const DIGITS: usize = 16;

/// A text to be sent again and again, with another number each time.
pub(crate) struct Template {
    text: String,
    digits: [u8; DIGITS],
}

impl Template {
    /// A text of this length.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { text: "0".repeat(bytes.max(DIGITS)), digits: [b'0'; DIGITS] }
    }

    /// The text with this number.
    pub(crate) fn with(&mut self, number: u64) -> &str {
        self.digits = std::array::from_fn(|at| {
            let digit = (number >> (4 * (DIGITS - 1 - at))) & 15;
            b"0123456789abcdef"[digit as usize]
        });
        let digits = std::str::from_utf8(&self.digits).unwrap_or_default();
        if self.text.len() == DIGITS {
            return digits;
        }
        self.text.replace_range(..DIGITS, digits);
        &self.text
    }
}

/// Such a text, read: no copy of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) bytes: usize,
}

impl<'de> Deserialize<'de> for Numbered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Numbered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text that begins with 16 hexadecimal digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Numbered, E> {
                let number = text.get(..DIGITS).and_then(|digits| u64::from_str_radix(digits, 16).ok());
                let number = number.ok_or_else(|| E::custom("no number"))?;
                Ok(Numbered { number, bytes: text.len() })
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use wamp_client::{Payload, Serializer};

    use super::*;

    #[test]
    fn a_number_survives_each_serializer() {
        for serializer in Serializer::ALL {
            for bytes in [16, 1024] {
                let mut template = Template::new(bytes);
                for number in [0, 1, 0xfedc_ba98_7654_3210, u64::MAX] {
                    let payload = Payload::new(*serializer, template.with(number)).unwrap();
                    assert_eq!(payload.decode::<Numbered>(), Ok(Numbered { number, bytes }));
                }
            }
        }
    }
}
