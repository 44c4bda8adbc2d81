//! Reading the dict of keyword arguments.

use std::borrow::Cow;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::de::Entries;
use super::key::Key;
use crate::error::PayloadError;
use crate::serializer::{Open, Reader, Token};

/// The `Deserializer` of the keyword arguments: a reader at the dict, or none.
#[derive(Clone)]
pub(crate) struct KwargsDe<R>(pub(crate) Option<R>);

/// Keyword arguments; each error has its keyword.
struct Keywords<'a, 'de, R> {
    entries: Entries<'a, R>,
    key: Option<Cow<'de, str>>,
}

impl<'de, R: Reader<'de>> MapAccess<'de> for Keywords<'_, 'de, R> {
    type Error = PayloadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, PayloadError> {
        self.key = self.entries.next()?;
        self.key.clone().map(|key| seed.deserialize(Key(key))).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, PayloadError> {
        seed.deserialize(self.entries.value()).map_err(|error| {
            let key: String = self.key.as_deref().unwrap_or_default().chars().take(64).collect();
            error.within(format_args!("keyword {key:?}"))
        })
    }

    fn size_hint(&self) -> Option<usize> {
        self.entries.size()
    }
}

impl<'de, R: Reader<'de>> KwargsDe<R> {
    fn open(&mut self) -> Result<Option<(&mut R, Open)>, PayloadError> {
        let Some(reader) = &mut self.0 else { return Ok(None) };
        match reader.value()? {
            Token::Dict(open) => Ok(Some((reader, open))),
            other => Err(PayloadError { text: format!("expected dict of keywords, found {}", other.kind()) }),
        }
    }

    pub(super) fn is_empty(&self) -> Result<bool, PayloadError> {
        match self.clone().open()? {
            Some((reader, mut open)) => Ok(!reader.entry(&mut open)?),
            None => Ok(true),
        }
    }
}

impl<'de, R: Reader<'de>> Deserializer<'de> for KwargsDe<R> {
    type Error = PayloadError;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, PayloadError> {
        match self.open()? {
            Some((reader, open)) => {
                let mut keywords = Keywords { entries: Entries::new(reader, open), key: None };
                let value = visitor.visit_map(&mut keywords)?;
                keywords.entries.end()?;
                Ok(value)
            }
            None => visitor.visit_map(MapDeserializer::new(std::iter::empty::<((), ())>())),
        }
    }

    /// Like a struct without fields, which ignores unknown keys.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        if self.is_empty()? { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit_struct
        seq tuple tuple_struct map struct enum identifier
    }
}
