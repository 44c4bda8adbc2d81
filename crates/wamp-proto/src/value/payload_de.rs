//! The second half of the rule: from arguments to a value.
//!
//! A tuple is the whole list; `()` accepts nothing and one null; `Option` reads nothing as `None`, and
//! otherwise as its inner type; a struct or map is the only argument, or the keywords if there are no
//! arguments; everything else is the only argument. [`Kwargs`](super::Kwargs),
//! [`ArgsKwargs`](super::ArgsKwargs), [`Value`](super::Value) and [`Payload`](crate::Payload) decide for themselves.

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::args::{ArgsDe, wrong_count};
use super::kwargs::KwargsDe;
use super::payload_serde::Fields;
use super::{ARGS_KWARGS, KWARGS, PAYLOAD, VALUE};
use crate::error::PayloadError;
use crate::parts::Parts;
use crate::serializer::Reader;

/// The `Deserializer` of a whole payload.
pub(crate) struct Received<'de, R> {
    pub(crate) parts: Parts<&'de [u8]>,
    pub(crate) args: ArgsDe<R>,
    pub(crate) kwargs: KwargsDe<R>,
    /// Serde calls both tuples and arrays "tuple".
    pub(crate) tuple: bool,
}

/// `ArgsKwargs`.
struct Both<R>(Option<ArgsDe<R>>, Option<KwargsDe<R>>);

impl<'de, R: Reader<'de>> SeqAccess<'de> for Both<R> {
    type Error = PayloadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, PayloadError> {
        match (self.0.take(), self.1.is_some()) {
            (Some(args), _) => seed.deserialize(args).map(Some),
            (None, true) => self.1.take().map(|kwargs| seed.deserialize(kwargs)).transpose(),
            (None, false) => Ok(None),
        }
    }
}

macro_rules! only {
    ($($method:ident($($name:ident: $kind:ty),*);)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $kind,)* visitor: V) -> Result<V::Value, PayloadError> {
            self.args.only(|de| de.$method($($name,)* visitor))
        })*
    };
}

impl<'de, R: Reader<'de>> Deserializer<'de> for Received<'de, R> {
    type Error = PayloadError;

    only! {
        deserialize_any(); deserialize_bool();
        deserialize_i8(); deserialize_i16(); deserialize_i32(); deserialize_i64(); deserialize_i128();
        deserialize_u8(); deserialize_u16(); deserialize_u32(); deserialize_u64(); deserialize_u128();
        deserialize_f32(); deserialize_f64(); deserialize_char(); deserialize_str(); deserialize_string();
        deserialize_bytes(); deserialize_byte_buf(); deserialize_seq(); deserialize_identifier();
        deserialize_unit_struct(name: &'static str);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        self.args.unit(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        let nothing = self.args.is_empty()? && self.kwargs.is_empty()?;
        if nothing || self.args.is_one_null()? { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        match name {
            KWARGS if self.args.is_empty()? => visitor.visit_newtype_struct(self.kwargs),
            KWARGS => Err(wrong_count(0, self.args.count()?)),
            VALUE => self.args.only(|de| visitor.visit_newtype_struct(de)),
            _ => self.args.only(|de| de.deserialize_newtype_struct(name, visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, PayloadError> {
        if self.tuple {
            self.args.list(Some(len), visitor)
        } else {
            self.args.only(|de| de.deserialize_tuple(len, visitor))
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        match name {
            PAYLOAD => visitor.visit_seq(Fields { parts: self.parts, next: 0 }),
            ARGS_KWARGS => visitor.visit_seq(Both(Some(self.args), Some(self.kwargs))),
            _ => self.args.only(|de| de.deserialize_tuple_struct(name, len, visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        if self.args.is_empty()? {
            self.kwargs.deserialize_map(visitor)
        } else {
            self.args.only(|de| de.deserialize_map(visitor))
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        if self.args.is_empty()? {
            self.kwargs.deserialize_struct(name, fields, visitor)
        } else {
            self.args.only(|de| de.deserialize_struct(name, fields, visitor))
        }
    }
}
