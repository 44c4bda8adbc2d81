//! Configuration of a realm.

use std::time::Duration;

use wamp_proto::uri::{self, UriKind, UriLimits, UriRules};
use wamp_proto::{ByteString, Uri};

use super::refused::Refused;
use super::roles::{Pattern, Roles};

/// The settings of a realm.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The name.
    pub name: Uri,
    /// The name of the router's software in WELCOME.
    pub agent: ByteString,
    /// The rules for URIs of requests. URIs of errors are always checked by the loose rules (behaviour
    /// [63](crate::behaviour#rule-63), [71](crate::behaviour#rule-71)).
    pub uri_rules: UriRules,
    /// The limits of each session.
    pub limits: Limits,
    /// Treats a callee that does not announce canceling as one without progressive results, as the
    /// specification does. By default `receive_progress` is forwarded to every callee, since many stream
    /// without announcing it (behaviour [13](crate::behaviour#rule-13)).
    pub strict_features: bool,
    /// Requires the request ids of every session to be 1, 2, 3, and so on, as the specification does (behaviour
    /// [2](crate::behaviour#rule-2)).
    ///
    /// By default that is required only of callers that announce `progressive_call_invocations`: a late chunk
    /// must not be taken for a new call. Every other session may use any id from 1 to 2^53 that none of its
    /// running calls has, since some clients draw their ids, or do not begin at 1 after a reconnect. An id that
    /// is not allowed is a violation either way.
    pub strict_request_ids: bool,
    /// Whether callers are disclosed to callees.
    pub disclosure: Disclosure,
    /// Whether publishers are disclosed to subscribers.
    pub publisher_disclosure: Disclosure,
    /// The calls of each registration that may wait until a callee can take another one, if a callee has limited them by
    /// `concurrency`; 0 by default: a call that no callee can take is refused (behaviour
    /// [148](crate::behaviour#rule-148)). Waiting calls count for the limits of their caller, among them
    /// [`kept_bytes`](Limits::kept_bytes).
    pub call_queue: usize,
    /// The time in which a callee must answer a `kill`; 30 s by default.
    pub kill_timeout: Duration,
    /// How long the holder of a procedure may take to give a sign of life when another session of its authid asks for the
    /// procedure; 2 s by default. Zero: no holder is asked (behaviour [299](crate::behaviour#rule-299)).
    pub takeover_after: Duration,
    /// How far the senders of streams may send ahead of their receivers, if they have credit; `None` for a
    /// realm without credit.
    pub credit: Option<Credit>,
    /// The time in which a client must answer GOODBYE; 5 s by default.
    pub goodbye_timeout: Duration,
    /// The limits of retained events.
    pub retention: Retention,
    /// The limits of testaments.
    pub testaments: Testaments,
    /// The patterns whose events are kept as a history; none by default. Each of them is compared with the topic of each
    /// publication.
    pub history: Vec<History>,
    /// The roles, with the rights of their sessions. Without any, the default, every session may do
    /// everything.
    pub roles: Roles,
    /// The part of the meta API that every session may use, in a realm without roles.
    pub meta: Meta,
    /// The time from 1970-01-01T00:00:00Z to [`Time::ORIGIN`](crate::Time::ORIGIN), for the timestamps of the meta
    /// API. `wamp-router` sets it when it builds the realm.
    pub epoch: Duration,
}

/// A part of the meta API (behaviour [179](crate::behaviour#rule-179)). Each one includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Meta {
    /// The procedures about the session itself: its testaments.
    Own,
    /// Everything that only reads: the procedures that count, list, find and get, and all meta topics.
    #[default]
    Read,
    /// Everything that acts on other sessions, too: the procedures that kill sessions and remove callees and
    /// subscribers.
    Control,
}

impl Config {
    /// A realm with this name, open to anonymous sessions, with the defaults.
    pub fn new(name: impl Into<Uri>) -> Self {
        Self {
            name: name.into(),
            agent: ByteString::from_static(concat!("wamp-rs/", env!("CARGO_PKG_VERSION"))),
            uri_rules: UriRules::default(),
            limits: Limits::default(),
            strict_features: false,
            strict_request_ids: false,
            disclosure: Disclosure::default(),
            publisher_disclosure: Disclosure::default(),
            call_queue: 0,
            kill_timeout: Duration::from_secs(30),
            takeover_after: Duration::from_secs(2),
            credit: Some(Credit::default()),
            goodbye_timeout: Duration::from_secs(5),
            retention: Retention::default(),
            testaments: Testaments::default(),
            history: Vec::new(),
            roles: Roles::default(),
            meta: Meta::default(),
            epoch: Duration::ZERO,
        }
    }

    /// Checks the URI of a request. The error is `wamp.error.invalid_uri`.
    pub(super) fn check_uri(&self, uri: &Uri, kind: UriKind) -> Result<(), Refused> {
        let checked = uri.check_size(self.limits.uri).and_then(|()| uri.check(self.uri_rules, kind));
        checked.map_err(|error| (uri::INVALID_URI, error.to_string()))
    }
}

/// The limits of the events that a realm retains (behaviour [117](crate::behaviour#rule-117)). An event that
/// exceeds a limit is delivered and counted, but not retained.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Topics with retained events; 10,000 by default. 0 retains nothing.
    pub topics: usize,
    /// The bytes of all retained events, with their topics and lists and 256 for each; 64 MiB by default.
    pub bytes: usize,
    /// The bytes of one; 1 MiB by default.
    pub event_bytes: usize,
    /// Retained events with lists of receivers, for each topic; 16 by default. Beyond that the oldest one is
    /// dropped.
    pub restricted: usize,
    /// Retained events sent for one SUBSCRIBE; 1,000 by default. Further ones are dropped and counted.
    pub sent: usize,
    /// The bytes of retained events after which one SUBSCRIBE gets no more; 4 MiB by default.
    pub sent_bytes: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            topics: 10_000,
            bytes: 64 << 20,
            event_bytes: 1 << 20,
            restricted: 16,
            sent: 1_000,
            sent_bytes: 4 << 20,
        }
    }
}

/// A pattern whose events are kept as a history, for `wamp.subscription.get_events` (Advanced Profile, *Event History*;
/// behaviour [124](crate::behaviour#rule-124)). The realm has a subscription of this pattern from the start, which never
/// ends. A pattern that begins with `wamp` or is not a valid URI keeps nothing.
///
/// ```
/// use wamp_core::router::{Config, History, Pattern};
///
/// let mut config = Config::new("shop");
/// config.history.push(History::new(Pattern::prefix("com.shop.order.")));
/// ```
#[derive(Clone, Debug)]
pub struct History {
    /// The pattern.
    pub pattern: Pattern,
    /// The latest events that are kept; 1,000 by default.
    pub events: usize,
    /// The bytes of these events, with their topics and lists and 256 for each; 16 MiB by default. An event that has more
    /// is not kept.
    pub bytes: usize,
}

impl History {
    /// A history of the events of this pattern, with the default limits.
    pub fn new(pattern: Pattern) -> Self {
        Self { pattern, events: 1_000, bytes: 16 << 20 }
    }
}

/// The limits of testaments (behaviour [132](crate::behaviour#rule-132)). One that exceeds a limit is refused with
/// `wamp.error.unavailable`.
#[derive(Clone, Copy, Debug)]
pub struct Testaments {
    /// The testaments of a session; 64 by default.
    pub count: usize,
    /// The bytes of the testaments of a session; 256 KiB by default. Each counts the arguments of its call and
    /// 256.
    pub bytes: usize,
    /// The bytes of the testaments of all sessions; 64 MiB by default.
    pub all_bytes: usize,
}

impl Default for Testaments {
    fn default() -> Self {
        Self { count: 64, bytes: 256 << 10, all_bytes: 64 << 20 }
    }
}

/// The credit of the senders of progressive results and chunks; see
/// [`credit_extension`](crate::credit_extension).
#[derive(Clone, Copy, Debug)]
pub struct Credit {
    /// The bytes granted to each stream when it begins; 64 KiB by default.
    pub window: u64,
    /// The largest window of a stream whose receiver keeps up, in bytes; 256 KiB by default.
    pub max_window: u64,
    /// The time for which the receiver of a stream may grant nothing to a waiting sender. Then the call ends
    /// with the argument "slow consumer". 5 minutes by default.
    pub patience: Duration,
}

impl Default for Credit {
    fn default() -> Self {
        Self { window: 64 << 10, max_window: 256 << 10, patience: Duration::from_secs(300) }
    }
}

/// Whether callers are disclosed to callees, or publishers to subscribers (Advanced Profile, *Caller Identification*,
/// *Publisher Identification*; behaviour [67](crate::behaviour#rule-67), [114](crate::behaviour#rule-114)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disclosure {
    /// If the caller, the callee or the publisher asks for it.
    #[default]
    OnRequest,
    /// Always.
    Always,
    /// Never; a call or a publication that asks for it is refused.
    Never,
}

/// The limits of each session of a realm (behaviour [84](crate::behaviour#rule-84)).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Running calls that it has made; 65,536 by default.
    pub calls: usize,
    /// Calls among these that may ask for progressive results; 4,096 by default.
    pub progressive_calls: usize,
    /// Running calls that it has to answer; 65,536 by default.
    pub invocations: usize,
    /// Calls among these that may come from one caller; a quarter, 16,384, by default.
    pub invocations_from_one_caller: usize,
    /// The bytes of its calls that could still go to another callee, with 256 for each; 1 MiB by default. A call beyond
    /// that goes to one callee only (behaviour [143](crate::behaviour#rule-143)).
    pub kept_bytes: usize,
    /// Registrations; 65,536 by default.
    pub registrations: usize,
    /// Subscriptions; 65,536 by default.
    pub subscriptions: usize,
    /// The bytes of its registrations and subscriptions; 32 MiB by default. Each counts the length of its URI
    /// and 256.
    pub table_bytes: usize,
    /// The size of each URI that it sends: 1 KiB and 64 components by default. A request with a larger one is
    /// answered with ERROR `wamp.error.invalid_uri`. A wildcard pattern never has more than 64 components.
    pub uri: UriLimits,
    /// The number of shapes of the realm's wildcard patterns, for each number of components; 64 by default. Two
    /// patterns have the same shape if they have the same number of components and gaps in the same places. A
    /// call that matches no exact registration and no prefix takes a step for each shape (behaviour
    /// [85](crate::behaviour#rule-85)).
    pub wildcard_shapes: usize,
    /// The time, in each [`holding_window`](Self::holding_window), for which contested holds may last. Then its
    /// calls with the held sessions end. 2 s by default (behaviour [78](crate::behaviour#rule-78)).
    pub holding: Duration,
    /// 10 s by default.
    pub holding_window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 65_536,
            progressive_calls: 4_096,
            invocations: 65_536,
            invocations_from_one_caller: 65_536 / 4,
            kept_bytes: 1 << 20,
            registrations: 65_536,
            subscriptions: 65_536,
            table_bytes: 32 << 20,
            uri: UriLimits::default(),
            wildcard_shapes: 64,
            holding: Duration::from_secs(2),
            holding_window: Duration::from_secs(10),
        }
    }
}
