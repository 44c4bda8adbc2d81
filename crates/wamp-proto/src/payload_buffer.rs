//! A buffer for arguments that are written again and again.

use serde::Serialize;

use crate::error::EncodeError;
use crate::payload::Payload;
use crate::serializer::Serializer;
use crate::value::sent::Draft;

/// A buffer for arguments that are written again and again, by the table at [`Payload`].
///
/// ```
/// # use wamp_proto::{Payload, PayloadBuffer, Serializer};
/// # #[cfg(feature = "json")] {
/// let mut buffer = PayloadBuffer::default();
/// for year in 2010..2013 {
///     buffer.write(Serializer::Json, &(year,))?;
///     assert_eq!(buffer.as_bytes(), format!("[{year}]").as_bytes());
/// }
/// assert_eq!(buffer.take(), Payload::new(Serializer::Json, &(2012,))?);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct PayloadBuffer {
    out: Vec<u8>,
    serializer: Option<Serializer>,
    elements: u8,
    kwargs_at: usize,
}

impl PayloadBuffer {
    /// An empty buffer without memory.
    pub const fn new() -> Self {
        Self { out: Vec::new(), serializer: None, elements: 0, kwargs_at: 0 }
    }

    /// Writes the arguments that a value stands for, replacing earlier ones.
    ///
    /// # Errors
    /// A value that the serializer cannot express. Then the buffer is empty.
    pub fn write<T: Serialize + ?Sized>(
        &mut self,
        serializer: Serializer,
        value: &T,
    ) -> Result<(), EncodeError> {
        let mut draft = Draft::new(serializer);
        // Empty until everything is written, even if the value panics.
        draft.out = std::mem::take(self).out;
        draft.out.clear();
        let written = draft.write(value);
        if written.is_err() {
            draft.out.clear();
            (draft.elements, draft.kwargs_at) = (0, 0);
        }
        *self = Self {
            out: draft.out,
            serializer: (draft.elements > 0).then_some(draft.serializer),
            elements: draft.elements,
            kwargs_at: draft.kwargs_at,
        };
        written
    }

    /// The arguments, as they are written in a message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// The serializer of the arguments: another than the one asked for if the value was a [`Payload`] in it;
    /// `None` for no arguments.
    pub fn serializer(&self) -> Option<Serializer> {
        self.serializer
    }

    /// The bytes that it can hold without another allocation.
    pub fn capacity(&self) -> usize {
        self.out.capacity()
    }

    /// Takes the arguments and their memory out.
    pub fn take(&mut self) -> Payload {
        let Self { out, serializer, elements, kwargs_at } = std::mem::take(self);
        Payload::from_parts(serializer, elements, out.into(), kwargs_at).unwrap_or_default()
    }

    pub(crate) fn elements(&self) -> u8 {
        self.elements
    }
}

#[cfg(all(test, feature = "json", feature = "cbor"))]
mod tests {
    use super::*;
    use crate::{ArgsKwargs, Kwargs, Value};

    #[test]
    fn what_is_written_is_what_a_payload_would_be() {
        let mut buffer = PayloadBuffer::default();
        for serializer in Serializer::ALL {
            let mut check = |value: &dyn Fn(&mut PayloadBuffer) -> Payload| {
                let payload = value(&mut buffer);
                assert_eq!(buffer.as_bytes(), &payload.tail()[..]);
                assert_eq!(
                    (buffer.serializer(), buffer.elements()),
                    (payload.serializer(), payload.elements())
                );
                assert_eq!(buffer.take(), payload);
                assert_eq!((buffer.as_bytes(), buffer.elements()), (&b""[..], 0));
            };
            macro_rules! same {
                ($($value:expr),* $(,)?) => {$(
                    check(&|buffer| {
                        buffer.write(*serializer, &$value).unwrap();
                        Payload::new(*serializer, &$value).unwrap()
                    });
                )*};
            }
            let kwargs = std::collections::BTreeMap::from([("a", 1)]);
            same!(
                (),
                (1, "two"),
                Value((1, 2)),
                Kwargs(&kwargs),
                ArgsKwargs((1,), &kwargs),
                "text",
                None::<u8>
            );
            same!(Payload::new(Serializer::Cbor, &(1,)).unwrap());
        }
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let mut buffer = PayloadBuffer::default();
        buffer.write(Serializer::Json, &(1,)).unwrap();
        assert!(buffer.write(Serializer::Json, &("text", f64::NAN)).is_err());
        assert_eq!((buffer.as_bytes(), buffer.elements(), buffer.serializer()), (&b""[..], 0, None));
        buffer.write(Serializer::Json, &(2,)).unwrap();
        assert_eq!(buffer.as_bytes(), b"[2]");
    }
}
