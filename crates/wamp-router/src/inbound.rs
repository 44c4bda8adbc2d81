//! The messages of one socket read: decoded before the realm's lock is taken, handled under it in one turn or several.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use wamp_core::router::{FrameInfo, Realm as Machine, SessionKey};
use wamp_proto::relay::PlainYield;
use wamp_proto::{DecodeError, Limits, Message, Serializer, quoted};
use wamp_transport::Incoming;

use crate::outbound::Outbound;
use crate::pending::Pending;
use crate::realm::Realm;
use crate::rewrites::{Plain, Rewrites};
use crate::turn::RealmTurn;

/// Messages of this many bytes are prepared before the realm is locked, so that their payload is not
/// transcoded under the lock.
const TRANSCODE_OUTSIDE: usize = 4 * 1024;

/// Tables with room for more messages than this are freed.
const KEPT_OTHERS: usize = 256;

static NO_BYTES: Bytes = Bytes::new();

/// The items of one read, and the messages in them.
pub(crate) struct Inbound {
    pending: Pending,
    serializer: Serializer,
    limits: Limits,
    entries: Vec<Entry>,
    /// The entries that are neither plain YIELDs nor PINGs, by index and in order.
    others: VecDeque<(usize, Decoded)>,
    /// The index of the next entry to handle.
    next: usize,
    /// The position of the first message that was not decoded, since the session ends before it.
    end: Option<(usize, usize)>,
    rewrites: Option<Rewrites>,
    session: SessionKey,
}

/// The decoded messages of a read. A thread keeps an empty table from one read to the next, since its
/// allocation is large.
#[derive(Default)]
struct Tables {
    entries: Vec<Entry>,
    others: VecDeque<(usize, Decoded)>,
}

thread_local! {
    static KEPT: Cell<Option<Tables>> = const { Cell::new(None) };
}

type Decoded = Result<(Message, FrameInfo), DecodeError>;

/// A message or a PING, and its position.
struct Entry {
    item: u32,
    range: Range<u32>,
    kind: Kind,
}

enum Kind {
    Plain(Plain),
    Other,
    Ping,
}

/// The progress of handling the messages of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    /// All are handled, or the session is over. Items after its end [remain](Inbound::into_rest).
    All,
    /// The turn is used up, and there are more messages.
    Part,
}

impl Inbound {
    /// Decodes messages of a session, up to the first that can end it.
    pub(crate) fn decode(
        pending: Pending,
        serializer: Serializer,
        limits: Limits,
        session: SessionKey,
    ) -> Self {
        let rewrites = Some(Rewrites::new(session, serializer));
        let Tables { entries, others } = KEPT.try_with(Cell::take).ok().flatten().unwrap_or_default();
        let mut inbound =
            Self { pending, serializer, limits, entries, others, next: 0, end: None, rewrites, session };
        inbound.read();
        inbound
    }

    fn read(&mut self) {
        let Self { pending, serializer, limits, entries, others, rewrites, end, .. } = self;
        let Some(rewrites) = rewrites else { return };
        let mut is_over = false;
        for (index, item) in pending.items().iter().enumerate() {
            let item_index = index as u32;
            for (frame, range) in messages(item) {
                if is_over {
                    *end = Some((index, range.start));
                    return;
                }
                let part = &frame[range.clone()];
                let kind = match PlainYield::read(*serializer, part, limits) {
                    Some(read) => Kind::Plain(rewrites.prepare(read, part)),
                    None => {
                        let part = frame.slice(range.clone());
                        is_over = decode_other(*serializer, part, limits, entries.len(), others);
                        Kind::Other
                    }
                };
                let range = range.start as u32..range.end as u32;
                entries.push(Entry { item: item_index, range, kind });
            }
            if let Incoming::Ping(_) = item {
                entries.push(Entry { item: item_index, range: 0..0, kind: Kind::Ping });
            }
        }
    }

    /// Returns whether any message needs to be [prepared](Self::prepare).
    pub(crate) fn has_long(&self) -> bool {
        self.entries.iter().any(|entry| entry.range.len() >= TRANSCODE_OUTSIDE)
    }

    /// Transcodes the payloads of long messages for receivers with another serializer.
    pub(crate) async fn prepare(&mut self, realm: &Realm) {
        let mut rewrites = realm.with(|machine, _| self.rewrites(machine)).await;
        // From the end, so that insertions do not move the remaining positions.
        while let Some((index, serializers)) = rewrites.pop() {
            let place = self.others.partition_point(|(entry, _)| *entry < index);
            if let Kind::Plain(_) = self.entries[index].kind {
                let (frame, range) = self.message(index);
                let len = range.len();
                let decoded = Message::decode(self.serializer, &frame.slice(range), &self.limits);
                let decoded = decoded.map(|message| (message, FrameInfo::sized(len)));
                self.others.insert(place, (index, decoded));
                self.entries[index].kind = Kind::Other;
            }
            if let Some((_, Ok((message, prepared)))) = self.others.get_mut(place) {
                let sized = std::mem::take(prepared);
                *prepared = sized.transcoded(message.payload(), &serializers);
            }
        }
    }

    /// Returns the long messages that need transcoding, with the serializers of their receivers, in order.
    fn rewrites(&self, machine: &Machine) -> Vec<(usize, Vec<Serializer>)> {
        let mut others = self.others.iter().peekable();
        let mut rewrites = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let other = others.next_if(|(other, _)| *other == index);
            if entry.range.len() < TRANSCODE_OUTSIDE {
                continue;
            }
            match (&entry.kind, other) {
                (Kind::Plain(plain), _) if !machine.can_relay(self.session, self.serializer, &plain.read) => {
                    let to = machine.serializer_of_caller(self.session, plain.read.request);
                    let to = to.filter(|serializer| *serializer != self.serializer);
                    rewrites.push((index, to.into_iter().collect()));
                }
                (_, Some((_, Ok((message, _))))) if message.payload().len() >= TRANSCODE_OUTSIDE => {
                    rewrites.push((index, machine.transcodings(self.session, message)));
                }
                _ => {}
            }
        }
        rewrites
    }

    /// Returns the number of bytes that have not been handled.
    pub(crate) fn unhandled(&self) -> usize {
        self.entries[self.next..].iter().map(|entry| entry.range.len()).sum()
    }

    /// Handles messages in order, until the turn is used up, or until the session has filled a subscriber's
    /// link that will hold it. Then the rest waits, if there is memory for it.
    pub(crate) fn handle(&mut self, turn: &mut RealmTurn<'_>, own: &Outbound) -> Handled {
        let Some(mut rewrites) = self.rewrites.take() else { return Handled::All };
        while self.next < self.entries.len() && turn.is_open() {
            if turn.is_used_up()
                || turn.must_wait()
                || turn.has_filled_a_subscriber() && own.may_keep(self.unhandled())
            {
                self.rewrites = Some(rewrites);
                return Handled::Part;
            }
            self.handle_next(turn, own, &mut rewrites);
            self.next += 1;
        }
        rewrites.finish();
        Handled::All
    }

    fn handle_next(&mut self, turn: &mut RealmTurn<'_>, own: &Outbound, rewrites: &mut Rewrites) {
        let (frame, range) = self.message(self.next);
        match &self.entries[self.next].kind {
            Kind::Plain(plain) => {
                let _span = tracing::debug_span!("call", invocation = plain.read.request.get()).entered();
                if turn.relay(self.serializer, plain, (frame, range.clone()), rewrites) {
                    return;
                }
                let len = range.len();
                match Message::decode(self.serializer, &frame.slice(range), &self.limits) {
                    Ok(message) => turn.handle(message, &FrameInfo::sized(len)),
                    Err(error) => turn.handle_faulty(&error),
                }
            }
            Kind::Other => match self.others.pop_front() {
                Some((_, Ok((message, prepared)))) => {
                    let _span = call_span(&message).entered();
                    turn.handle(message, &prepared);
                }
                Some((_, Err(error))) => turn.handle_faulty(&error),
                None => {}
            },
            Kind::Ping => own.pong(frame.clone()),
        }
    }

    /// Returns the buffer of an entry, and its range there.
    fn message(&self, index: usize) -> (&Bytes, Range<usize>) {
        let Entry { item, range, .. } = &self.entries[index];
        let range = range.start as usize..range.end as usize;
        match &self.pending.items()[*item as usize] {
            Incoming::Run(run) => (run.buffer(), range),
            Incoming::Message(frame) | Incoming::Ping(frame) | Incoming::Pong(frame) => (frame, range),
            _ => (&NO_BYTES, range),
        }
    }

    /// Returns whether a request is among the unhandled messages. A CALL does not count, since it may be a
    /// chunk.
    pub(crate) fn has_request(&self) -> bool {
        let feeds = |decoded: &Decoded| {
            let message = decoded.as_ref().map(|(message, _)| message);
            matches!(
                message,
                Ok(Message::Yield(_) | Message::Error(_) | Message::Call(_) | Message::Credit(_))
            )
        };
        self.others.iter().any(|(index, decoded)| *index >= self.next && !feeds(decoded))
    }

    /// Returns the items that were not handled because the session ended before them.
    pub(crate) fn into_rest(self) -> Pending {
        let Self { mut pending, mut entries, mut others, next, end, .. } = self;
        let rest = entries.get(next).map(|entry| (entry.item as usize, entry.range.start as usize)).or(end);
        entries.clear();
        others.clear();
        if others.capacity() <= KEPT_OTHERS {
            // A thread that is ending keeps nothing.
            let _ = KEPT.try_with(|kept| kept.set(Some(Tables { entries, others })));
        }
        match rest {
            Some((item, start)) => pending.skip_to(item, start),
            None => pending.clear(),
        }
        pending
    }
}

/// Decodes a message that is not a plain YIELD. Returns whether it is the last message of the session. Not
/// inlined, to keep the calling loop small.
#[inline(never)]
fn decode_other(
    serializer: Serializer,
    frame: Bytes,
    limits: &Limits,
    index: usize,
    others: &mut VecDeque<(usize, Decoded)>,
) -> bool {
    let decoded = Message::decode(serializer, &frame, limits);
    let is_over = ends_session(&decoded);
    others.push_back((index, decoded.map(|message| (message, FrameInfo::sized(frame.len())))));
    is_over
}

/// Returns whether no message of the same session follows this one.
fn ends_session(decoded: &Result<Message, DecodeError>) -> bool {
    match decoded {
        Ok(message) => matches!(message, Message::Goodbye(_) | Message::Abort(_)),
        Err(error) => error.head().is_none(),
    }
}

/// Returns the messages of an item: the buffer, and their ranges in it.
pub(crate) fn messages(item: &Incoming) -> impl Iterator<Item = (&Bytes, Range<usize>)> {
    let (whole, run) = match item {
        Incoming::Message(frame) => (Some((frame, 0..frame.len())), None),
        Incoming::Run(run) => (None, Some(run.messages().map(move |range| (run.buffer(), range)))),
        _ => (None, None),
    };
    whole.into_iter().chain(run.into_iter().flatten())
}

/// Returns the tracing span of a call. It never contains the payload.
fn call_span(message: &Message) -> tracing::Span {
    match message {
        Message::Call(call) => {
            tracing::debug_span!("call", request = call.request.get(), procedure = %quoted(&call.procedure))
        }
        Message::Cancel(cancel) => tracing::debug_span!("call", request = cancel.request.get()),
        Message::Yield(result) => tracing::debug_span!("call", invocation = result.request.get()),
        Message::Error(error) => tracing::debug_span!("call", invocation = error.request.get()),
        _ => tracing::Span::none(),
    }
}
