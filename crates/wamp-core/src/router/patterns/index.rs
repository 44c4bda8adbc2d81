//! Finding the entry of a slab that has some text, by the hash of that text.
//!
//! Only the entry holds the text, so an entry costs 16 bytes here.

use hashbrown::HashTable;

use crate::map::KEPT;

/// The places of entries, with the hashes of their texts.
#[derive(Clone, Default)]
pub(super) struct Index {
    table: HashTable<(u64, usize)>,
}

impl Index {
    /// The entry with this hash that matches.
    pub(super) fn find(&self, hash: u64, matches: impl Fn(usize) -> bool) -> Option<usize> {
        self.table.find(hash, |(of, entry)| *of == hash && matches(*entry)).map(|(_, entry)| *entry)
    }

    /// Adds an entry that is not here yet.
    pub(super) fn insert(&mut self, hash: u64, entry: usize) {
        self.table.insert_unique(hash, (hash, entry), |(hash, _)| *hash);
    }

    /// Removes an entry. A table that is nearly empty gives back the memory of a peak.
    pub(super) fn remove(&mut self, hash: u64, entry: usize) {
        let Ok(found) = self.table.find_entry(hash, |found| *found == (hash, entry)) else { return };
        found.remove();
        let (len, capacity) = (self.table.len(), self.table.capacity());
        if capacity > KEPT && len < capacity / 8 {
            self.table.shrink_to(2 * len, |(hash, _)| *hash);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_with_the_same_hash_are_told_apart() {
        let all = [3, 1, 4, 2];
        for gone in 0..1_u32 << all.len() {
            let mut index = Index::default();
            for entry in all {
                index.insert(7, entry);
                index.insert(8, entry + 10);
            }
            let is_gone = |at: usize| gone & 1 << at != 0;
            for (at, entry) in all.into_iter().enumerate().filter(|(at, _)| is_gone(*at)) {
                index.remove(7, entry);
                assert_eq!(index.find(7, |found| found == entry), None, "{at}");
            }
            for (at, entry) in all.into_iter().enumerate() {
                assert_eq!(index.find(7, |found| found == entry), (!is_gone(at)).then_some(entry));
                assert_eq!(index.find(8, |found| found == entry + 10), Some(entry + 10));
                assert_eq!(index.find(9, |_| true), None);
            }
            for entry in all {
                index.remove(7, entry);
                index.remove(8, entry + 10);
            }
            assert!(index.is_empty());
        }
    }

    #[test]
    fn memory_of_a_peak_is_given_back() {
        let hash = |entry: usize| (entry as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut index = Index::default();
        for entry in 0..10_000 {
            index.insert(hash(entry), entry);
        }
        for entry in 0..9_990 {
            index.remove(hash(entry), entry);
        }
        assert!(index.table.capacity() <= KEPT, "{}", index.table.capacity());
        assert_eq!(index.find(hash(9_995), |entry| entry == 9_995), Some(9_995));
    }
}
