//! Payloads that are opaque to routers, at this end.

use bytes::Bytes;
use serde::Serialize;
use wamp_proto::message::{Ppt, PptForm};
use wamp_proto::{EncodeError, Payload, Serializer};

/// The payload with these bytes, in the form that the options have.
pub(crate) fn write(serializer: Serializer, ppt: &Ppt, bytes: &[u8]) -> Result<Payload, EncodeError> {
    match ppt.form() {
        Some(PptForm::Transparency) => Ok(Payload::from_binary(serializer, bytes)),
        _ => Payload::new(serializer, &(Binary(bytes),)),
    }
}

/// Bytes that are serialized as binary.
struct Binary<'a>(&'a [u8]);

impl Serialize for Binary<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// The options of a payload and its bytes: those in the place of the arguments, or those of the only argument.
pub(crate) fn read<'a>(ppt: Option<&'a Ppt>, payload: &Payload) -> Option<(&'a Ppt, Bytes)> {
    let ppt = ppt?;
    let bytes = match ppt.form()? {
        PptForm::Transparency => payload.as_binary()?,
        _ => payload.args::<(Bytes,)>().ok()?.0,
    };
    Some((ppt, bytes))
}
