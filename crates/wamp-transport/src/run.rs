//! Messages that arrived together.

use std::ops::Range;

use bytes::Bytes;

/// The length before each message.
const PREFIX: usize = 4;

/// Whole messages that arrived together, in their read buffer: each behind its length in 4 bytes, the most
/// significant first, as [`Batch`](crate::Batch) writes them. Bytes of any other form are not returned.
///
/// ```
/// use wamp_transport::Run;
///
/// let run = Run::new(b"\0\0\0\x03[1]\0\0\0\x03[2]"[..].into());
/// let messages: Vec<_> = run.messages().map(|range| &run.buffer()[range]).collect();
/// assert_eq!(messages, [b"[1]", b"[2]"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    bytes: Bytes,
}

impl Run {
    /// Messages, each behind its length.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// The whole buffer.
    pub fn buffer(&self) -> &Bytes {
        &self.bytes
    }

    /// The position of each message in the buffer.
    pub fn messages(&self) -> impl Iterator<Item = Range<usize>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let prefix = self.bytes.get(at..)?.first_chunk::<PREFIX>()?;
            let start = at + PREFIX;
            let end = start + u32::from_be_bytes(*prefix) as usize;
            at = end;
            (end <= self.bytes.len()).then_some(start..end)
        })
    }
}
