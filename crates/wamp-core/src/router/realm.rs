//! A realm: its sessions, and the messages between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use wamp_proto::message::{self, CloseDetails, WelcomeDetails};
use wamp_proto::{ByteString, Message, RegistrationId, RequestId, Serializer, SubscriptionId, Uri, uri};

use super::accept::abort;
use super::authorizing::Admitted;
use super::broker::Broker;
use super::chance::Seeds;
use super::config::{Config, Meta};
use super::context::{Context, Due, Violation};
use super::dealer::{Dealer, Watch};
use super::departure::{Backlog, Ending, PORTION};
use super::drain::Drain;
use super::event::{Closing, Event};
use super::features::{self, Announced};
use super::figures::Joins;
use super::join::Join;
use super::outbox::{FrameInfo, Outbox, Transmission, sentence};
use super::pace::Holds;
use super::sessions::{About, Session, SessionKey, Sessions};
use super::stats::{Sizes, Stats};
use super::welcome::fitting;
use super::{broker, dealer};
use crate::Time;
use crate::auth::{self, Admission, Denied, Identity, Method};
use crate::deadlines::{Deadline, Deadlines};
use crate::map::HashSeed;
use crate::request_ids::Watermark;

/// A realm: sessions that may call each other and publish to each other.
#[derive(Clone)]
pub struct Realm {
    pub(super) cx: Context,
    /// The sessions to which the router has sent GOODBYE, each with the deadline for its answer.
    pub(super) closing: BTreeMap<SessionKey, Deadline>,
    /// Work that is done in portions.
    pub(super) backlog: Backlog,
    pub(super) dealer: Dealer,
    pub(super) broker: Broker,
    pub(super) holds: Holds,
    /// The shutdown that has begun and ends the sessions one after another.
    pub(super) drain: Option<Drain>,
    /// The bytes of the testaments of all sessions.
    pub(super) testament_bytes: usize,
    seed: HashSeed,
}

impl Realm {
    /// Creates an empty realm. The ids of sessions and publications, and the order of its tables, come from
    /// the seeds.
    pub fn new(config: Config, seeds: impl Into<Seeds>) -> Self {
        let seeds = seeds.into();
        let seed = seeds.hashing;
        let broker = Broker::new(seed, &config);
        let cx = Context {
            now: Time::ORIGIN,
            config,
            chance: seeds.chance(),
            sessions: Sessions::new(seed),
            deadlines: Deadlines::new(),
            out: Outbox::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            ending: None,
            asks: false,
            waited: 0,
            watchers: 0,
            noted: Vec::new(),
            silenced: BTreeSet::new(),
            probed: BTreeMap::new(),
            joins: Joins::default(),
        };
        Self {
            cx,
            closing: BTreeMap::new(),
            backlog: Backlog::default(),
            dealer: Dealer::new(seed),
            broker,
            holds: Holds::default(),
            drain: None,
            testament_bytes: 0,
            seed,
        }
    }

    /// Returns the realm's name.
    pub fn name(&self) -> &Uri {
        &self.cx.config.name
    }

    /// Returns whether this session is still open.
    pub fn has(&self, session: SessionKey) -> bool {
        self.cx.sessions.get(session).is_some() || self.closing.contains_key(&session)
    }

    /// Opens an anonymous session and sends WELCOME: for a realm that admits every client.
    ///
    /// # Errors
    /// The reason and the text of the ABORT with which the link must be refused.
    pub fn join(&mut self, now: Time, join: Join) -> Result<SessionKey, (Uri, String)> {
        let denied = |denied: Denied| (denied.reason, denied.text.to_owned());
        auth::fitting(&join.details, &[Method::Anonymous], false).map_err(denied)?;
        let identity = Identity::anonymous(Method::Anonymous.name(), self.cx.chance.id());
        self.join_as(now, join, identity.into())
    }

    /// Opens a session of a client that was admitted, and sends WELCOME.
    ///
    /// # Errors
    /// The reason and the text of the ABORT with which the link must be refused.
    pub fn join_as(
        &mut self,
        now: Time,
        join: Join,
        admission: Admission,
    ) -> Result<SessionKey, (Uri, String)> {
        let drains = self.drain.is_some().then_some(Ending::Shutdown);
        if let Some(ending) = self.cx.ending.or(drains) {
            return Err(ending.refusal());
        }
        let Join { details, serializer, max_message, transport } = join;
        if details.roles.is_empty() {
            let text = "HELLO.Details.roles must have at least one of caller, callee, publisher, subscriber";
            return Err((uri::NO_SUCH_ROLE, text.to_owned()));
        }
        let Admission { identity, authextra, session: id } = admission;
        let config = &self.cx.config;
        let role = match config.roles.is_empty() {
            true => None,
            false => Some(config.roles.get(&identity.authrole).cloned().ok_or_else(|| {
                (uri::NO_SUCH_ROLE, "this realm does not have the role of the client".to_owned())
            })?),
        };
        let mut transport = transport;
        let about = About {
            joined: now,
            agent: details.agent.as_deref().map(beginning),
            peer: transport.peer.clone(),
        };
        let shows_peers = config.meta >= Meta::Control || config.roles.have_control();
        transport.peer = transport.peer.filter(|_| shows_peers);
        let announced = Announced::new(&details);
        // Calls in chunks depend on it: the id distinguishes a late chunk from a new call.
        let is_sequential = self.cx.config.strict_request_ids || announced.caller_chunks;
        // Credit is announced only to clients that announced it.
        let credit = self.cx.config.credit.filter(|_| announced.knows_credit());
        let welcome = WelcomeDetails {
            roles: features::announced(&self.cx.config, credit.map(|credit| credit.window)),
            agent: Some(self.cx.config.agent.clone()),
            realm: Some(self.cx.config.name.clone()),
            authid: Some(identity.authid.clone()),
            authrole: Some(identity.authrole.clone()),
            authmethod: Some(identity.authmethod.clone()),
            authprovider: Some(identity.authprovider.clone()),
            authextra: Some(authextra).filter(|extra| !extra.is_empty()),
            ..WelcomeDetails::default()
        };
        let welcome = fitting(welcome, serializer, max_message).ok_or_else(|| {
            let text = format!("WELCOME does not fit into the {max_message} bytes that the client accepts");
            (uri::PAYLOAD_SIZE_EXCEEDED, text)
        })?;
        let asks = role.as_ref().is_some_and(|role| role.has_authorizer());
        self.cx.asks |= asks;
        let method = identity.authmethod.clone();
        let session = Session {
            identity: Arc::new(identity),
            role,
            transport,
            about: Box::new(about),
            announced,
            without_goodbye: false,
            serializer,
            max_message,
            requests: is_sequential.then(Watermark::new),
            table_bytes: 0,
            dealer: dealer::SessionPart::new(self.seed),
            broker: broker::SessionPart::new(self.seed),
            pace: None,
            meta: None,
            waiting: asks.then(Box::default),
        };
        let inserted = self.cx.sessions.insert(&mut self.cx.chance, id, session);
        let key = inserted.ok_or_else(|| {
            (uri::AUTHENTICATION_FAILED, "the id of the session is in use by now".to_owned())
        })?;
        self.cx.joins.count(&method);
        self.cx.out.send(key, message::Welcome { session: key.id(), details: welcome });
        self.note_joined(key);
        Ok(key)
    }

    /// Returns the other serializers that a message's payload will be transcoded to. See [`FrameInfo`].
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

    /// Returns the serializer of the caller that a reply of this callee goes to; `None` if the call is over.
    pub fn serializer_of_caller(&self, callee: SessionKey, invocation: RequestId) -> Option<Serializer> {
        self.dealer.serializer_of_caller(&self.cx, callee, invocation)
    }

    /// Handles a message from a session, with the length that this crate would encode it to. A driver that
    /// knows its length on the wire calls [`handle_frame`](Self::handle_frame) instead, since credit is
    /// counted in bytes.
    pub fn handle_message(&mut self, now: Time, from: SessionKey, message: Message) {
        self.handle_frame(now, from, message, &FrameInfo::none());
    }

    /// Handles a message from a session, with facts that the driver has prepared.
    pub fn handle_frame(&mut self, now: Time, from: SessionKey, message: Message, info: &FrameInfo) {
        self.cx.now = now;
        let Some(session) = self.cx.sessions.get(from) else {
            if matches!(message, Message::Goodbye(_) | Message::Abort(_)) {
                self.finish(from, Closing::Goodbye);
            }
            return;
        };
        let bytes = match info.len() {
            Some(bytes) => bytes,
            None if session.announced.knows_credit() || session.waiting.is_some() => {
                message.encoded_len(session.serializer).unwrap_or(0)
            }
            None => 0,
        };
        let has_authorizer = session.waiting.is_some();
        let message = match has_authorizer {
            false => message,
            true => match self.admit(from, message, bytes) {
                Admitted::Now(message) => message,
                Admitted::Done(handled) => return self.conclude(from, handled),
            },
        };
        let Self { cx, dealer, broker, .. } = self;
        let handled = match message {
            Message::Yield(result) => dealer.handle_yield(cx, from, result, bytes, info),
            Message::Call(call) if call.procedure.is_reserved() => {
                self.handle_meta_call(from, call, bytes, info)
            }
            Message::Call(call) => dealer.handle_call(cx, from, call, bytes, info),
            Message::Credit(credit) => dealer.handle_credit(cx, from, credit),
            Message::Publish(publish) => broker.handle_publish(cx, from, publish, info),
            Message::Error(error) => dealer.handle_error(cx, from, error, info),
            Message::Cancel(cancel) => {
                dealer.handle_cancel(cx, from, cancel);
                Ok(())
            }
            Message::Register(register) => dealer.handle_register(cx, from, register),
            Message::Unregister(unregister) => dealer.handle_unregister(cx, from, unregister),
            Message::Subscribe(subscribe) => broker.handle_subscribe(cx, from, subscribe),
            Message::Unsubscribe(unsubscribe) => broker.handle_unsubscribe(cx, from, unsubscribe),
            Message::Goodbye(_) => {
                self.answer_goodbye(from);
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
        if has_authorizer {
            self.end_request(from);
        }
        self.conclude(from, handled);
    }

    /// Handles bytes from a session that are not a message, such as a frame that is too long; `text`
    /// describes the fault. Errors of the decoder go to [`handle_faulty`](Self::handle_faulty).
    pub fn handle_garbage(&mut self, now: Time, from: SessionKey, text: &str) {
        self.cx.now = now;
        if self.has(from) {
            self.violation(from, text);
        }
    }

    /// Handles the loss of a session's link.
    pub fn handle_closed(&mut self, now: Time, session: SessionKey) {
        self.cx.now = now;
        if self.has(session) {
            self.cx.out.forget(session);
            self.finish(session, Closing::Lost);
        }
    }

    /// Handles the passing of time, with a bounded amount of work. If work remains,
    /// [`poll_timeout`](Self::poll_timeout) returns a time that has already passed.
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
                Due::Decision(ticket) => self.handle_no_decision(ticket),
                Due::Waiting(ticket) => self.handle_waited(ticket),
                Due::Drain => self.handle_drain(),
                Due::Leaves(session) => self.handle_leaves(session),
                Due::Share(session, side) => self.handle_share(session, side),
                Due::Probe(session) => drop(self.cx.probed.remove(&session)),
            }
            self.pass_on();
        }
    }

    /// Ends a session with GOODBYE.
    pub fn close(&mut self, now: Time, session: SessionKey, reason: Uri, text: &str) {
        self.cx.now = now;
        self.say_goodbye(now, session, reason, Some(text));
        self.work_off(&mut { PORTION });
    }

    /// Revokes a subscription of a session, which gets the reason if it announced `subscription_revocation`.
    /// Returns `false` if the session does not have it.
    pub fn revoke_subscription(
        &mut self,
        now: Time,
        session: SessionKey,
        subscription: SubscriptionId,
        reason: Option<Uri>,
    ) -> bool {
        self.cx.now = now;
        let is_removed = self.broker.revoke(&mut self.cx, session, subscription, reason);
        self.publish_noted();
        is_removed
    }

    /// Revokes a registration of a session, which gets the reason if it announced `registration_revocation`
    /// (behaviour [140](crate::behaviour#rule-140)). Its calls go on. Returns `false` if the session does not
    /// have it.
    pub fn revoke_registration(
        &mut self,
        now: Time,
        session: SessionKey,
        registration: RegistrationId,
        reason: Option<Uri>,
    ) -> bool {
        self.cx.now = now;
        let is_removed = self.dealer.revoke(&mut self.cx, session, registration, reason);
        self.pass_on();
        is_removed
    }

    /// Removes the retained events of a topic. Returns `false` if there are none.
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

    /// Ends all sessions with GOODBYE and accepts no more. If there are many, the rest follows in
    /// [`handle_timeout`](Self::handle_timeout).
    pub fn shut_down(&mut self, now: Time) {
        self.cx.now = now;
        self.begin_ending(Ending::Shutdown);
    }

    /// Returns the next message to send, and its receiver.
    pub fn poll_transmit(&mut self) -> Option<(SessionKey, Message)> {
        self.cx.out.pop()
    }

    /// Passes all messages to `send`, in order, each with its receivers: an event may go to many sessions
    /// with the same serializer. A driver calls this or [`poll_transmit`](Self::poll_transmit).
    #[inline]
    pub fn transmit(&mut self, send: impl FnMut(&Transmission)) {
        self.cx.out.drain(send);
    }

    /// Returns the latest time for the next call of [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.backlog.is_empty() { self.cx.deadlines.next() } else { Some(self.cx.now) }
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.cx.events.pop_front()
    }

    /// Returns the counters.
    pub fn stats(&self) -> Stats {
        self.cx.stats
    }

    /// Returns the sizes of the realm's tables.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            sessions: self.cx.sessions.len() + self.closing.len(),
            calls: self.dealer.calls(),
            loads: self.dealer.loads(),
            kept_bytes: self.dealer.kept_bytes(),
            queued: self.dealer.queued(),
            registrations: self.dealer.registrations(),
            topics: self.broker.topics(),
            retained: self.broker.retained().0,
            retained_bytes: self.broker.retained().1,
            past_events: self.broker.past().0,
            past_bytes: self.broker.past().1,
            testament_bytes: self.testament_bytes,
            deadlines: self.cx.deadlines.len(),
            starved: self.dealer.starved(),
            held: self.holds.len(),
            waiting: self.waiting_requests(),
        }
    }

    /// Records that everything polled for a session before its [`Event::Watch`] is written to its socket.
    pub fn handle_left(&mut self, now: Time, watch: Watch) {
        self.cx.now = now;
        self.dealer.handle_left(&mut self.cx, watch);
    }

    /// Aborts a session if it broke the protocol, and passes effects to the other parts of the realm.
    pub(super) fn conclude(&mut self, from: SessionKey, handled: Result<(), Violation>) {
        match handled {
            Ok(()) => self.pass_on(),
            Err(Violation(text)) => self.violation(from, &text),
        }
    }

    /// Passes the effects of one part of the realm to the others, and publishes the meta events.
    #[inline]
    pub(super) fn pass_on(&mut self) {
        // These calls tie their sessions, too.
        if self.dealer.has_room_for_queued() {
            self.serve_queued();
        }
        for tie in self.dealer.take_ties() {
            self.holds.handle_tie(&mut self.cx, tie.caller, tie.callee);
        }
        self.publish_noted();
    }

    /// Aborts a session that broke the protocol.
    pub(super) fn violation(&mut self, session: SessionKey, text: &str) {
        self.cx.stats.violations += 1;
        self.cx.out.forget(session);
        self.cx.out.send(session, abort(uri::PROTOCOL_VIOLATION, text));
        self.finish(session, Closing::Abort);
    }

    /// Says GOODBYE to a session, which takes part in nothing from now on.
    pub(super) fn say_goodbye(&mut self, now: Time, key: SessionKey, reason: Uri, text: Option<&str>) {
        // Its own GOODBYE may be waiting.
        let has_said = self.waiting(key).is_some_and(|waiting| waiting.leaves);
        if self.depart(key) {
            let message = text.map(|text| ByteString::from(sentence(text)));
            let details = CloseDetails { message, ..CloseDetails::default() };
            self.cx.out.send(key, message::Goodbye { details, reason });
            if has_said {
                self.cx.events.push_back(Event::Closed { session: key, closing: Closing::Goodbye });
                return;
            }
            let deadline = self.cx.deadlines.set(now + self.cx.config.goodbye_timeout, Due::Goodbye(key));
            self.closing.insert(key, deadline);
        }
    }

    /// Answers GOODBYE of a client.
    pub(super) fn answer_goodbye(&mut self, key: SessionKey) {
        let details = CloseDetails::default();
        self.cx.out.send(key, message::Goodbye { details, reason: uri::GOODBYE_AND_OUT });
        self.finish(key, Closing::Goodbye);
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

/// The longest part of an agent that is kept, in bytes.
const AGENT: usize = 64;

/// Returns the beginning of an agent.
fn beginning(agent: &str) -> Box<str> {
    let end = (0..=AGENT.min(agent.len())).rev().find(|end| agent.is_char_boundary(*end)).unwrap_or(0);
    agent[..end].into()
}
