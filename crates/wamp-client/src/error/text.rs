//! An error of a peer in one line for people: its URI, its arguments, its keywords.
//!
//! ```text
//! com.myapp.error.bad: the name is too short, 3 (least: 8, of: ["a","b"])
//! ```
//!
//! A text at the beginning is shown as it is, other values as in JSON. Long values are cut, and nothing
//! reaches a terminal unescaped.

use std::fmt::{self, Write};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use wamp_proto::{Payload, Uri, shown};

/// The greatest lengths that are shown of a URI, a text at the beginning and other values, in bytes.
const URI: usize = 256;
const TEXT: usize = 512;
const VALUE: usize = 128;

/// The largest number of values that is shown of each list and dict.
const VALUES: usize = 8;

/// An error's URI and its arguments.
pub(crate) struct ErrorText<'a>(pub(crate) &'a Uri, pub(crate) &'a Payload);

impl fmt::Display for ErrorText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shown(self.0, URI))?;
        // Arguments that cannot be read are not shown.
        let args = self.1.args::<List>().map_or_else(|_| Vec::new(), |List(args)| args);
        for (i, arg) in args.iter().enumerate() {
            f.write_str(if i == 0 { ": " } else { ", " })?;
            match arg {
                Any::Text(text) if i == 0 => write!(f, "{}", shown(text, TEXT))?,
                arg => write!(f, "{arg}")?,
            }
        }
        let Dict(kwargs) = self.1.kwargs::<Dict>().unwrap_or_default();
        for (i, (key, value)) in kwargs.iter().enumerate() {
            f.write_str(if i == 0 { " (" } else { ", " })?;
            match value {
                Any::Rest => f.write_char('…')?,
                value => write!(f, "{}: {value}", shown(key, VALUE))?,
            }
        }
        if kwargs.is_empty() { Ok(()) } else { f.write_char(')') }
    }
}

/// A value, up to the length that is shown.
enum Any {
    Text(String),
    /// Any other value, as it is shown.
    Other(String),
    /// The number of values that are left out.
    Rest,
}

impl fmt::Display for Any {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Any::Text(text) => write!(f, "\"{}\"", shown(text, VALUE)),
            Any::Other(text) => write!(f, "{}", shown(text, VALUE)),
            Any::Rest => f.write_char('…'),
        }
    }
}

/// The first elements of a list.
struct List(Vec<Any>);

/// The first entries of a dict.
#[derive(Default)]
struct Dict(Vec<(String, Any)>);

fn other(value: impl fmt::Display) -> Any {
    Any::Other(value.to_string())
}

/// A text that was cut to the longest length shown, and a mark of that.
fn text(text: &str) -> String {
    let mut end = text.len().min(TEXT + 1);
    while !text.is_char_boundary(end) {
        end += 1;
    }
    text[..end].to_owned()
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Any, E> {
        Ok(other(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Any, E> {
        Ok(other(value))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Any, E> {
        Ok(other(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Any, E> {
        Ok(other(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Any, E> {
        Ok(other(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Any, E> {
        Ok(other(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Any, E> {
        Ok(Any::Text(text(value)))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Any, E> {
        Ok(other(format_args!("{} bytes", value.len())))
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(other("null"))
    }

    fn visit_none<E>(self) -> Result<Any, E> {
        Ok(other("null"))
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Any, D::Error> {
        Any::deserialize(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Any, A::Error> {
        let List(items) = ListVisitor.visit_seq(list)?;
        let items: Vec<String> = items.iter().map(Any::to_string).collect();
        Ok(Any::Other(text(&format!("[{}]", items.join(",")))))
    }

    fn visit_map<A: MapAccess<'de>>(self, dict: A) -> Result<Any, A::Error> {
        let Dict(entries) = DictVisitor.visit_map(dict)?;
        let entry = |(key, value): &(String, Any)| match value {
            Any::Rest => value.to_string(),
            value => format!("\"{}\":{value}", shown(key, VALUE)),
        };
        let entries: Vec<String> = entries.iter().map(entry).collect();
        Ok(Any::Other(text(&format!("{{{}}}", entries.join(",")))))
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List, A::Error> {
        let mut items = Vec::new();
        while items.len() < VALUES {
            match list.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(List(items)),
            }
        }
        let mut rest = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            rest = true;
        }
        items.extend(rest.then_some(Any::Rest));
        Ok(List(items))
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor)
    }
}

struct DictVisitor;

impl<'de> Visitor<'de> for DictVisitor {
    type Value = Dict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dict")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut dict: A) -> Result<Dict, A::Error> {
        let mut entries = Vec::new();
        while entries.len() < VALUES {
            match dict.next_entry::<Key, Any>()? {
                Some((Key(key), value)) => entries.push((key, value)),
                None => return Ok(Dict(entries)),
            }
        }
        let mut rest = false;
        while dict.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            rest = true;
        }
        entries.extend(rest.then(|| (String::new(), Any::Rest)));
        Ok(Dict(entries))
    }
}

impl<'de> Deserialize<'de> for Dict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DictVisitor)
    }
}

/// A key, up to the length that is shown.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Any::deserialize(deserializer).map(|any| match any {
            Any::Text(text) | Any::Other(text) => Key(text),
            Any::Rest => Key(String::new()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use wamp_proto::{ArgsKwargs, Kwargs, Serializer, Value};

    use super::*;

    #[derive(Serialize)]
    struct Limits<'a> {
        least: u8,
        of: &'a [&'a str],
        nothing: Option<()>,
    }

    fn said(value: impl Serialize) -> String {
        let uri = Uri::from_static("com.myapp.error.bad");
        let shown = |&serializer: &Serializer| {
            ErrorText(&uri, &Payload::new(serializer, &value).unwrap()).to_string()
        };
        let all: Vec<String> = Serializer::ALL.iter().map(shown).collect();
        assert!(all.iter().all(|text| *text == all[0]), "{all:?}");
        all[0].strip_prefix("com.myapp.error.bad").unwrap().to_owned()
    }

    #[test]
    fn arguments_and_keywords_are_shown_in_one_line() {
        let limits = Limits { least: 8, of: &["a", "b"], nothing: None };
        assert_eq!(said(()), "");
        assert_eq!(said("why"), ": why");
        assert_eq!(said(("why", "x", -3, 1.5, true)), ": why, \"x\", -3, 1.5, true");
        assert_eq!(said((17,)), ": 17");
        assert_eq!(said(Kwargs(&limits)), " (least: 8, of: [\"a\",\"b\"], nothing: null)");
        let both = ArgsKwargs(("too short",), &limits);
        assert_eq!(said(both), ": too short (least: 8, of: [\"a\",\"b\"], nothing: null)");
        assert_eq!(said(Value(&limits)), ": {\"least\":8,\"of\":[\"a\",\"b\"],\"nothing\":null}");
    }

    #[test]
    fn long_texts_are_cut_and_control_characters_escaped() {
        assert_eq!(said("a\u{1b}[31m\nb"), r": a\u{1b}[31m\nb");
        let long = "é".repeat(100_000);
        assert!(said(&*long).len() < 600);
        assert!(said((&*long, &*long, vec![&*long; 100])).len() < 1200);
        assert!(said(vec![1_000_000; 100_000]).ends_with("1000000,…]"));
        let keys: std::collections::BTreeMap<String, i32> =
            (0..10_000).map(|i| (format!("{}{i}", "k".repeat(1000)), i)).collect();
        let text = said(Kwargs(&keys));
        assert!(text.ends_with(", …)") && text.len() < 1500, "{text}");
        let uri = Uri::from("x".repeat(1 << 20));
        assert!(ErrorText(&uri, &Payload::empty()).to_string().len() < 300);
    }
}
