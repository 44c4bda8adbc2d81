//! The sessions, calls, registrations and subscriptions of a realm, as an administrator sees them.
//!
//! A table is read in portions, so that a driver holds its lock for a short time only. A row that is added or
//! removed between two portions may be missing, but none is there twice.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wamp_proto::message::{InvocationPolicy, MatchPolicy};
use wamp_proto::{ByteString, RegistrationId, Serializer, SessionId, SubscriptionId, Uri};

use super::figures::{Joins, Timings};
use super::join::Protocol;
use super::realm::Realm;
use super::sessions::{Session, SessionKey};
use crate::Time;

/// Some rows of a table.
#[derive(Clone, Debug)]
pub struct Portion<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The place at which the next portion begins; `None` after the last one.
    pub next: Option<usize>,
}

/// A session and its link.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The key of the session, with its id.
    pub key: SessionKey,
    /// Its `authid`.
    pub authid: ByteString,
    /// Its `authrole`.
    pub authrole: ByteString,
    /// Its `authmethod`.
    pub authmethod: ByteString,
    /// The beginning of the `agent` of HELLO.
    pub agent: Option<Box<str>>,
    /// The address of the other end.
    pub peer: Option<Box<str>>,
    /// The kind of the link.
    pub protocol: Protocol,
    /// Whether only the two ends can read the traffic of the link: with TLS, or on one machine.
    pub is_secure: bool,
    /// The serializer of the link.
    pub serializer: Serializer,
    /// The time since WELCOME.
    pub age: Duration,
    /// Running calls that it has made.
    pub calls: usize,
    /// Running calls that it has to answer.
    pub invocations: usize,
    /// Its registrations.
    pub registrations: usize,
    /// Its subscriptions.
    pub subscriptions: usize,
    /// Whether its link is full.
    pub is_full: bool,
    /// The session that holds it for the longest time.
    pub held_by: Option<SessionId>,
    /// Whether the router does not read from it.
    pub is_held: bool,
    /// The time for which it was held, in all.
    pub held_time: Duration,
}

/// The id of a running call. It is never used again in its realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    pub(super) count: u64,
    pub(super) index: usize,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.count, self.index)
    }
}

/// A text that is not the id of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACallId;

impl fmt::Display for NotACallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of a call is two numbers with a hyphen in between")
    }
}

impl std::error::Error for NotACallId {}

impl FromStr for CallId {
    type Err = NotACallId;

    fn from_str(text: &str) -> Result<Self, NotACallId> {
        let (count, index) = text.split_once('-').ok_or(NotACallId)?;
        let (count, index) = (count.parse().ok(), index.parse().ok());
        count.zip(index).map(|(count, index)| Self { count, index }).ok_or(NotACallId)
    }
}

/// A caller or a callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The id of its session.
    pub session: SessionId,
    /// Its `authid`.
    pub authid: ByteString,
}

/// The state of a running call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallState {
    /// Nothing is in its way.
    Running,
    /// The sender of a stream of it waits for credit: the receiver has granted none, or has not read for a second.
    Starved,
    /// The router does not read from the callee, since a link is full.
    Held {
        /// The session whose link that is.
        by: Option<SessionId>,
    },
    /// It was canceled, and the callee has not answered yet.
    Canceling,
}

impl CallState {
    /// Returns the name: `running`, `starved`, `held` or `canceling`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starved => "starved",
            Self::Held { .. } => "held",
            Self::Canceling => "canceling",
        }
    }
}

/// A running call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallInfo {
    /// Its id.
    pub id: CallId,
    /// The procedure; `None` if its registration has ended since.
    pub procedure: Option<Box<str>>,
    /// The registration that it went to.
    pub registration: RegistrationId,
    /// The caller; `None` is the router.
    pub caller: Option<Party>,
    /// The callee; `None` while the call waits until a callee has room.
    pub callee: Option<Party>,
    /// The time since the CALL.
    pub age: Duration,
    /// Progressive results until now.
    pub results: u64,
    /// The bytes of these as messages of the callee, if the driver gives the lengths of messages.
    pub bytes: u64,
    /// The time since the last of them.
    pub last: Option<Duration>,
    /// The bytes that the callee may still send; `None` if there is no credit.
    pub credit: Option<u64>,
    /// Its state.
    pub state: CallState,
    /// Whether the caller asked for progressive results.
    pub wants_progress: bool,
    /// Whether it is made in chunks.
    pub in_chunks: bool,
}

/// A registration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistrationInfo {
    /// Its id.
    pub id: RegistrationId,
    /// The procedure or the pattern.
    pub uri: Box<str>,
    /// The match policy.
    pub policy: MatchPolicy,
    /// The invocation policy.
    pub invoke: InvocationPolicy,
    /// The number of callees.
    pub callees: usize,
}

/// A subscription.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscriptionInfo {
    /// Its id.
    pub id: SubscriptionId,
    /// The topic or the pattern.
    pub uri: Uri,
    /// The match policy.
    pub policy: MatchPolicy,
    /// The number of subscribers.
    pub subscribers: usize,
}

impl Realm {
    /// Returns the sessions at the places from `from` on, of which `places` are looked at.
    pub fn sessions_from(&self, now: Time, from: usize, places: usize) -> Portion<SessionInfo> {
        self.cx.sessions.portion(from, places, |key, session| self.session_info(now, key, session))
    }

    fn session_info(&self, now: Time, key: SessionKey, session: &Session) -> SessionInfo {
        let (identity, transport) = (&session.identity, &session.transport);
        SessionInfo {
            key,
            authid: identity.authid.clone(),
            authrole: identity.authrole.clone(),
            authmethod: identity.authmethod.clone(),
            agent: session.about.agent.clone(),
            peer: session.about.peer.clone(),
            protocol: transport.protocol,
            is_secure: transport.is_secure,
            serializer: session.serializer,
            age: now.since(session.about.joined),
            calls: session.dealer.calls_made(),
            invocations: session.dealer.calls_to_answer(),
            registrations: session.dealer.registrations(),
            subscriptions: session.broker.subscriptions(),
            is_full: self.cx.sessions.is_full(key),
            held_by: self.cx.sessions.longest_holder(key).map(SessionKey::id),
            is_held: self.is_held(key),
            held_time: session.held(now),
        }
    }

    /// Returns the running calls at the places from `from` on, of which `places` are looked at.
    pub fn calls_from(&self, now: Time, from: usize, places: usize) -> Portion<CallInfo> {
        self.dealer.calls_from(&self.cx, now, from, places)
    }

    /// Returns the registrations at the places from `from` on, of which `places` are looked at.
    pub fn registrations_from(&self, from: usize, places: usize) -> Portion<RegistrationInfo> {
        self.dealer.registrations_from(from, places)
    }

    /// Returns the subscriptions at the places from `from` on, of which `places` are looked at. Those of meta topics are
    /// left out.
    pub fn subscriptions_from(&self, from: usize, places: usize) -> Portion<SubscriptionInfo> {
        self.broker.subscriptions_from(from, places)
    }

    /// Returns the times of calls.
    pub fn timings(&self) -> Timings {
        self.dealer.timings()
    }

    /// Returns the number of joins by method.
    pub fn joins(&self) -> Joins {
        self.cx.joins
    }

    /// Ends a session with GOODBYE, by its id. Returns `false` if there is none.
    pub fn kill(&mut self, now: Time, session: SessionId, reason: Uri, text: &str) -> bool {
        let Some(key) = self.cx.sessions.key(session) else { return false };
        self.close(now, key, reason, text);
        true
    }

    /// Ends a running call: the caller gets ERROR `wamp.error.canceled` with this text, and the callee INTERRUPT. Returns
    /// `false` if it has ended already.
    pub fn cancel_call(&mut self, now: Time, call: CallId, text: &str) -> bool {
        self.cx.now = now;
        let is_there = self.dealer.cancel_by_id(&mut self.cx, call, text);
        self.pass_on();
        is_there
    }
}
