//! Lanes: the messages that one turn of a link at its realm sends, collected per receiver.
//!
//! The batch of a receiver goes into its queue at the end of the turn, or when it is large: with one lock of
//! the queue, one update of the budget and one wake-up for all of its messages. Messages to one receiver keep
//! their order. An event with several receivers is encoded once. While the receivers stay the same, as those
//! of a topic do, such events share a batch, and a long batch is shared by the queues of all its receivers.
//!
//! ```text
//! realm ─▶ RESULT to A, INVOCATION to B, RESULT to A ─▶ lane A: 2 messages, lane B: 1
//!      └─▶ EVENT to C, D, E; EVENT to C, D, E        ─▶ fan of C, D, E: 2 messages
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wamp_core::router::{Feed, Realm as Machine, SessionKey, Transmission};
use wamp_proto::relay::{PlainResult, ResultHead};
use wamp_proto::{Message, Serializer};
use wamp_transport::{Batch, SharedBatch};

use crate::links::Links;
use crate::outbound::{Outbound, Pushed};
use crate::rests::{Rest, Rests};
use crate::wakes::Wakes;

/// The most receivers that messages are collected for at a time.
const LANES: usize = 32;

/// A batch of this many bytes is flushed.
const LOAD: usize = 64 * 1024;

/// The same for a batch with several receivers, each of which holds all of it.
const FAN_LOAD: usize = 32 * 1024;

/// The number of receivers for which an event that joins a shared batch costs as much as one message.
const JOINED: usize = 4;

/// For this time, a turn puts events into the queues of their receivers at its end.
const PORTION: Duration = Duration::from_micros(500);

/// The clock is read each time so many receivers have got their events.
const LOOK: usize = 64;

/// The messages of a turn, by receiver.
pub(crate) struct Lanes<'a> {
    links: &'a Links,
    events_dropped: &'a mut u64,
    rests: &'a mut Rests,
    wakes: &'a mut Wakes,
    lanes: Vec<Lane<'a>>,
    /// The index of the lane that was used last.
    last: usize,
    /// It never has a receiver for which a lane has messages.
    fan: Option<Fan>,
    fed: Fed,
    pushed: usize,
    /// For this time, events are delivered at the end of the turn.
    portion: Duration,
    /// Whether that time is used up.
    is_spent: bool,
}

/// The messages for one receiver.
struct Lane<'a> {
    to: SessionKey,
    link: &'a Arc<Outbound>,
    batch: Batch,
    /// The length from which on events for the link are dropped.
    events_below: usize,
    /// How the messages feed the receiver: as a stream if one of them belongs to a stream.
    feed: Option<Feed>,
    /// Whether there is anything but events.
    is_urgent: bool,
    /// Whether there are events.
    has_events: bool,
    /// The last plain result and its head, which the next one mostly shares.
    head: Option<(PlainResult, ResultHead)>,
}

/// Events for several receivers with the same serializer.
struct Fan {
    /// In ascending order.
    receivers: Vec<SessionKey>,
    serializer: Serializer,
    batch: Batch,
    /// Whether there are meta events.
    has_meta: bool,
}

impl<'a> Lanes<'a> {
    pub(crate) fn new(
        links: &'a Links,
        events_dropped: &'a mut u64,
        rests: &'a mut Rests,
        wakes: &'a mut Wakes,
        fed: Fed,
    ) -> Self {
        Self {
            links,
            events_dropped,
            rests,
            wakes,
            lanes: Vec::new(),
            last: 0,
            fan: None,
            fed,
            pushed: 0,
            portion: PORTION,
            is_spent: false,
        }
    }

    /// Leaves the rests of the sender to its turns.
    #[must_use]
    pub(crate) fn without_rests(mut self) -> Self {
        self.is_spent = true;
        self
    }

    /// Continues to deliver the events that earlier turns of the sender have left. Returns whether some are left still.
    pub(crate) fn go_on(&mut self) -> bool {
        self.is_spent = !self.deliver_rests(Some(self.portion));
        self.is_spent
    }

    /// Returns whether the events for several receivers should be delivered before further messages are handled.
    pub(crate) fn is_loaded(&self) -> bool {
        self.fan.as_ref().is_some_and(|fan| fan.batch.framed_len() >= FAN_LOAD)
    }

    /// Returns whether the sender has filled a link with events, so that this link will hold it.
    pub(crate) fn has_filled_a_subscriber(&self) -> bool {
        !self.fed.events.is_empty()
    }

    /// Returns how many messages were added; an event in a shared batch counts less.
    pub(crate) fn pushed(&self) -> usize {
        self.pushed
    }

    /// Takes the messages that the machine sends.
    pub(crate) fn transmit(&mut self, machine: &mut Machine) {
        if !self.rests.is_empty() {
            // Their testaments may be among the messages.
            self.complete(|publisher, _| !machine.has(publisher));
        }
        machine.transmit(|transmission| {
            if transmission.len() > 1 {
                self.push_to_all(transmission);
            } else {
                for to in transmission.receivers() {
                    self.push(to, transmission.message());
                }
            }
        });
    }

    /// Appends a plain RESULT; `append` gets its head.
    #[inline]
    pub(crate) fn push_result(
        &mut self,
        to: SessionKey,
        serializer: Serializer,
        result: &PlainResult,
        append: impl FnOnce(&mut Batch, &ResultHead),
    ) {
        let Some(lane) = self.lane(to) else { return };
        if lane.head.as_ref().is_none_or(|(known, _)| known != result) {
            lane.head = Some((*result, result.head(serializer)));
        }
        if let Some((_, head)) = &lane.head {
            append(&mut lane.batch, head);
        }
        lane.is_urgent = true;
        lane.feed = stronger(lane.feed, Some(if result.progress { Feed::Stream } else { Feed::Last }));
        if lane.batch.framed_len() >= LOAD {
            self.flush_last();
        }
    }

    /// Appends a message for one receiver, if that has a link.
    fn push(&mut self, to: SessionKey, message: &Message) {
        self.pushed += 1;
        let Some(mut lane) = self.lane(to) else { return };
        match message {
            Message::Abort(_) => {
                let link = lane.link;
                self.flush_last();
                let pushed = link.push(message);
                return self.fed.note(to, pushed, None);
            }
            Message::Event(_) if lane.batch.encoded_len() >= lane.events_below => {
                // The writer may have made room in the meantime.
                self.flush_last();
                lane = &mut self.lanes[self.last];
                if lane.events_below == 0 {
                    *self.events_dropped += 1;
                    return;
                }
            }
            _ => {}
        }
        let is_event = matches!(message, Message::Event(_));
        lane.has_events |= is_event;
        lane.is_urgent |= !is_event;
        lane.feed = stronger(lane.feed, feed(message));
        if let Err(error) = lane.batch.push(message, lane.link.serializer()) {
            tracing::error!(message = message.name(), %error, "a message could not be written");
            debug_assert!(false, "the realm sends only messages that can be written");
        }
        if lane.batch.framed_len() >= LOAD {
            self.flush_last();
        }
    }

    /// Appends an event for several receivers.
    fn push_to_all(&mut self, transmission: &Transmission) {
        if transmission.is_meta() && !self.rests.is_empty() {
            self.complete(|_, rest| rest.has_meta());
        }
        let message = transmission.message();
        let is_same = |fan: &Fan| fan.receivers.iter().copied().eq(transmission.receivers());
        if !self.fan.as_ref().is_some_and(is_same) {
            self.flush_fan();
            let mut receivers: Vec<_> = transmission.receivers().collect();
            receivers.sort_unstable();
            let Some(link) = receivers.iter().find_map(|to| self.links.get(*to)) else { return };
            if self.lanes.iter().any(|lane| receivers.binary_search(&lane.to).is_ok()) {
                self.flush_lanes();
            }
            let serializer = link.serializer();
            self.fan = Some(Fan { receivers, serializer, batch: Batch::new(), has_meta: false });
        }
        let Some(fan) = &mut self.fan else { return };
        fan.has_meta |= transmission.is_meta();
        self.pushed += fan.receivers.len() / JOINED;
        if let Err(error) = fan.batch.push(message, fan.serializer) {
            tracing::error!(message = message.name(), %error, "a message could not be written");
            debug_assert!(false, "the realm sends only messages that can be written");
        }
        // With many receivers the turn is over, and its end delivers them in portions.
        if fan.batch.framed_len() >= FAN_LOAD && fan.receivers.len() <= LOOK {
            self.flush_fan();
        }
    }

    /// Returns the lane of a receiver, if that has a link, and makes it the last one.
    fn lane(&mut self, to: SessionKey) -> Option<&mut Lane<'a>> {
        if self.fan.as_ref().is_some_and(|fan| fan.receivers.binary_search(&to).is_ok()) {
            self.flush_fan();
        }
        if self.lanes.get(self.last).is_none_or(|lane| lane.to != to) {
            self.last = match self.lanes.iter().position(|lane| lane.to == to) {
                Some(known) => known,
                None => {
                    let link = self.links.get(to)?;
                    if self.lanes.len() == LANES {
                        self.flush_lanes();
                    }
                    let Self { rests, events_dropped, wakes, fed, .. } = self;
                    // In the order of a publication that was delivered at once.
                    rests.take(to, |events| {
                        // Another session has published them, and this one is not held for it.
                        fed.note_newly(to, append_events(link, events, wakes, events_dropped));
                    });
                    let (batch, events_below) = link.open();
                    let lane = Lane {
                        to,
                        link,
                        batch,
                        events_below,
                        feed: None,
                        is_urgent: false,
                        has_events: false,
                        head: None,
                    };
                    self.lanes.push(lane);
                    self.lanes.len() - 1
                }
            };
        }
        self.lanes.get_mut(self.last)
    }

    /// Puts everything into the queues. Returns the links that are full.
    pub(crate) fn finish(mut self) -> Fed {
        self.flush_lanes();
        self.flush_fan();
        if !self.is_spent {
            self.deliver_rests(Some(self.portion));
        }
        // A link that several batches have filled is there for each.
        self.fed.events.sort_unstable();
        self.fed.events.dedup();
        self.fed
    }

    /// Puts the messages of the last lane into its queue and wakes the writer. The lane stays open.
    fn flush_last(&mut self) {
        let Some(lane) = self.lanes.get_mut(self.last) else { return };
        let pushed = lane.link.append(std::mem::take(&mut lane.batch));
        lane.link.notify_writer();
        self.fed.note(lane.to, pushed, lane.feed.take());
        if std::mem::take(&mut lane.has_events) {
            self.fed.note_events(lane.to, pushed);
        }
        lane.is_urgent = false;
        (lane.batch, lane.events_below) = lane.link.open();
    }

    fn flush_lanes(&mut self) {
        for Lane { to, link, batch, feed, is_urgent, has_events, .. } in self.lanes.drain(..) {
            let is_empty = batch.is_empty();
            let pushed = link.append(batch);
            if is_urgent {
                self.wakes.add_urgent(link);
            } else if !is_empty {
                link.wake_later(pushed, self.wakes);
            }
            self.fed.note(to, pushed, feed);
            if has_events {
                self.fed.note_events(to, pushed);
            }
        }
    }

    /// Delivers the events of the fan. If it has many receivers, they get them at the end of the turn, and later.
    fn flush_fan(&mut self) {
        let Some(Fan { receivers, batch, has_meta, .. }) = self.fan.take() else { return };
        let Some(link) = receivers.iter().find_map(|to| self.links.get(*to)) else { return };
        self.pushed += receivers.len();
        let mut rest = Rest::new(receivers, link.share(batch), has_meta);
        let is_split = |sender: &SessionKey| rest.len() > LOOK || self.rests.has(*sender);
        if let Some(sender) = self.fed.sender.filter(is_split) {
            if self.rests.has_room() {
                return self.rests.add(sender, rest);
            }
            self.deliver_rests(None);
        }
        while let Some(to) = rest.next() {
            self.deliver(to, rest.events());
        }
    }

    /// Delivers events that the sender has left, for a time or all. Returns whether all are delivered.
    fn deliver_rests(&mut self, time: Option<Duration>) -> bool {
        let Some(sender) = self.fed.sender else { return true };
        let mut since = None;
        while let Some(rest) = self.rests.first(sender) {
            let time = time.map(|time| (*since.get_or_insert_with(Instant::now), time));
            let events = rest.events().clone();
            let some: Vec<_> = std::iter::from_fn(|| rest.next()).take(LOOK).collect();
            if rest.len() == 0 {
                self.rests.pop(sender);
            }
            for to in some {
                self.deliver(to, &events);
            }
            if time.is_some_and(|(since, time)| since.elapsed() >= time) {
                return !self.rests.has(sender);
            }
        }
        true
    }

    /// Delivers all rests of other publishers of which one rest is such.
    fn complete(&mut self, mut is_such: impl FnMut(SessionKey, &Rest) -> bool) {
        // Those of the sender itself are in order with what it sends.
        let sender = self.fed.sender;
        while let Some(publisher) =
            self.rests.find(|publisher, rest| Some(publisher) != sender && is_such(publisher, rest))
        {
            while let Some(mut rest) = self.rests.pop(publisher) {
                while let Some(to) = rest.next() {
                    let Some(link) = self.links.get(to) else { continue };
                    // The sender is not held for events that it has not published.
                    let pushed = append_events(link, rest.events(), self.wakes, self.events_dropped);
                    self.fed.note_newly(to, pushed);
                }
            }
        }
    }

    fn deliver(&mut self, to: SessionKey, events: &SharedBatch) {
        if let Some(link) = self.links.get(to) {
            let pushed = append_events(link, events, self.wakes, self.events_dropped);
            self.fed.note(to, pushed, None);
            self.fed.note_events(to, pushed);
        }
    }
}

/// Puts events into the queue of one of their receivers.
pub(crate) fn append_events(
    link: &Arc<Outbound>,
    events: &SharedBatch,
    wakes: &mut Wakes,
    events_dropped: &mut u64,
) -> Pushed {
    let pushed = link.append_events(events);
    if pushed == Pushed::Dropped {
        *events_dropped += events.len() as u64;
    } else {
        link.wake_later(pushed, wakes);
    }
    pushed
}

/// Returns how a message feeds its receiver at the other end of a call. A message that only reports an end
/// holds no session. Events are recorded separately.
fn feed(message: &Message) -> Option<Feed> {
    let more = match message {
        Message::Result(result) => result.details.progress == Some(true),
        Message::Invocation(invocation) => invocation.details.progress == Some(true),
        Message::Error(_) => false,
        _ => return None,
    };
    Some(if more { Feed::Stream } else { Feed::Last })
}

/// Combines the feeds of two batches.
fn stronger(one: Option<Feed>, two: Option<Feed>) -> Option<Feed> {
    match (one, two) {
        (Some(Feed::Stream), _) | (_, Some(Feed::Stream)) => Some(Feed::Stream),
        (one, two) => one.or(two),
    }
}

/// Links that a sender has filled with the messages of one read. The machine learns of them at the end of the
/// turn: the sender is paused after the read, and none of its messages is refused for it.
pub(crate) struct Fed {
    sender: Option<SessionKey>,
    /// Full links that the sender has fed, and how.
    pub(crate) full: Vec<(SessionKey, Feed)>,
    /// Full links that the sender has fed with events.
    pub(crate) events: Vec<SessionKey>,
    pub(crate) newly_full: Vec<SessionKey>,
}

impl Fed {
    /// Records the links filled by the messages of a session.
    pub(crate) fn by(sender: SessionKey) -> Self {
        Self { sender: Some(sender), ..Self::by_none() }
    }

    /// Records the links filled without a session that could be paused.
    pub(crate) fn by_none() -> Self {
        Self { sender: None, full: Vec::new(), events: Vec::new(), newly_full: Vec::new() }
    }

    pub(crate) fn sender(&self) -> Option<SessionKey> {
        self.sender
    }

    /// Records the state of a link after events were appended.
    fn note_events(&mut self, to: SessionKey, pushed: Pushed) {
        if let Pushed::Full { .. } = pushed
            && self.sender.is_some_and(|sender| sender != to)
            && self.events.last() != Some(&to)
        {
            self.events.push(to);
        }
    }

    /// Records a link that has become full.
    fn note_newly(&mut self, to: SessionKey, pushed: Pushed) {
        if pushed == (Pushed::Full { newly: true }) {
            self.newly_full.push(to);
        }
    }

    /// Records the state of a link after a message was appended.
    fn note(&mut self, to: SessionKey, pushed: Pushed, feed: Option<Feed>) {
        self.note_newly(to, pushed);
        let Pushed::Full { .. } = pushed else { return };
        let feed = feed.or_else(|| (self.sender == Some(to)).then_some(Feed::Stream));
        let Some(feed) = feed.filter(|_| self.sender.is_some()) else { return };
        match self.full.iter_mut().find(|(full, _)| *full == to) {
            Some((_, known)) if feed == Feed::Stream => *known = feed,
            Some(_) => {}
            None => self.full.push((to, feed)),
        }
    }
}

#[cfg(test)]
mod tests;
