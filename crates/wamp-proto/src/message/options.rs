//! Words and groups of keys that several messages share.

use std::time::Duration;

use bytestring::ByteString;

use super::macros::{group, word};
use super::wire::{Source, Wire, read_integer};
use crate::error::{EncodeError, Fault};
use crate::id::SessionId;
use crate::serializer::{Format, Reader};

group! {
    /// The receivers of a publication, if the publisher restricts them (Advanced Profile, *Subscriber Black-
    /// and Whitelisting*).
    pub struct Receivers {
        /// Sessions that are excluded.
        exclude: Option<Vec<SessionId>> = "exclude",
        /// Authids that are excluded.
        exclude_authid: Option<Vec<ByteString>> = "exclude_authid",
        /// Authroles that are excluded.
        exclude_authrole: Option<Vec<ByteString>> = "exclude_authrole",
        /// The only sessions that are eligible.
        eligible: Option<Vec<SessionId>> = "eligible",
        /// The only authids that are eligible.
        eligible_authid: Option<Vec<ByteString>> = "eligible_authid",
        /// The only authroles that are eligible.
        eligible_authrole: Option<Vec<ByteString>> = "eligible_authrole",
    }
}

impl Receivers {
    /// Returns the same in memory of its own, which does not keep a frame alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        let names = |names: &Option<Vec<ByteString>>| {
            names.as_ref().map(|names| names.iter().map(|name| ByteString::from(&**name)).collect())
        };
        Self {
            exclude: self.exclude.clone(),
            exclude_authid: names(&self.exclude_authid),
            exclude_authrole: names(&self.exclude_authrole),
            eligible: self.eligible.clone(),
            eligible_authid: names(&self.eligible_authid),
            eligible_authrole: names(&self.eligible_authrole),
        }
    }
}

group! {
    /// The identity of the peer, if it is disclosed.
    pub struct Discloser {
        /// The session of the caller.
        caller: Option<SessionId> = "caller",
        /// The authid of the caller.
        caller_authid: Option<ByteString> = "caller_authid",
        /// The authrole of the caller.
        caller_authrole: Option<ByteString> = "caller_authrole",
        /// The session of the publisher.
        publisher: Option<SessionId> = "publisher",
        /// The authid of the publisher.
        publisher_authid: Option<ByteString> = "publisher_authid",
        /// The authrole of the publisher.
        publisher_authrole: Option<ByteString> = "publisher_authrole",
        /// The session of the callee.
        callee: Option<SessionId> = "callee",
        /// The authid of the callee.
        callee_authid: Option<ByteString> = "callee_authid",
        /// The authrole of the callee.
        callee_authrole: Option<ByteString> = "callee_authrole",
        /// The trust level that the router assigned to the caller or publisher.
        trustlevel: Option<u64> = "trustlevel",
    }
}

word! {
    /// The match policy of a registration or subscription.
    pub enum MatchPolicy: "one of exact, prefix, wildcard" {
        /// The whole URI matches.
        Exact = "exact",
        /// The beginning of the URI matches.
        Prefix = "prefix",
        /// Each component matches; an empty component of the pattern matches any.
        Wildcard = "wildcard",
    }
}

word! {
    /// The policy that selects one of several callees of a procedure.
    pub enum InvocationPolicy: "one of single, roundrobin, random, first, last, queue_least_loaded" {
        /// The procedure has one callee only.
        Single = "single",
        /// The callees take turns.
        RoundRobin = "roundrobin",
        /// A random callee.
        Random = "random",
        /// The callee that registered first.
        First = "first",
        /// The callee that registered last.
        Last = "last",
        /// The callee with the fewest invocations of the procedure under way: an extension, which Bondy has too.
        LeastLoaded = "queue_least_loaded",
    }
}

word! {
    /// The effect of a cancel on the caller and on the callee.
    pub enum CancelMode: "one of skip, kill, killnowait" {
        /// The caller gets its ERROR at once; the callee is not informed.
        Skip = "skip",
        /// The callee is interrupted, and its answer ends the call.
        Kill = "kill",
        /// The caller gets its ERROR at once; the callee is interrupted and its answer is ignored.
        KillNoWait = "killnowait",
    }
}

/// A timeout in milliseconds; 0 means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

/// Rounded up to whole milliseconds; at most 2^53 of them.
impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        Self(u64::try_from(millis).unwrap_or(u64::MAX).min(crate::id::MAX_ID))
    }
}

impl Wire for Millis {
    const LENIENT: bool = true;

    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        const EXPECTED: &str = "whole number of milliseconds between 0 and 2^53";
        match read_integer(source, EXPECTED)? {
            millis if millis <= crate::id::MAX_ID => Ok(Millis(millis)),
            _ => Err(Fault::expected(EXPECTED, "integer out of range")),
        }
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        F::unsigned(out, self.0);
        Ok(())
    }
}
