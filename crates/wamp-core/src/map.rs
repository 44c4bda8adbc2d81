//! The hash map of the machines: seeded, never random by itself, so that a run can be repeated.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::FixedState;

pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

/// An empty map. The seed decides about the order of its entries and about which keys collide, so a router
/// draws it where nobody can guess it.
pub(crate) fn map<K, V>(seed: u64) -> Map<K, V> {
    Map::with_hasher(hashing(seed))
}

/// What the maps of this seed hash with.
pub(crate) fn hashing(seed: u64) -> FixedState {
    FixedState::with_seed(seed)
}

/// A map with room for so many entries keeps it.
const KEPT: usize = 256;

/// Takes an entry out of a map, which gives back the memory of a peak once it is nearly empty.
pub(crate) fn remove<K: Eq + Hash, V>(map: &mut Map<K, V>, key: &K) -> Option<V> {
    let value = map.remove(key);
    let (len, capacity) = (map.len(), map.capacity());
    if capacity > KEPT && len < capacity / 8 {
        map.shrink_to(2 * len);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_peak_is_given_back() {
        let mut map = map(1);
        map.extend((0..10_000).map(|key| (key, ())));
        let peak = map.capacity();
        for key in 0..9_990 {
            assert_eq!(remove(&mut map, &key), Some(()));
            assert!(map.capacity() <= peak);
        }
        assert!(map.capacity() <= KEPT, "{}", map.capacity());
        assert_eq!(map.len(), 10);
    }
}
