//! A buffer for arguments that are written again and again.

use serde::Serialize;

use crate::error::EncodeError;
use crate::parts::Parts;
use crate::payload::Payload;
use crate::serializer::Serializer;
use crate::value::payload_ser;

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
pub struct PayloadBuffer(Parts<Vec<u8>>);

impl PayloadBuffer {
    /// An empty buffer without memory.
    pub const fn new() -> Self {
        Self(Parts { serializer: None, elements: 0, bytes: Vec::new(), kwargs_at: 0 })
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
        // Empty until everything is written, even if the value panics.
        let mut bytes = std::mem::take(&mut self.0).bytes;
        bytes.clear();
        let mut parts = Parts::begin(serializer, bytes);
        let written = payload_ser::write(&mut parts, serializer, value);
        if written.is_err() {
            parts.bytes.clear();
            (parts.elements, parts.kwargs_at) = (0, 0);
        }
        self.0 = parts.ended();
        written
    }

    /// The arguments, as they are written in a message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Whether it is one binary in the place of the arguments.
    pub fn is_binary(&self) -> bool {
        self.0.is_binary()
    }

    /// The serializer of the arguments: another than the one asked for if the value was a [`Payload`] in it;
    /// `None` for no arguments.
    pub fn serializer(&self) -> Option<Serializer> {
        self.0.serializer
    }

    /// The bytes that it can hold without another allocation.
    pub fn capacity(&self) -> usize {
        self.0.bytes.capacity()
    }

    /// Takes the arguments and their memory out.
    pub fn take(&mut self) -> Payload {
        Payload::from_written(std::mem::take(&mut self.0))
    }

    pub(crate) fn elements(&self) -> u8 {
        self.0.elements
    }
}

#[cfg(all(test, feature = "json", feature = "cbor"))]
mod tests {
    use super::*;
    use crate::{ArgsKwargs, Kwargs, Value};

    #[test]
    fn the_buffer_has_the_same_bytes_as_a_payload() {
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
    fn a_value_that_cannot_be_written_leaves_the_buffer_empty() {
        let mut buffer = PayloadBuffer::default();
        buffer.write(Serializer::Json, &(1,)).unwrap();
        assert!(buffer.write(Serializer::Json, &("text", f64::NAN)).is_err());
        assert_eq!((buffer.as_bytes(), buffer.elements(), buffer.serializer()), (&b""[..], 0, None));
        buffer.write(Serializer::Json, &(2,)).unwrap();
        assert_eq!(buffer.as_bytes(), b"[2]");
    }
}
