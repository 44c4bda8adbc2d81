//! Finding the prefixes of a URI.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use super::index::Index;
use crate::map::{HashSeed, Hashing, hashing};

/// The bytes of a URI that are hashed in one step.
const STEP: usize = 8;

/// The steps of a URI of usual length, which needs no allocation.
const STEPS: usize = 32;

/// Prefixes, found by trying each length that one of them has, the longest first. The entries, and their texts,
/// belong to the caller.
#[derive(Clone)]
pub(super) struct Prefixes {
    index: Index,
    hashing: Hashing,
    /// The number of prefixes with each length in bytes.
    lengths: BTreeMap<usize, usize>,
}

impl Prefixes {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { index: Index::default(), hashing: hashing(seed), lengths: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    pub(super) fn get(&self, prefix: &str, matches: impl Fn(usize) -> bool) -> Option<usize> {
        self.index.find(self.hash(prefix), matches)
    }

    pub(super) fn insert(&mut self, prefix: &str, entry: usize) {
        *self.lengths.entry(prefix.len()).or_default() += 1;
        self.index.insert(self.hash(prefix), entry);
    }

    /// Removes an existing prefix.
    pub(super) fn remove(&mut self, prefix: &str, entry: usize) {
        self.index.remove(self.hash(prefix), entry);
        if let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// The longest prefix of a URI.
    pub(super) fn find(&self, uri: &str, matches: impl Fn(usize, &[u8]) -> bool) -> Option<usize> {
        self.probe(uri, |hash, prefix| self.index.find(hash, |entry| matches(entry, prefix)))
    }

    /// Shows all prefixes of a URI, the longest first.
    pub(super) fn each(
        &self,
        uri: &str,
        matches: impl Fn(usize, &[u8]) -> bool,
        mut show: impl FnMut(usize),
    ) {
        self.probe(uri, |hash, prefix| {
            if let Some(entry) = self.index.find(hash, |entry| matches(entry, prefix)) {
                show(entry);
            }
            None::<()>
        });
    }

    /// Tries each length of a prefix, the longest first, until `probe` returns something. Every length is tried at most
    /// once, and the hash of each takes one step from that of a shorter one, so it takes the time of the URI's length,
    /// however many prefixes there are.
    fn probe<T>(&self, uri: &str, mut probe: impl FnMut(u64, &[u8]) -> Option<T>) -> Option<T> {
        let (longest, _) = self.lengths.range(..=uri.len()).next_back()?;
        let (blocks, _) = uri.as_bytes()[..*longest].as_chunks::<STEP>();
        let (mut few, mut many) = ([0; STEPS], Vec::new());
        let states = match few.get_mut(..=blocks.len()) {
            Some(few) => few,
            None => {
                many.resize(blocks.len() + 1, 0);
                &mut many[..]
            }
        };
        for (at, block) in blocks.iter().enumerate() {
            states[at + 1] = self.step(states[at], *block);
        }
        self.lengths.range(..=uri.len()).rev().find_map(|(length, _)| {
            let prefix = &uri.as_bytes()[..*length];
            let steps = length / STEP;
            probe(self.last(states[steps], &prefix[steps * STEP..]), prefix)
        })
    }

    fn hash(&self, prefix: &str) -> u64 {
        let (blocks, rest) = prefix.as_bytes().as_chunks::<STEP>();
        self.last(blocks.iter().fold(0, |state, block| self.step(state, *block)), rest)
    }

    fn step(&self, state: u64, block: [u8; STEP]) -> u64 {
        self.hashing.hash_one((state, u64::from_le_bytes(block)))
    }

    /// The rest after the last whole step.
    fn last(&self, state: u64, rest: &[u8]) -> u64 {
        let mut block = [0; STEP];
        block[..rest.len()].copy_from_slice(rest);
        block[STEP - 1] = rest.len() as u8;
        self.step(state, block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prefixes, and the texts that stand in their entries.
    fn prefixes(texts: &'static [&'static str]) -> (Prefixes, impl Fn(usize, &[u8]) -> bool) {
        let mut prefixes = Prefixes::new(1.into());
        for (entry, text) in texts.iter().enumerate() {
            prefixes.insert(text, entry);
        }
        (prefixes, |entry, prefix| texts[entry].as_bytes() == prefix)
    }

    // The examples of the specification.
    #[test]
    fn the_longest_prefix_wins() {
        let (prefixes, matches) = prefixes(&["a1.b2.c3", "a1.b2.c3.d4"]);
        for (uri, prefix) in [
            ("a1.b2.c3.d98.e74", Some(0)),
            ("a1.b2.c3.d4.e325", Some(1)),
            ("a1.b2.c55.d4.e5", None),
            // The specification says here that no prefix matches, and two paragraphs before that a prefix may
            // end within a component. The second holds here.
            ("a1.b2.c33.d4.e5", Some(0)),
            ("a1.b2.c88.d4.e5.f6.g7", None),
            ("a2.b2.c2.d2.e2", None),
            ("a1.b2.c3-more", Some(0)),
            ("a1.b2.c55.d4", None),
        ] {
            assert_eq!(prefixes.find(uri, &matches), prefix, "{uri}");
        }
    }

    #[test]
    fn a_removed_prefix_leaves_nothing() {
        const TEXTS: [&str; 4] = ["a.b.c", "a.b.c.d", "a", ""];
        let (mut prefixes, matches) = prefixes(&TEXTS);
        prefixes.remove(TEXTS[1], 1);
        assert_eq!(prefixes.find("a.b.c.d", &matches), Some(0));
        for (n, text) in TEXTS.into_iter().enumerate().filter(|(n, _)| *n != 1) {
            prefixes.remove(text, n);
        }
        assert!(prefixes.lengths.is_empty() && prefixes.index.is_empty());
    }

    #[test]
    fn each_length_is_probed_once_however_many_prefixes_there_are() {
        const LENGTHS: usize = 1024;
        let texts: Vec<String> =
            (0..LENGTHS).flat_map(|n| ["y", "z"].map(|end| "x".repeat(n) + end)).collect();
        let mut prefixes = Prefixes::new(1.into());
        for (entry, text) in texts.iter().enumerate() {
            prefixes.insert(text, entry);
        }
        // Each differs from the URI in its last byte.
        let looked_at = std::cell::Cell::new(0);
        let matches = |entry: usize, prefix: &[u8]| {
            looked_at.set(looked_at.get() + 1);
            texts[entry].as_bytes() == prefix
        };
        assert_eq!(prefixes.find(&"x".repeat(LENGTHS), matches), None);
        assert_eq!(looked_at.get(), 0, "the hashes already tell");
    }

    #[test]
    fn a_prefix_may_end_inside_a_character_of_the_uri() {
        let (prefixes, matches) = prefixes(&["com.x", "com.\u{e9}"]);
        assert_eq!(prefixes.find("com.\u{e8}", &matches), None);
        assert_eq!(prefixes.find("com.\u{e9}t\u{e9}", &matches), Some(1));
    }

    #[test]
    fn prefixes_that_differ_in_the_filling_of_a_step_are_distinct() {
        let (prefixes, _) = prefixes(&[]);
        let texts =
            ["", "\0", "\0\0", "\u{1}", "a", "a\0", "abcdefgh", "abcdefg", "abcdefgh\0", "abcdefg\u{7}"];
        let hashes: std::collections::BTreeSet<_> = texts.iter().map(|text| prefixes.hash(text)).collect();
        assert_eq!(hashes.len(), texts.len());
    }
}
