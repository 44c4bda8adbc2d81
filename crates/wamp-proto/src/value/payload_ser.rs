//! The first half of the rule: from a value to arguments.
//!
//! `()` is no arguments and a tuple is the list of them. [`Kwargs`](super::Kwargs),
//! [`ArgsKwargs`](super::ArgsKwargs), [`Value`](super::Value) and [`Payload`](crate::Payload) decide for
//! themselves. `Some(t)` is sent like `t`, as `Option` is read. Everything else is one argument.

use std::marker::PhantomData;

use serde::ser::{Serialize, SerializeTupleStruct, Serializer};

use super::payload_serde::{Binary, Capture};
use super::ser::{Compound, Ser};
use super::{ARGS_KWARGS, KWARGS, PAYLOAD, is_tuple};
use crate::error::{EncodeError, Fault};
use crate::parts::Parts;
use crate::serializer::{Format, Mark, Reader, Token, with_format};

/// Writes the arguments that a value stands for into `parts`, which have just begun.
pub(crate) fn write<T: Serialize + ?Sized>(
    parts: &mut Parts<Vec<u8>>,
    serializer: crate::Serializer,
    value: &T,
) -> Result<(), EncodeError> {
    let tuple = is_tuple::<T>();
    with_format!(serializer, F => value.serialize(Sent::<F> { parts, serializer, tuple, format: PhantomData }))
}

/// Ends arguments that have both a list and a dict. Empty ones need not be sent.
fn end_kwargs<F: Format>(parts: &mut Parts<Vec<u8>>) -> Result<(), EncodeError> {
    let args_end = parts.kwargs_at - F::SEPARATOR.len();
    let some_args = match any::<F>(&parts.bytes[..args_end])? {
        (Token::List(_), some) => some,
        (other, _) => return Err(not("positional arguments must be a tuple or a list", other.kind())),
    };
    let some_kwargs = match any::<F>(&parts.bytes[parts.kwargs_at..])? {
        (Token::Dict(_) | Token::Null, some) => some,
        (other, _) => return Err(not("keyword arguments must be a struct or a map", other.kind())),
    };
    parts.elements = if some_kwargs { 2 } else { u8::from(some_args) };
    if !some_kwargs {
        parts.bytes.truncate(if some_args { args_end } else { 0 });
        parts.kwargs_at = 0;
    }
    Ok(())
}

/// The first token of a value, and whether the value is not empty.
fn any<F: Format>(bytes: &[u8]) -> Result<(Token<'_>, bool), Fault> {
    let mut reader = F::reader(bytes, 1)?;
    let token = reader.value()?;
    let some = match &token {
        Token::List(open) => reader.element(&mut open.clone())?,
        Token::Dict(open) => reader.entry(&mut open.clone())?,
        _ => false,
    };
    Ok((token, some))
}

fn not(rule: &str, found: &str) -> EncodeError {
    EncodeError::Custom(format!("{rule}, found {found}"))
}

/// The `Serializer` of sent values.
struct Sent<'a, F> {
    parts: &'a mut Parts<Vec<u8>>,
    serializer: crate::Serializer,
    /// Serde calls both tuples and arrays "tuple".
    tuple: bool,
    format: PhantomData<F>,
}

impl<'a, F: Format> Sent<'a, F> {
    /// Begins the list of one argument, which follows.
    fn begin_only(self) -> (Ser<'a, F>, Mark) {
        self.parts.elements = 1;
        let out = &mut self.parts.bytes;
        let mut only = F::begin_list(out, Some(1));
        F::element(out, &mut only);
        (Ser::of_argument(out), only)
    }

    fn only<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        let Self { parts, serializer, format, .. } = self;
        let (ser, only) = Sent { parts: &mut *parts, serializer, tuple: false, format }.begin_only();
        value.serialize(ser)?;
        F::end_list(&mut parts.bytes, only);
        Ok(())
    }
}

macro_rules! only {
    ($($method:ident $kind:ty;)*) => {
        $(fn $method(self, value: $kind) -> Result<(), EncodeError> { self.only(&value) })*
    };
}

/// Serde needs the length first; the list of the one argument is closed with the compound.
macro_rules! compounds {
    ($($method:ident($($name:ident: $kind:ty),*);)*) => {
        $(fn $method(self, $($name: $kind),*) -> Result<Compound<'a, F>, EncodeError> {
            let (ser, only) = self.begin_only();
            Ok(ser.$method($($name),*)?.only_argument(only))
        })*
    };
}

impl<'a, F: Format> Serializer for Sent<'a, F> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Compound<'a, F>;
    type SerializeTuple = Compound<'a, F>;
    type SerializeTupleStruct = SentTuple<'a, F>;
    type SerializeTupleVariant = Compound<'a, F>;
    type SerializeMap = Compound<'a, F>;
    type SerializeStruct = Compound<'a, F>;
    type SerializeStructVariant = Compound<'a, F>;

    only! {
        serialize_bool bool; serialize_char char; serialize_str &str;
        serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64; serialize_u128 u128;
        serialize_f32 f32; serialize_f64 f64;
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        self.only(&Binary(value))
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        self.only(&())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        // Not for a value that happens to be null, as `serde_json::Value` can be.
        if self.tuple { Ok(()) } else { self.only(&()) }
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), EncodeError> {
        self.only(&())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.only(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        if name == KWARGS {
            let parts = self.parts;
            let list = F::begin_list(&mut parts.bytes, Some(0));
            F::end_list(&mut parts.bytes, list);
            parts.begin_kwargs::<F>();
            value.serialize(Ser::<F>::of_arguments(&mut parts.bytes))?;
            return end_kwargs::<F>(parts);
        }
        self.only(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        let Self { parts, serializer, format, .. } = self;
        let (ser, only) = Sent { parts: &mut *parts, serializer, tuple: false, format }.begin_only();
        ser.serialize_newtype_variant(name, index, variant, value)?;
        F::end_list(&mut parts.bytes, only);
        Ok(())
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'a, F>, EncodeError> {
        if self.tuple {
            self.parts.elements = 1;
            return Ser::of_arguments(&mut self.parts.bytes).serialize_tuple(len);
        }
        let (ser, only) = self.begin_only();
        Ok(ser.serialize_tuple(len)?.only_argument(only))
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<SentTuple<'a, F>, EncodeError> {
        match name {
            PAYLOAD => Ok(SentTuple::Payload {
                parts: self.parts,
                serializer: self.serializer,
                fields: Parts::default(),
                field: 0,
            }),
            ARGS_KWARGS => Ok(SentTuple::ArgsKwargs { parts: self.parts, field: 0 }),
            _ => {
                let (ser, only) = self.begin_only();
                let compound = ser.serialize_tuple_struct(name, len)?;
                Ok(SentTuple::Struct(compound.only_argument(only)))
            }
        }
    }

    compounds! {
        serialize_seq(len: Option<usize>);
        serialize_map(len: Option<usize>);
        serialize_struct(name: &'static str, len: usize);
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize);
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize);
    }
}

/// A tuple struct, or one of the two types of this crate that serialize as one.
enum SentTuple<'a, F> {
    Struct(Compound<'a, F>),
    ArgsKwargs {
        parts: &'a mut Parts<Vec<u8>>,
        field: usize,
    },
    Payload {
        parts: &'a mut Parts<Vec<u8>>,
        serializer: crate::Serializer,
        fields: Parts<Vec<u8>>,
        field: usize,
    },
}

impl<F: Format> SerializeTupleStruct for SentTuple<'_, F> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        match self {
            SentTuple::Struct(compound) => SerializeTupleStruct::serialize_field(compound, value),
            SentTuple::ArgsKwargs { parts, field: field @ 0 } => {
                *field = 1;
                value.serialize(Ser::<F>::of_arguments(&mut parts.bytes))?;
                // `()` is the empty list here too.
                if F::reader(&parts.bytes, 1)?.null()? {
                    parts.bytes.clear();
                    let list = F::begin_list(&mut parts.bytes, Some(0));
                    F::end_list(&mut parts.bytes, list);
                }
                parts.begin_kwargs::<F>();
                Ok(())
            }
            SentTuple::ArgsKwargs { parts, .. } => {
                value.serialize(Ser::<F>::of_arguments(&mut parts.bytes))?;
                end_kwargs::<F>(parts)
            }
            SentTuple::Payload { fields, field, .. } => {
                *field += 1;
                value.serialize(Capture { parts: fields, field: *field })
            }
        }
    }

    fn end(self) -> Result<(), EncodeError> {
        match self {
            SentTuple::Struct(compound) => SerializeTupleStruct::end(compound),
            SentTuple::ArgsKwargs { .. } => Ok(()),
            SentTuple::Payload { parts, serializer, fields, .. } => {
                let fields = fields.checked().ok_or_else(|| not("a payload", "something else"))?;
                *parts = fields.transcoded(serializer).unwrap_or(Ok(fields))?;
                Ok(())
            }
        }
    }
}
