//! Dict keys, which are always written as strings.

use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;

use serde::de::{self, DeserializeSeed, EnumAccess, Unexpected, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde::ser::{Impossible, Serialize, Serializer};

use crate::error::{EncodeError, PayloadError};
use crate::serializer::Format;

/// Writes a key. Integers, booleans and characters become their text; other types are refused.
pub(crate) struct KeySer<'a, F> {
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) format: PhantomData<F>,
}

impl<F: Format> KeySer<'_, F> {
    fn display(self, value: impl Display) -> Result<(), EncodeError> {
        F::text(self.out, &value.to_string())
    }
}

/// Serde methods that all fail, for a `Serializer` of few types.
macro_rules! refuse {
    ($error:expr; $($method:ident($($argument:ty),*) $(-> $ok:ty)?, $kind:literal;)*) => {
        $(refuse!(@ $error, $kind, $method, [$($argument),*], $($ok)?);)*
    };
    (@ $error:expr, $kind:literal, $method:ident, [$($argument:ty),*], $ok:ty) => {
        fn $method(self, $(_: $argument),*) -> Result<$ok, EncodeError> { Err($error($kind)) }
    };
    (@ $error:expr, $kind:literal, $method:ident, [$($argument:ty),*],) => {
        fn $method(self, $(_: $argument),*) -> Result<Self::Ok, EncodeError> { Err($error($kind)) }
    };
}
pub(crate) use refuse;

/// `refuse!` for all compound types.
macro_rules! refuse_compounds {
    ($error:expr) => {
        type SerializeSeq = Impossible<Self::Ok, EncodeError>;
        type SerializeTuple = Impossible<Self::Ok, EncodeError>;
        type SerializeTupleStruct = Impossible<Self::Ok, EncodeError>;
        type SerializeTupleVariant = Impossible<Self::Ok, EncodeError>;
        type SerializeMap = Impossible<Self::Ok, EncodeError>;
        type SerializeStruct = Impossible<Self::Ok, EncodeError>;
        type SerializeStructVariant = Impossible<Self::Ok, EncodeError>;

        refuse! {
            $error;
            serialize_none(), "null";
            serialize_unit(), "null";
            serialize_unit_struct(&'static str), "null";
            serialize_seq(Option<usize>) -> Self::SerializeSeq, "list";
            serialize_tuple(usize) -> Self::SerializeTuple, "list";
            serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct, "list";
            serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant, "dict";
            serialize_map(Option<usize>) -> Self::SerializeMap, "dict";
            serialize_struct(&'static str, usize) -> Self::SerializeStruct, "dict";
            serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant, "dict";
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<Self::Ok, EncodeError> {
            Err($error("dict"))
        }
    };
}
pub(crate) use refuse_compounds;

macro_rules! display {
    ($($method:ident $kind:ty;)*) => {
        $(fn $method(self, value: $kind) -> Result<(), EncodeError> { self.display(value) })*
    };
}

impl<F: Format> Serializer for KeySer<'_, F> {
    type Ok = ();
    type Error = EncodeError;

    display! {
        serialize_bool bool;
        serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64; serialize_u128 u128;
        serialize_char char;
    }

    fn serialize_str(self, value: &str) -> Result<(), EncodeError> {
        F::text(self.out, value)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        F::text(self.out, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    refuse! {
        EncodeError::Key;
        serialize_f32(f32), "float";
        serialize_f64(f64), "float";
        serialize_bytes(&[u8]), "binary";
    }
    refuse_compounds!(EncodeError::Key);
}

/// Reads a key, or the name of an enum's variant. Integers and booleans are read from their text.
pub(crate) struct Key<'de>(pub(crate) Cow<'de, str>);

impl<'de> Key<'de> {
    fn parsed<T: std::str::FromStr>(&self, expected: &dyn de::Expected) -> Result<T, PayloadError> {
        self.0.parse().map_err(|_| de::Error::invalid_type(Unexpected::Str(&self.0), expected))
    }
}

macro_rules! parse {
    ($($method:ident $visit:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
            let value = self.parsed(&visitor)?;
            visitor.$visit(value)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Key<'de> {
    type Error = PayloadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    parse! {
        deserialize_bool visit_bool;
        deserialize_i8 visit_i64; deserialize_i16 visit_i64; deserialize_i32 visit_i64;
        deserialize_i64 visit_i64; deserialize_i128 visit_i128;
        deserialize_u8 visit_u64; deserialize_u16 visit_u64; deserialize_u32 visit_u64;
        deserialize_u64 visit_u64; deserialize_u128 visit_u128;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Key<'de> {
    type Error = PayloadError;
    type Variant = UnitOnly;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, UnitOnly), PayloadError> {
        Ok((seed.deserialize(self)?, UnitOnly))
    }
}

/// The variant of an enum that was written as its name alone.
pub(crate) struct UnitOnly;

impl<'de> VariantAccess<'de> for UnitOnly {
    type Error = PayloadError;

    fn unit_variant(self) -> Result<(), PayloadError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, PayloadError> {
        Err(de::Error::invalid_type(Unexpected::UnitVariant, &"variant with a value"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, PayloadError> {
        Err(de::Error::invalid_type(Unexpected::UnitVariant, &"variant with a list"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, PayloadError> {
        Err(de::Error::invalid_type(Unexpected::UnitVariant, &"variant with a dict"))
    }
}
