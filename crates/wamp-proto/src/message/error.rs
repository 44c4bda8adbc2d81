//! ERROR: a request was refused or a call failed.

use super::macros::{message, options};
use super::ppt::Ppt;
use super::wire::{Source, Wire, read_integer};
use super::{pubsub, rpc};
use crate::error::{EncodeError, Fault};
use crate::id::RequestId;
use crate::serializer::{Format, Reader};
use crate::uri::Uri;

/// The kind of request that an ERROR answers (`REQUEST.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// A PUBLISH.
    Publish,
    /// A SUBSCRIBE.
    Subscribe,
    /// An UNSUBSCRIBE.
    Unsubscribe,
    /// A CALL.
    Call,
    /// A REGISTER.
    Register,
    /// An UNREGISTER.
    Unregister,
    /// An INVOCATION.
    Invocation,
}

impl RequestKind {
    const ALL: [(RequestKind, u64); 7] = [
        (RequestKind::Publish, pubsub::Publish::CODE),
        (RequestKind::Subscribe, pubsub::Subscribe::CODE),
        (RequestKind::Unsubscribe, pubsub::Unsubscribe::CODE),
        (RequestKind::Call, rpc::Call::CODE),
        (RequestKind::Register, rpc::Register::CODE),
        (RequestKind::Unregister, rpc::Unregister::CODE),
        (RequestKind::Invocation, rpc::Invocation::CODE),
    ];

    /// Returns the name of the request in the specification.
    pub fn name(self) -> &'static str {
        match self {
            RequestKind::Publish => "PUBLISH",
            RequestKind::Subscribe => "SUBSCRIBE",
            RequestKind::Unsubscribe => "UNSUBSCRIBE",
            RequestKind::Call => "CALL",
            RequestKind::Register => "REGISTER",
            RequestKind::Unregister => "UNREGISTER",
            RequestKind::Invocation => "INVOCATION",
        }
    }
}

impl Wire for RequestKind {
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        const EXPECTED: &str = "code of a request (16, 32, 34, 48, 64, 66 or 68)";
        let code = read_integer(source, EXPECTED)?;
        match Self::ALL.iter().find(|(_, c)| *c == code) {
            Some((kind, _)) => Ok(*kind),
            None => Err(Fault::Expected { expected: EXPECTED.into(), found: code.to_string().into() }),
        }
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        F::unsigned(out, Self::ALL[*self as usize].1);
        Ok(())
    }
}

options! {
    /// `ERROR.Details`.
    pub struct ErrorDetails {
        @
        /// A payload that is opaque to the router.
        ppt: Ppt,
    }
}

message! {
    /// `[ERROR, REQUEST.Type|int, REQUEST.Request|id, Details|dict, Error|uri, Arguments|list,
    /// ArgumentsKw|dict]`
    pub struct Error = 8 "ERROR" {
        /// The kind of request that failed.
        kind: RequestKind = "REQUEST.Type",
        /// The id of the request.
        request: RequestId = "REQUEST.Request",
        /// The details dict.
        details: ErrorDetails = "Details",
        /// The error URI.
        error: Uri = "Error",
    } payload
}
