//! Building a payload argument by argument.

use std::fmt;

use serde::Serialize;

use crate::error::EncodeError;
use crate::parts::{Parts, READ_DEPTH};
use crate::payload::Payload;
use crate::serializer::{Format, Mark, Reader, Serializer, Token, with_format};
use crate::value::Args;
use crate::value::ser::Ser;

/// The memory that the positional arguments have at first, in bytes.
const FIRST: usize = 64;

/// A builder of a payload. The first error is kept until [`finish`](Arguments::finish).
///
/// ```
/// # use wamp_proto::{Arguments, Serializer};
/// # #[cfg(feature = "json")] {
/// let payload = Arguments::new(Serializer::Json).args(&(1, 2)).arg(&[3, 4]).kwarg("limit", &10).finish()?;
/// assert_eq!(payload.args_bytes(), b"[1,2,[3,4]]");
/// assert_eq!(payload.kwargs_bytes(), br#"{"limit":10}"#);
/// # }
/// # Ok::<(), wamp_proto::EncodeError>(())
/// ```
#[must_use]
pub struct Arguments {
    serializer: Serializer,
    args: Vec<u8>,
    list: Mark,
    /// The dict of keyword arguments, from the first of them on.
    keywords: Option<(Vec<u8>, Mark)>,
    error: Option<EncodeError>,
}

impl Arguments {
    /// No arguments.
    pub fn new(serializer: Serializer) -> Self {
        let mut args = Vec::with_capacity(FIRST);
        let list = with_format!(serializer, F => F::begin_list(&mut args, None));
        Arguments { serializer, args, list, keywords: None, error: None }
    }

    /// Adds one positional argument, of any type.
    pub fn arg<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.and(|this| {
            with_format!(this.serializer, F => {
                F::element(&mut this.args, &mut this.list);
                value.serialize(Ser::<F>::of_argument(&mut this.args))
            })
        })
    }

    /// Adds positional arguments: each element of a tuple or a list is one.
    pub fn args<T: Args + ?Sized>(self, values: &T) -> Self {
        self.and(|this| {
            with_format!(this.serializer, F => {
                let mut bytes = Vec::new();
                values.serialize(Ser::<F>::of_arguments(&mut bytes))?;
                let mut reader = F::reader(&bytes, READ_DEPTH)?;
                let mut open = match reader.value()? {
                    Token::List(open) => open,
                    Token::Null => return Ok(()),
                    other => return Err(not("arguments must be a tuple or a list", &other)),
                };
                while reader.element(&mut open)? {
                    let start = reader.position();
                    reader.skip()?;
                    F::element(&mut this.args, &mut this.list);
                    this.args.extend_from_slice(&bytes[start..reader.position()]);
                }
                Ok(())
            })
        })
    }

    /// Adds one keyword argument.
    pub fn kwarg<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Self {
        self.and(|this| {
            with_format!(this.serializer, F => {
                let (kwargs, dict) = this.keywords::<F>();
                F::entry(kwargs, dict);
                F::text(kwargs, name)?;
                F::colon(kwargs);
                value.serialize(Ser::<F>::of_argument(kwargs))
            })
        })
    }

    /// Adds keyword arguments: each field of a struct or entry of a map is one.
    pub fn kwargs<T: Serialize + ?Sized>(self, values: &T) -> Self {
        self.and(|this| {
            with_format!(this.serializer, F => {
                let mut bytes = Vec::new();
                values.serialize(Ser::<F>::of_arguments(&mut bytes))?;
                let mut reader = F::reader(&bytes, READ_DEPTH)?;
                let mut open = match reader.value()? {
                    Token::Dict(open) => open,
                    Token::Null => return Ok(()),
                    other => return Err(not("keyword arguments must be a struct or a map", &other)),
                };
                let (kwargs, dict) = this.keywords::<F>();
                while reader.entry(&mut open)? {
                    let start = reader.position();
                    reader.skip()?;
                    reader.colon()?;
                    reader.skip()?;
                    F::entry(kwargs, dict);
                    kwargs.extend_from_slice(&bytes[start..reader.position()]);
                }
                Ok(())
            })
        })
    }

    /// Returns the payload, or the first error.
    pub fn finish(self) -> Result<Payload, EncodeError> {
        let Arguments { serializer, args, list, keywords, error } = self;
        if let Some(error) = error {
            return Err(error);
        }
        let keywords = keywords.filter(|(_, dict)| dict.count > 0);
        let mut parts = Parts::begin(serializer, args);
        parts.elements = if keywords.is_some() { 2 } else { u8::from(list.count > 0) };
        with_format!(serializer, F => {
            F::end_list(&mut parts.bytes, list);
            if let Some((mut kwargs, dict)) = keywords {
                F::end_dict(&mut kwargs, dict);
                parts.begin_kwargs::<F>();
                parts.bytes.append(&mut kwargs);
            }
        });
        if parts.elements == 0 {
            parts.bytes.clear();
        }
        Ok(Payload::from_written(parts))
    }

    /// The dict of keyword arguments, which begins with the first of them.
    fn keywords<F: Format>(&mut self) -> (&mut Vec<u8>, &mut Mark) {
        let (kwargs, dict) = self.keywords.get_or_insert_with(|| {
            let mut kwargs = Vec::new();
            let dict = F::begin_dict(&mut kwargs, None);
            (kwargs, dict)
        });
        (kwargs, dict)
    }

    fn and(mut self, step: impl FnOnce(&mut Self) -> Result<(), EncodeError>) -> Self {
        if self.error.is_none() {
            self.error = step(&mut self).err();
        }
        self
    }
}

fn not(rule: &str, found: &Token<'_>) -> EncodeError {
    EncodeError::Custom(format!("{rule}, found {}", found.kind()))
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kwargs = self.keywords.as_ref().map_or(0, |(_, dict)| dict.count);
        let args = self.list.count;
        write!(f, "Arguments({}, {args} positional, {kwargs} keyword)", self.serializer)
    }
}
