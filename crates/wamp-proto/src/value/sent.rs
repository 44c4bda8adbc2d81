//! The first half of the rule: from a value to arguments.
//!
//! `()` is no arguments and a tuple is the list of them. [`Kwargs`](super::Kwargs),
//! [`ArgsKwargs`](super::ArgsKwargs), [`Value`](super::Value) and [`Payload`](crate::Payload) decide for
//! themselves. `Some(t)` is sent like `t`, as `Option` is read. Everything else is one argument.

use std::marker::PhantomData;

use serde::ser::{Serialize, SerializeTupleStruct, Serializer};

use super::raw::{Binary, Capture, RawPayload};
use super::ser::{Compound, Ser};
use super::{ARGS_KWARGS, KWARGS, PAYLOAD, is_tuple};
use crate::error::{EncodeError, Fault};
use crate::serializer::{Format, Mark, Reader, Token, with_format};

/// A payload being written.
pub(crate) struct Draft {
    pub(crate) serializer: crate::Serializer,
    pub(crate) out: Vec<u8>,
    pub(crate) elements: u8,
    pub(crate) kwargs_at: usize,
}

impl Draft {
    pub(crate) fn new(serializer: crate::Serializer) -> Self {
        Draft { serializer, out: Vec::new(), elements: 0, kwargs_at: 0 }
    }

    /// Writes the arguments that a value stands for into `out`, which is empty.
    pub(crate) fn write<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let tuple = is_tuple::<T>();
        with_format!(self.serializer, F => {
            value.serialize(Sent::<F> { draft: self, tuple, format: PhantomData })
        })
    }

    /// Ends the list of arguments in `out`; a dict of keywords follows.
    pub(crate) fn begin_kwargs(&mut self) {
        self.out.extend_from_slice(self.serializer.separator());
        self.kwargs_at = self.out.len();
    }

    /// Ends `out`, which holds both. Empty ones need not be sent.
    fn end_kwargs<F: Format>(&mut self) -> Result<(), EncodeError> {
        let args_end = self.kwargs_at - self.serializer.separator().len();
        let some_args = match any::<F>(&self.out[..args_end])? {
            (Token::List(_), some) => some,
            (other, _) => return Err(not("positional arguments must be a tuple or a list", other.kind())),
        };
        let some_kwargs = match any::<F>(&self.out[self.kwargs_at..])? {
            (Token::Dict(_) | Token::Null, some) => some,
            (other, _) => return Err(not("keyword arguments must be a struct or a map", other.kind())),
        };
        self.elements = if some_kwargs { 2 } else { u8::from(some_args) };
        if !some_kwargs {
            self.out.truncate(if some_args { args_end } else { 0 });
            self.kwargs_at = 0;
        }
        Ok(())
    }
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
pub(crate) struct Sent<'a, F> {
    pub(crate) draft: &'a mut Draft,
    /// Serde calls both tuples and arrays "tuple".
    pub(crate) tuple: bool,
    pub(crate) format: PhantomData<F>,
}

impl<'a, F: Format> Sent<'a, F> {
    /// Begins the list of one argument, which follows.
    fn begin_only(self) -> (Ser<'a, F>, Mark) {
        self.draft.elements = 1;
        let out = &mut self.draft.out;
        let mut only = F::begin_list(out, Some(1));
        F::element(out, &mut only);
        (Ser::of_argument(out), only)
    }

    fn only<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        let draft = self.draft;
        let (ser, only) = Sent::<F> { draft: &mut *draft, tuple: false, format: PhantomData }.begin_only();
        value.serialize(ser)?;
        F::end_list(&mut draft.out, only);
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
            let draft = self.draft;
            let list = F::begin_list(&mut draft.out, Some(0));
            F::end_list(&mut draft.out, list);
            draft.begin_kwargs();
            value.serialize(Ser::<F>::of_arguments(&mut draft.out))?;
            return draft.end_kwargs::<F>();
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
        let draft = self.draft;
        let (ser, only) = Sent::<F> { draft: &mut *draft, tuple: false, format: PhantomData }.begin_only();
        ser.serialize_newtype_variant(name, index, variant, value)?;
        F::end_list(&mut draft.out, only);
        Ok(())
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'a, F>, EncodeError> {
        if self.tuple {
            self.draft.elements = 1;
            return Ser::of_arguments(&mut self.draft.out).serialize_tuple(len);
        }
        let (ser, only) = self.begin_only();
        Ok(ser.serialize_tuple(len)?.only_argument(only))
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<SentTuple<'a, F>, EncodeError> {
        match name {
            PAYLOAD => Ok(SentTuple::Payload { draft: self.draft, raw: RawPayload::default(), field: 0 }),
            ARGS_KWARGS => Ok(SentTuple::ArgsKwargs { draft: self.draft, field: 0 }),
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
pub(crate) enum SentTuple<'a, F> {
    Struct(Compound<'a, F>),
    ArgsKwargs { draft: &'a mut Draft, field: usize },
    Payload { draft: &'a mut Draft, raw: RawPayload, field: usize },
}

impl<F: Format> SerializeTupleStruct for SentTuple<'_, F> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        match self {
            SentTuple::Struct(compound) => SerializeTupleStruct::serialize_field(compound, value),
            SentTuple::ArgsKwargs { draft, field: field @ 0 } => {
                *field = 1;
                value.serialize(Ser::<F>::of_arguments(&mut draft.out))?;
                // `()` is the empty list here too.
                if F::reader(&draft.out, 1)?.null()? {
                    draft.out.clear();
                    let list = F::begin_list(&mut draft.out, Some(0));
                    F::end_list(&mut draft.out, list);
                }
                draft.begin_kwargs();
                Ok(())
            }
            SentTuple::ArgsKwargs { draft, .. } => {
                value.serialize(Ser::<F>::of_arguments(&mut draft.out))?;
                draft.end_kwargs::<F>()
            }
            SentTuple::Payload { raw, field, .. } => {
                *field += 1;
                value.serialize(Capture { raw, field: *field })
            }
        }
    }

    fn end(self) -> Result<(), EncodeError> {
        match self {
            SentTuple::Struct(compound) => SerializeTupleStruct::end(compound),
            SentTuple::ArgsKwargs { .. } => Ok(()),
            SentTuple::Payload { draft, raw, .. } => {
                let payload = raw.into_payload().ok_or_else(|| not("a payload", "something else"))?;
                let payload = payload.transcode(draft.serializer)?;
                draft.elements = payload.elements();
                draft.kwargs_at = payload.kwargs_at();
                draft.out = payload.into_tail().into();
                Ok(())
            }
        }
    }
}
