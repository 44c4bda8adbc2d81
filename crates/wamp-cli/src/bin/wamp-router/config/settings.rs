//! Rows of settings: a key, its value, and a sentence about it; read from a document, and written to one.

use std::fmt::Write;
use std::time::Duration;

use super::document::{self, Item, Table};
use super::faults::{Faults, Place};
use super::fields::{At, Bytes, Fields, Setting};

/// A setting of a table.
pub(crate) struct Row<'a> {
    key: &'static str,
    /// A sentence for the file of `init`.
    about: &'static str,
    value: Value<'a>,
}

pub(crate) const fn row<'a>(key: &'static str, value: Value<'a>, about: &'static str) -> Row<'a> {
    Row { key, about, value }
}

pub(crate) enum Value<'a> {
    Boolean(&'a mut bool),
    Duration(&'a mut Duration),
    Bytes(&'a mut usize),
    Bytes64(&'a mut u64),
    Count(&'a mut usize),
    /// A count, or "unlimited".
    AnyCount(&'a mut Option<usize>),
    Choice(&'a mut dyn Words),
}

/// A type whose values are written as words.
pub(crate) trait Words {
    fn all(&self) -> &'static [&'static str];
    fn word(&self) -> &'static str;
    /// Sets the value that a word stands for. Returns false if there is none.
    fn set(&mut self, word: &str) -> bool;
}

/// Implements [`Words`].
macro_rules! words {
    ($type:ty: $($word:literal => $value:path),+) => {
        impl $crate::config::settings::Words for $type {
            fn all(&self) -> &'static [&'static str] {
                &[$($word),+]
            }

            fn word(&self) -> &'static str {
                $(if *self == $value { return $word; })+
                ""
            }

            fn set(&mut self, word: &str) -> bool {
                match word {
                    $($word => *self = $value,)+
                    _ => return false,
                }
                true
            }
        }
    };
}
pub(crate) use words;

/// The places of the settings that were read.
pub(crate) struct Places(Vec<(&'static str, Place)>);

impl Places {
    /// The place of the first of these keys that was read.
    pub(crate) fn first(&self, keys: &[&str]) -> Option<&Place> {
        keys.iter().find_map(|key| self.0.iter().find(|(read, _)| read == key)).map(|(_, place)| place)
    }
}

/// Reads all keys of a table.
pub(crate) fn read_table(table: Table, name: &str, rows: Vec<Row<'_>>, faults: &mut Faults) -> Places {
    let mut fields = Fields::new(table, name, faults);
    let places = read(&mut fields, rows);
    fields.finish();
    places
}

/// Reads these keys. Values of keys that are absent stay as they are.
pub(crate) fn read(fields: &mut Fields<'_>, rows: Vec<Row<'_>>) -> Places {
    let mut places = Vec::new();
    for Row { key, value, .. } in rows {
        let place = match value {
            Value::Boolean(value) => put(fields.read_at(key), value, |read| read),
            Value::Duration(value) => put(fields.read_at(key), value, |read| read),
            Value::Bytes(value) => {
                put(fields.read_at(key), value, |Bytes(read)| usize::try_from(read).unwrap_or(usize::MAX))
            }
            Value::Bytes64(value) => put(fields.read_at(key), value, |Bytes(read)| read),
            Value::Count(value) => put(fields.read_at(key), value, |read| read),
            Value::AnyCount(value) => put(fields.read_at(key), value, |AnyCount(read)| read),
            Value::Choice(value) => choose(fields, key, value),
        };
        places.extend(place.map(|place| (key, place)));
    }
    Places(places)
}

/// Keeps a value that was read, and returns its place.
fn put<R, T>(read: Option<At<R>>, value: &mut T, convert: impl FnOnce(R) -> T) -> Option<Place> {
    let At { value: read, place } = read?;
    *value = convert(read);
    Some(place)
}

fn choose(fields: &mut Fields<'_>, key: &'static str, value: &mut dyn Words) -> Option<Place> {
    let At { value: word, place } = fields.read_at::<String>(key)?;
    if !value.set(&word) {
        let words: Vec<String> = value.all().iter().map(|word| format!("\"{word}\"")).collect();
        fields.faults.error(&place, format!("{word:?} is not one of {}", words.join(", ")));
    }
    Some(place)
}

/// A count; `None` is "unlimited".
struct AnyCount(Option<usize>);

impl Setting for AnyCount {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        match &item.value {
            document::Value::Text(text) if text == "unlimited" => Some(Self(None)),
            document::Value::Integer(_) => usize::read(item, faults).map(|count| Self(Some(count))),
            other => {
                let message = format!("an integer or \"unlimited\" is expected here, not {}", other.kind());
                faults.error(&item.place, message);
                None
            }
        }
    }
}

/// Writes settings as TOML. If they are `explained`, each is a comment below a line about it.
pub(crate) fn write(out: &mut String, rows: Vec<Row<'_>>, explained: bool) {
    for Row { key, about, value } in rows {
        let value = match value {
            Value::Boolean(value) => value.to_string(),
            Value::Duration(value) => format!("\"{}\"", humantime::format_duration(*value)),
            Value::Bytes(value) => bytes(*value as u64),
            Value::Bytes64(value) => bytes(*value),
            Value::Count(value) | Value::AnyCount(Some(value)) => value.to_string(),
            Value::AnyCount(None) => "\"unlimited\"".to_owned(),
            Value::Choice(value) => format!("\"{}\"", value.word()),
        };
        let _ = match explained {
            true => writeln!(out, "# {about}\n#{key} = {value}"),
            false => writeln!(out, "{key} = {value}"),
        };
    }
}

/// A number of bytes, in the largest unit in which it is a whole number.
fn bytes(number: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.into_iter().find(|(_, size)| number >= *size && number.is_multiple_of(*size));
    match unit {
        Some((name, size)) => format!("\"{} {name}\"", number / size),
        None => number.to_string(),
    }
}
