//! Any WAMP value as a tree, for comparisons.

// Every test binary uses only some of this.
#![allow(dead_code)]

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap};
use wamp_proto::{Payload, Serializer};

#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    Binary(Vec<u8>),
    List(Vec<Tree>),
    Dict(Vec<(String, Tree)>),
}

impl PartialEq for Tree {
    fn eq(&self, other: &Tree) -> bool {
        match (self, other) {
            (Tree::Null, Tree::Null) => true,
            (Tree::Bool(a), Tree::Bool(b)) => a == b,
            (Tree::Unsigned(a), Tree::Unsigned(b)) => a == b,
            (Tree::Signed(a), Tree::Signed(b)) => a == b,
            (Tree::Float(a), Tree::Float(b)) => a.to_bits() == b.to_bits(),
            (Tree::Text(a), Tree::Text(b)) => a == b,
            (Tree::Binary(a), Tree::Binary(b)) => a == b,
            (Tree::List(a), Tree::List(b)) => a == b,
            (Tree::Dict(a), Tree::Dict(b)) => a == b,
            _ => false,
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Tree::Null => serializer.serialize_unit(),
            Tree::Bool(value) => serializer.serialize_bool(*value),
            Tree::Unsigned(value) => serializer.serialize_u64(*value),
            Tree::Signed(value) => serializer.serialize_i64(*value),
            Tree::Float(value) => serializer.serialize_f64(*value),
            Tree::Text(value) => serializer.serialize_str(value),
            Tree::Binary(value) => serializer.serialize_bytes(value),
            Tree::List(values) => values.serialize(serializer),
            Tree::Dict(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        struct TreeVisitor;

        impl<'de> Visitor<'de> for TreeVisitor {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Null)
            }

            fn visit_none<E>(self) -> Result<Tree, E> {
                Ok(Tree::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Unsigned(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(u64::try_from(value).map_or(Tree::Signed(value), Tree::Unsigned))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
                Ok(Tree::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_owned()))
            }

            fn visit_bytes<E>(self, value: &[u8]) -> Result<Tree, E> {
                Ok(Tree::Binary(value.to_vec()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Tree::List(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Tree::Dict(entries))
            }
        }

        deserializer.deserialize_any(TreeVisitor)
    }
}

impl Tree {
    /// Replaces binary by WAMP's encoding of it in JSON, for a JSON library without binary.
    pub(crate) fn for_json(&self) -> Tree {
        use base64::Engine;
        match self {
            Tree::Binary(bytes) => {
                Tree::Text(format!("\0{}", base64::engine::general_purpose::STANDARD.encode(bytes)))
            }
            Tree::List(values) => Tree::List(values.iter().map(Tree::for_json).collect()),
            Tree::Dict(entries) => {
                Tree::Dict(entries.iter().map(|(key, value)| (key.clone(), value.for_json())).collect())
            }
            other => other.clone(),
        }
    }
}

/// Values that every format can express: finite floats, and no text that begins with U+0000.
pub(crate) fn trees() -> impl Strategy<Value = Tree> {
    let text = prop_oneof![
        3 => "[ -~äß€𝄞\n\t\"\\\\/]{0,40}",
        1 => any::<String>().prop_filter("means binary in JSON", |text| !text.starts_with('\0')),
    ]
    .boxed();
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        prop_oneof![any::<u64>(), 0..300_u64, Just(u64::MAX)].prop_map(Tree::Unsigned),
        prop_oneof![i64::MIN..0, -300..0_i64, Just(i64::MIN)].prop_map(Tree::Signed),
        prop_oneof![
            any::<f64>().prop_filter("finite", |value| value.is_finite()),
            (-1000..1000_i32).prop_map(f64::from),
        ]
        .prop_map(Tree::Float),
        text.clone().prop_map(Tree::Text),
        vec(any::<u8>(), 0..40).prop_map(Tree::Binary),
    ];
    leaf.prop_recursive(5, 64, 20, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Tree::List),
            vec((text.clone(), inner), 0..20).prop_map(Tree::Dict),
        ]
    })
}

/// Returns the payload of foreign bytes, or `None` if they are not a list and a dict.
pub(crate) fn received(serializer: Serializer, args: &[u8], kwargs: Option<&[u8]>) -> Option<Payload> {
    let mut tail = args.to_vec();
    let mut kwargs_at = 0;
    if let Some(kwargs) = kwargs {
        tail.extend_from_slice(if serializer.is_text() { b"," } else { b"" });
        kwargs_at = tail.len();
        tail.extend_from_slice(kwargs);
    }
    let elements = if kwargs.is_some() { 2 } else { 1 };
    // A payload passes through foreign serializers as a tuple of its parts.
    let parts = serde_json::json!([serializer.rawsocket_id(), elements, kwargs_at, tail]);
    serde_json::from_value(parts).ok()
}
