//! CREDIT, an extension of this implementation: how much more a stream of results or chunks may bring.
//!
//! It is sent only to a peer that announced `_progress_credit` in the features of one of its roles (see
//! [`Features::credit`](crate::Features::credit)), with a code of the range that the specification keeps for
//! extensions.

use super::define::{message, options};
use super::wire::{Source, Wire, read_integer};
use crate::error::{EncodeError, Fault};
use crate::id::{MAX_ID, RequestId};
use crate::serializer::{Format, Reader};

options! {
    /// `CREDIT.Options`.
    pub struct CreditOptions {
        /// The stream is one of chunks, and not one of results. The two ends of a link count their calls and
        /// their invocations apart, so an id alone does not say it.
        chunks: Option<bool> = "chunks",
    }
}

/// Octets since the beginning of a stream, 0 to 2^53; `None` where the peer wrote something else, which grants
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Total(pub Option<u64>);

impl Wire for Total {
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        let before = source.reader.clone();
        match read_integer(source, "integer between 0 and 2^53") {
            Ok(total) => Ok(Total(Some(total).filter(|total| *total <= MAX_ID))),
            Err(Fault::Expected { .. }) => {
                source.reader = before;
                source.reader.skip()?;
                Ok(Total(None))
            }
            Err(fault) => Err(fault),
        }
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self.0 {
            Some(total) => F::unsigned(out, total),
            None => F::null(out),
        }
        Ok(())
    }
}

message! {
    /// `[CREDIT, CALL.Request|id, Options|dict, Total|integer]` between caller and dealer,
    /// `[CREDIT, INVOCATION.Request|id, Options|dict, Total|integer]` between dealer and callee: from the
    /// receiver of a stream to its sender.
    pub struct Credit = 256 "CREDIT" {
        /// The call, or the invocation.
        request: RequestId = "Request",
        /// Which stream of it.
        options: CreditOptions = "Options",
        /// What the stream may bring, from its beginning.
        total: Total = "Total",
    }
}
