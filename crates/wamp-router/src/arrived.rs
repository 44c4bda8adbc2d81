//! What one read brought, on its way into the realm: read outside of the realm's lock, handled under it.

use std::ops::Range;

use bytes::Bytes;
use wamp_core::router::{Prepared, SessionKey};
use wamp_proto::relay::PlainYield;
use wamp_proto::{DecodeError, Limits, Message, Serializer};
use wamp_transport::Incoming;

use crate::ahead::{Ahead, Plain};
use crate::express::Express;
use crate::outbound::Outbound;
use crate::realm::Realm;

/// A message of so many octets is looked at closer before the realm is locked, so that its payload is not
/// transcoded under the lock.
const TRANSCODE_OUTSIDE: usize = 4 * 1024;

/// Items that have come, and what they were read as.
pub(crate) struct Arrived<'a> {
    items: &'a [Incoming],
    serializer: Serializer,
    limits: Limits,
    /// For each message up to the first that is none: a plain YIELD, or `None` for the next of the others.
    plain: Vec<Option<Plain>>,
    others: Vec<Result<(Message, Prepared), DecodeError>>,
    ahead: Ahead,
}

impl<'a> Arrived<'a> {
    /// Reads messages of a session.
    pub(crate) fn decode(
        items: &'a [Incoming],
        serializer: Serializer,
        limits: Limits,
        realm: &Realm,
        session: SessionKey,
    ) -> Self {
        let count = items.iter().map(|item| messages(item).count()).sum();
        let (mut plain, mut others) = (Vec::with_capacity(count), Vec::new());
        let mut ahead = Ahead::new(session, serializer);
        for (frame, range) in items.iter().flat_map(messages) {
            let octets = range.len();
            let read = PlainYield::read(serializer, &frame[range.clone()], &limits)
                .filter(|read| octets < TRANSCODE_OUTSIDE || realm.is_express(session, serializer, read));
            let is_other = read.is_none();
            plain.push(read.map(|read| ahead.prepare(read, &frame[range.clone()])));
            if is_other {
                let decoded = Message::decode(serializer, &frame.slice(range), &limits);
                let is_garbage = decoded.is_err();
                others.push(decoded.map(|message| {
                    let prepared = prepare(realm, session, &message, octets);
                    (message, prepared)
                }));
                if is_garbage {
                    break;
                }
            }
        }
        Self { items, serializer, limits, plain, others, ahead }
    }

    /// Handles them in their order. What comes after the end of the session is left alone: the item that begins
    /// with it, and where in the item.
    pub(crate) fn handle(mut self, express: &mut Express<'_>, own: &Outbound) -> Option<(usize, usize)> {
        let left = self.handle_all(express, own);
        self.ahead.finish();
        left
    }

    fn handle_all(&mut self, express: &mut Express<'_>, own: &Outbound) -> Option<(usize, usize)> {
        let Self { items, serializer, limits, plain, others, ahead } = self;
        let (mut plain, mut others) = (plain.iter(), others.drain(..));
        for (index, item) in items.iter().enumerate() {
            for (frame, range) in messages(item) {
                let plain = plain.next().and_then(Option::as_ref);
                if let Some(plain) = plain {
                    let _span = tracing::debug_span!("call", invocation = plain.read.request.get()).entered();
                    if express.relay(*serializer, plain, (frame, range.clone()), ahead) {
                        continue;
                    }
                }
                if !express.is_open() {
                    return Some((index, range.start));
                }
                let other = match plain {
                    Some(_) => {
                        let decoded = Message::decode(*serializer, &frame.slice(range.clone()), limits);
                        Some(decoded.map(|message| (message, Prepared::sized(range.len()))))
                    }
                    None => others.next(),
                };
                match other {
                    Some(Ok((message, prepared))) => {
                        let _span = call_span(&message).entered();
                        express.handle(message, &prepared);
                    }
                    Some(Err(error)) => express.handle_garbage(&error.to_string()),
                    // There was garbage before it, and the session is over.
                    None => return Some((index, range.start)),
                }
            }
            if let Incoming::Ping(payload) = item {
                if !express.is_open() {
                    return Some((index, 0));
                }
                own.pong(payload.clone());
            }
        }
        None
    }
}

/// The messages in an item: a buffer, and where in it each stands.
fn messages(item: &Incoming) -> impl Iterator<Item = (&Bytes, Range<usize>)> {
    let (whole, run) = match item {
        Incoming::Message(frame) => (Some((frame, 0..frame.len())), None),
        Incoming::Run(run) => (None, Some(run.messages().map(move |range| (run.octets(), range)))),
        _ => (None, None),
    };
    whole.into_iter().chain(run.into_iter().flatten())
}

/// Takes away what has been handled; what is left begins with the message that stands there, and has no runs.
pub(crate) fn leave(items: &mut Vec<Incoming>, left: Option<(usize, usize)>) {
    let Some((index, start)) = left else { return items.clear() };
    let rest = items.split_off(index);
    items.clear();
    for (index, item) in rest.into_iter().enumerate() {
        match item {
            Incoming::Run(run) => {
                let left = run.messages().filter(|range| index > 0 || range.start >= start);
                items.extend(left.map(|range| Incoming::Message(run.octets().slice(range))));
            }
            item => items.push(item),
        }
    }
}

fn prepare(realm: &Realm, session: SessionKey, message: &Message, octets: usize) -> Prepared {
    let (payload, prepared) = (message.payload(), Prepared::sized(octets));
    if payload.len() < TRANSCODE_OUTSIDE {
        return prepared;
    }
    prepared.transcoded(payload, &realm.transcodings(session, message))
}

/// The span of what belongs to a call; never with its payload.
fn call_span(message: &Message) -> tracing::Span {
    match message {
        Message::Call(call) => {
            tracing::debug_span!("call", request = call.request.get(), procedure = call.procedure.as_str())
        }
        Message::Cancel(cancel) => tracing::debug_span!("call", request = cancel.request.get()),
        Message::Yield(result) => tracing::debug_span!("call", invocation = result.request.get()),
        Message::Error(error) => tracing::debug_span!("call", invocation = error.request.get()),
        _ => tracing::Span::none(),
    }
}
