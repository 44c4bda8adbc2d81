//! A realm: its sessions, and the messages between them.

use std::collections::{BTreeMap, VecDeque};

use wamp_proto::message::{self, CloseDetails, HelloDetails, RequestKind, WelcomeDetails};
use wamp_proto::{ByteString, Message, RequestId, Serializer, Uri, uri};

use super::accept::abort;
use super::broker::Broker;
use super::chance::{Chance, Seeds};
use super::config::Config;
use super::dealer::CallKey;
use super::dealer::Dealer;
use super::dealer::{Stream, Watch};
use super::departure::{Backlog, PORTION};
use super::features::{self, Announced};
use super::outbox::{Outbox, Prepared, Transmission, failure, sentence};
use super::pace::{Holding, Side};
use super::sessions::{Session, SessionKey, Sessions};
use super::welcome::fitting;
use crate::Time;
use crate::auth;
use crate::deadlines::{Deadline, Deadlines};
use crate::map::{HashSeed, map};
use crate::request_ids::{RequestIds, Sequence, Watermark};

/// Who wants to join, and over what.
#[derive(Clone, Debug)]
pub struct Join {
    /// `HELLO.Details`.
    pub details: HelloDetails,
    /// What the link speaks.
    pub serializer: Serializer,
    /// The greatest message that the link takes, in octets.
    pub max_message: usize,
}

/// What a realm tells its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A session is over; messages that were polled for it before are still to be sent.
    Closed {
        /// Which.
        session: SessionKey,
        /// What its link is to do.
        closing: Closing,
    },
    /// The driver is to call [`Realm::handle_left`] when all has left for this session's socket that has been
    /// polled for it until now, and its queue is not above high water.
    Watch {
        /// Whose socket.
        session: SessionKey,
        /// What to say then.
        watch: Watch,
    },
    /// A session that was held is not any more: it may be read from again. See [`Realm::hold`].
    Released {
        /// Which.
        session: SessionKey,
    },
}

/// What the link of a session is to do when the session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closing {
    /// Both sides have said GOODBYE, or the client has not answered ours: another HELLO may follow on the
    /// same link.
    Goodbye,
    /// ABORT has been said: drop what is queued before it, send it, close.
    Abort,
    /// The link has gone before.
    Lost,
    /// The router shuts down and nothing has been said about it: send what is queued, and close in a way that tells
    /// the client to come back. See [`Realm::set_without_goodbye`].
    Restart,
}

/// What a realm has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Results that went to their callers.
    pub results: u64,
    /// How many of them were progressive.
    pub progressive_results: u64,
    /// Replies to calls that were over.
    pub late: u64,
    /// Chunks of progressive calls that went to their callees.
    pub chunks: u64,
    /// Progressive results that no caller had asked for.
    pub unsolicited: u64,
    /// Calls that took too long.
    pub timeouts: u64,
    /// Events that went to subscribers.
    pub events: u64,
    /// Events that could not be written for a subscriber, or were too big for it.
    pub events_dropped: u64,
    /// Publications that were refused, acknowledged or not: to a topic that is none, with a payload that its readers
    /// would not survive, or with an option that this router
    /// does not have and without which the event would go to others than the publisher wants.
    pub publications_refused: u64,
    /// ERRORs of callees whose URI was none; their callers got another.
    pub invalid_error_uris: u64,
    /// Sessions that were aborted for breaking the protocol.
    pub violations: u64,
    /// CREDITs with a total that is none.
    pub void_credits: u64,
    /// Calls that were ended since their caller, or their callee, did not take what was for it.
    pub slow_consumers: u64,
    /// Calls that were refused since no callee had room, or since their caller was stalled.
    pub unavailable: u64,
    /// How often a session was held, since it had filled the link of another, or its own.
    pub holds: u64,
}

/// How much a realm holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// Sessions.
    pub sessions: usize,
    /// Calls under way.
    pub calls: usize,
    /// Registrations.
    pub registrations: usize,
    /// Topics with subscribers.
    pub topics: usize,
    /// Deadlines.
    pub deadlines: usize,
    /// Streams whose senders wait for credit that their receivers have not granted.
    pub starved: usize,
    /// Sessions that are held.
    pub held: usize,
}

/// What a deadline is for.
#[derive(Clone)]
pub(super) enum Due {
    /// The callee has not answered in time.
    Call(CallKey),
    /// The client has not answered GOODBYE in time.
    Goodbye(SessionKey),
    /// The receiver of a stream has granted nothing.
    Starved(CallKey, Stream),
    /// A session has held others, or was held, for longer than its share.
    Share(SessionKey, Side),
}

/// A realm: sessions that may call each other and publish to each other.
#[derive(Clone)]
pub struct Realm {
    pub(super) config: Config,
    pub(super) chance: Chance,
    pub(super) sessions: Sessions,
    /// Sessions that the router has said GOODBYE to, each with the deadline for its answer.
    pub(super) closing: BTreeMap<SessionKey, Deadline>,
    /// Work that is done in portions.
    pub(super) backlog: Backlog,
    pub(super) dealer: Dealer,
    pub(super) broker: Broker,
    pub(super) deadlines: Deadlines<Due>,
    pub(super) out: Outbox,
    pub(super) events: VecDeque<Event>,
    pub(super) stats: Stats,
    /// Streams whose senders wait for their receivers.
    pub(super) starved: usize,
    pub(super) holding: Holding,
    /// When what is being handled has happened.
    pub(super) now: Time,
    seed: HashSeed,
    /// No session may join any more.
    pub(super) is_shutting_down: bool,
}

impl Realm {
    /// An empty realm. The ids of sessions and publications, and the order of its tables, come from the seeds.
    pub fn new(config: Config, seeds: impl Into<Seeds>) -> Self {
        let seeds = seeds.into();
        let seed = seeds.hashing;
        Self {
            config,
            chance: seeds.chance(),
            sessions: Sessions::new(seed),
            closing: BTreeMap::new(),
            backlog: Backlog::default(),
            dealer: Dealer::new(seed),
            broker: Broker::new(seed),
            deadlines: Deadlines::new(),
            out: Outbox::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            starved: 0,
            holding: Holding::default(),
            now: Time::ORIGIN,
            seed,
            is_shutting_down: false,
        }
    }

    /// The realm's name.
    pub fn name(&self) -> &Uri {
        &self.config.name
    }

    /// Whether this session is not over.
    pub fn has(&self, session: SessionKey) -> bool {
        self.sessions.get(session).is_some() || self.closing.contains_key(&session)
    }

    /// Lets a session in, with WELCOME.
    ///
    /// # Errors
    /// The reason and the sentence of the ABORT that the link is to be refused with.
    pub fn join(&mut self, _now: Time, join: Join) -> Result<SessionKey, (Uri, String)> {
        if self.is_shutting_down {
            return Err((uri::SYSTEM_SHUTDOWN, "the router is shutting down".to_owned()));
        }
        let Join { details, serializer, max_message } = join;
        if details.roles.is_empty() {
            let text = "HELLO.Details.roles must have at least one of caller, callee, publisher, subscriber";
            return Err((uri::NO_SUCH_ROLE, text.to_owned()));
        }
        let Some(identity) = auth::anonymous(&details, self.chance.id()) else {
            let text = "this realm takes the authentication method \"anonymous\" only";
            return Err((uri::NO_MATCHING_AUTH_METHOD, text.to_owned()));
        };
        let announced = Announced::new(&details);
        // With chunks correctness rests on it: one that comes late is told from a new call by its id.
        let is_sequential = self.config.strict_request_ids || announced.caller_chunks;
        // Who does not know it shall not meet it.
        let credit = self.config.credit.filter(|_| announced.knows_credit());
        let mut welcome = WelcomeDetails::default();
        welcome.roles = features::announced(credit.map(|credit| credit.window));
        welcome.agent = Some(self.config.agent.clone());
        welcome.realm = Some(self.config.name.clone());
        welcome.authid = Some(identity.authid.clone());
        welcome.authrole = Some(identity.authrole.clone());
        welcome.authmethod = Some(identity.authmethod);
        welcome.authprovider = Some(identity.authprovider);
        let welcome = fitting(welcome, serializer, max_message).ok_or_else(|| {
            let text = format!("WELCOME does not fit into the {max_message} octets that the client takes");
            (uri::PAYLOAD_SIZE_EXCEEDED, text)
        })?;
        let session = Session {
            authid: identity.authid,
            authrole: identity.authrole,
            announced,
            without_goodbye: false,
            serializer,
            max_message,
            slow: None,
            requests: is_sequential.then(Watermark::new),
            invocation_ids: RequestIds::new(),
            calls: map(self.seed),
            progressive_calls: 0,
            invocations: map(self.seed),
            callers: map(self.seed),
            registrations: map(self.seed),
            subscriptions: map(self.seed),
            table_bytes: 0,
        };
        let key = self.sessions.insert(&mut self.chance, session);
        self.out.send(key, message::Welcome { session: key.id(), details: welcome });
        Ok(key)
    }

    /// The serializers that a message's payload will be rewritten in, where they are not its own. See
    /// [`Prepared`].
    pub fn transcodings(&self, from: SessionKey, message: &Message) -> Vec<Serializer> {
        let own = message.payload().serializer();
        let mut wanted = match message {
            Message::Call(call) => self.serializer_of_callee(from, call).into_iter().collect(),
            Message::Yield(result) => self.serializer_of_caller(from, result.request).into_iter().collect(),
            Message::Error(error) => self.serializer_of_caller(from, error.request).into_iter().collect(),
            Message::Publish(publish) => self.serializers_of_subscribers(publish),
            _ => Vec::new(),
        };
        wanted.retain(|serializer| Some(*serializer) != own);
        wanted
    }

    /// A message has come from a session, written as this crate would write it. A driver that knows how long
    /// it really was says so by [`handle_prepared`](Self::handle_prepared): credit is counted in octets.
    pub fn handle_message(&mut self, now: Time, from: SessionKey, message: Message) {
        self.handle_prepared(now, from, message, &Prepared::none());
    }

    /// A message has come from a session, about which the driver knows something already.
    pub fn handle_prepared(&mut self, now: Time, from: SessionKey, message: Message, prepared: &Prepared) {
        self.now = now;
        let Some(session) = self.sessions.get(from) else {
            if matches!(message, Message::Goodbye(_) | Message::Abort(_)) {
                self.finish(from, Closing::Goodbye);
            }
            return;
        };
        let octets = match prepared.octets() {
            Some(octets) => octets,
            None if session.announced.knows_credit() => message.encoded_len(session.serializer).unwrap_or(0),
            None => 0,
        };
        match message {
            Message::Yield(result) => self.handle_yield(now, from, result, octets, prepared),
            Message::Call(call) => self.handle_call(now, from, call, octets, prepared),
            Message::Credit(credit) => self.handle_credit(now, from, credit),
            Message::Publish(publish) => self.handle_publish(from, publish, prepared),
            Message::Error(error) => self.handle_error(now, from, error, prepared),
            Message::Cancel(cancel) => self.handle_cancel(now, from, cancel),
            Message::Register(register) => self.handle_register(from, register),
            Message::Unregister(unregister) => self.handle_unregister(from, unregister),
            Message::Subscribe(subscribe) => self.handle_subscribe(from, subscribe),
            Message::Unsubscribe(unsubscribe) => self.handle_unsubscribe(from, unsubscribe),
            Message::Goodbye(_) => {
                let details = CloseDetails::default();
                self.out.send(from, message::Goodbye { details, reason: uri::GOODBYE_AND_OUT });
                self.finish(from, Closing::Goodbye);
            }
            Message::Abort(_) => {
                self.out.forget(from);
                self.finish(from, Closing::Lost);
            }
            Message::EventReceived(_) => {}
            Message::Hello(_) => {
                self.violation(from, "HELLO after the session was established");
            }
            other => {
                self.violation(from, &format!("{}, which a client does not send now", other.name()));
            }
        }
    }

    /// Octets have come from a session that are no message of its serializer, as a frame that is too long: `text` says
    /// what is wrong with them. See [`handle_faulty`](Self::handle_faulty) for what a decoder has found.
    pub fn handle_garbage(&mut self, now: Time, from: SessionKey, text: &str) {
        self.now = now;
        if self.has(from) {
            self.violation(from, text);
        }
    }

    /// The link of a session is gone.
    pub fn handle_closed(&mut self, now: Time, session: SessionKey) {
        self.now = now;
        if self.has(session) {
            self.out.forget(session);
            self.finish(session, Closing::Lost);
        }
    }

    /// Time has passed. Does a bounded amount of work; what is left makes
    /// [`poll_timeout`](Self::poll_timeout) return a time that has passed already.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        let mut left = PORTION;
        self.work_off(&mut left);
        while left > 0
            && let Some(due) = self.deadlines.pop(now)
        {
            left -= 1;
            match due {
                Due::Call(call) => self.handle_call_deadline(now, call),
                Due::Goodbye(session) => self.finish(session, Closing::Goodbye),
                Due::Starved(call, stream) => self.handle_starved(call, stream),
                Due::Share(session, side) => self.handle_share(now, session, side),
            }
        }
    }

    /// Ends a session with GOODBYE.
    pub fn close(&mut self, now: Time, session: SessionKey, reason: Uri, text: &str) {
        self.now = now;
        self.say_goodbye(now, session, reason, text);
        self.work_off(&mut { PORTION });
    }

    /// Makes a shutdown end this session with [`Closing::Restart`] instead of GOODBYE, for a client to which GOODBYE
    /// is final: see [`Quirks::goodbye_is_final`](super::Quirks::goodbye_is_final).
    pub fn set_without_goodbye(&mut self, session: SessionKey) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.without_goodbye = true;
        }
    }

    /// Ends all sessions with GOODBYE, and lets nobody in any more. Of many sessions, the others follow in
    /// [`handle_timeout`](Self::handle_timeout).
    pub fn shut_down(&mut self, now: Time) {
        self.now = now;
        if !std::mem::replace(&mut self.is_shutting_down, true) {
            self.begin_shutdown();
        }
    }

    /// The next message to send, and to whom.
    pub fn poll_transmit(&mut self) -> Option<(SessionKey, Message)> {
        self.out.pop()
    }

    /// The next message to send, and to which sessions: an event goes to many, which speak the same serializer. A
    /// driver calls this or [`poll_transmit`](Self::poll_transmit).
    #[inline]
    pub fn poll_transmit_to_all(&mut self) -> Option<Transmission> {
        self.out.pop_all()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.backlog.is_empty() { self.deadlines.next() } else { Some(self.now) }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How much there is.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            sessions: self.sessions.len() + self.closing.len(),
            calls: self.dealer.calls.len(),
            registrations: self.dealer.procedures.len(),
            topics: self.broker.topics.len(),
            deadlines: self.deadlines.len(),
            starved: self.starved,
            held: self.held_now(),
        }
    }

    /// Judges the id of a request. `false`: it was a violation, and the session is over.
    pub(super) fn is_next(&mut self, from: SessionKey, name: &str, request: RequestId) -> bool {
        match self.sequence(from, request) {
            Sequence::Next => true,
            wrong => {
                self.wrong_id(from, name, request, wrong);
                false
            }
        }
    }

    /// Aborts a session for the id of a request.
    pub(super) fn wrong_id(&mut self, from: SessionKey, name: &str, request: RequestId, wrong: Sequence) {
        let why = match wrong {
            Sequence::Gap { expected } => format!("where {expected} comes next"),
            _ if self.sessions.get(from).is_some_and(|session| session.requests.is_some()) => {
                "which was used before".to_owned()
            }
            _ => "which a call under way has".to_owned(),
        };
        self.violation(from, &format!("{name} with the request id {request}, {why}"));
    }

    /// How the id of a request stands to those before it; the next one counts as used from now on.
    pub(super) fn sequence(&mut self, from: SessionKey, request: RequestId) -> Sequence {
        let Some(session) = self.sessions.get_mut(from) else { return Sequence::Seen };
        match &mut session.requests {
            Some(requests) => requests.check(request),
            // All other requests are answered at once.
            None if session.calls.contains_key(&request) => Sequence::Seen,
            None => Sequence::Next,
        }
    }

    /// Answers a request with ERROR.
    pub(super) fn refuse(
        &mut self,
        to: SessionKey,
        kind: RequestKind,
        request: RequestId,
        error: Uri,
        text: &str,
    ) {
        if let Some(session) = self.sessions.get(to) {
            self.out.send(to, failure(error, text, session).answer(kind, request));
        }
    }

    /// Aborts a session that broke the protocol.
    pub(super) fn violation(&mut self, session: SessionKey, text: &str) {
        self.stats.violations += 1;
        self.out.forget(session);
        self.out.send(session, abort(uri::PROTOCOL_VIOLATION, text));
        self.finish(session, Closing::Abort);
    }

    /// Says GOODBYE to a session, which takes part in nothing from now on.
    pub(super) fn say_goodbye(&mut self, now: Time, key: SessionKey, reason: Uri, text: &str) {
        if self.depart(key) {
            let deadline = self.deadlines.set(now + self.config.goodbye_timeout, Due::Goodbye(key));
            self.closing.insert(key, deadline);
            let mut details = CloseDetails::default();
            details.message = Some(ByteString::from(sentence(text)));
            self.out.send(key, message::Goodbye { details, reason });
        }
    }

    /// A session is over.
    fn finish(&mut self, key: SessionKey, closing: Closing) {
        let departed = self.depart(key);
        let deadline = self.closing.remove(&key);
        if let Some(deadline) = deadline {
            self.deadlines.clear(deadline);
        }
        if departed || deadline.is_some() {
            self.events.push_back(Event::Closed { session: key, closing });
        }
        self.work_off(&mut { PORTION });
    }
}
