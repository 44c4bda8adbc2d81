//! A client's end of a session: joining, the four roles, leaving.
//!
//! ```text
//!  new        WELCOME         leave             GOODBYE
//!  ───▶ joining ───▶ open ──────────▶ leaving ──────────▶ closed
//!          │           │  GOODBYE, ABORT, violation, lost    ▲
//!          └───────────┴─────────────────────────────────────┘
//! ```

mod authenticate;
mod callee;
mod caller;
mod event;
mod faults;
mod join;
mod opaque;
mod publisher;
mod size;
mod streams;
mod subscriber;

use std::collections::VecDeque;

use wamp_proto::message::{self, CloseDetails, RequestKind};
use wamp_proto::{
    ByteString, Feature, Message, RegistrationId, RequestId, Role, Roles, SubscriptionId, Uri, uri,
};

#[doc(hidden)]
pub use event::PlainVerdict;
pub use event::{Closed, Event, Joined, Publication};
pub use join::Config;
pub use size::MaxSend;
pub use streams::{Credit, Stream};

use crate::auth::Expected;
use crate::deadlines::Deadlines;
use crate::map::{Map, map};
use crate::request_ids::RequestIds;
use crate::{Misuse, Time};
use authenticate::Challenged;

/// A client's end of a session.
#[derive(Clone)]
pub struct Session {
    config: Config,
    state: State,
    /// The roles and features that the router announced.
    router: Roles,
    ids: RequestIds,
    /// Requests other than calls that wait for their answer.
    requests: Map<RequestId, Request>,
    caller: caller::Caller,
    callee: callee::Callee,
    subscriber: subscriber::Subscriber,
    deadlines: Deadlines<Due>,
    transmit: VecDeque<Message>,
    events: VecDeque<Event>,
    stats: Stats,
    /// The sum of the windows of all incoming streams.
    windows: u64,
    /// A buffer for measuring outgoing messages.
    scratch: Vec<u8>,
    /// The proof that WELCOME must have.
    expected: Option<Expected>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Joining { until: Time, challenge: Challenged },
    Open,
    Leaving { until: Time },
    Closed,
}

/// A request that waits for its answer, and its subject.
#[derive(Clone)]
enum Request {
    Register(Uri),
    Unregister(RegistrationId),
    Subscribe(Uri),
    Unsubscribe(SubscriptionId),
    Publish,
}

/// The purpose of a deadline.
#[derive(Clone)]
enum Due {
    /// No result has come for this call.
    Call(RequestId),
    /// No result has been given to this invocation.
    Invocation(RequestId),
    /// A small number of consumed bytes of this stream, not granted before, is granted now.
    Grant(Stream),
}

/// Messages that a session has ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Replies and interrupts for calls that are over.
    pub late: u64,
    /// Progressive results for callers that did not ask for them.
    pub unsolicited: u64,
    /// Answers to requests that were never made, and events of unknown subscriptions.
    pub unknown: u64,
    /// Events that could not be read.
    pub faulty_events: u64,
}

impl Session {
    /// A session that begins with HELLO. The seed has no effect that a peer can see.
    pub fn new(now: Time, config: Config, seed: u64) -> Self {
        let hello = config.hello();
        Self {
            state: State::Joining { until: now + config.join_timeout, challenge: Challenged::NotYet },
            config,
            router: Roles::none(),
            ids: RequestIds::new(),
            requests: map(seed),
            caller: caller::Caller::new(seed),
            callee: callee::Callee::new(seed),
            subscriber: subscriber::Subscriber::new(seed),
            deadlines: Deadlines::new(),
            transmit: VecDeque::from([Message::from(hello)]),
            events: VecDeque::new(),
            stats: Stats::default(),
            windows: 0,
            scratch: Vec::new(),
            expected: None,
        }
    }

    /// Handles a message, whose length is taken as that in this crate's own encoding. A driver that knows the
    /// real length, by which credit is counted, uses [`handle_frame`](Self::handle_frame).
    pub fn handle_message(&mut self, now: Time, message: Message) {
        let serializer = self.config.credit.map(|credit| credit.serializer);
        let len = serializer.and_then(|serializer| message.encoded_len(serializer).ok()).unwrap_or(0);
        self.handle_frame(now, message, len);
    }

    /// Handles a message of this length.
    pub fn handle_frame(&mut self, now: Time, message: Message, len: usize) {
        match self.state {
            State::Closed => {}
            State::Joining { .. } => self.handle_while_joining(message),
            State::Open | State::Leaving { .. } => self.handle_while_open(now, message, len),
        }
    }

    /// Handles bytes that are not a message, such as a frame that is too long; `text` describes the fault.
    /// For the errors of a decoder see [`handle_faulty`](Self::handle_faulty).
    pub fn handle_garbage(&mut self, _now: Time, text: String) {
        if self.state != State::Closed {
            self.violation(text);
        }
    }

    /// Handles the loss of the connection.
    pub fn handle_closed(&mut self, _now: Time) {
        let closed = match self.state {
            State::Closed => return,
            State::Leaving { .. } => Closed::Left,
            State::Joining { .. } | State::Open => Closed::Lost,
        };
        self.close(closed);
    }

    /// Handles a silent router whose connection the driver has closed; `text` has the details.
    pub fn handle_silence(&mut self, _now: Time, text: String) {
        match self.state {
            State::Closed => {}
            State::Leaving { .. } => self.close(Closed::Left),
            State::Joining { .. } | State::Open => self.close(Closed::Silent(text)),
        }
    }

    /// Handles the deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Time) {
        match self.state {
            State::Joining { until, .. } if until <= now => self.close(Closed::JoinTimeout),
            State::Leaving { until } if until <= now => self.close(Closed::Left),
            State::Open | State::Leaving { .. } => {
                while let Some(due) = self.deadlines.pop(now) {
                    match due {
                        Due::Call(call) => self.handle_call_deadline(call),
                        Due::Invocation(invocation) => self.handle_invocation_deadline(invocation),
                        Due::Grant(stream) => self.handle_delayed_grant(stream),
                    }
                }
            }
            State::Joining { .. } | State::Closed => {}
        }
    }

    /// Leaves the realm: sends GOODBYE and waits for the router's, at most as long as configured. Running calls
    /// may still be answered meanwhile.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`].
    pub fn leave(&mut self, now: Time, reason: Uri) -> Result<(), Misuse> {
        self.check_open()?;
        self.send(message::Goodbye { details: CloseDetails::default(), reason });
        self.state = State::Leaving { until: now + self.config.leave_timeout };
        Ok(())
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Message> {
        self.transmit.pop_front()
    }

    /// The next deadline, at which [`handle_timeout`](Self::handle_timeout) must be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadline = self.deadlines.next();
        match self.state {
            State::Joining { until, .. } | State::Leaving { until } => {
                Some(deadline.map_or(until, |deadline| deadline.min(until)))
            }
            State::Open => deadline,
            State::Closed => None,
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether the session is open for requests.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether this end has sent GOODBYE and waits for the router's.
    pub fn is_leaving(&self) -> bool {
        matches!(self.state, State::Leaving { .. })
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// The roles and features that the router announced.
    pub fn router(&self) -> &Roles {
        &self.router
    }

    /// The number of running calls and invocations.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.caller.len(), self.callee.len())
    }

    /// The counters of ignored messages.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn handle_while_joining(&mut self, message: Message) {
        match message {
            Message::Welcome(welcome) => {
                let State::Joining { challenge, .. } = self.state else { return };
                if let Some(text) = self.distrusts(&welcome, challenge) {
                    return self.refuse_to_answer(uri::AUTHENTICATION_FAILED, text);
                }
                let joined = Joined::from(*welcome);
                self.router = joined.roles.clone();
                self.state = State::Open;
                self.events.push_back(Event::Joined(Box::new(joined)));
            }
            Message::Abort(abort) => self.handle_abort(abort),
            Message::Challenge(challenge) => self.handle_challenge(challenge),
            other => self.violation(format!("{} before WELCOME", other.name())),
        }
    }

    fn handle_while_open(&mut self, now: Time, message: Message, len: usize) {
        match message {
            Message::Result(result) => self.handle_result(now, result, len),
            Message::Event(event) => self.handle_event(event),
            Message::Invocation(invocation) => self.handle_invocation(now, invocation, len),
            Message::Credit(credit) => self.handle_credit(now, credit),
            Message::Interrupt(interrupt) => self.handle_interrupt(interrupt),
            Message::Error(error) => self.handle_error(now, error),
            Message::Registered(registered) => self.handle_registered(registered),
            Message::Unregistered(unregistered) => self.handle_unregistered(unregistered),
            Message::Subscribed(subscribed) => self.handle_subscribed(subscribed),
            Message::Unsubscribed(unsubscribed) => self.handle_unsubscribed(unsubscribed),
            Message::Published(published) => self.handle_published(published),
            Message::Goodbye(goodbye) => self.handle_goodbye(goodbye),
            Message::Abort(abort) => self.handle_abort(abort),
            Message::Welcome(_) | Message::Challenge(_) => {
                self.violation(format!("{} after the session was established", message.name()));
            }
            other => self.violation(format!("{}, which a router does not send", other.name())),
        }
    }

    fn handle_error(&mut self, now: Time, error: message::Error) {
        match error.kind {
            RequestKind::Call => self.handle_call_error(now, error),
            RequestKind::Invocation => {
                self.violation("ERROR for an INVOCATION, which a router does not send".to_owned());
            }
            kind => {
                let request = error.request;
                let fits = |pending: &Request| {
                    matches!(
                        (kind, pending),
                        (RequestKind::Register, Request::Register(_))
                            | (RequestKind::Unregister, Request::Unregister(_))
                            | (RequestKind::Subscribe, Request::Subscribe(_))
                            | (RequestKind::Unsubscribe, Request::Unsubscribe(_))
                            | (RequestKind::Publish, Request::Publish)
                    )
                };
                if self.answered(request, fits).is_some() {
                    self.events.push_back(Event::Refused { request, failure: error.into() });
                }
            }
        }
    }

    fn handle_goodbye(&mut self, goodbye: message::Goodbye) {
        if let State::Leaving { .. } = self.state {
            return self.close(Closed::Left);
        }
        self.send(message::Goodbye { details: CloseDetails::default(), reason: uri::GOODBYE_AND_OUT });
        self.close(Closed::ByRouter { reason: goodbye.reason, message: goodbye.details.message });
    }

    fn handle_abort(&mut self, abort: message::Abort) {
        self.close(Closed::Aborted { reason: abort.reason, message: abort.details.message });
    }

    fn check_open(&self) -> Result<(), Misuse> {
        if self.is_open() { Ok(()) } else { Err(Misuse::NotOpen) }
    }

    fn router_has(&self, role: Role, feature: Feature) -> bool {
        self.router.has(role, feature)
    }

    /// After GOODBYE a peer sends nothing more (Basic Profile, *Session Closing*).
    fn send(&mut self, message: impl Into<Message>) {
        if !self.is_leaving() {
            self.transmit.push_back(message.into());
        }
    }

    /// Sends a request with the next id, if it is not too long, and remembers its subject.
    fn request(
        &mut self,
        about: Option<Request>,
        message: impl FnOnce(RequestId) -> Message,
    ) -> Result<RequestId, Misuse> {
        let message = message(self.ids.peek());
        self.check_size(&message)?;
        let id = self.ids.next();
        if let Some(about) = about {
            self.requests.insert(id, about);
        }
        self.send(message);
        Ok(id)
    }

    /// The waiting request that an answer is for, if it is of the right kind.
    fn answered(&mut self, id: RequestId, fits: impl Fn(&Request) -> bool) -> Option<Request> {
        if self.requests.get(&id).is_some_and(fits) {
            return self.requests.remove(&id);
        }
        self.stats.unknown += 1;
        None
    }

    fn violation(&mut self, text: String) {
        self.abort(uri::PROTOCOL_VIOLATION, &text);
        self.close(Closed::Violation(text));
    }

    /// ABORT overtakes everything that has not been sent yet.
    fn abort(&mut self, reason: Uri, text: &str) {
        let details = CloseDetails { message: Some(ByteString::from(text)), ..CloseDetails::default() };
        let abort = message::Abort { details, reason, payload: wamp_proto::Payload::empty() };
        self.transmit = VecDeque::from([abort.into()]);
    }

    fn close(&mut self, closed: Closed) {
        self.state = State::Closed;
        self.requests.clear();
        self.caller.clear();
        self.callee.clear();
        self.subscriber.clear();
        self.deadlines = Deadlines::new();
        self.windows = 0;
        self.events.push_back(Event::Closed(closed));
    }
}
