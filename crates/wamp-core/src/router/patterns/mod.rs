//! The look-up of the entries that match a URI: exact URIs, prefixes and wildcards (Advanced Profile,
//! *Pattern-based Registrations*, *Pattern-based Subscriptions*).
//!
//! One table serves registrations and subscriptions. It holds the places of entries in a slab, by hashes; the entries,
//! with their URIs, belong to the caller, which passes a function that returns the URI of an entry. A look-up costs one
//! probe for the exact URI, one for each length of a prefix, and one for each shape of wildcards with as many
//! components as the URI (behaviour [85](crate::behaviour#rule-85)): entries that do not match are not
//! visited, at any number of entries.

mod index;
mod prefixes;
mod wildcards;

use std::hash::BuildHasher;

use wamp_proto::message::MatchPolicy;

use self::index::Index;
use self::prefixes::Prefixes;
pub(super) use self::wildcards::NoRoom;
use self::wildcards::Wildcards;
use crate::map::{HashSeed, Hashing, hashing};

/// Places of entries, by match policy and URI.
#[derive(Clone)]
pub(super) struct Patterns {
    exact: Index,
    hashing: Hashing,
    prefixes: Prefixes,
    wildcards: Wildcards,
}

impl Patterns {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self {
            exact: Index::default(),
            hashing: hashing(seed),
            prefixes: Prefixes::new(seed),
            wildcards: Wildcards::new(seed),
        }
    }

    /// The entry of exactly this policy and URI.
    pub(super) fn get<'a>(
        &self,
        policy: MatchPolicy,
        uri: &str,
        text: impl Fn(usize) -> &'a str,
    ) -> Option<usize> {
        match policy {
            MatchPolicy::Prefix => self.prefixes.get(uri, |entry| text(entry) == uri),
            MatchPolicy::Wildcard => self.wildcards.get(uri, text),
            _ => self.exact(uri, text),
        }
    }

    /// Whether a new entry can be inserted, with this limit of shapes for each number of components.
    pub(super) fn check_room(&self, policy: MatchPolicy, uri: &str, shapes: usize) -> Result<(), NoRoom> {
        match policy {
            MatchPolicy::Wildcard => self.wildcards.check_room(uri, shapes),
            _ => Ok(()),
        }
    }

    /// Inserts an entry that is not there yet and for which there is room.
    pub(super) fn insert(&mut self, policy: MatchPolicy, uri: &str, entry: usize) {
        match policy {
            MatchPolicy::Prefix => self.prefixes.insert(uri, entry),
            MatchPolicy::Wildcard => self.wildcards.insert(uri, entry),
            _ => self.exact.insert(self.hashing.hash_one(uri), entry),
        }
    }

    /// Removes an existing entry.
    pub(super) fn remove(&mut self, policy: MatchPolicy, uri: &str, entry: usize) {
        match policy {
            MatchPolicy::Prefix => self.prefixes.remove(uri, entry),
            MatchPolicy::Wildcard => self.wildcards.remove(uri, entry),
            _ => self.exact.remove(self.hashing.hash_one(uri), entry),
        }
    }

    /// The best match of a URI: exact before prefix before wildcard; the longest prefix; of wildcards the one with more
    /// components before each gap.
    pub(super) fn best<'a>(&self, uri: &str, text: impl Fn(usize) -> &'a str) -> Option<usize> {
        let is = |entry: usize, prefix: &[u8]| text(entry).as_bytes() == prefix;
        self.exact(uri, &text)
            .or_else(|| self.prefixes.find(uri, is))
            .or_else(|| self.wildcards.matching(uri, &text).next())
    }

    /// Shows the prefixes and wildcards that a URI matches, in the order in which [`best`](Self::best) prefers them.
    pub(super) fn patterns<'a>(
        &self,
        uri: &str,
        text: impl Fn(usize) -> &'a str,
        mut show: impl FnMut(usize),
    ) {
        if !self.prefixes.is_empty() {
            self.prefixes.each(uri, |entry, prefix| text(entry).as_bytes() == prefix, &mut show);
        }
        if !self.wildcards.is_empty() {
            self.wildcards.matching(uri, text).for_each(show);
        }
    }

    /// Whether there are prefixes or wildcards.
    pub(super) fn has_patterns(&self) -> bool {
        !self.prefixes.is_empty() || !self.wildcards.is_empty()
    }

    /// The entry of exactly this URI.
    pub(super) fn exact<'a>(&self, uri: &str, text: impl Fn(usize) -> &'a str) -> Option<usize> {
        self.exact.find(self.hashing.hash_one(uri), |entry| text(entry) == uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: [(MatchPolicy, &str); 8] = [
        (MatchPolicy::Exact, "com.shop.order"),
        (MatchPolicy::Prefix, "com.shop.order"),
        (MatchPolicy::Prefix, "com."),
        (MatchPolicy::Prefix, ""),
        (MatchPolicy::Wildcard, "com..order"),
        (MatchPolicy::Wildcard, "..order"),
        (MatchPolicy::Wildcard, "com.shop.order"),
        (MatchPolicy::Prefix, "com.shops"),
    ];

    #[test]
    fn all_matches_come_in_the_order_of_preference() {
        let mut patterns = Patterns::new(1.into());
        let text = |entry: usize| ENTRIES[entry].1;
        for (entry, (policy, uri)) in ENTRIES.into_iter().enumerate() {
            assert_eq!(patterns.get(policy, uri, text), None);
            patterns.insert(policy, uri, entry);
            assert_eq!(patterns.get(policy, uri, text), Some(entry));
        }
        for (uri, expected) in [
            ("com.shop.order", &[0, 1, 2, 3, 6, 4, 5][..]),
            ("com.shop.orders", &[1, 2, 3]),
            ("com.x.order", &[2, 3, 4, 5]),
            ("org.x.order", &[3, 5]),
            ("org", &[3]),
        ] {
            let mut all = Vec::from_iter(patterns.exact(uri, text));
            patterns.patterns(uri, text, |entry| all.push(entry));
            assert_eq!(all, expected, "{uri}");
            assert_eq!(patterns.best(uri, text), expected.first().copied(), "{uri}");
        }
        for (entry, (policy, uri)) in ENTRIES.into_iter().enumerate() {
            patterns.remove(policy, uri, entry);
        }
        assert!(!patterns.has_patterns());
        assert_eq!(patterns.best("com.shop.order", text), None);
    }
}
