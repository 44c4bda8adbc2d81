//! The express lane: plain results on their way through the realm, without a message being made of them.
//!
//! What one read brought is handled under one lock of the realm. The results among it are gathered here, a
//! batch for each receiver, and each batch goes into its receiver's queue at once. All else takes the general
//! way, and nothing overtakes: before it is handled, what has been gathered leaves.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use wamp_core::Time;
use wamp_core::router::{Feed, Prepared, Realm as Machine, Relayed, SessionKey};
use wamp_proto::relay::{PlainResult, ResultHead};
use wamp_proto::{DecodeError, Message, Serializer};
use wamp_transport::Batch;

use crate::ahead::{Ahead, Plain};
use crate::links::Links;
use crate::outbound::Outbound;
use crate::realm::{Fed, transmit};
use crate::wakes::Wakes;

/// Results are gathered for so many receivers at once.
const LANES: usize = 32;

/// A batch of so many octets does not wait for more.
const LOAD: usize = 64 * 1024;

/// How much one turn may do: so many plain results, or messages put into the queues of others, and so on. It is
/// about half a millisecond.
const TURN: usize = 4096;

/// What a message costs that is no plain result.
const MESSAGE: usize = 8;

/// What it costs to put a message into the queue of its receiver.
const PUSH: usize = 2;

/// The realm's machine while it handles what has come from a session.
pub(crate) struct Express<'a> {
    machine: &'a mut Machine,
    links: &'a Links,
    events_dropped: &'a mut u64,
    wakes: &'a mut Wakes,
    now: Time,
    sender: SessionKey,
    lanes: Vec<Lane<'a>>,
    /// The lane that was used last.
    last: usize,
    fed: Fed,
    /// How much has been done.
    cost: usize,
}

/// Results for one receiver.
struct Lane<'a> {
    to: SessionKey,
    link: &'a Arc<Outbound>,
    batch: Batch,
    /// How its receiver is fed: a stream if one progressive result is among them.
    feed: Feed,
    /// The last result that went by it, and its head: the next one mostly has the same.
    head: (PlainResult, ResultHead),
}

impl<'a> Express<'a> {
    pub(crate) fn new(
        machine: &'a mut Machine,
        links: &'a Links,
        events_dropped: &'a mut u64,
        wakes: &'a mut Wakes,
        now: Time,
        sender: SessionKey,
    ) -> Self {
        let fed = Fed::by(sender);
        let lanes = Vec::new();
        Self { machine, links, events_dropped, wakes, now, sender, lanes, last: 0, fed, cost: 0 }
    }

    /// Whether the session that all this comes from is not over.
    pub(crate) fn is_open(&self) -> bool {
        self.machine.has(self.sender)
    }

    /// Whether others should have their turn before more is handled.
    pub(crate) fn is_used_up(&self) -> bool {
        self.cost >= TURN
    }

    /// Passes a plain YIELD on, which is that part of a buffer. `false`: it has to take the general way.
    pub(crate) fn relay(
        &mut self,
        serializer: Serializer,
        plain: &Plain,
        (buffer, part): (&Bytes, Range<usize>),
        ahead: &mut Ahead,
    ) -> bool {
        self.cost += 1;
        let mut rewritten = None;
        let rewrite = |to| {
            rewritten = ahead.payload(plain, &buffer[part.clone()], to);
            rewritten.as_ref().map(Range::len)
        };
        match self.machine.relay(self.now, self.sender, serializer, &plain.read, rewrite) {
            Relayed::Result { to, serializer, result } => {
                if let Some(lane) = self.lane(to, serializer, &result) {
                    if lane.head.0 != result {
                        lane.head = (result, result.head(serializer));
                    }
                    if result.progress {
                        lane.feed = Feed::Stream;
                    }
                    match rewritten {
                        Some(payload) => {
                            lane.batch.push_plain(&lane.head.1, ahead.octets(payload));
                        }
                        None => {
                            let payload = plain.read.tail();
                            let payload = part.start + payload.start..part.start + payload.end;
                            lane.batch.push_result(&lane.head.1, buffer, payload);
                        }
                    }
                    if lane.batch.framed_len() >= LOAD {
                        let full = std::mem::replace(&mut lane.batch, lane.link.spare());
                        let (to, link, feed) = (lane.to, lane.link, lane.feed);
                        self.append(to, link, full, feed);
                    }
                }
                true
            }
            Relayed::Dropped => {
                self.transmit();
                true
            }
            _ => false,
        }
    }

    /// Handles a message the general way.
    pub(crate) fn handle(&mut self, message: Message, prepared: &Prepared) {
        self.leave();
        self.cost += MESSAGE;
        self.machine.handle_prepared(self.now, self.sender, message, prepared);
        self.transmit();
    }

    /// Handles a message that could not be read, or not in full.
    pub(crate) fn handle_faulty(&mut self, error: &DecodeError) {
        self.leave();
        self.cost += MESSAGE;
        tracing::debug!(%error, "a message with a fault");
        self.machine.handle_faulty(self.now, self.sender, error);
        self.transmit();
    }

    /// All that has been gathered leaves; the links that are full.
    pub(crate) fn finish(mut self) -> Fed {
        self.leave();
        self.fed
    }

    /// What the machine has to say leaves, after what has been gathered.
    fn transmit(&mut self) {
        self.leave();
        self.cost +=
            PUSH * transmit(self.machine, self.links, &mut self.fed, self.events_dropped, self.wakes);
    }

    /// The lane to a receiver, if that has a link.
    fn lane(
        &mut self,
        to: SessionKey,
        serializer: Serializer,
        result: &PlainResult,
    ) -> Option<&mut Lane<'a>> {
        if self.lanes.get(self.last).is_none_or(|lane| lane.to != to) {
            self.last = match self.lanes.iter().position(|lane| lane.to == to) {
                Some(known) => known,
                None => {
                    let link = self.links.get(to)?;
                    if self.lanes.len() == LANES {
                        self.leave();
                    }
                    let head = (*result, result.head(serializer));
                    self.lanes.push(Lane { to, link, batch: link.spare(), feed: Feed::Last, head });
                    self.lanes.len() - 1
                }
            };
        }
        self.lanes.get_mut(self.last)
    }

    /// Puts what has been gathered into the queues.
    fn leave(&mut self) {
        for Lane { to, link, batch, feed, .. } in std::mem::take(&mut self.lanes) {
            self.append(to, link, batch, feed);
        }
    }

    fn append(&mut self, to: SessionKey, link: &Arc<Outbound>, batch: Batch, feed: Feed) {
        let pushed = link.append(batch);
        self.fed.note(to, pushed, Some(feed));
    }
}
