//! Requests that wait for the decision of an authorizer (behaviour [262](crate::behaviour#rule-262) to
//! [265](crate::behaviour#rule-265)).
//!
//! Only a session whose role has an authorizer has a [`Waiting`]. CALL, PUBLISH, REGISTER, SUBSCRIBE, UNREGISTER,
//! UNSUBSCRIBE and GOODBYE wait in one queue behind the first request that is not decided, and leave it at its head, in
//! order. Their ids are checked when they arrive, everything else when they leave. Every other message is handled at once.
//!
//! ```text
//!   request ──▶ │ decided │ asked │ decided │ asked │ not asked │ …
//!               ▲ leaves                     at most 64 are asked at a time
//! ```
//!
//! A verdict is only recorded when it arrives. The driver is told once that a request can leave, and lets requests leave
//! in the turns of the session ([`Realm::advance`](super::Realm::advance)): so they have the back-pressure, the portions
//! and the order of all other messages of the session.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use wamp_proto::message::{
    self, CallOptions, CloseDetails, MatchPolicy, Publish, PublishOptions, RegisterOptions, SubscribeOptions,
};
use wamp_proto::{Message, Payload, RequestId, Uri};

use super::join::Transport;
use super::roles::Actions;
use super::session_key::SessionKey;
use super::verdicts::{Known, Verdict};
use crate::auth::Identity;
use crate::deadlines::Deadline;

/// The questions of a session at a time.
pub(super) const QUESTIONS: usize = 64;

/// The requests of a session that wait, beyond which its link is held.
pub(super) const REQUESTS: usize = 1024;

/// The same in bytes.
pub(super) const BYTES: usize = 1 << 20;

/// The time for a decision.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// The key of a question. No other question of the realm ever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(super) session: SessionKey,
    pub(super) number: u64,
}

/// A question to the authorizer of a role.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The session that asks.
    pub session: SessionKey,
    /// Its identity.
    pub identity: Arc<Identity>,
    /// Its link.
    pub transport: Transport,
    /// One of CALL, REGISTER, PUBLISH and SUBSCRIBE.
    pub action: Actions,
    /// The URI or pattern.
    pub uri: Uri,
    /// What kind of pattern it is.
    pub policy: MatchPolicy,
    /// The request with its options, without its arguments.
    pub request: Message,
}

/// The requests of a session that wait.
#[derive(Clone, Default)]
pub(super) struct Waiting {
    pub(super) queue: VecDeque<Entry>,
    bytes: usize,
    /// The questions that are not answered.
    asked: usize,
    /// The verdict on the request that is being handled.
    pub(super) verdict: Option<Verdict>,
    /// What is left of the timeout of the call that is being handled.
    pub(super) left: Option<Duration>,
    /// So much waits that the link is held.
    pub(super) holds: bool,
    /// GOODBYE waits: no request follows it.
    pub(super) leaves: bool,
    /// The time at which GOODBYE waits no longer.
    pub(super) patience: Option<Deadline>,
    /// The driver knows that a request can leave.
    pub(super) told: bool,
    /// Verdicts that hold for further requests.
    pub(super) known: Known,
    /// Verdicts on requests up to this number hold for no other: the configuration has changed since they came.
    void: u64,
}

/// A request that waits.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) message: Message,
    /// Its length on the wire.
    pub(super) len: usize,
    /// It is a further chunk of a call.
    pub(super) is_chunk: bool,
    pub(super) state: State,
    /// The time at which a call ends.
    pub(super) timeout: Option<Deadline>,
    /// The credit that the caller has granted to the results.
    pub(super) credit: Option<u64>,
}

#[derive(Clone, Copy)]
pub(super) enum State {
    /// It may leave, with this verdict, if one was needed.
    Ready(Option<Verdict>),
    /// It is still to be asked about.
    Unasked,
    /// The authorizer has until then.
    Asked(Deadline),
}

impl Waiting {
    /// Adds a request, whose number is greater than those before.
    pub(super) fn push(&mut self, number: u64, message: Message, len: usize, is_chunk: bool, state: State) {
        self.bytes += len;
        self.queue.push_back(Entry { number, message, len, is_chunk, state, timeout: None, credit: None });
    }

    /// Removes the first request, if it may leave.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let State::Ready(_) = self.queue.front()?.state else { return None };
        let entry = self.queue.pop_front()?;
        self.bytes -= entry.len;
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(entry)
    }

    /// Whether the first request may leave.
    pub(super) fn has_ready(&self) -> bool {
        self.queue.front().is_some_and(|entry| matches!(entry.state, State::Ready(_)))
    }

    /// Removes a request.
    pub(super) fn remove(&mut self, index: usize) -> Option<Entry> {
        let entry = self.queue.remove(index)?;
        self.bytes -= entry.len;
        self.asked -= usize::from(matches!(entry.state, State::Asked(_)));
        Some(entry)
    }

    /// The index of a request by its number.
    pub(super) fn index(&self, number: u64) -> Option<usize> {
        self.queue.binary_search_by_key(&number, |entry| entry.number).ok()
    }

    /// The index of a call that waits.
    pub(super) fn call(&self, request: RequestId) -> Option<usize> {
        let is_it = |entry: &Entry| {
            matches!(&entry.message, Message::Call(call) if call.request == request) && !entry.is_chunk
        };
        self.queue.iter().position(is_it)
    }

    /// Whether a call waits that was made by this request.
    pub(super) fn is_calling(&self, request: RequestId) -> bool {
        !self.queue.is_empty() && self.call(request).is_some()
    }

    /// Whether the first request may leave, and is not a chunk.
    pub(super) fn has_ready_request(&self) -> bool {
        self.has_ready() && self.queue.front().is_some_and(|entry| !entry.is_chunk)
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.holds && !self.leaves
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= REQUESTS || self.bytes >= BYTES
    }

    /// Whether so little waits that the link need not be held any more.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() <= REQUESTS / 2 && self.bytes <= BYTES / 2
    }

    /// Forgets the verdicts that hold for further requests. `waited` is the number of the latest request.
    pub(super) fn forget_verdicts(&mut self, waited: u64) {
        self.known.clear();
        self.void = waited;
    }

    /// Whether the verdict on a request may hold for further ones.
    pub(super) fn keeps(&self, number: u64) -> bool {
        number > self.void
    }

    /// The index of the next request to ask about, if there may be another question.
    pub(super) fn next_question(&self) -> Option<usize> {
        if self.asked >= QUESTIONS {
            return None;
        }
        self.queue.iter().position(|entry| matches!(entry.state, State::Unasked))
    }

    /// Records a question about a request.
    pub(super) fn set_asked(&mut self, index: usize, deadline: Deadline) {
        if let Some(entry) = self.queue.get_mut(index) {
            entry.state = State::Asked(deadline);
            self.asked += 1;
        }
    }

    /// Changes the state of a request that was not asked about.
    pub(super) fn set_state(&mut self, index: usize, state: State) {
        if let Some(entry) = self.queue.get_mut(index) {
            entry.state = state;
        }
    }

    /// Records a verdict. Returns the deadline of the question.
    pub(super) fn set_decided(&mut self, index: usize, verdict: Verdict) -> Option<Deadline> {
        let entry = self.queue.get_mut(index)?;
        match std::mem::replace(&mut entry.state, State::Ready(Some(verdict))) {
            State::Asked(deadline) => {
                self.asked -= 1;
                Some(deadline)
            }
            State::Ready(before) => {
                entry.state = State::Ready(before);
                None
            }
            State::Unasked => None,
        }
    }

    /// All deadlines, of requests that are dropped.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Deadline> + '_ {
        self.queue.iter().flat_map(Entry::deadlines).chain(self.patience)
    }

    /// The numbers of the requests that are asked about.
    pub(super) fn asked(&self) -> impl Iterator<Item = u64> + '_ {
        self.queue.iter().filter(|entry| entry.asked().is_some()).map(|entry| entry.number)
    }
}

impl Entry {
    /// The deadline of the question about it, if there is one.
    pub(super) fn asked(&self) -> Option<Deadline> {
        match self.state {
            State::Asked(deadline) => Some(deadline),
            _ => None,
        }
    }

    /// Its deadlines.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Deadline> + use<> {
        [self.timeout, self.asked()].into_iter().flatten()
    }
}

/// The same message in memory of its own, since the frame that it is a part of may be large.
pub(super) fn detached(message: Message) -> Message {
    match message {
        Message::Call(message::Call { request, options, procedure, payload }) => {
            let ppt = options.ppt.as_ref().map(|ppt| Box::new(ppt.detached()));
            let options = CallOptions { ppt, extra: options.extra.detached(), ..options };
            let (procedure, payload) = (procedure.detached(), payload.detached());
            message::Call { request, options, procedure, payload }.into()
        }
        Message::Publish(Publish { request, options, topic, payload }) => {
            let ppt = options.ppt.as_ref().map(|ppt| Box::new(ppt.detached()));
            let receivers = options.receivers.as_ref().map(|lists| Box::new(lists.detached()));
            let options = PublishOptions { ppt, receivers, extra: options.extra.detached(), ..options };
            Publish { request, options, topic: topic.detached(), payload: payload.detached() }.into()
        }
        Message::Register(message::Register { request, options, procedure }) => {
            let options = RegisterOptions { extra: options.extra.detached(), ..options };
            message::Register { request, options, procedure: procedure.detached() }.into()
        }
        Message::Subscribe(message::Subscribe { request, options, topic }) => {
            let options = SubscribeOptions { extra: options.extra.detached(), ..options };
            message::Subscribe { request, options, topic: topic.detached() }.into()
        }
        Message::Goodbye(message::Goodbye { reason, .. }) => {
            // Its details are not used.
            message::Goodbye { details: CloseDetails::default(), reason: reason.detached() }.into()
        }
        // Numbers.
        other => other,
    }
}

/// A request without its arguments.
pub(super) fn without_arguments(message: &Message) -> Message {
    let payload = Payload::empty();
    match message {
        Message::Call(call) => message::Call { payload, ..call.clone() }.into(),
        Message::Publish(publish) => Publish { payload, ..publish.clone() }.into(),
        other => other.clone(),
    }
}
