//! Reading the list of positional arguments.

use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::de::{De, Elements};
use crate::error::PayloadError;
use crate::serializer::{Reader, Token};

/// The `Deserializer` of the positional arguments: a reader at the list, or none.
#[derive(Clone)]
pub(crate) struct ArgsDe<R>(pub(crate) Option<R>);

pub(super) fn wrong_count(expected: usize, found: usize) -> PayloadError {
    let text = match expected {
        0 => format!("expected no arguments, found {found}"),
        1 => format!("expected 1 argument, found {found}"),
        _ => format!("expected {expected} arguments, found {found}"),
    };
    PayloadError { text }
}

impl<'de, R: Reader<'de>> ArgsDe<R> {
    /// Enters the list. Without one, an empty list takes its place.
    fn with<T>(
        mut self,
        read: impl FnOnce(Option<&mut Elements<'_, R>>) -> Result<T, PayloadError>,
    ) -> Result<T, PayloadError> {
        let Some(reader) = &mut self.0 else { return read(None) };
        match reader.value()? {
            Token::List(open) => read(Some(&mut Elements::new(reader, open))),
            other => {
                Err(PayloadError { text: format!("expected list of arguments, found {}", other.kind()) })
            }
        }
    }

    /// The number of arguments. Skips all of them.
    pub(super) fn count(&self) -> Result<usize, PayloadError> {
        self.clone().with(|elements| elements.map_or(Ok(0), Elements::count))
    }

    /// Reads the only argument.
    pub(super) fn only<T>(
        self,
        read: impl FnOnce(De<'_, R>) -> Result<T, PayloadError>,
    ) -> Result<T, PayloadError> {
        self.with(|elements| {
            let Some(elements) = elements else { return Err(wrong_count(1, 0)) };
            if !elements.next()? {
                return Err(wrong_count(1, 0));
            }
            // The number of arguments is the more useful error, so it is checked first.
            let mut ahead = elements.reader.clone();
            let value = read(De(elements.reader)).map_err(|error| error.within("argument 1"));
            if value.is_err() {
                ahead.skip()?;
                *elements.reader = ahead;
            }
            match elements.count()? {
                1 => value,
                count => Err(wrong_count(1, count)),
            }
        })
    }

    /// Reads all arguments, as a tuple of `len` if it is one.
    pub(super) fn list<V: Visitor<'de>>(
        self,
        len: Option<usize>,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        self.with(|elements| {
            let mut list = List { elements, read: 0, len };
            let value = visitor.visit_seq(&mut list)?;
            let read = list.read;
            match list.elements.map_or(Ok(0), Elements::count)? {
                count if count > read => Err(wrong_count(read, count)),
                _ => Ok(value),
            }
        })
    }

    pub(super) fn is_empty(&self) -> Result<bool, PayloadError> {
        self.clone().with(|elements| elements.map_or(Ok(true), |elements| Ok(!elements.next()?)))
    }

    pub(super) fn is_one_null(&self) -> Result<bool, PayloadError> {
        self.clone().with(|elements| {
            let Some(elements) = elements else { return Ok(false) };
            Ok(elements.next()? && elements.reader.null()? && elements.count()? == 1)
        })
    }

    pub(super) fn unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        if self.is_empty()? || self.is_one_null()? {
            visitor.visit_unit()
        } else {
            Err(wrong_count(0, self.count()?))
        }
    }
}

/// Positional arguments; each error has the number of its argument. A tuple may have more elements than there
/// are arguments.
struct List<'a, 'b, R> {
    elements: Option<&'a mut Elements<'b, R>>,
    read: usize,
    len: Option<usize>,
}

impl<'de, R: Reader<'de>> SeqAccess<'de> for List<'_, '_, R> {
    type Error = PayloadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, PayloadError> {
        let found = self.read;
        if let Some(elements) = &mut self.elements
            && elements.next()?
        {
            self.read += 1;
            let value = seed.deserialize(De(elements.reader));
            return value.map(Some).map_err(|error| error.within(format_args!("argument {}", found + 1)));
        }
        match self.len {
            Some(len) if self.read < len => {
                self.read += 1;
                let count = self.elements.as_mut().map_or(Ok(0), |elements| elements.count())?;
                seed.deserialize(Missing { len, count }).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.elements.as_ref().map_or(Some(0), |elements| elements.size())
    }
}

/// An argument that a tuple has and the payload lacks.
struct Missing {
    len: usize,
    count: usize,
}

impl<'de> Deserializer<'de> for Missing {
    type Error = PayloadError;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, PayloadError> {
        Err(wrong_count(self.len, self.count))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, R: Reader<'de>> Deserializer<'de> for ArgsDe<R> {
    type Error = PayloadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        self.list(None, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, PayloadError> {
        self.list(Some(len), visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        self.list(Some(len), visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        self.unit(visitor)
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

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        Err(de::Error::invalid_type(de::Unexpected::Seq, &visitor))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit_struct
        seq map enum identifier
    }
}
