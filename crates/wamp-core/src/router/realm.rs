//! A realm: its sessions, and the messages between them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wamp_proto::message::{self, CloseDetails, HelloDetails, WelcomeDetails};
use wamp_proto::{ByteString, Message, RequestId, Serializer, SubscriptionId, Uri, uri};

use super::accept::abort;
use super::broker::Broker;
use super::chance::Seeds;
use super::config::{Config, Meta};
use super::context::{Context, Due, Violation};
use super::dealer::{Dealer, Watch};
use super::departure::{Backlog, PORTION};
use super::features::{self, Announced};
use super::outbox::{Outbox, Prepared, Transmission, sentence};
use super::pace::Holds;
use super::sessions::{Session, SessionKey, Sessions};
use super::stats::{Sizes, Stats};
use super::welcome::fitting;
use super::{broker, dealer};
use crate::Time;
use crate::auth;
use crate::deadlines::{Deadline, Deadlines};
use crate::map::HashSeed;
use crate::request_ids::Watermark;

/// Who wants to join, and over what.
#[derive(Clone, Debug)]
pub struct Join {
    /// `HELLO.Details`.
    pub details: HelloDetails,
    /// What the link speaks.
    pub serializer: Serializer,
    /// The greatest message that the link takes, in octets.
    pub max_message: usize,
    /// What the meta API says of the link.
    pub transport: Transport,
}

/// The link of a session, as the meta API shows it (behaviour [173](crate::behaviour#rule-173)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// Its kind.
    pub protocol: Protocol,
    /// The address of the other end, for sessions that may control others; `None` if it has none, or if nobody may
    /// see it.
    pub peer: Option<Box<str>>,
}

/// The kind of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// WebSocket.
    WebSocket,
    /// RawSocket.
    RawSocket,
    /// None: the client is in the router's process.
    #[default]
    Memory,
}

impl Protocol {
    /// Its name: `websocket`, `rawsocket` or `memory`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::RawSocket => "rawsocket",
            Self::Memory => "memory",
        }
    }
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

/// A realm: sessions that may call each other and publish to each other.
#[derive(Clone)]
pub struct Realm {
    pub(super) cx: Context,
    /// Sessions that the router has said GOODBYE to, each with the deadline for its answer.
    pub(super) closing: BTreeMap<SessionKey, Deadline>,
    /// Work that is done in portions.
    pub(super) backlog: Backlog,
    pub(super) dealer: Dealer,
    pub(super) broker: Broker,
    pub(super) holds: Holds,
    seed: HashSeed,
}

impl Realm {
    /// An empty realm. The ids of sessions and publications, and the order of its tables, come from the seeds.
    pub fn new(config: Config, seeds: impl Into<Seeds>) -> Self {
        let seeds = seeds.into();
        let seed = seeds.hashing;
        let cx = Context {
            now: Time::ORIGIN,
            config,
            chance: seeds.chance(),
            sessions: Sessions::new(seed),
            deadlines: Deadlines::new(),
            out: Outbox::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            is_shutting_down: false,
        };
        Self {
            cx,
            closing: BTreeMap::new(),
            backlog: Backlog::default(),
            dealer: Dealer::new(seed),
            broker: Broker::new(seed),
            holds: Holds::default(),
            seed,
        }
    }

    /// The realm's name.
    pub fn name(&self) -> &Uri {
        &self.cx.config.name
    }

    /// Whether this session is not over.
    pub fn has(&self, session: SessionKey) -> bool {
        self.cx.sessions.get(session).is_some() || self.closing.contains_key(&session)
    }

    /// Lets a session in, with WELCOME.
    ///
    /// # Errors
    /// The reason and the sentence of the ABORT that the link is to be refused with.
    pub fn join(&mut self, _now: Time, join: Join) -> Result<SessionKey, (Uri, String)> {
        if self.cx.is_shutting_down {
            return Err((uri::SYSTEM_SHUTDOWN, "the router is shutting down".to_owned()));
        }
        let Join { details, serializer, max_message, transport } = join;
        if details.roles.is_empty() {
            let text = "HELLO.Details.roles must have at least one of caller, callee, publisher, subscriber";
            return Err((uri::NO_SUCH_ROLE, text.to_owned()));
        }
        let Some(identity) = auth::anonymous(&details, self.cx.chance.id()) else {
            let text = "this realm supports only the authentication method \"anonymous\"";
            return Err((uri::NO_MATCHING_AUTH_METHOD, text.to_owned()));
        };
        let mut transport = transport;
        transport.peer = transport.peer.filter(|_| self.cx.config.meta >= Meta::Control);
        let announced = Announced::new(&details);
        // With chunks correctness rests on it: one that comes late is told from a new call by its id.
        let is_sequential = self.cx.config.strict_request_ids || announced.caller_chunks;
        // Who does not know it shall not meet it.
        let credit = self.cx.config.credit.filter(|_| announced.knows_credit());
        let welcome = WelcomeDetails {
            roles: features::announced(credit.map(|credit| credit.window)),
            agent: Some(self.cx.config.agent.clone()),
            realm: Some(self.cx.config.name.clone()),
            authid: Some(identity.authid.clone()),
            authrole: Some(identity.authrole.clone()),
            authmethod: Some(identity.authmethod.clone()),
            authprovider: Some(identity.authprovider.clone()),
            ..WelcomeDetails::default()
        };
        let welcome = fitting(welcome, serializer, max_message).ok_or_else(|| {
            let text = format!("WELCOME does not fit into the {max_message} bytes that the client accepts");
            (uri::PAYLOAD_SIZE_EXCEEDED, text)
        })?;
        let session = Session {
            identity: Arc::new(identity),
            transport,
            announced,
            without_goodbye: false,
            serializer,
            max_message,
            requests: is_sequential.then(Watermark::new),
            table_bytes: 0,
            dealer: dealer::SessionPart::new(self.seed),
            broker: broker::SessionPart::new(self.seed),
            pace: None,
        };
        let key = self.cx.sessions.insert(&mut self.cx.chance, session);
        self.cx.out.send(key, message::Welcome { session: key.id(), details: welcome });
        Ok(key)
    }

    /// The serializers that a message's payload will be rewritten in, where they are not its own. See
    /// [`Prepared`].
    pub fn transcodings(&self, from: SessionKey, message: &Message) -> Vec<Serializer> {
        let Self { cx, dealer, broker, .. } = self;
        let own = message.payload().serializer();
        let mut wanted = match message {
            Message::Call(call) => dealer.serializer_of_callee(cx, from, call).into_iter().collect(),
            Message::Yield(result) => {
                dealer.serializer_of_caller(cx, from, result.request).into_iter().collect()
            }
            Message::Error(error) => {
                dealer.serializer_of_caller(cx, from, error.request).into_iter().collect()
            }
            Message::Publish(publish) => broker.serializers_of_subscribers(cx, publish),
            _ => Vec::new(),
        };
        wanted.retain(|serializer| Some(*serializer) != own);
        wanted
    }

    /// The serializer of the caller that a reply of this callee goes to; `None` if the call is over.
    pub fn serializer_of_caller(&self, callee: SessionKey, invocation: RequestId) -> Option<Serializer> {
        self.dealer.serializer_of_caller(&self.cx, callee, invocation)
    }

    /// A message has come from a session, written as this crate would write it. A driver that knows how long
    /// it really was says so by [`handle_prepared`](Self::handle_prepared): credit is counted in octets.
    pub fn handle_message(&mut self, now: Time, from: SessionKey, message: Message) {
        self.handle_prepared(now, from, message, &Prepared::none());
    }

    /// A message has come from a session, about which the driver knows something already.
    pub fn handle_prepared(&mut self, now: Time, from: SessionKey, message: Message, prepared: &Prepared) {
        self.cx.now = now;
        let Some(session) = self.cx.sessions.get(from) else {
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
        let Self { cx, dealer, broker, .. } = self;
        let handled = match message {
            Message::Yield(result) => dealer.handle_yield(cx, from, result, octets, prepared),
            Message::Call(call) => dealer.handle_call(cx, from, call, octets, prepared),
            Message::Credit(credit) => dealer.handle_credit(cx, from, credit),
            Message::Publish(publish) => broker.handle_publish(cx, from, publish, prepared),
            Message::Error(error) => dealer.handle_error(cx, from, error, prepared),
            Message::Cancel(cancel) => {
                dealer.handle_cancel(cx, from, cancel);
                Ok(())
            }
            Message::Register(register) => dealer.handle_register(cx, from, register),
            Message::Unregister(unregister) => dealer.handle_unregister(cx, from, unregister),
            Message::Subscribe(subscribe) => broker.handle_subscribe(cx, from, subscribe),
            Message::Unsubscribe(unsubscribe) => broker.handle_unsubscribe(cx, from, unsubscribe),
            Message::Goodbye(_) => {
                let details = CloseDetails::default();
                cx.out.send(from, message::Goodbye { details, reason: uri::GOODBYE_AND_OUT });
                self.finish(from, Closing::Goodbye);
                Ok(())
            }
            Message::Abort(_) => {
                cx.out.forget(from);
                self.finish(from, Closing::Lost);
                Ok(())
            }
            Message::EventReceived(_) => Ok(()),
            Message::Hello(_) => Err("HELLO after the session was established".into()),
            other => Err(Violation(format!("{}, which a client must not send now", other.name()))),
        };
        self.conclude(from, handled);
    }

    /// Octets have come from a session that are no message of its serializer, as a frame that is too long: `text` says
    /// what is wrong with them. See [`handle_faulty`](Self::handle_faulty) for what a decoder has found.
    pub fn handle_garbage(&mut self, now: Time, from: SessionKey, text: &str) {
        self.cx.now = now;
        if self.has(from) {
            self.violation(from, text);
        }
    }

    /// The link of a session is gone.
    pub fn handle_closed(&mut self, now: Time, session: SessionKey) {
        self.cx.now = now;
        if self.has(session) {
            self.cx.out.forget(session);
            self.finish(session, Closing::Lost);
        }
    }

    /// Time has passed. Does a bounded amount of work; what is left makes
    /// [`poll_timeout`](Self::poll_timeout) return a time that has passed already.
    pub fn handle_timeout(&mut self, now: Time) {
        self.cx.now = now;
        let mut left = PORTION;
        self.work_off(&mut left);
        while left > 0
            && let Some(due) = self.cx.deadlines.pop(now)
        {
            left -= 1;
            match due {
                Due::Call(call) => self.dealer.handle_call_deadline(&mut self.cx, call),
                Due::Goodbye(session) => self.finish(session, Closing::Goodbye),
                Due::Starved(call, stream) => self.dealer.handle_starved(&mut self.cx, call, stream),
                Due::Share(session, side) => self.handle_share(session, side),
            }
            self.pass_on();
        }
    }

    /// Ends a session with GOODBYE.
    pub fn close(&mut self, now: Time, session: SessionKey, reason: Uri, text: &str) {
        self.cx.now = now;
        self.say_goodbye(now, session, reason, text);
        self.work_off(&mut { PORTION });
    }

    /// Takes a subscription from a session, for a reason that it is told if it announced `subscription_revocation`.
    /// Returns `false` if the session does not have it.
    pub fn revoke_subscription(
        &mut self,
        now: Time,
        session: SessionKey,
        subscription: SubscriptionId,
        reason: Option<Uri>,
    ) -> bool {
        self.cx.now = now;
        self.broker.revoke(&mut self.cx, session, subscription, reason)
    }

    /// Forgets the retained events of a topic. Returns `false` if there are none.
    pub fn forget_retained(&mut self, topic: &Uri) -> bool {
        self.broker.forget_retained(topic)
    }

    /// Makes a shutdown end this session with [`Closing::Restart`] instead of GOODBYE, for a client to which GOODBYE
    /// is final: see [`Quirks::goodbye_is_final`](super::Quirks::goodbye_is_final).
    pub fn set_without_goodbye(&mut self, session: SessionKey) {
        if let Some(session) = self.cx.sessions.get_mut(session) {
            session.without_goodbye = true;
        }
    }

    /// Ends all sessions with GOODBYE, and lets nobody in any more. Of many sessions, the others follow in
    /// [`handle_timeout`](Self::handle_timeout).
    pub fn shut_down(&mut self, now: Time) {
        self.cx.now = now;
        if !std::mem::replace(&mut self.cx.is_shutting_down, true) {
            self.begin_shutdown();
        }
    }

    /// The next message to send, and to whom.
    pub fn poll_transmit(&mut self) -> Option<(SessionKey, Message)> {
        self.cx.out.pop()
    }

    /// All messages to send, in order, and to which sessions: an event goes to many, which speak the same serializer.
    /// A driver calls this or [`poll_transmit`](Self::poll_transmit).
    #[inline]
    pub fn transmit(&mut self, send: impl FnMut(&Transmission)) {
        self.cx.out.drain(send);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.backlog.is_empty() { self.cx.deadlines.next() } else { Some(self.cx.now) }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.cx.events.pop_front()
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        self.cx.stats
    }

    /// How much there is.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            sessions: self.cx.sessions.len() + self.closing.len(),
            calls: self.dealer.calls(),
            registrations: self.dealer.registrations(),
            topics: self.broker.topics(),
            retained: self.broker.retained().0,
            retained_bytes: self.broker.retained().1,
            deadlines: self.cx.deadlines.len(),
            starved: self.dealer.starved(),
            held: self.holds.len(),
        }
    }

    /// All of a session has been sent that had been sent to it when [`Event::Watch`] came.
    pub fn handle_left(&mut self, now: Time, watch: Watch) {
        self.cx.now = now;
        self.dealer.handle_left(&mut self.cx, watch);
    }

    /// Aborts a session if it broke the protocol, and passes on what else has to be known.
    pub(super) fn conclude(&mut self, from: SessionKey, handled: Result<(), Violation>) {
        match handled {
            Ok(()) => self.pass_on(),
            Err(Violation(text)) => self.violation(from, &text),
        }
    }

    /// Passes on what one part of the realm has changed and another has to know.
    #[inline]
    pub(super) fn pass_on(&mut self) {
        for tie in self.dealer.take_ties() {
            self.holds.handle_tie(&mut self.cx, tie);
        }
    }

    /// Aborts a session that broke the protocol.
    pub(super) fn violation(&mut self, session: SessionKey, text: &str) {
        self.cx.stats.violations += 1;
        self.cx.out.forget(session);
        self.cx.out.send(session, abort(uri::PROTOCOL_VIOLATION, text));
        self.finish(session, Closing::Abort);
    }

    /// Says GOODBYE to a session, which takes part in nothing from now on.
    pub(super) fn say_goodbye(&mut self, now: Time, key: SessionKey, reason: Uri, text: &str) {
        if self.depart(key) {
            let deadline = self.cx.deadlines.set(now + self.cx.config.goodbye_timeout, Due::Goodbye(key));
            self.closing.insert(key, deadline);
            let details =
                CloseDetails { message: Some(ByteString::from(sentence(text))), ..CloseDetails::default() };
            self.cx.out.send(key, message::Goodbye { details, reason });
        }
    }

    /// A session is over.
    fn finish(&mut self, key: SessionKey, closing: Closing) {
        let departed = self.depart(key);
        let deadline = self.closing.remove(&key);
        if let Some(deadline) = deadline {
            self.cx.deadlines.clear(deadline);
        }
        if departed || deadline.is_some() {
            self.cx.events.push_back(Event::Closed { session: key, closing });
        }
        self.work_off(&mut { PORTION });
    }
}
