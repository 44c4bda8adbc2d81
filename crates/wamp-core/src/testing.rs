//! A realm and its sessions without a network, for tests of protocol logic (the feature `testing`).
//!
//! All messages are delivered at once, and the time is a number that the test moves.
//!
//! ```
//! use std::time::Duration;
//!
//! use wamp_core::session::Event;
//! use wamp_core::testing::Net;
//! use wamp_core::Reply;
//! use wamp_proto::message::{CallOptions, Millis};
//! use wamp_proto::{Payload, uri};
//!
//! let mut net = Net::new();
//! let (callee, caller) = (net.join(), net.join());
//! net.with(callee, |session, now| session.register(now, Default::default(), "com.myapp.longop".into()))?;
//!
//! let options = CallOptions { timeout: Some(Millis(100)), ..CallOptions::default() };
//! net.with(caller, |session, now| session.call(now, options, "com.myapp.longop".into(), Payload::empty()))?;
//! assert!(matches!(net.events(callee).last(), Some(Event::Invoked(_))));
//!
//! net.advance(Duration::from_millis(99));
//! assert!(net.events(caller).iter().all(|event| !matches!(event, Event::Replied { .. })));
//! net.advance(Duration::from_millis(1));
//! let Some(Event::Replied { reply: Reply::Error(failure), .. }) = net.events(caller).pop() else { panic!("no end") };
//! assert_eq!(failure.error, uri::TIMEOUT);
//! # Ok::<(), wamp_core::Misuse>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use wamp_proto::{Message, Serializer};

use crate::Time;
use crate::router::{self, Closing, Join, Realm, SessionKey};
use crate::session::{self, Event, Session};

/// The seed of all machines, so that each run is the same.
const SEED: u64 = 1;

/// A realm `realm1` and its sessions.
pub struct Net {
    realm: Realm,
    now: Time,
    members: BTreeMap<SessionKey, Member>,
}

struct Member {
    session: Session,
    serializer: Serializer,
    events: Vec<Event>,
    /// Whether its link exists.
    linked: bool,
}

impl Net {
    /// A realm with the default configuration.
    pub fn new() -> Self {
        Self::with_config(router::Config::new("realm1"))
    }

    /// A realm with this configuration. Its name has to be `realm1` for [`join`](Self::join).
    pub fn with_config(config: router::Config) -> Self {
        Self { realm: Realm::new(config, SEED), now: Time::ORIGIN, members: BTreeMap::new() }
    }

    /// Returns the present time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Returns the realm. Call [`run`](Self::run) after a change.
    pub fn realm(&mut self) -> &mut Realm {
        &mut self.realm
    }

    /// Joins with a session whose messages are MessagePack. Its first event, `Joined`, is not taken yet.
    ///
    /// # Panics
    /// If the realm refuses it.
    pub fn join(&mut self) -> SessionKey {
        self.join_with(Serializer::MsgPack, session::Config::new("realm1"))
    }

    /// Joins with a session of this serializer and configuration.
    ///
    /// # Panics
    /// If the realm refuses it.
    pub fn join_with(&mut self, serializer: Serializer, config: session::Config) -> SessionKey {
        let mut session = Session::new(self.now, config, SEED);
        let Some(Message::Hello(hello)) = session.poll_transmit() else {
            unreachable!("a session begins with HELLO")
        };
        let join = Join {
            details: hello.details,
            serializer,
            max_message: usize::MAX,
            transport: Default::default(),
        };
        let joined = self.realm.join(self.now, join);
        let key = joined.unwrap_or_else(|(reason, text)| panic!("refused with {reason}: {text}"));
        self.members.insert(key, Member { session, serializer, events: Vec::new(), linked: true });
        self.run();
        key
    }

    /// Runs a function on a session, at the present time, and delivers the resulting messages.
    ///
    /// # Panics
    /// If there is no such session.
    pub fn with<T>(&mut self, session: SessionKey, act: impl FnOnce(&mut Session, Time) -> T) -> T {
        let now = self.now;
        let result = act(&mut self.member(session).session, now);
        self.run();
        result
    }

    /// Takes the events of a session.
    ///
    /// # Panics
    /// If there is no such session.
    pub fn events(&mut self, session: SessionKey) -> Vec<Event> {
        std::mem::take(&mut self.member(session).events)
    }

    /// Cuts the link of a session; both ends notice it.
    ///
    /// # Panics
    /// If there is no such session.
    pub fn lose(&mut self, session: SessionKey) {
        let now = self.now;
        let member = self.member(session);
        member.linked = false;
        member.session.handle_closed(now);
        self.realm.handle_closed(now, session);
        self.run();
    }

    /// Moves the time, and handles every deadline on the way at its own time.
    pub fn advance(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            let sessions = self.members.values().filter_map(|member| member.session.poll_timeout());
            let next = sessions.chain(self.realm.poll_timeout()).min().filter(|next| *next <= until);
            self.now = next.unwrap_or(until).max(self.now);
            if next.is_none() {
                return;
            }
            self.handle_deadlines();
            self.run();
        }
    }

    fn handle_deadlines(&mut self) {
        let now = self.now;
        for member in self.members.values_mut() {
            if member.session.poll_timeout().is_some_and(|at| at <= now) {
                member.session.handle_timeout(now);
            }
        }
        if self.realm.poll_timeout().is_some_and(|at| at <= now) {
            self.realm.handle_timeout(now);
        }
    }

    /// Delivers messages, and does postponed work of the realm, until nothing is left to do now.
    pub fn run(&mut self) {
        while self.deliver() || self.realm.poll_timeout().is_some_and(|at| at <= self.now) {
            if self.realm.poll_timeout().is_some_and(|at| at <= self.now) {
                self.realm.handle_timeout(self.now);
            }
        }
    }

    /// Delivers all present messages. Returns whether there were any.
    fn deliver(&mut self) -> bool {
        let (now, mut any) = (self.now, false);
        for (key, member) in &mut self.members {
            while let Some(message) = member.session.poll_transmit() {
                if member.linked {
                    any = true;
                    self.realm.handle_message(now, *key, message);
                }
            }
            member.events.extend(std::iter::from_fn(|| member.session.poll_event()));
        }
        while let Some((to, message)) = self.realm.poll_transmit() {
            any = true;
            if let Some(member) = self.members.get_mut(&to).filter(|member| member.linked) {
                member.session.handle_message(now, message);
            }
        }
        while let Some(event) = self.realm.poll_event() {
            any = true;
            match event {
                router::Event::Watch { watch, .. } => self.realm.handle_left(now, watch),
                router::Event::Closed { session, closing } => self.unlink(session, closing),
                router::Event::Decided { session } => while self.realm.advance(now, session) {},
                // All that have not been lost are alive.
                router::Event::Released { .. }
                | router::Event::Probe { .. }
                | router::Event::Answered { .. }
                | router::Event::Authorize { .. }
                | router::Event::Void { .. } => {}
            }
        }
        any
    }

    /// Handles the removal of a session by the realm.
    fn unlink(&mut self, session: SessionKey, closing: Closing) {
        if let Some(member) = self.members.get_mut(&session) {
            member.linked = false;
            if closing != Closing::Goodbye {
                member.session.handle_closed(self.now);
            }
        }
    }

    fn member(&mut self, session: SessionKey) -> &mut Member {
        self.members.get_mut(&session).expect("the session has joined this net")
    }

    /// Returns the serializer of a session.
    ///
    /// # Panics
    /// If there is no such session.
    pub fn serializer(&mut self, session: SessionKey) -> Serializer {
        self.member(session).serializer
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut net = f.debug_struct("Net");
        net.field("now", &self.now).field("sessions", &self.members.len()).finish_non_exhaustive()
    }
}
