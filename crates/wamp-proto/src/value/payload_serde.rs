//! Passing a ready payload through serde, which knows only values: as a tuple struct of its [`Parts`], with a
//! name that our (de)serializer recognizes. A serializer of another crate writes these parts.

use std::fmt;

use serde::de::value::BytesDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde::ser::{Impossible, Serialize, SerializeTupleStruct, Serializer};

use super::PAYLOAD;
use super::key::{refuse, refuse_compounds};
use crate::error::{EncodeError, PayloadError};
use crate::parts::Parts;

/// Serde itself has no type that is serialized as binary.
pub(crate) struct Binary<'a>(pub(crate) &'a [u8]);

impl Serialize for Binary<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<B: AsRef<[u8]>> Serialize for Parts<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_tuple_struct(PAYLOAD, 4)?;
        fields.serialize_field(&number(self.serializer))?;
        fields.serialize_field(&u64::from(self.elements))?;
        fields.serialize_field(&(self.kwargs_at as u64))?;
        fields.serialize_field(&Binary(self.bytes.as_ref()))?;
        fields.end()
    }
}

/// The number of a serializer in RawSocket; 0 for none.
fn number(serializer: Option<crate::Serializer>) -> u64 {
    serializer.map_or(0, |serializer| serializer.rawsocket_id().into())
}

impl Parts<Vec<u8>> {
    /// Sets one of the first three fields. A number out of range fails in [`Parts::checked`].
    fn set(&mut self, field: usize, value: u64) {
        match field {
            1 => self.serializer = u8::try_from(value).ok().and_then(crate::Serializer::from_rawsocket_id),
            2 => self.elements = u8::try_from(value).unwrap_or(u8::MAX),
            _ => self.kwargs_at = usize::try_from(value).unwrap_or(usize::MAX),
        }
    }
}

/// Accepts the fields that are serialized above.
pub(crate) struct Capture<'a> {
    pub(crate) parts: &'a mut Parts<Vec<u8>>,
    pub(crate) field: usize,
}

impl Serializer for Capture<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_u64(self, value: u64) -> Result<(), EncodeError> {
        self.parts.set(self.field, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        self.parts.bytes = value.to_vec();
        Ok(())
    }

    refuse! {
        no_part;
        serialize_bool(bool), "boolean";
        serialize_i8(i8), "integer"; serialize_i16(i16), "integer";
        serialize_i32(i32), "integer"; serialize_i64(i64), "integer";
        serialize_u8(u8), "integer"; serialize_u16(u16), "integer"; serialize_u32(u32), "integer";
        serialize_f32(f32), "float"; serialize_f64(f64), "float";
        serialize_char(char), "string"; serialize_str(&str), "string";
        serialize_unit_variant(&'static str, u32, &'static str), "string";
    }
    refuse_compounds!(no_part);

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _value: &T,
    ) -> Result<(), EncodeError> {
        Err(no_part("newtype struct"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _value: &T) -> Result<(), EncodeError> {
        Err(no_part("option"))
    }
}

fn no_part(kind: &str) -> EncodeError {
    EncodeError::Custom(format!("expected a part of a payload, found {kind}"))
}

impl<'de> Deserialize<'de> for Parts<Vec<u8>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple_struct(PAYLOAD, 4, PartsVisitor)
    }
}

struct PartsVisitor;

impl<'de> Visitor<'de> for PartsVisitor {
    type Value = Parts<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parts of a payload")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Parts<Vec<u8>>, S::Error> {
        fn part<'de, T: Deserialize<'de>, S: SeqAccess<'de>>(seq: &mut S) -> Result<T, S::Error> {
            seq.next_element()?.ok_or_else(|| de::Error::invalid_length(4, &PartsVisitor))
        }
        let mut parts = Parts::default();
        for field in 1..=3 {
            parts.set(field, part(&mut seq)?);
        }
        parts.bytes = part::<OwnedBinary, S>(&mut seq)?.0;
        // They may come from any source.
        let parts = parts.checked().filter(Parts::is_well_formed);
        parts.ok_or_else(|| de::Error::custom("these are not the parts of a payload"))
    }
}

struct OwnedBinary(Vec<u8>);

impl<'de> Deserialize<'de> for OwnedBinary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BinaryVisitor;

        impl<'de> Visitor<'de> for BinaryVisitor {
            type Value = OwnedBinary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("binary")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<OwnedBinary, E> {
                Ok(OwnedBinary(bytes.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<OwnedBinary, E> {
                Ok(OwnedBinary(bytes))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<OwnedBinary, S::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(OwnedBinary(bytes))
            }
        }

        deserializer.deserialize_byte_buf(BinaryVisitor)
    }
}

/// The parts of a payload, for the visitor above.
pub(crate) struct Fields<'a> {
    pub(crate) parts: Parts<&'a [u8]>,
    pub(crate) next: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_> {
    type Error = PayloadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, PayloadError> {
        self.next += 1;
        let number = match self.next {
            1 => number(self.parts.serializer),
            2 => self.parts.elements.into(),
            3 => self.parts.kwargs_at as u64,
            4 => return seed.deserialize(BytesDeserializer::new(self.parts.bytes)).map(Some),
            _ => return Ok(None),
        };
        seed.deserialize(number.into_deserializer()).map(Some)
    }
}
