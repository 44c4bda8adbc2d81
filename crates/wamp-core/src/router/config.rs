//! What may be chosen about a realm.

use std::time::Duration;

use wamp_proto::uri::{InvalidUri, UriKind, UriLimits, UriRules};
use wamp_proto::{ByteString, Uri};

/// How a realm is to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Its name.
    pub name: Uri,
    /// What the router calls itself.
    pub agent: ByteString,
    /// How the URIs of requests are judged. Those of errors are always judged loosely.
    pub uri_rules: UriRules,
    /// What one session may take.
    pub limits: Limits,
    /// Treats a callee that does not announce canceling as one without progressive results, as the
    /// specification wants. By default `receive_progress` is forwarded to every callee, since many stream
    /// without announcing all of it.
    pub strict_features: bool,
    /// Wants the request ids of every session to be 1, 2, 3, and so on, as the specification says.
    ///
    /// By default that is enforced for callers that announce `progressive_call_invocations` only: a chunk that comes
    /// late must not be taken for a new call. Every other session may use any id from 1 to 2^53 that none of its
    /// calls under way has, since clients that draw their ids, or do not begin at 1 after a reconnect, are in use.
    /// A request id that is not allowed is a violation of the protocol either way.
    pub strict_request_ids: bool,
    /// Whether callees learn who calls.
    pub disclosure: Disclosure,
    /// How long a callee may take to answer a `kill`; 30 s by default.
    pub kill_timeout: Duration,
    /// How far senders of streams may go ahead, where they can be told; `None` for no such thing.
    pub credit: Option<Credit>,
    /// How long a client may take to answer GOODBYE; 5 s by default.
    pub goodbye_timeout: Duration,
}

impl Config {
    /// A realm of this name, open to anonymous sessions, with the defaults.
    pub fn new(name: impl Into<Uri>) -> Self {
        Self {
            name: name.into(),
            agent: ByteString::from_static(concat!("wamp-rs/", env!("CARGO_PKG_VERSION"))),
            uri_rules: UriRules::default(),
            limits: Limits::default(),
            strict_features: false,
            strict_request_ids: false,
            disclosure: Disclosure::default(),
            kill_timeout: Duration::from_secs(30),
            credit: Some(Credit::default()),
            goodbye_timeout: Duration::from_secs(5),
        }
    }

    /// Checks the URI of a request.
    pub(super) fn check_uri(&self, uri: &Uri, kind: UriKind) -> Result<(), InvalidUri> {
        uri.check_size(self.limits.uri)?;
        uri.check(self.uri_rules, kind)
    }
}

/// How far the senders of progressive results and of chunks may go ahead of their receivers; see
/// [`credit`](crate::credit).
#[derive(Clone, Copy, Debug)]
pub struct Credit {
    /// Octets that each stream is granted at once; 64 KiB by default.
    pub window: u64,
    /// Octets that a stream whose receiver keeps up may have on its way in the end; 256 KiB by default.
    pub max_window: u64,
    /// How long the receiver of a stream may grant nothing to a sender that waits for it, before the call ends
    /// with the argument "slow consumer"; 5 minutes by default.
    pub patience: Duration,
}

impl Default for Credit {
    fn default() -> Self {
        Self { window: 64 << 10, max_window: 256 << 10, patience: Duration::from_secs(300) }
    }
}

/// Whether callees learn who calls (Advanced Profile, *Caller Identification*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disclosure {
    /// If the caller or the callee asked for it.
    #[default]
    OnRequest,
    /// Always.
    Always,
    /// Never; a caller that asks for it is refused.
    Never,
}

/// What one session may take of a realm, and what it may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls under way that it has made; 65,536 by default.
    pub calls: usize,
    /// How many of them may take progressive results; 4,096 by default.
    pub progressive_calls: usize,
    /// Calls under way that it is to answer; 65,536 by default.
    pub invocations: usize,
    /// How many of them one and the same caller may have made; a quarter, 16,384, by default.
    pub invocations_from_one_caller: usize,
    /// Its registrations; 65,536 by default.
    pub registrations: usize,
    /// Its subscriptions; 65,536 by default.
    pub subscriptions: usize,
    /// What its registrations and subscriptions may hold, in bytes; 32 MiB by default. Each counts the length of its URI
    /// and 256.
    pub table_bytes: usize,
    /// The size of each URI that it sends: 1 KiB and 64 components by default. A request with a larger one is answered
    /// with ERROR `wamp.error.invalid_uri`. A wildcard pattern never has more than 64 components.
    pub uri: UriLimits,
    /// How many shapes the wildcard patterns of the realm may have, for each number of components; 64 by default. Two
    /// patterns have the same shape if they have the same number of components and gaps in the same places. A call
    /// that no exact registration and no prefix matches costs a step for each shape.
    pub wildcard_shapes: usize,
    /// For how long, in each [`holding_window`](Self::holding_window), its link may hold callees that others
    /// have called as well, since it does not keep up. Then its calls with them end. 2 s by default.
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
