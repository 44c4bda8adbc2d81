//! The results of handlers, as they are sent.

use serde::Serialize;
use wamp_core::Failure as Error;
use wamp_proto::{EncodeError, Payload, Serializer, uri};

use crate::arguments::sentence;
use crate::callee::failure::Failure;

/// The result of a handler, as it is sent.
pub(crate) fn encode<T: Serialize>(
    result: Result<T, Failure>,
    serializer: Serializer,
) -> Result<Payload, Error> {
    let value = result.map_err(|failure| failure.into_error(serializer))?;
    write(&value, serializer)
}

/// A result, as it is sent.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T, serializer: Serializer) -> Result<Payload, Error> {
    // A payload made by the application may be in another serializer.
    Payload::new(serializer, value)
        .and_then(|payload| payload.transcode(serializer))
        .map_err(|error| unwritable(serializer, &error))
}

/// The failure for a result that cannot be written.
pub(crate) fn unwritable(serializer: Serializer, error: &EncodeError) -> Error {
    let text = format!("the result cannot be written: {error}");
    Error { error: uri::INVALID_ARGUMENT, payload: sentence(serializer, &text) }
}
