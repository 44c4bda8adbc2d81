//! What can still be read of a message that has a fault, and so whom the fault concerns.
//!
//! A fault in the value of an option or in the payload concerns one request, and that request alone fails. A fault
//! in the list that the message is, in its ids, in a URI or in the keys of its options dict is one of the link: the
//! receiver cannot know what else it has misread, and the session ends.
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
//! `wamp-core` does what the last two columns say.

use super::wire::{Source, read_integer};
use super::{
    Call, Cancel, Credit, Error, Event, Interrupt, Invocation, Publish, Register, RequestKind, Result,
    Subscribe, Yield,
};
use crate::error::{DecodeError, Fault};
use crate::id::{RequestId, SubscriptionId};
use crate::serializer::{Open, Reader, Token};
use crate::uri::Uri;

/// The head of a message whose options or payload have a fault: what has to be known to tell somebody.
///
/// A [`DecodeError`] has one where its fault concerns a request only; see the table in the source of this module,
/// or [`DecodeError::head`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Head {
    /// A CALL.
    Call {
        /// The call.
        request: RequestId,
    },
    /// A CANCEL.
    Cancel {
        /// The call.
        request: RequestId,
    },
    /// A RESULT.
    Result {
        /// The call.
        request: RequestId,
        /// Whether more results follow; `None` if that could not be read.
        progress: Option<bool>,
    },
    /// A REGISTER.
    Register {
        /// The request.
        request: RequestId,
    },
    /// An INVOCATION.
    Invocation {
        /// The invocation.
        request: RequestId,
    },
    /// An INTERRUPT.
    Interrupt {
        /// The invocation.
        request: RequestId,
    },
    /// A YIELD.
    Yield {
        /// The invocation.
        request: RequestId,
        /// Whether more results follow; `None` if that could not be read.
        progress: Option<bool>,
    },
    /// A PUBLISH.
    Publish {
        /// The request.
        request: RequestId,
        /// Whether the publisher waits for an answer.
        acknowledge: bool,
    },
    /// A SUBSCRIBE.
    Subscribe {
        /// The request.
        request: RequestId,
    },
    /// An EVENT.
    Event {
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// An ERROR.
    Error {
        /// What kind of request failed.
        kind: RequestKind,
        /// The request.
        request: RequestId,
        /// What happened, if that could be read.
        error: Option<Uri>,
    },
    /// A CREDIT.
    Credit {
        /// The call, or the invocation.
        request: RequestId,
    },
}

/// The error with its head, if it concerns a request only.
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

/// An option of the dict that comes next, true also where it is there and no boolean; `None` if the dict cannot be
/// read to its end, or to the option.
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

/// The URI of an ERROR, behind its details.
fn error_uri<'de, R: Reader<'de>>(source: &mut Source<'de, R>, list: &mut Open) -> Option<Uri> {
    if !source.advance(list).ok()? {
        return None;
    }
    source.reader.skip().ok()?;
    source.element(list).ok()?
}
