//! Failures of a procedure.

use std::any::Any;
use std::fmt;

use serde::Serialize;
use wamp_core::Failure as Error;
use wamp_proto::{PayloadError, Serializer, Uri, uri};

use crate::arguments::{Body, sentence};
use crate::error::{ChunkError, SendError};

/// The reason why a procedure has no result: a URI, and arguments with details.
///
/// `?` makes it from every error: a [`PayloadError`] (the arguments did not fit) becomes
/// `wamp.error.invalid_argument`, a [`SendError`] becomes `wamp.error.canceled`, any other error
/// `wamp.error.runtime_error`; each with the error's text as its argument. Errors that callers have to tell
/// apart get URIs of their own:
///
/// ```
/// use wamp_client::Failure;
///
/// fn withdraw(balance: u64, amount: u64) -> Result<u64, Failure> {
///     balance.checked_sub(amount).ok_or_else(|| Failure::new("com.bank.error.no_cover").arg(amount - balance))
/// }
///
/// fn parse(text: &str) -> Result<u64, Failure> {
///     Ok(text.parse()?) // wamp.error.runtime_error
/// }
/// # assert!(withdraw(1, 2).is_err() && parse("x").is_err());
/// ```
///
/// It does not implement [`std::error::Error`], which would rule out the conversion from every error.
#[must_use]
pub struct Failure {
    /// Boxed, so that a `Result` with it is small.
    inner: Box<Inner>,
}

struct Inner {
    error: Uri,
    body: Body,
}

impl Failure {
    /// A failure with this URI and no arguments.
    pub fn new(error: impl Into<Uri>) -> Self {
        let body = Body::new(Serializer::ALL.first().copied());
        Self { inner: Box::new(Inner { error: error.into(), body }) }
    }

    /// Adds an argument.
    pub fn arg(mut self, value: impl Serialize) -> Self {
        self.inner.body.arg(&value);
        self
    }

    /// Adds a keyword argument.
    pub fn kwarg(mut self, name: &str, value: impl Serialize) -> Self {
        self.inner.body.kwarg(name, &value);
        self
    }

    /// The URI.
    pub fn uri(&self) -> &Uri {
        &self.inner.error
    }

    fn text(error: Uri, text: &str) -> Self {
        Self::new(error).arg(text)
    }

    /// The failure as it is sent. Arguments that cannot be written are replaced by a text that says so.
    pub(crate) fn into_error(self, serializer: Serializer) -> Error {
        let Inner { error, body } = *self.inner;
        let payload = body.finish(serializer).unwrap_or_else(|fault| {
            sentence(serializer, &format!("what was to be said about this cannot be written: {fault}"))
        });
        Error { error, payload }
    }
}

impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        let uri = if any.is::<PayloadError>() {
            uri::INVALID_ARGUMENT
        } else if let Some(chunk) = any.downcast_ref::<ChunkError>() {
            match chunk {
                ChunkError::Decode(_) => uri::INVALID_ARGUMENT,
                ChunkError::Canceled(_) => uri::CANCELED,
            }
        } else if let Some(send) = any.downcast_ref::<SendError>() {
            match send {
                SendError::Encode(_) => uri::INVALID_ARGUMENT,
                SendError::TooLarge(_) => uri::PAYLOAD_SIZE_EXCEEDED,
                SendError::Over => uri::CANCELED,
            }
        } else {
            uri::RUNTIME_ERROR
        };
        Self::text(uri, &error.to_string())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("error", &self.inner.error).finish_non_exhaustive()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner.error)
    }
}
