//! Reading one value from any format.

use std::borrow::Cow;

use serde::de::value::SeqDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::key::{Key, UnitOnly};
use super::{ARGS_KWARGS, PAYLOAD};
use crate::error::PayloadError;
use crate::serializer::big::Big;
use crate::serializer::{Open, Reader, Token};

/// The `Deserializer` of the value at the reader's position.
pub(crate) struct De<'a, R>(pub(crate) &'a mut R);

impl<'a, 'de, R: Reader<'de>> De<'a, R> {
    fn visit<V: Visitor<'de>>(self, token: Token<'de>, visitor: V) -> Result<V::Value, PayloadError> {
        match token {
            Token::Null => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(value) => visitor.visit_u64(value),
            Token::Signed(value) => visitor.visit_i64(value),
            Token::Big(value) => wide(&value, visitor),
            Token::Float(value) => visitor.visit_f64(value),
            Token::Text(Cow::Borrowed(value)) => visitor.visit_borrowed_str(value),
            Token::Text(Cow::Owned(value)) => visitor.visit_string(value),
            Token::Binary(Cow::Borrowed(value)) => visitor.visit_borrowed_bytes(value),
            Token::Binary(Cow::Owned(value)) => visitor.visit_byte_buf(value),
            Token::List(open) => {
                let mut elements = Elements::new(self.0, open);
                let value = visitor.visit_seq(&mut elements)?;
                elements.end()?;
                Ok(value)
            }
            Token::Dict(open) => {
                let mut entries = Entries::new(self.0, open);
                let value = visitor.visit_map(&mut entries)?;
                entries.end()?;
                Ok(value)
            }
        }
    }

    /// JavaScript encoders write numbers as floats in MessagePack and CBOR (behaviour 56).
    fn integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        const EXACT: f64 = (1_u64 << 53) as f64;
        match self.0.value()? {
            Token::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT => {
                if value < 0.0 {
                    visitor.visit_i64(value as i64)
                } else {
                    visitor.visit_u64(value as u64)
                }
            }
            // Serde's own error would mention 128 bits.
            Token::Big(_) => Err(de::Error::invalid_value(Unexpected::Unsigned(u64::MAX), &visitor)),
            token => self.visit(token, visitor),
        }
    }

    fn wide_integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        let before = self.0.clone();
        match self.0.value()? {
            Token::Big(value) => wide(&value, visitor),
            _ => {
                *self.0 = before;
                self.integer(visitor)
            }
        }
    }

    /// Each integer, of any length, has a nearest float.
    fn float<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        match self.0.value()? {
            Token::Big(value) => visitor.visit_f64(value.to_float()),
            token => self.visit(token, visitor),
        }
    }

    fn string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        match self.0.value()? {
            // Serde's own visitors would accept binary that happens to be UTF-8.
            Token::Binary(value) => Err(de::Error::invalid_type(Unexpected::Bytes(&value), &visitor)),
            token => self.visit(token, visitor),
        }
    }

    fn list<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        match self.0.value()? {
            // `Vec<u8>` expects a list.
            Token::Binary(value) => visitor.visit_seq(SeqDeserializer::new(value.iter().copied())),
            token => self.visit(token, visitor),
        }
    }
}

/// An integer beyond 64 bits, for visitors that accept 128.
fn wide<'de, V: Visitor<'de>>(value: &Big, visitor: V) -> Result<V::Value, PayloadError> {
    let magnitude = value.magnitude().and_then(|magnitude| match value.is_negative() {
        false => Some(Ok(magnitude)),
        true => 0_i128.checked_sub_unsigned(magnitude).map(Err),
    });
    match magnitude {
        Some(Ok(value)) => visitor.visit_u128(value),
        Some(Err(value)) => visitor.visit_i128(value),
        None => Err(de::Error::invalid_value(Unexpected::Unsigned(u64::MAX), &visitor)),
    }
}

fn unexpected<'a>(token: &'a Token<'_>) -> Unexpected<'a> {
    match token {
        Token::Null => Unexpected::Unit,
        Token::Bool(value) => Unexpected::Bool(*value),
        Token::Unsigned(value) => Unexpected::Unsigned(*value),
        Token::Signed(value) => Unexpected::Signed(*value),
        Token::Big(_) => Unexpected::Unsigned(u64::MAX),
        Token::Float(value) => Unexpected::Float(*value),
        Token::Text(value) => Unexpected::Str(value),
        Token::Binary(value) => Unexpected::Bytes(value),
        Token::List(_) => Unexpected::Seq,
        Token::Dict(_) => Unexpected::Map,
    }
}

macro_rules! forward {
    ($($to:ident: $($method:ident)*;)*) => {
        $($(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
            self.$to(visitor)
        })*)*
    };
}

impl<'de, R: Reader<'de>> Deserializer<'de> for De<'_, R> {
    type Error = PayloadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        let token = self.0.value()?;
        self.visit(token, visitor)
    }

    forward! {
        integer:
            deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64;
        wide_integer: deserialize_i128 deserialize_u128;
        float: deserialize_f32 deserialize_f64;
        string: deserialize_str deserialize_string deserialize_char;
        list: deserialize_seq;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        if self.0.null()? { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, PayloadError> {
        match self.0.value()? {
            Token::List(open) => {
                let mut elements = Elements::new(self.0, open);
                let value = elements.of_tuple(len, visitor)?;
                elements.end()?;
                Ok(value)
            }
            Token::Binary(value) if value.len() == len => {
                visitor.visit_seq(SeqDeserializer::new(value.iter().copied()))
            }
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        if name == PAYLOAD || name == ARGS_KWARGS {
            return Err(de::Error::custom(
                "a Payload or ArgsKwargs is all arguments, and no part of a value",
            ));
        }
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        match self.0.value()? {
            // Derived visitors would read the fields by their order.
            Token::List(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        match self.0.value()? {
            Token::Text(variant) => visitor.visit_enum(Key(variant)),
            Token::Dict(mut open) => {
                let one = "dict with one key, the variant";
                if !self.0.entry(&mut open)? {
                    return Err(de::Error::invalid_value(Unexpected::Map, &one));
                }
                let variant = self.0.value()?.into_key()?;
                self.0.colon()?;
                let value = visitor.visit_enum(Variant { variant, reader: self.0 })?;
                if self.0.entry(&mut open)? {
                    return Err(de::Error::invalid_value(Unexpected::Map, &one));
                }
                Ok(value)
            }
            token => Err(de::Error::invalid_type(unexpected(&token), &visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        self.0.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool bytes byte_buf unit unit_struct map identifier
    }
}

/// The elements of a list.
pub(super) struct Elements<'a, R> {
    pub(super) reader: &'a mut R,
    open: Open,
    pub(super) read: usize,
    over: bool,
}

impl<'a, 'de, R: Reader<'de>> Elements<'a, R> {
    pub(super) fn new(reader: &'a mut R, open: Open) -> Self {
        Elements { reader, open, read: 0, over: false }
    }

    /// Moves to the next element.
    pub(super) fn next(&mut self) -> Result<bool, PayloadError> {
        self.over = self.over || !self.reader.element(&mut self.open)?;
        self.read += usize::from(!self.over);
        Ok(!self.over)
    }

    /// The number of elements, including unread ones.
    pub(super) fn count(&mut self) -> Result<usize, PayloadError> {
        while self.next()? {
            self.reader.skip()?;
        }
        Ok(self.read)
    }

    fn of_tuple<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, PayloadError> {
        match visitor.visit_seq(&mut *self) {
            Err(_) if self.over && self.read < len => Err(wrong_length(len, self.read)),
            other => other,
        }
    }

    /// Checks that every element was read.
    fn end(mut self) -> Result<(), PayloadError> {
        let read = self.read;
        let all = self.count()?;
        if all == read { Ok(()) } else { Err(wrong_length(read, all)) }
    }

    pub(super) fn size(&self) -> Option<usize> {
        // Only declared by the peer, so it reserves little memory.
        self.open.left.map(|left| left.min(256) as usize)
    }
}

fn wrong_length(expected: usize, found: usize) -> PayloadError {
    PayloadError { text: format!("expected list of {expected}, found list of {found}") }
}

impl<'de, R: Reader<'de>> SeqAccess<'de> for Elements<'_, R> {
    type Error = PayloadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, PayloadError> {
        if self.next()? { seed.deserialize(De(self.reader)).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        self.size()
    }
}

/// The entries of a dict.
pub(super) struct Entries<'a, R> {
    reader: &'a mut R,
    open: Open,
    over: bool,
}

impl<'a, 'de, R: Reader<'de>> Entries<'a, R> {
    pub(super) fn new(reader: &'a mut R, open: Open) -> Self {
        Entries { reader, open, over: false }
    }

    /// Moves to the value of the next entry.
    pub(super) fn next(&mut self) -> Result<Option<Cow<'de, str>>, PayloadError> {
        if self.over || !self.reader.entry(&mut self.open)? {
            self.over = true;
            return Ok(None);
        }
        let key = self.reader.value()?.into_key()?;
        self.reader.colon()?;
        Ok(Some(key))
    }

    pub(super) fn value(&mut self) -> De<'_, R> {
        De(self.reader)
    }

    /// Checks that every entry was read.
    pub(super) fn end(mut self) -> Result<(), PayloadError> {
        match self.next()? {
            None => Ok(()),
            Some(_) => Err(PayloadError { text: "more entries in a dict than expected".to_owned() }),
        }
    }

    pub(super) fn size(&self) -> Option<usize> {
        self.open.left.map(|left| left.min(256) as usize)
    }
}

impl<'de, R: Reader<'de>> MapAccess<'de> for Entries<'_, R> {
    type Error = PayloadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, PayloadError> {
        self.next()?.map(|key| seed.deserialize(Key(key))).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, PayloadError> {
        seed.deserialize(self.value())
    }

    fn size_hint(&self) -> Option<usize> {
        self.size()
    }
}

/// The variant of an enum that was written as `{variant: value}`; the reader is at the value.
struct Variant<'a, 'de, R> {
    variant: Cow<'de, str>,
    reader: &'a mut R,
}

impl<'a, 'de, R: Reader<'de>> EnumAccess<'de> for Variant<'a, 'de, R> {
    type Error = PayloadError;
    type Variant = De<'a, R>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, De<'a, R>), PayloadError> {
        Ok((seed.deserialize(Key(self.variant))?, De(self.reader)))
    }
}

impl<'de, R: Reader<'de>> VariantAccess<'de> for De<'_, R> {
    type Error = PayloadError;

    fn unit_variant(self) -> Result<(), PayloadError> {
        if self.0.null()? {
            UnitOnly.unit_variant()
        } else {
            Err(de::Error::invalid_type(Unexpected::NewtypeVariant, &"variant without a value"))
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, PayloadError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, PayloadError> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        self.deserialize_struct("", fields, visitor)
    }
}
