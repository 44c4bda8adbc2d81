//! The hash map of the machines: seeded, never random by itself, so that a run can be repeated.

use std::collections::HashMap;

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
