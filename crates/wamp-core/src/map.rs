//! The hash map of the machines: seeded, so that a run can be repeated.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

pub(crate) type Map<K, V> = HashMap<K, V, Hashing>;

/// The hash function of a map.
pub(crate) type Hashing = SeedableRandomState;

/// The seed of a map. It decides the order of its entries and which keys collide, so a router takes it from a source that
/// no peer can guess.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashSeed {
    own: u64,
    /// The constants of the hash function.
    shared: &'static SharedSeed,
}

impl HashSeed {
    /// A seed. The constants of the hash function are those of the first such seed in the process.
    pub(crate) fn new(own: u64, shared: u64) -> Self {
        static SHARED: OnceLock<SharedSeed> = OnceLock::new();
        Self { own, shared: SHARED.get_or_init(|| SharedSeed::from_u64(shared)) }
    }
}

/// A seed with the constants in the source of the hash function.
impl From<u64> for HashSeed {
    fn from(own: u64) -> Self {
        Self { own, shared: SharedSeed::global_fixed() }
    }
}

/// An empty map.
pub(crate) fn map<K, V>(seed: impl Into<HashSeed>) -> Map<K, V> {
    Map::with_hasher(hashing(seed))
}

/// The hash function of maps with this seed.
pub(crate) fn hashing(seed: impl Into<HashSeed>) -> Hashing {
    let HashSeed { own, shared } = seed.into();
    SeedableRandomState::with_seed(own, shared)
}

/// A map with at most this capacity keeps it.
pub(crate) const KEPT: usize = 256;

/// Removes an entry. A map that is nearly empty frees the memory of a peak.
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
