//! A realm and its clients without a network: messages are delivered when a test says so.

use std::collections::BTreeMap;
use std::time::Duration;

use wamp_core::auth::Identity;
use wamp_core::router::{self, Join, Realm, SessionKey, Watch};
use wamp_core::session::{self, Session};
use wamp_core::{Reply, Time};
use wamp_proto::message::{CallOptions, HelloDetails, Invocation};
use wamp_proto::{Feature, Features, Limits, Message, Payload, RequestId, Role, Roles, Serializer};

/// A client, by the order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Client(pub(crate) usize);

enum End {
    /// One of our sessions.
    Session(Box<Session>),
    /// A peer whose messages the test writes itself.
    Raw(Vec<Message>),
}

pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) realm: Realm,
    clients: Vec<(End, Option<SessionKey>, Serializer)>,
    keys: BTreeMap<SessionKey, Client>,
    events: BTreeMap<Client, Vec<session::Event>>,
    pub(crate) closed: Vec<router::Event>,
    /// Whether sent messages are written at once. If not, `watched` has the pending reports.
    pub(crate) leaves: bool,
    /// Whether postponed work of the realm is done at once.
    pub(crate) drains: bool,
    /// Whether requests are handled as soon as their authorizer has decided.
    pub(crate) advances: bool,
    /// The sessions with decided requests, otherwise.
    pub(crate) undone: Vec<SessionKey>,
    pub(crate) watched: Vec<(SessionKey, Watch)>,
    /// The number of messages that would have taken the short way.
    pub(crate) plain: usize,
    /// The number of plain results that would have taken it at a callee, and at a caller.
    pub(crate) plain_sent: usize,
    pub(crate) plain_received: usize,
}

/// Whether a message would take the short way, with the same outcome.
fn plain(realm: &Realm, now: Time, from: SessionKey, serializer: Serializer, message: &Message) -> bool {
    crate::plain::compare(realm, now, from, serializer, message).unwrap_or_else(|error| panic!("{error}"))
}

impl Net {
    pub(crate) fn new() -> Self {
        Self::with(router::Config::new("realm1"))
    }

    pub(crate) fn with(config: router::Config) -> Self {
        Self {
            now: Time::ORIGIN,
            realm: Realm::new(config, 7),
            clients: Vec::new(),
            keys: BTreeMap::new(),
            events: BTreeMap::new(),
            closed: Vec::new(),
            leaves: true,
            drains: true,
            advances: true,
            undone: Vec::new(),
            watched: Vec::new(),
            plain: 0,
            plain_sent: 0,
            plain_received: 0,
        }
    }

    /// One of our sessions joins.
    pub(crate) fn join(&mut self, serializer: Serializer) -> Client {
        self.join_with(serializer, session::Config::new("realm1"))
    }

    /// One of our sessions joins, with credit: the first window, and the largest.
    pub(crate) fn join_counting(&mut self, serializer: Serializer, window: u64, max_window: u64) -> Client {
        let mut credit = session::Credit::new(serializer);
        (credit.window, credit.max_window) = (window, max_window);
        let mut config = session::Config::new("realm1");
        config.credit = Some(credit);
        self.join_with(serializer, config)
    }

    fn join_with(&mut self, serializer: Serializer, config: session::Config) -> Client {
        let session = Session::new(self.now, config, 1);
        let client = self.add(End::Session(Box::new(session)), serializer);
        self.run();
        assert!(matches!(self.events(client).first(), Some(session::Event::Joined(_))));
        client
    }

    /// A peer joins that announces these roles, whose messages the test writes itself.
    pub(crate) fn raw(&mut self, serializer: Serializer, roles: Roles) -> Client {
        self.raw_with(serializer, roles, usize::MAX)
    }

    pub(crate) fn raw_with(&mut self, serializer: Serializer, roles: Roles, max_message: usize) -> Client {
        let client = self.add_raw_with(serializer, roles, max_message);
        assert!(matches!(self.received(client).as_slice(), [Message::Welcome(_)]));
        client
    }

    /// The same, with WELCOME still to be received.
    pub(crate) fn add_raw(&mut self, serializer: Serializer, roles: Roles) -> Client {
        self.add_raw_with(serializer, roles, usize::MAX)
    }

    fn add_raw_with(&mut self, serializer: Serializer, roles: Roles, max_message: usize) -> Client {
        let client = self.add(End::Raw(Vec::new()), serializer);
        let details = HelloDetails { roles, ..HelloDetails::default() };
        let key = self
            .realm
            .join(self.now, Join { details, serializer, max_message, transport: Default::default() })
            .unwrap();
        self.admit(client, key);
        self.run();
        client
    }

    /// A raw peer joins with this identity.
    pub(crate) fn raw_as(&mut self, serializer: Serializer, roles: Roles, identity: Identity) -> Client {
        let client = self.add(End::Raw(Vec::new()), serializer);
        let details = HelloDetails { roles, ..HelloDetails::default() };
        let join = Join { details, serializer, max_message: usize::MAX, transport: Default::default() };
        let key = self.realm.join_as(self.now, join, identity.into()).unwrap();
        self.admit(client, key);
        self.run();
        assert!(matches!(self.received(client).as_slice(), [Message::Welcome(_)]));
        client
    }

    fn add(&mut self, end: End, serializer: Serializer) -> Client {
        self.clients.push((end, None, serializer));
        Client(self.clients.len() - 1)
    }

    fn admit(&mut self, client: Client, key: SessionKey) {
        self.clients[client.0].1 = Some(key);
        self.keys.insert(key, client);
    }

    pub(crate) fn key(&self, client: Client) -> SessionKey {
        self.clients[client.0].1.unwrap()
    }

    pub(crate) fn client(&self, key: SessionKey) -> Client {
        self.keys[&key]
    }

    pub(crate) fn session(&mut self, client: Client) -> &mut Session {
        match &mut self.clients[client.0].0 {
            End::Session(session) => session,
            End::Raw(_) => panic!("not one of our sessions"),
        }
    }

    /// Sends a message of a raw peer, as the specification writes it.
    pub(crate) fn say(&mut self, client: Client, json: &str) {
        let frame = bytes(json);
        match Message::decode(Serializer::Json, &frame, &Limits::default()) {
            Ok(message) => self.tell(client, message.transcode(self.clients[client.0].2).unwrap()),
            Err(error) => {
                self.realm.handle_faulty(self.now, self.key(client), &error);
                self.run();
            }
        }
    }

    /// Sends a message of a raw peer, in its serializer.
    pub(crate) fn tell(&mut self, client: Client, message: Message) {
        let (key, serializer) = (self.key(client), self.clients[client.0].2);
        self.plain += usize::from(plain(&self.realm, self.now, key, serializer, &message));
        self.realm.handle_message(self.now, key, message);
        self.run();
    }

    /// Returns the messages that a raw peer has received since the last call.
    pub(crate) fn received(&mut self, client: Client) -> Vec<Message> {
        match &mut self.clients[client.0].0 {
            End::Raw(received) => std::mem::take(received),
            End::Session(_) => panic!("not a raw peer"),
        }
    }

    /// The same messages, as the specification writes them.
    pub(crate) fn heard(&mut self, client: Client) -> Vec<String> {
        self.received(client).iter().map(json).collect()
    }

    /// The events of a session of ours since the last time.
    pub(crate) fn events(&mut self, client: Client) -> Vec<session::Event> {
        self.events.remove(&client).unwrap_or_default()
    }

    pub(crate) fn replies(&mut self, client: Client, of: RequestId) -> Vec<Reply> {
        self.events(client)
            .into_iter()
            .filter_map(|event| match event {
                session::Event::Replied { call, reply, .. } if call == of => Some(reply),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn invocations(&mut self, client: Client) -> Vec<Invocation> {
        self.events(client)
            .into_iter()
            .filter_map(|event| match event {
                session::Event::Invoked(invocation) => Some(invocation),
                _ => None,
            })
            .collect()
    }

    /// Registers a procedure at a session of ours.
    pub(crate) fn register(&mut self, client: Client, procedure: &str) {
        let now = self.now;
        self.session(client).register(now, Default::default(), procedure.into()).unwrap();
        self.run();
        assert!(matches!(self.events(client).as_slice(), [session::Event::Registered { .. }]));
    }

    /// Calls with `receive_progress`.
    pub(crate) fn call(&mut self, client: Client, procedure: &str, payload: Payload) -> RequestId {
        let options = CallOptions { receive_progress: Some(true), ..CallOptions::default() };
        self.call_with(client, options, procedure, payload)
    }

    pub(crate) fn call_with(
        &mut self,
        client: Client,
        options: CallOptions,
        procedure: &str,
        payload: Payload,
    ) -> RequestId {
        let now = self.now;
        let call = self.session(client).call(now, options, procedure.into(), payload).unwrap();
        self.run();
        call
    }

    pub(crate) fn reply(&mut self, client: Client, invocation: RequestId, reply: Reply) {
        let (now, serializer) = (self.now, self.clients[client.0].2);
        let session = self.session(client);
        if let Reply::Progress(payload) = &reply {
            let way = crate::plain::session::progress(session, now, serializer, invocation, payload);
            let sent = way.unwrap_or_else(|error| panic!("{error}"));
            self.plain_sent += usize::from(sent);
        }
        self.session(client).reply(now, invocation, reply).unwrap();
        self.run();
    }

    /// The link of a client is cut.
    pub(crate) fn cut(&mut self, client: Client) {
        let key = self.key(client);
        self.realm.handle_closed(self.now, key);
        self.run();
    }

    pub(crate) fn sleep(&mut self, duration: Duration) {
        self.now = self.now + duration;
        if self.realm.poll_timeout().is_some_and(|at| at <= self.now) {
            self.realm.handle_timeout(self.now);
        }
        self.run();
    }

    /// Moves the clock of a session of ours.
    pub(crate) fn tick(&mut self, client: Client) {
        let now = self.now;
        self.session(client).handle_timeout(now);
        self.run();
    }

    /// Writes all waiting messages to the sockets.
    pub(crate) fn leave(&mut self) {
        for (_, watch) in std::mem::take(&mut self.watched) {
            self.realm.handle_left(self.now, watch);
        }
        self.run();
    }

    /// Delivers messages until there are none.
    pub(crate) fn run(&mut self) {
        loop {
            let mut quiet = true;
            for index in 0..self.clients.len() {
                let (end, key, serializer) = &mut self.clients[index];
                let End::Session(session) = end else { continue };
                while let Some(message) = session.poll_transmit() {
                    quiet = false;
                    match (message, *key) {
                        (Message::Hello(hello), None) => {
                            let join = Join {
                                details: hello.details,
                                serializer: *serializer,
                                max_message: usize::MAX,
                                transport: Default::default(),
                            };
                            let joined = self.realm.join(self.now, join).unwrap();
                            *key = Some(joined);
                            self.keys.insert(joined, Client(index));
                        }
                        (message, Some(key)) => {
                            let message = message.transcode(*serializer).unwrap();
                            self.plain +=
                                usize::from(plain(&self.realm, self.now, key, *serializer, &message));
                            self.realm.handle_message(self.now, key, message);
                        }
                        (message, None) => panic!("{message:?} before HELLO"),
                    }
                }
                while let Some(event) = session.poll_event() {
                    self.events.entry(Client(index)).or_default().push(event);
                }
            }
            while let Some((to, message)) = self.realm.poll_transmit() {
                quiet = false;
                let client = self.keys[&to];
                let (end, _, serializer) = &mut self.clients[client.0];
                // Every message must be writable.
                message.encode_head(*serializer, &mut Vec::new()).unwrap();
                match end {
                    End::Session(session) => {
                        let way = crate::plain::session::receive(session, self.now, *serializer, &message);
                        self.plain_received += usize::from(way.unwrap_or_else(|error| panic!("{error}")));
                        session.handle_message(self.now, message);
                    }
                    End::Raw(received) => received.push(message),
                }
            }
            while let Some(event) = self.realm.poll_event() {
                match event {
                    router::Event::Watch { watch, .. } if self.leaves => {
                        quiet = false;
                        self.realm.handle_left(self.now, watch);
                    }
                    router::Event::Watch { session, watch } => self.watched.push((session, watch)),
                    router::Event::Decided { session } => {
                        quiet = false;
                        if self.advances {
                            self.advance(session);
                        } else {
                            self.undone.push(session);
                        }
                    }
                    event => {
                        if let router::Event::Released { session } = event
                            && self.advances
                        {
                            quiet = false;
                            self.advance(session);
                        }
                        self.closed.push(event);
                    }
                }
            }
            let has_more = self.realm.poll_timeout().is_some_and(|at| at <= self.now);
            if quiet && self.drains && has_more {
                self.realm.handle_timeout(self.now);
            } else if quiet {
                return;
            }
        }
    }

    fn advance(&mut self, session: SessionKey) {
        while self.realm.advance(self.now, session) {}
    }

    /// Makes the realm do one portion of postponed work. Returns `false` if there was none.
    pub(crate) fn portion(&mut self) -> bool {
        let has_more = self.realm.poll_timeout().is_some_and(|at| at <= self.now);
        if has_more {
            self.realm.handle_timeout(self.now);
        }
        self.run();
        has_more
    }
}

pub(crate) fn bytes(text: &str) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(text.as_bytes())
}

pub(crate) fn json(message: &Message) -> String {
    String::from_utf8(message.encode(Serializer::Json).unwrap().to_vec()).unwrap()
}

/// Arguments as a session of this serializer sends them.
pub(crate) fn args<T: serde::Serialize>(serializer: Serializer, value: &T) -> Payload {
    Payload::new(serializer, value).unwrap()
}

/// Every role, with every feature that a dealer looks at.
pub(crate) fn all_roles() -> Roles {
    let caller = Features::none()
        .with(Feature::ProgressiveCallResults)
        .with(Feature::ProgressiveCallInvocations)
        .with(Feature::PayloadPassthruMode)
        .with(Feature::BareResults);
    let callee = caller.clone().with(Feature::CallCanceling);
    basic_roles().with(Role::Caller, caller).with(Role::Callee, callee)
}

/// Every role, with no feature.
pub(crate) fn basic_roles() -> Roles {
    [Role::Caller, Role::Callee, Role::Publisher, Role::Subscriber]
        .into_iter()
        .fold(Roles::none(), |roles, role| roles.with(role, Features::none()))
}

/// A callee that announces progressive results and nothing else.
pub(crate) fn progress_only() -> Roles {
    Roles::none().with(Role::Callee, Features::none().with(Feature::ProgressiveCallResults))
}
