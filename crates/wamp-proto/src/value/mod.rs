//! Conversion between Rust values and arguments: one serde `Serializer` and one `Deserializer` for all formats.
//!
//! [`ser`] and [`de`] handle one value. [`payload_ser`] and [`payload_de`] tell one argument, a list of
//! arguments and keywords apart, by the outermost value. Every format writes structs as maps and has
//! `is_human_readable() == true`, so that a value means the same after transcoding.

pub(crate) mod args;
mod de;
mod error;
mod key;
pub(crate) mod kwargs;
pub(crate) mod payload_de;
pub(crate) mod payload_ser;
mod payload_serde;
pub(crate) mod ser;
mod wrap;

pub(crate) use de::De;
pub(crate) use ser::Ser;
pub(crate) use wrap::{ARGS_KWARGS, KWARGS, PAYLOAD, VALUE, is_tuple};
pub use wrap::{Args, ArgsKwargs, Kwargs, Value};
