//! A slab that frees memory after a peak.

use slab::Slab;

/// A slab with at most this many slots keeps them.
const KEPT: usize = 256;

/// Values by the index of their slot, in O(1).
///
/// After a peak the slots behind the last value are freed. This is tried when most slots are free, each time
/// that the number of removed values has reached the number of remaining ones.
#[derive(Clone)]
pub(crate) struct Slots<T> {
    slab: Slab<T>,
    /// Removals since the last attempt to free slots.
    removed: usize,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Self { slab: Slab::new(), removed: 0 }
    }

    pub(crate) fn insert(&mut self, value: T) -> usize {
        self.slab.insert(value)
    }

    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.slab.get(place)
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.slab.get_mut(place)
    }

    /// Removes the value of an occupied slot.
    pub(crate) fn remove(&mut self, place: usize) -> T {
        let value = self.slab.remove(place);
        self.removed += 1;
        let places = self.slab.capacity();
        if places > KEPT && self.slab.len() < places / 4 && self.removed >= self.slab.len() {
            self.removed = 0;
            self.slab.shrink_to_fit();
        }
        value
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Returns the values at the places from `from` on, of which `places` are looked at, and the place after them, if
    /// there may be more.
    pub(crate) fn portion<R>(
        &self,
        from: usize,
        places: usize,
        mut row: impl FnMut(usize, &T) -> Option<R>,
    ) -> (Vec<R>, Option<usize>) {
        let end = self.slab.capacity();
        let to = from.saturating_add(places).min(end);
        let rows = (from..to).filter_map(|place| row(place, self.slab.get(place)?)).collect();
        (rows, (to < end).then_some(to))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.slab.iter()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.slab.capacity()
    }
}

impl<T> std::ops::Index<usize> for Slots<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.slab[place]
    }
}

impl<T> std::ops::IndexMut<usize> for Slots<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.slab[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_peak_is_given_back() {
        let mut slots = Slots::new();
        let stays = slots.insert(0);
        let peak: Vec<_> = (1..10_000).map(|value| slots.insert(value)).collect();
        for (place, value) in peak.iter().zip(1..) {
            assert_eq!(slots.remove(*place), value);
        }
        assert_eq!((slots[stays], slots.len()), (0, 1));
        assert!(slots.capacity() <= KEPT, "{}", slots.capacity());
    }

    #[test]
    fn a_value_behind_free_places_stays_in_its_own() {
        let mut slots = Slots::new();
        let peak: Vec<_> = (0..10_000).map(|value| slots.insert(value)).collect();
        for place in &peak[..9_999] {
            slots.remove(*place);
        }
        assert_eq!(slots[9_999], 9_999);
        assert_eq!(slots.len(), 1);
    }
}
