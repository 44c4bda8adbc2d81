//! Finding the entry of a slab that has some text, by the hash of that text.
//!
//! The text stands in the entry alone, so an entry costs 16 octets here, and a look at it is a look at one
//! bucket and at the entry itself.

use std::collections::BTreeSet;

use crate::map::{HashSeed, Map, map, remove};

/// Where the entries stand, by the hash of their texts.
#[derive(Clone)]
pub(super) struct Index {
    /// The first entry with each hash.
    first: Map<u64, usize>,
    /// Further ones, of hashes that have a first; there hardly ever are any.
    further: BTreeSet<(u64, usize)>,
}

impl Index {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { first: map(seed), further: BTreeSet::new() }
    }

    /// The entry with this hash that is the one.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let first = *self.first.get(&hash)?;
        if is_it(first) {
            return Some(first);
        }
        self.with(hash).find(|further| is_it(*further))
    }

    /// Adds an entry that is not here yet.
    pub(super) fn insert(&mut self, hash: u64, entry: usize) {
        if *self.first.entry(hash).or_insert(entry) != entry {
            self.further.insert((hash, entry));
        }
    }

    pub(super) fn remove(&mut self, hash: u64, entry: usize) {
        if self.first.get(&hash) != Some(&entry) {
            self.further.remove(&(hash, entry));
            return;
        }
        let next = self.with(hash).next();
        match next {
            Some(next) => {
                self.further.remove(&(hash, next));
                self.first.insert(hash, next);
            }
            None => {
                remove(&mut self.first, &hash);
            }
        }
    }

    /// The entries with a hash after the first.
    fn with(&self, hash: u64) -> impl Iterator<Item = usize> {
        self.further.range((hash, 0)..=(hash, usize::MAX)).map(|(_, entry)| *entry)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_with_the_same_hash_are_told_apart() {
        let all = [3, 1, 4, 2];
        for gone in 0..1_u32 << all.len() {
            let mut index = Index::new(1.into());
            for entry in all {
                index.insert(7, entry);
                index.insert(8, entry + 10);
            }
            let is_gone = |at: usize| gone & 1 << at != 0;
            for (at, entry) in all.into_iter().enumerate().filter(|(at, _)| is_gone(*at)) {
                index.remove(7, entry);
                assert_eq!(index.find(7, |it| it == entry), None, "{at}");
            }
            for (at, entry) in all.into_iter().enumerate() {
                assert_eq!(index.find(7, |it| it == entry), (!is_gone(at)).then_some(entry));
                assert_eq!(index.find(8, |it| it == entry + 10), Some(entry + 10));
                assert_eq!(index.find(9, |_| true), None);
            }
            for entry in all {
                index.remove(7, entry);
                index.remove(8, entry + 10);
            }
            assert!(index.is_empty() && index.further.is_empty());
        }
    }
}
