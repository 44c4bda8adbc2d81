//! Words and groups of keys that several messages share.

use bytestring::ByteString;

use super::define::{group, word};
use super::wire::{Source, Wire, read_integer};
use crate::error::{EncodeError, Fault};
use crate::id::SessionId;
use crate::serializer::{Format, Reader};

group! {
    /// Payload passthru mode: what the payload is, when it is nothing that the router may look into.
    pub struct Ppt {
        /// The payload's schema.
        scheme: Option<ByteString> = "ppt_scheme",
        /// The serializer inside the payload.
        serializer: Option<ByteString> = "ppt_serializer",
        /// The cipher.
        cipher: Option<ByteString> = "ppt_cipher",
        /// The key.
        keyid: Option<ByteString> = "ppt_keyid",
    }
}

group! {
    /// Who receives a publication, where the publisher says so (Advanced Profile, *Subscriber Black- and
    /// Whitelisting*).
    pub struct Receivers {
        /// Not these sessions.
        exclude: Option<Vec<SessionId>> = "exclude",
        /// Not these identities.
        exclude_authid: Option<Vec<ByteString>> = "exclude_authid",
        /// Not these roles.
        exclude_authrole: Option<Vec<ByteString>> = "exclude_authrole",
        /// Only these sessions.
        eligible: Option<Vec<SessionId>> = "eligible",
        /// Only these identities.
        eligible_authid: Option<Vec<ByteString>> = "eligible_authid",
        /// Only these roles.
        eligible_authrole: Option<Vec<ByteString>> = "eligible_authrole",
    }
}

group! {
    /// Who is at the other end, where it is disclosed.
    pub struct Discloser {
        /// The session of a caller.
        caller: Option<SessionId> = "caller",
        /// The identity of a caller.
        caller_authid: Option<ByteString> = "caller_authid",
        /// The role of a caller.
        caller_authrole: Option<ByteString> = "caller_authrole",
        /// The session of a publisher.
        publisher: Option<SessionId> = "publisher",
        /// The identity of a publisher.
        publisher_authid: Option<ByteString> = "publisher_authid",
        /// The role of a publisher.
        publisher_authrole: Option<ByteString> = "publisher_authrole",
        /// The session of a callee.
        callee: Option<SessionId> = "callee",
        /// The identity of a callee.
        callee_authid: Option<ByteString> = "callee_authid",
        /// The role of a callee.
        callee_authrole: Option<ByteString> = "callee_authrole",
        /// How far the router trusts the other end.
        trustlevel: Option<u64> = "trustlevel",
    }
}

word! {
    /// How the URI of a registration or subscription matches.
    pub enum MatchPolicy: "one of exact, prefix, wildcard" {
        /// The whole URI.
        Exact = "exact",
        /// Its beginning.
        Prefix = "prefix",
        /// Component by component, an empty one matching any.
        Wildcard = "wildcard",
    }
}

word! {
    /// Which of several callees of one procedure is invoked.
    pub enum InvocationPolicy: "one of single, roundrobin, random, first, last" {
        /// There is only one.
        Single = "single",
        /// Each in turn.
        RoundRobin = "roundrobin",
        /// Any.
        Random = "random",
        /// The one that registered first.
        First = "first",
        /// The one that registered last.
        Last = "last",
    }
}

word! {
    /// What a cancel does: to the caller, and to the callee.
    pub enum CancelMode: "one of skip, kill, killnowait" {
        /// The caller gets its ERROR at once; the callee is not told.
        Skip = "skip",
        /// The callee is interrupted, and what it then answers is the end of the call.
        Kill = "kill",
        /// The caller gets its ERROR at once; the callee is interrupted and not listened to.
        KillNoWait = "killnowait",
    }
}

/// A timeout in milliseconds; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

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
