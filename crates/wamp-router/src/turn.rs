//! One turn of a link at its realm: the messages of a read, handled under one lock of the realm.

use std::ops::Range;

use bytes::Bytes;
use wamp_core::Time;
use wamp_core::router::{FrameInfo, Realm as Machine, Relayed, SessionKey};
use wamp_proto::{DecodeError, Message, Serializer};

use crate::lanes::{Fed, Lanes};
use crate::links::Links;
use crate::rests::Rests;
use crate::rewrites::{Plain, Rewrites};
use crate::wakes::Wakes;

/// The cost of one turn, in units of a plain result; about half a millisecond.
const TURN: usize = 4096;

/// The cost of a message that is not a plain result.
const MESSAGE: usize = 8;

/// The cost of a message for its receiver.
const PUSH: usize = 2;

/// The realm's machine while it handles the messages of a session.
pub(crate) struct RealmTurn<'a> {
    machine: &'a mut Machine,
    now: Time,
    sender: SessionKey,
    lanes: Lanes<'a>,
    /// Its requests may have to wait for an authorizer.
    has_authorizer: bool,
    /// The cost so far, without that of the messages sent.
    cost: usize,
}

impl<'a> RealmTurn<'a> {
    pub(crate) fn new(
        machine: &'a mut Machine,
        links: &'a Links,
        (events_dropped, rests): (&'a mut u64, &'a mut Rests),
        wakes: &'a mut Wakes,
        now: Time,
        sender: SessionKey,
    ) -> Self {
        let mut lanes = Lanes::new(links, events_dropped, rests, wakes, Fed::by(sender));
        // Until everything that was published before is delivered, nothing else is handled.
        let cost = if lanes.go_on() { TURN } else { 0 };
        let has_authorizer = machine.has_authorizer(sender);
        Self { machine, now, sender, lanes, has_authorizer, cost }
    }

    /// Returns whether the session of the sender is still open.
    pub(crate) fn is_open(&self) -> bool {
        self.machine.has(self.sender)
    }

    /// Returns whether requests of the session may have to wait for an authorizer.
    pub(crate) fn has_authorizer(&self) -> bool {
        self.has_authorizer
    }

    /// Returns whether other links should have their turn first.
    pub(crate) fn is_used_up(&self) -> bool {
        self.cost + PUSH * self.lanes.pushed() >= TURN || self.lanes.is_loaded()
    }

    /// Returns whether too many requests of the session wait for an authorizer, so that its link is held.
    pub(crate) fn must_wait(&self) -> bool {
        self.has_authorizer && self.machine.is_held(self.sender)
    }

    /// Handles requests that have waited for an authorizer and can leave now, until the turn is used up, or until the session
    /// has filled a link that will hold it.
    pub(crate) fn advance(&mut self) {
        while self.has_authorizer
            && !self.is_used_up()
            && !self.has_filled_a_subscriber()
            && self.machine.advance(self.now, self.sender)
        {
            self.cost += MESSAGE;
            self.lanes.transmit(self.machine);
        }
    }

    /// Returns whether the session has filled the link of a subscriber, which will hold it.
    pub(crate) fn has_filled_a_subscriber(&self) -> bool {
        self.lanes.has_filled_a_subscriber()
    }

    /// Relays a plain YIELD, which is this part of a buffer. Returns `false` if it must be decoded and
    /// [handled](Self::handle) instead.
    pub(crate) fn relay(
        &mut self,
        serializer: Serializer,
        plain: &Plain,
        (buffer, part): (&Bytes, Range<usize>),
        rewrites: &mut Rewrites,
    ) -> bool {
        self.cost += 1;
        let mut rewritten = None;
        let rewrite = |to| {
            rewritten = rewrites.payload(plain, &buffer[part.clone()], to);
            rewritten.as_ref().map(Range::len)
        };
        match self.machine.relay(self.now, self.sender, serializer, &plain.read, rewrite) {
            Relayed::Result { to, serializer, result } => {
                self.lanes.push_result(to, serializer, &result, |batch, head| {
                    match rewritten {
                        Some(payload) => batch.push_plain(head, rewrites.written(payload)),
                        None => {
                            let payload = plain.read.tail();
                            let payload = part.start + payload.start..part.start + payload.end;
                            batch.push_result(head, buffer, payload)
                        }
                    };
                });
                true
            }
            Relayed::Dropped => {
                self.lanes.transmit(self.machine);
                true
            }
            _ => false,
        }
    }

    /// Handles a message.
    pub(crate) fn handle(&mut self, message: Message, prepared: &FrameInfo) {
        self.cost += MESSAGE;
        self.machine.handle_frame(self.now, self.sender, message, prepared);
        self.lanes.transmit(self.machine);
    }

    /// Handles a message that could not be decoded completely.
    pub(crate) fn handle_faulty(&mut self, error: &DecodeError) {
        self.cost += MESSAGE;
        tracing::debug!(%error, "ignored a faulty message");
        self.machine.handle_faulty(self.now, self.sender, error);
        self.lanes.transmit(self.machine);
    }

    /// Sends the collected messages. Returns the links that are full.
    pub(crate) fn finish(self) -> Fed {
        self.lanes.finish()
    }
}
