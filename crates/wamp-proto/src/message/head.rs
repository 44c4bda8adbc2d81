//! The readable part of a message with a fault. It tells which request the fault concerns.
//!
//! A fault in the value of an option or in the payload concerns one request, and only that request fails. A
//! fault in the message list itself, in its ids, in a URI or in the keys of its options dict concerns the
//! link: the receiver may have misread other parts too, so the session ends.
//!
//! | message | its head | what a router does | what a client does |
//! |---|---|---|---|
//! | CALL | request | ERROR; a chunk ends its call, with INTERRUPT | |
//! | PUBLISH | request, `acknowledge` | ERROR if acknowledged; else dropped and counted | |
//! | SUBSCRIBE, REGISTER | request | ERROR | |
//! | CANCEL | request | as without options | |
//! | YIELD | request, `progress` | the call ends with ERROR; INTERRUPT unless it was the last one | |
//! | ERROR | kind, request, URI | the call ends with ERROR | the request fails with that URI |
//! | CREDIT | request | ignored and counted | ignored and counted |
//! | RESULT | request, `progress` | | the call fails; CANCEL unless it was the last one |
//! | EVENT | subscription | | dropped and counted |
//! | INVOCATION | request | | ERROR; a chunk ends its invocation |
//! | INTERRUPT | request | | as without options |
//! | all others | | ABORT | ABORT |
//!
//! `wamp-core` implements the last two columns.

use super::wire::{Source, read_integer};
use super::{
    Call, Cancel, Credit, Error, Event, Interrupt, Invocation, Publish, Register, RequestKind, Result,
    Subscribe, Yield,
};
use crate::error::{DecodeError, Fault};
use crate::id::{RequestId, SubscriptionId};
use crate::serializer::{Open, Reader, Token};
use crate::uri::Uri;

/// The head of a message whose options or payload have a fault: enough to report the fault to the right
/// party.
///
/// A [`DecodeError`] has a head if its fault concerns one request only. The table in the source of this
/// module and [`DecodeError::head`] say which.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Head {
    /// A CALL.
    Call {
        /// The id of the call.
        request: RequestId,
    },
    /// A CANCEL.
    Cancel {
        /// The id of the call.
        request: RequestId,
    },
    /// A RESULT.
    Result {
        /// The id of the call.
        request: RequestId,
        /// Whether more results follow; `None` if that could not be read.
        progress: Option<bool>,
    },
    /// A REGISTER.
    Register {
        /// The id of the request.
        request: RequestId,
    },
    /// An INVOCATION.
    Invocation {
        /// The id of the invocation.
        request: RequestId,
    },
    /// An INTERRUPT.
    Interrupt {
        /// The id of the invocation.
        request: RequestId,
    },
    /// A YIELD.
    Yield {
        /// The id of the invocation.
        request: RequestId,
        /// Whether more results follow; `None` if that could not be read.
        progress: Option<bool>,
    },
    /// A PUBLISH.
    Publish {
        /// The id of the request.
        request: RequestId,
        /// Whether the publisher waits for an answer.
        acknowledge: bool,
    },
    /// A SUBSCRIBE.
    Subscribe {
        /// The id of the request.
        request: RequestId,
    },
    /// An EVENT.
    Event {
        /// The id of the subscription.
        subscription: SubscriptionId,
    },
    /// An ERROR.
    Error {
        /// The kind of request that failed.
        kind: RequestKind,
        /// The id of the request.
        request: RequestId,
        /// The error URI, if it could be read.
        error: Option<Uri>,
    },
    /// A CREDIT.
    Credit {
        /// The id of the call or invocation.
        request: RequestId,
    },
}

/// Adds the head to the error, if the fault concerns one request only.
#[cold]
pub(super) fn add<'de, R: Reader<'de>>(mut error: DecodeError, source: &mut Source<'de, R>) -> DecodeError {
    error.fault = error.fault.at_cut(source.cut);
    if error.concerns_request {
        source.reader = source.begin.clone();
        error.head = read(source).map(Box::new);
    }
    error
}

fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Option<Head> {
    let Token::List(mut list) = source.reader.value().ok()? else { return None };
    if !source.reader.element(&mut list).ok()? {
        return None;
    }
    let code = read_integer(source, "code of a message").ok()?;
    if code == Error::CODE {
        let (kind, request) = (source.element(&mut list).ok()??, source.element(&mut list).ok()??);
        return Some(Head::Error { kind, request, error: error_uri(source, &mut list) });
    }
    if code == Event::CODE {
        return Some(Head::Event { subscription: source.element(&mut list).ok()?? });
    }
    let request = source.element(&mut list).ok()??;
    let mut flag = |key| flag(source, &mut list, key);
    Some(match code {
        Call::CODE => Head::Call { request },
        Cancel::CODE => Head::Cancel { request },
        Result::CODE => Head::Result { request, progress: flag("progress") },
        Register::CODE => Head::Register { request },
        Invocation::CODE => Head::Invocation { request },
        Interrupt::CODE => Head::Interrupt { request },
        Yield::CODE => Head::Yield { request, progress: flag("progress") },
        Publish::CODE => Head::Publish { request, acknowledge: flag("acknowledge")? },
        Subscribe::CODE => Head::Subscribe { request },
        Credit::CODE => Head::Credit { request },
        _ => return None,
    })
}

/// Reads a flag of the dict that comes next. A value that is not a boolean counts as true. Returns `None` if
/// the dict cannot be read to its end or to the flag.
fn flag<'de, R: Reader<'de>>(source: &mut Source<'de, R>, list: &mut Open, key: &str) -> Option<bool> {
    if !source.advance(list).ok()? {
        return None;
    }
    let mut dict = source.dict().ok()?;
    let mut found = false;
    let mut read = || {
        while source.reader.entry(&mut dict)? {
            if &*source.key()? == key {
                found = match source.peek() {
                    Ok(Token::Bool(value)) => value,
                    Ok(Token::Null) | Err(Fault::Foreign { .. }) => false,
                    _ => true,
                };
            }
            source.reader.skip()?;
        }
        Ok::<_, Fault>(())
    };
    if read().is_ok() || found { Some(found) } else { None }
}

/// Reads the URI of an ERROR, which follows the details.
fn error_uri<'de, R: Reader<'de>>(source: &mut Source<'de, R>, list: &mut Open) -> Option<Uri> {
    if !source.advance(list).ok()? {
        return None;
    }
    source.reader.skip().ok()?;
    source.element(list).ok()?
}
