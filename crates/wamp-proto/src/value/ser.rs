//! Writing one value in any format.

use std::marker::PhantomData;

use serde::ser::{self, Serialize, Serializer};

use super::key::KeySer;
use super::{ARGS_KWARGS, PAYLOAD};
use crate::error::EncodeError;
use crate::serializer::{Format, Mark};

/// The nesting depth of messages that are written: the message itself, its list of arguments, and their
/// contents. It is the default limit of peers.
pub(crate) const DEPTH: usize = 64;

/// The `Serializer` of one value, appended to `out`.
pub(crate) struct Ser<'a, F> {
    out: &'a mut Vec<u8>,
    depth: usize,
    format: PhantomData<F>,
}

impl<'a, F: Format> Ser<'a, F> {
    /// For the list of positional or the dict of keyword arguments.
    pub(crate) fn of_arguments(out: &'a mut Vec<u8>) -> Self {
        Ser { out, depth: DEPTH - 1, format: PhantomData }
    }

    /// For one argument or keyword.
    pub(crate) fn of_argument(out: &'a mut Vec<u8>) -> Self {
        Ser { out, depth: DEPTH - 2, format: PhantomData }
    }

    fn list(self, len: Option<usize>) -> Result<Compound<'a, F>, EncodeError> {
        let depth = self.depth.checked_sub(1).ok_or(EncodeError::TooDeep(DEPTH))?;
        let mark = F::begin_list(self.out, len);
        Ok(Compound {
            out: self.out,
            depth,
            mark,
            dict: false,
            variant: None,
            only: None,
            format: PhantomData,
        })
    }

    fn dict(self, len: Option<usize>) -> Result<Compound<'a, F>, EncodeError> {
        let depth = self.depth.checked_sub(1).ok_or(EncodeError::TooDeep(DEPTH))?;
        let mark = F::begin_dict(self.out, len);
        Ok(Compound {
            out: self.out,
            depth,
            mark,
            dict: true,
            variant: None,
            only: None,
            format: PhantomData,
        })
    }

    /// Begins the dict `{variant: …}`; the value follows.
    fn variant(self, variant: &str) -> Result<(Self, Mark), EncodeError> {
        let depth = self.depth.checked_sub(1).ok_or(EncodeError::TooDeep(DEPTH))?;
        let mut mark = F::begin_dict(self.out, Some(1));
        F::entry(self.out, &mut mark);
        F::text(self.out, variant)?;
        F::colon(self.out);
        Ok((Ser { out: self.out, depth, format: PhantomData }, mark))
    }
}

macro_rules! integers {
    ($($method:ident $kind:ty, $write:ident;)*) => {
        $(fn $method(self, value: $kind) -> Result<(), EncodeError> {
            F::$write(self.out, value.into());
            Ok(())
        })*
    };
}

impl<'a, F: Format> Serializer for Ser<'a, F> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Compound<'a, F>;
    type SerializeTuple = Compound<'a, F>;
    type SerializeTupleStruct = Compound<'a, F>;
    type SerializeTupleVariant = Compound<'a, F>;
    type SerializeMap = Compound<'a, F>;
    type SerializeStruct = Compound<'a, F>;
    type SerializeStructVariant = Compound<'a, F>;

    integers! {
        serialize_bool bool, bool;
        serialize_i8 i8, signed; serialize_i16 i16, signed; serialize_i32 i32, signed; serialize_i64 i64, signed;
        serialize_u8 u8, unsigned; serialize_u16 u16, unsigned; serialize_u32 u32, unsigned;
        serialize_u64 u64, unsigned;
    }

    fn serialize_i128(self, value: i128) -> Result<(), EncodeError> {
        match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => F::unsigned(self.out, value),
            (_, Ok(value)) => F::signed(self.out, value),
            _ => return Err(EncodeError::Integer(value.to_string())),
        }
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), EncodeError> {
        F::unsigned(self.out, u64::try_from(value).map_err(|_| EncodeError::Integer(value.to_string()))?);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), EncodeError> {
        F::float(self.out, value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), EncodeError> {
        F::float(self.out, value)
    }

    fn serialize_char(self, value: char) -> Result<(), EncodeError> {
        F::text(self.out, value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), EncodeError> {
        F::text(self.out, value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        F::binary(self.out, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        F::null(self.out);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), EncodeError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        F::text(self.out, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        let (ser, mark) = self.variant(variant)?;
        let Ser { out, depth, format } = ser;
        value.serialize(Ser { out: &mut *out, depth, format })?;
        F::end_dict(out, mark);
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'a, F>, EncodeError> {
        self.list(len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'a, F>, EncodeError> {
        self.list(Some(len))
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Compound<'a, F>, EncodeError> {
        if name == PAYLOAD || name == ARGS_KWARGS {
            let text = "a Payload or ArgsKwargs is all arguments, and cannot be part of a value";
            return Err(EncodeError::Custom(text.to_owned()));
        }
        self.list(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a, F>, EncodeError> {
        let (ser, mark) = self.variant(variant)?;
        Ok(Compound { variant: Some(mark), ..ser.list(Some(len))? })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'a, F>, EncodeError> {
        self.dict(len)
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Compound<'a, F>, EncodeError> {
        self.dict(Some(len))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a, F>, EncodeError> {
        let (ser, mark) = self.variant(variant)?;
        Ok(Compound { variant: Some(mark), ..ser.dict(Some(len))? })
    }
}

/// A list or dict being written.
pub(crate) struct Compound<'a, F> {
    out: &'a mut Vec<u8>,
    depth: usize,
    mark: Mark,
    dict: bool,
    /// The dict `{variant: …}` around it.
    variant: Option<Mark>,
    /// The list of arguments around it, whose only argument it is.
    only: Option<Mark>,
    format: PhantomData<F>,
}

impl<F: Format> Compound<'_, F> {
    pub(super) fn only_argument(self, list: Mark) -> Self {
        Compound { only: Some(list), ..self }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.serialize(Ser::<F> { out: self.out, depth: self.depth, format: PhantomData })
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        F::element(self.out, &mut self.mark);
        self.value(value)
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), EncodeError> {
        F::entry(self.out, &mut self.mark);
        F::text(self.out, key)?;
        F::colon(self.out);
        self.value(value)
    }

    fn finish(self) -> Result<(), EncodeError> {
        if self.dict {
            F::end_dict(self.out, self.mark)
        } else {
            F::end_list(self.out, self.mark)
        }
        if let Some(variant) = self.variant {
            F::end_dict(self.out, variant);
        }
        if let Some(only) = self.only {
            F::end_list(self.out, only);
        }
        Ok(())
    }
}

macro_rules! compound {
    ($($kind:ident $method:ident($($key:ident)?) $write:ident;)*) => {
        $(impl<F: Format> ser::$kind for Compound<'_, F> {
            type Ok = ();
            type Error = EncodeError;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<(), EncodeError> {
                self.$write($($key,)? value)
            }

            fn end(self) -> Result<(), EncodeError> {
                self.finish()
            }
        })*
    };
}
compound! {
    SerializeSeq serialize_element() element;
    SerializeTuple serialize_element() element;
    SerializeTupleStruct serialize_field() element;
    SerializeTupleVariant serialize_field() element;
    SerializeStruct serialize_field(key) field;
    SerializeStructVariant serialize_field(key) field;
}

impl<F: Format> ser::SerializeMap for Compound<'_, F> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        F::entry(self.out, &mut self.mark);
        key.serialize(KeySer::<F> { out: self.out, format: PhantomData })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        F::colon(self.out);
        self.value(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}
