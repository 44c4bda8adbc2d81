//! Failures of a procedure.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use wamp_core::Failure as CoreFailure;
use wamp_proto::{Payload, PayloadError, Serializer, Uri, uri};

use crate::arguments::{Body, sentence};
use crate::error::{CallError, ChunkError, SendError};

/// The reason why a procedure has no result: a URI, and arguments with details.
///
/// `?` makes it from every error that is `Send` and `Sync`: those of [`std::error::Error`], boxed ones, those of `anyhow` and
/// `eyre`, and texts (`Err("no such row".into())`).
///
/// | error | becomes |
/// |---|---|
/// | [`CallError`] with a [URI](CallError::uri), of a call that the handler made | the same URI and arguments |
/// | [`PayloadError`]: the arguments do not fit | `wamp.error.invalid_argument` |
/// | [`ChunkError`] | `wamp.error.invalid_argument` or `wamp.error.canceled` |
/// | [`SendError`] | `wamp.error.canceled`, or why the value cannot be sent |
/// | any other | `wamp.error.runtime_error` |
///
/// All but the first have the error's text as their argument.
///
/// # Errors of your own
///
/// Errors that callers have to tell apart get URIs of their own. Without a type:
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
/// With a type, as an enum of `thiserror`: a method gives each variant its URI, and
/// [`typed(handler, method)`](crate::typed) makes a handler of a function that returns this type. `?` alone would make
/// `wamp.error.runtime_error` of it, since no type can replace the conversion from every error. In a handler with another
/// error, `map_err(BankError::failure)?` does the same.
///
/// A [`CallError`] inside an `anyhow::Error` is a text like every other one: take it out
/// (`error.downcast::<CallError>()?`) where its URI matters.
///
/// `Failure` does not implement [`std::error::Error`], which would rule out the conversion from every error.
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
    /// Creates a failure with this URI and no arguments.
    pub fn new(error: impl Into<Uri>) -> Self {
        let body = Body::new(Serializer::ALL.first().copied());
        Self { inner: Box::new(Inner { error: error.into(), body }) }
    }

    /// Creates a failure with this URI and the error's text as its argument.
    ///
    /// ```
    /// # use wamp_client::Failure;
    /// # let read = std::fs::read("/no/such/file");
    /// let content = read.map_err(|error| Failure::from_error("com.example.error.no_file", &error));
    /// # assert!(content.is_err());
    /// ```
    pub fn from_error(uri: impl Into<Uri>, error: &(impl Error + ?Sized)) -> Self {
        Self::text(uri.into(), &error.to_string())
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

    /// Sets all arguments to a ready payload. It excludes the other ways to set them.
    pub fn payload(mut self, payload: Payload) -> Self {
        self.inner.body.payload(payload);
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
    pub(crate) fn into_error(self, serializer: Serializer) -> CoreFailure {
        let Inner { error, body } = *self.inner;
        let payload = body.finish(serializer).unwrap_or_else(|fault| {
            sentence(serializer, &format!("the arguments of this error cannot be written: {fault}"))
        });
        CoreFailure { error, payload }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let uri = if let Some(call) = error.downcast_ref::<CallError>() {
            match (call.uri(), call.payload()) {
                (Some(uri), Some(payload)) => return Self::new(uri.clone()).payload(payload.clone()),
                _ => uri::RUNTIME_ERROR,
            }
        } else if error.is::<PayloadError>() {
            uri::INVALID_ARGUMENT
        } else if let Some(chunk) = error.downcast_ref::<ChunkError>() {
            match chunk {
                ChunkError::Decode(_) => uri::INVALID_ARGUMENT,
                ChunkError::Canceled(_) => uri::CANCELED,
            }
        } else if let Some(send) = error.downcast_ref::<SendError>() {
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
