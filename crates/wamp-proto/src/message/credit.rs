//! CREDIT, an extension of this implementation: how many more bytes a stream of results or chunks may carry.
//!
//! It is sent only to a peer that announced `_progress_credit` in the features of one of its roles (see
//! [`Features::credit`](crate::Features::credit)). Its code is from the range that the specification reserves
//! for extensions.

use super::macros::{message, options};
use super::wire::{Source, Wire, read_integer};
use crate::error::{EncodeError, Fault};
use crate::id::{MAX_ID, RequestId};
use crate::serializer::{Format, Reader};

options! {
    /// `CREDIT.Options`.
    pub struct CreditOptions {
        /// Whether the stream is one of chunks rather than results. A session numbers its calls and its
        /// invocations separately, so the id alone does not tell them apart.
        chunks: Option<bool> = "chunks",
    }
}

/// A number of bytes since the beginning of a stream, from 0 to 2^53; `None` if the peer wrote anything else,
/// which grants nothing.
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
    /// `[CREDIT, CALL.Request|id, Options|dict, Total|integer]` between caller and dealer, `[CREDIT,
    /// INVOCATION.Request|id, Options|dict, Total|integer]` between dealer and callee. The receiver of a
    /// stream sends it to the stream's sender.
    pub struct Credit = 256 "CREDIT" {
        /// The id of the call or invocation.
        request: RequestId = "Request",
        /// Which stream of the call or invocation.
        options: CreditOptions = "Options",
        /// The bytes that the stream may carry in total, counted from its beginning.
        total: Total = "Total",
    }
}
