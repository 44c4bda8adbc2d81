//! Values of any type, and their JSON form, in which binary is `{"$binary":"base64"}`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use wamp_client::{Payload, PayloadError};

/// The key of binary in JSON.
const BINARY: &str = "$binary";

/// A value of any type. Dicts keep their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Document {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Binary(Vec<u8>),
    List(Vec<Document>),
    Dict(Vec<(String, Document)>),
}

impl Document {
    /// Reads a JSON document.
    ///
    /// # Errors
    /// Says where the text is not JSON. Columns are counted in bytes from 1; the line is named if there are several.
    pub(crate) fn from_json(text: &str) -> Result<Self, String> {
        let read = serde_json::from_str::<Document>(text);
        read.map_err(|error| not_json(&error, text)).and_then(Document::with_binary)
    }

    /// Turns `{"$binary":…}` into binary, at any depth.
    pub(crate) fn with_binary(self) -> Result<Self, String> {
        Ok(match self {
            Document::List(items) => {
                Document::List(items.into_iter().map(Document::with_binary).collect::<Result<_, _>>()?)
            }
            Document::Dict(entries) => match entries.as_slice() {
                [(key, Document::Text(text))] if key == BINARY => {
                    let decoded = STANDARD.decode(text);
                    Document::Binary(decoded.map_err(|error| format!("{BINARY} is not base64: {error}"))?)
                }
                _ => {
                    let entry = |(key, value): (String, Document)| Ok((key, value.with_binary()?));
                    Document::Dict(entries.into_iter().map(entry).collect::<Result<_, String>>()?)
                }
            },
            other => other,
        })
    }

    /// The JSON form in one line. Control characters are escaped, so that a terminal shows them.
    pub(crate) fn to_json(&self) -> String {
        // A document has text keys only, and no other error is possible in memory.
        let json = serde_json::to_string(&Json(self)).unwrap_or_default();
        let is_control = |c: char| ('\u{7f}'..='\u{9f}').contains(&c);
        if !json.contains(is_control) {
            return json;
        }
        // They occur in texts only, where JSON may escape them.
        json.chars().fold(String::new(), |mut text, c| {
            match is_control(c) {
                true => text.push_str(&format!("\\u{:04x}", u32::from(c))),
                false => text.push(c),
            }
            text
        })
    }
}

/// The sentence for text that is not JSON.
fn not_json(error: &serde_json::Error, text: &str) -> String {
    let line = match text.lines().nth(1) {
        Some(_) => format!("line {}, ", error.line()),
        None => String::new(),
    };
    format!("not JSON at {line}column {}", error.column())
}

/// The arguments of a message: positional ones and keywords.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) args: Vec<Document>,
    pub(crate) kwargs: Vec<(String, Document)>,
}

impl Arguments {
    pub(crate) fn read(payload: &Payload) -> Result<Self, PayloadError> {
        let kwargs = match payload.kwargs()? {
            Document::Dict(entries) => entries,
            _ => Vec::new(),
        };
        Ok(Self { args: payload.args()?, kwargs })
    }

    /// The value that they stand for: one argument is itself, several are a list, keywords without arguments are a dict.
    /// `None`: there are none.
    pub(crate) fn into_value(mut self) -> Option<Document> {
        Some(match (self.args.len(), self.kwargs.is_empty()) {
            (0, true) => return None,
            (0, false) => Document::Dict(self.kwargs),
            (1, true) => self.args.remove(0),
            (_, true) => Document::List(self.args),
            (_, false) => Document::Dict(vec![
                ("args".to_owned(), Document::List(self.args)),
                ("kwargs".to_owned(), Document::Dict(self.kwargs)),
            ]),
        })
    }
}

/// As it is sent: binary is binary.
impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Document::Null => serializer.serialize_unit(),
            Document::Bool(value) => serializer.serialize_bool(*value),
            Document::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => serializer.serialize_i128(*value),
            },
            Document::Float(value) => serializer.serialize_f64(*value),
            Document::Text(text) => serializer.serialize_str(text),
            Document::Binary(bytes) => serializer.serialize_bytes(bytes),
            Document::List(items) => serializer.collect_seq(items),
            Document::Dict(entries) => {
                let mut dict = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    dict.serialize_entry(key, value)?;
                }
                dict.end()
            }
        }
    }
}

/// A document as JSON for people and scripts.
pub(crate) struct Json<'a>(pub(crate) &'a Document);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Document::Binary(bytes) => {
                let mut dict = serializer.serialize_map(Some(1))?;
                dict.serialize_entry(BINARY, &STANDARD.encode(bytes))?;
                dict.end()
            }
            Document::List(items) => serializer.collect_seq(items.iter().map(Json)),
            Document::Dict(entries) => {
                let mut dict = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    dict.serialize_entry(key, &Json(value))?;
                }
                dict.end()
            }
            Document::Float(value) if !value.is_finite() => {
                // JSON has no such number.
                serializer.serialize_str(&value.to_string())
            }
            Document::Integer(value) => match i64::try_from(*value) {
                Ok(value) => serializer.serialize_i64(value),
                Err(_) => serializer.serialize_i128(*value),
            },
            plain => plain.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_none<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Document, D::Error> {
        Document::deserialize(value)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
        Ok(Document::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
        Ok(Document::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
        Ok(Document::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Document, E> {
        Ok(Document::Integer(value))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Document, E> {
        let value = i128::try_from(value);
        value.map(Document::Integer).map_err(|_| E::custom("an integer of more than 127 bits"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
        Ok(Document::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Document, E> {
        Ok(Document::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Document, E> {
        Ok(Document::Text(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Document, E> {
        Ok(Document::Binary(bytes.to_vec()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Document, E> {
        Ok(Document::Binary(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Document, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Document::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut dict: A) -> Result<Document, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = dict.next_entry()? {
            entries.push(entry);
        }
        Ok(Document::Dict(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Document {
        Document::from_json(text).unwrap()
    }

    #[test]
    fn every_value_survives_the_wire_in_each_serializer() {
        let text = r#"{"z":[null,true,-1,18446744073709551615,1.5,"5"],"a":{"$binary":"AP8="},"d":{}}"#;
        for serializer in wamp_client::Serializer::ALL {
            let payload = Payload::new(*serializer, &wamp_client::Value(json(text))).unwrap();
            let read = Arguments::read(&payload).unwrap();
            assert_eq!(read.into_value().unwrap().to_json(), text, "{serializer:?}");
        }
    }

    #[test]
    fn text_that_is_not_json_is_refused_with_its_place() {
        assert_eq!(Document::from_json("[1 2]").unwrap_err(), "not JSON at column 4");
        assert_eq!(Document::from_json("[1,\n2").unwrap_err(), "not JSON at line 2, column 1");
        let error = Document::from_json(r#"[{"$binary":"?"}]"#).unwrap_err();
        assert!(error.starts_with("$binary is not base64: "), "{error}");
    }

    #[test]
    fn control_characters_are_escaped() {
        let document = Document::Text("a\u{1b}[31m\u{9b}31m\u{7f}é".to_owned());
        assert_eq!(document.to_json(), r#""a\u001b[31m\u009b31m\u007fé""#);
    }
}
