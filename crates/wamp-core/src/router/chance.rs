//! Random numbers: ids for peers, and the seed of hashing.

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use crate::map::HashSeed;

/// The random seeds of a realm: one for ids, and an independent one for its tables.
///
/// Peers see the ids, so they come from a cryptographic generator: many of them do not reveal the next. No peer
/// sees the seed of the tables, so none can choose keys that collide (behaviour [7](crate::behaviour#rule-7)).
#[derive(Clone)]
pub struct Seeds {
    ids: [u8; 32],
    pub(super) hashing: HashSeed,
}

impl Seeds {
    /// Seeds from these bytes of the system's generator.
    pub fn new(random: [u8; 48]) -> Self {
        let (ids, rest) = random.split_first_chunk::<32>().expect("there are 48 bytes");
        let (own, rest) = rest.split_first_chunk::<8>().expect("there are 16 left");
        let (shared, _) = rest.split_first_chunk::<8>().expect("there are 8 left");
        let hashing = HashSeed::new(u64::from_le_bytes(*own), u64::from_le_bytes(*shared));
        Self { ids: *ids, hashing }
    }

    pub(super) fn chance(&self) -> Chance {
        Chance(ChaCha12Rng::from_seed(self.ids))
    }
}

/// Predictable seeds, so that a run can be repeated: for tests.
impl From<u64> for Seeds {
    fn from(seed: u64) -> Self {
        let mut ids = [0; 32];
        ids[..8].copy_from_slice(&seed.to_le_bytes());
        Self { ids, hashing: seed.into() }
    }
}

impl std::fmt::Debug for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seeds").finish_non_exhaustive()
    }
}

/// A cryptographic generator.
pub(super) struct Chance(ChaCha12Rng);

impl Chance {
    /// A number from 1 to 2^53.
    pub(super) fn id(&mut self) -> u64 {
        (self.0.next_u64() >> 11) + 1
    }

    /// Any number.
    pub(super) fn draw(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// The number below this one that a draw selects.
pub(super) fn below(draw: u64, end: usize) -> usize {
    // The bias is too small to be noticed.
    ((u128::from(draw) * end as u128) >> 64) as usize
}

impl Clone for Chance {
    fn clone(&self) -> Self {
        Self(ChaCha12Rng::deserialize_state(&self.0.serialize_state()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_out_of_the_whole_range_and_turns_out_of_theirs() {
        let mut chance = Seeds::from(1).chance();
        let ids: Vec<u64> = (0..1000).map(|_| chance.id()).collect();
        assert!(ids.iter().all(|id| (1..=wamp_proto::MAX_ID).contains(id)));
        assert!(ids.iter().any(|id| *id > wamp_proto::MAX_ID / 2) && ids.iter().any(|id| *id < 1 << 52));
        let mut turns = [0; 3];
        (0..3000).for_each(|_| turns[below(chance.draw(), 3)] += 1);
        assert!(turns.iter().all(|count| (800..1200).contains(count)), "{turns:?}");
    }

    #[test]
    fn a_clone_goes_on_like_its_original() {
        let mut chance = Seeds::from(1).chance();
        for _ in 0..100 {
            let mut clone = chance.clone();
            assert_eq!(chance.id(), clone.id());
        }
    }

    #[test]
    fn each_seed_decides_for_itself() {
        let ids = |seeds: Seeds| seeds.chance().id();
        let with = |at: usize| {
            let mut random = [0; 48];
            random[at] = 1;
            Seeds::new(random)
        };
        let hash =
            |seeds: Seeds| std::hash::BuildHasher::hash_one(&crate::map::hashing(seeds.hashing), "com.myapp");
        let (first, tables) = (with(0), with(32));
        assert_ne!(ids(first.clone()), ids(tables.clone()));
        assert_ne!(hash(first.clone()), hash(tables.clone()));
        assert_eq!(ids(tables), ids(with(47)), "what is for the tables changes no id");
        assert_eq!(hash(first), hash(with(31)), "and what is for ids changes no table");
    }
}
