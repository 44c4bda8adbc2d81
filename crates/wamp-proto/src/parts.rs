//! The arguments of a message as bytes, in any kind of buffer.

use std::ops::Range;

use bytes::Bytes;

use crate::error::{EncodeError, Fault};
use crate::serializer::transcode::transcode;
use crate::serializer::{Format, MAX_DEPTH, Reader, Serializer, Token, with_format};

/// The nesting depth that is read. Payloads from peers were checked against the limits when they arrived.
pub(crate) const READ_DEPTH: usize = MAX_DEPTH;

/// Positional and keyword arguments in a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts<B> {
    /// `None` only if there are no bytes.
    pub(crate) serializer: Option<Serializer>,
    /// 0 for no arguments, 1 for positional arguments, 2 for positional and keyword arguments.
    pub(crate) elements: u8,
    /// As in a message: from the first byte of Arguments to the last of ArgumentsKw, with the format's
    /// separator between them.
    pub(crate) bytes: B,
    /// The position of ArgumentsKw in `bytes`, if there are any.
    pub(crate) kwargs_at: usize,
}

impl<B: AsRef<[u8]>> Parts<B> {
    /// Parts of unknown origin; `None` if they do not belong together.
    pub(crate) fn checked(self) -> Option<Self> {
        let (len, kwargs_at) = (self.bytes.as_ref().len(), self.kwargs_at);
        let together = match (self.serializer, self.elements) {
            (None, 0) => len == 0 && kwargs_at == 0,
            (Some(_), 1) => kwargs_at == 0,
            (Some(serializer), 2) => (serializer.separator().len()..=len).contains(&kwargs_at),
            _ => false,
        };
        together.then_some(self)
    }

    /// The same parts, in the same buffer.
    pub(crate) fn borrowed(&self) -> Parts<&[u8]> {
        let Self { serializer, elements, ref bytes, kwargs_at } = *self;
        Parts { serializer, elements, bytes: bytes.as_ref(), kwargs_at }
    }

    /// The list of positional arguments; empty if there is none.
    pub(crate) fn args(&self) -> &[u8] {
        self.borrowed().split().0
    }

    /// The dict of keyword arguments; empty if there is none.
    pub(crate) fn kwargs(&self) -> &[u8] {
        self.borrowed().split().1
    }

    /// Whether it is one binary, in the place of arguments.
    pub(crate) fn is_binary(&self) -> bool {
        let first = self.bytes.as_ref().first();
        self.elements == 1
            && first.is_some_and(|first| self.serializer.is_some_and(|of| of.is_binary(*first)))
    }

    /// Whether bytes of unknown origin are a list, a separator and a dict, or one binary.
    pub(crate) fn is_well_formed(&self) -> bool {
        let Some(serializer) = self.serializer else { return true };
        let (args, kwargs) = (self.args(), self.kwargs());
        let bytes = self.bytes.as_ref();
        let between = &bytes[args.len()..bytes.len() - kwargs.len()];
        let separated = between == if self.elements == 2 { serializer.separator() } else { b"" };
        if self.is_binary() {
            return with_format!(serializer, F => is_exactly::<F>(args, |token| matches!(token, Token::Binary(_))));
        }
        with_format!(serializer, F => {
            separated
                && is_exactly::<F>(args, |token| matches!(token, Token::List(_)))
                && (self.elements < 2 || is_exactly::<F>(kwargs, |token| matches!(token, Token::Dict(_))))
        })
    }

    /// Transcodes the arguments token by token; `None` if they are in this serializer already, or there are
    /// none.
    pub(crate) fn transcoded(&self, to: Serializer) -> Option<Result<Parts<Vec<u8>>, EncodeError>> {
        let from = self.serializer.filter(|from| *from != to)?;
        let mut made = Parts::begin(to, Vec::with_capacity(self.bytes.as_ref().len()));
        made.elements = self.elements;
        let copied: Result<(), EncodeError> = with_format!(from, From => with_format!(to, To => {
            copy::<From, To>(self.args(), &mut made.bytes).and_then(|()| {
                if self.elements == 2 {
                    made.begin_kwargs::<To>();
                    copy::<From, To>(self.kwargs(), &mut made.bytes)?;
                }
                Ok(())
            })
        }));
        Some(copied.map(|()| made))
    }
}

impl<'a> Parts<&'a [u8]> {
    /// The list of positional arguments and the dict of keyword arguments; empty where there is none.
    pub(crate) fn split(self) -> (&'a [u8], &'a [u8]) {
        match (self.serializer, self.elements) {
            (Some(serializer), 2) => {
                let end = self.kwargs_at - serializer.separator().len();
                (&self.bytes[..end], &self.bytes[self.kwargs_at..])
            }
            _ => (self.bytes, &[]),
        }
    }
}

impl Parts<Vec<u8>> {
    /// No arguments yet, to be written into an empty buffer. [`ended`](Self::ended) follows.
    pub(crate) const fn begin(serializer: Serializer, bytes: Vec<u8>) -> Self {
        Self { serializer: Some(serializer), elements: 0, bytes, kwargs_at: 0 }
    }

    /// Ends the list of arguments; a dict of keywords follows.
    pub(crate) fn begin_kwargs<F: Format>(&mut self) {
        self.bytes.extend_from_slice(F::SEPARATOR);
        self.kwargs_at = self.bytes.len();
    }

    /// Ends the writing: without arguments there is no serializer.
    pub(crate) fn ended(mut self) -> Self {
        if self.elements == 0 {
            self.serializer = None;
        }
        self
    }

    pub(crate) fn frozen(self) -> Parts<Bytes> {
        let Self { serializer, elements, bytes, kwargs_at } = self;
        Parts { serializer, elements, bytes: bytes.into(), kwargs_at }
    }
}

impl Parts<Bytes> {
    /// The arguments in a frame, in which a decoder has found a well-formed list and dict at these places. Copies
    /// only if more than the separator is between them.
    pub(crate) fn of_frame(
        serializer: Serializer,
        frame: &Bytes,
        args: Range<usize>,
        kwargs: Option<Range<usize>>,
    ) -> Self {
        let Some(kwargs) = kwargs else {
            return Self {
                serializer: Some(serializer),
                elements: 1,
                bytes: frame.slice(args),
                kwargs_at: 0,
            };
        };
        let separator = serializer.separator();
        let kwargs_at = args.len() + separator.len();
        let bytes = if frame.get(args.end..kwargs.start) == Some(separator) {
            frame.slice(args.start..kwargs.end)
        } else {
            [&frame[args], separator, &frame[kwargs]].concat().into()
        };
        Self { serializer: Some(serializer), elements: 2, bytes, kwargs_at }
    }
}

/// Transcodes one value.
pub(crate) fn copy<From: Format, To: Format>(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut reader = From::reader(bytes, READ_DEPTH)?;
    transcode::<_, To>(&mut reader, out)?;
    Ok(reader.finish()?)
}

/// Whether `bytes` is exactly one well-formed value of this type.
fn is_exactly<F: Format>(bytes: &[u8], kind: impl Fn(&Token<'_>) -> bool) -> bool {
    let check = || {
        let mut reader = F::reader(bytes, READ_DEPTH)?;
        let starts = reader.position() == 0 && kind(&reader.clone().value()?);
        reader.skip()?;
        Ok::<_, Fault>(starts && reader.position() == bytes.len())
    };
    check() == Ok(true)
}
