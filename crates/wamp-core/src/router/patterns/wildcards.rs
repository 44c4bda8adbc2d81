//! Finding the wildcard patterns that a URI matches.
//!
//! Patterns with the same number of components and the same gaps have one *shape*. A look-up makes one probe of
//! a hash table for each shape with as many components as the URI. The number of these shapes is limited
//! (behaviour [85](crate::behaviour#rule-85)), and overlapping patterns are never tried one after another. So
//! the cost has a bound that does not depend on the registered patterns.

use std::hash::BuildHasher;

use wamp_proto::uri;

use super::index::Index;
use crate::map::{HashSeed, Hashing, hashing};
use crate::router::refused::Refused;

/// The largest number of components of a pattern, whose gaps are bits of a word.
pub(super) const COMPONENTS: usize = u64::BITS as usize;

/// Wildcard patterns. The entries, and their texts, belong to the caller.
#[derive(Clone)]
pub(super) struct Wildcards {
    /// The shapes of one component, of two, and so on; the most specific first.
    shapes: Vec<Vec<Shape>>,
    /// The patterns, by the hash of their shape and of their named components.
    index: Index,
    hashing: Hashing,
}

#[derive(Clone)]
struct Shape {
    gaps: Gaps,
    /// The number of patterns with this shape.
    patterns: usize,
}

/// The gaps among the components; the first component is the highest bit.
///
/// Of two patterns that match, the one with more components before a gap is the more specific one. At the first
/// difference it has a component and the other one a gap: its number is smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Gaps(u64);

impl Gaps {
    fn add(&mut self, place: usize) {
        self.0 |= 1 << (COMPONENTS - 1) >> place;
    }

    fn has(self, place: usize) -> bool {
        self.0 << place >> (COMPONENTS - 1) == 1
    }

    /// The indexes of the named components, of this many.
    fn named(self, components: usize) -> impl Iterator<Item = usize> {
        let mut left = !self.0 & u64::MAX << (COMPONENTS - components);
        std::iter::from_fn(move || {
            let place = left.leading_zeros() as usize;
            left &= !(1_u64 << (COMPONENTS - 1)).checked_shr(place as u32)?;
            Some(place)
        })
    }
}

/// The reason why a pattern cannot be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::router) enum NoRoom {
    /// It has more than [`COMPONENTS`].
    Components,
    /// There are too many shapes with this number of components.
    Shapes,
}

impl NoRoom {
    /// The ERROR of a request, with the limit of shapes.
    pub(in crate::router) fn refused(self, shapes: usize) -> Refused {
        match self {
            Self::Components => {
                (uri::INVALID_URI, format!("a wildcard pattern may have at most {COMPONENTS} components"))
            }
            Self::Shapes => {
                let text = format!(
                    "the wildcard patterns of this realm with the same number of components already have {shapes} \
                     combinations of gaps, which is the limit"
                );
                (uri::UNAVAILABLE, text)
            }
        }
    }
}

impl Wildcards {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { shapes: Vec::new(), index: Index::default(), hashing: hashing(seed) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    pub(super) fn get<'a>(&self, pattern: &str, text: impl Fn(usize) -> &'a str) -> Option<usize> {
        let (_, _, hash) = self.read(pattern)?;
        self.index.find(hash, |entry| text(entry) == pattern)
    }

    /// Whether a pattern can be inserted, with this limit of shapes for each number of components.
    pub(super) fn check_room(&self, pattern: &str, limit: usize) -> Result<(), NoRoom> {
        let (components, gaps, _) = self.read(pattern).ok_or(NoRoom::Components)?;
        match self.shapes.get(components - 1) {
            Some(shapes) if shapes.len() >= limit => {
                shapes.binary_search_by_key(&gaps, |shape| shape.gaps).map_err(|_| NoRoom::Shapes)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Inserts a pattern that there is room for.
    pub(super) fn insert(&mut self, pattern: &str, entry: usize) {
        let Some((components, gaps, hash)) = self.read(pattern) else { return };
        if self.shapes.len() < components {
            self.shapes.resize_with(components, Vec::new);
        }
        let shapes = &mut self.shapes[components - 1];
        match shapes.binary_search_by_key(&gaps, |shape| shape.gaps) {
            Ok(known) => shapes[known].patterns += 1,
            Err(place) => shapes.insert(place, Shape { gaps, patterns: 1 }),
        }
        self.index.insert(hash, entry);
    }

    /// Removes an existing pattern.
    pub(super) fn remove(&mut self, pattern: &str, entry: usize) {
        let Some((components, gaps, hash)) = self.read(pattern) else { return };
        let Some(shapes) = self.shapes.get_mut(components - 1) else { return };
        let Ok(place) = shapes.binary_search_by_key(&gaps, |shape| shape.gaps) else { return };
        self.index.remove(hash, entry);
        shapes[place].patterns -= 1;
        if shapes[place].patterns == 0 {
            shapes.remove(place);
            while self.shapes.pop_if(|last| last.is_empty()).is_some() {}
        }
    }

    /// The patterns that match a URI, the most specific first; `text` gives the pattern of an entry.
    pub(super) fn matching<'s, 'a>(
        &'s self,
        uri: &'s str,
        text: impl Fn(usize) -> &'a str + 's,
    ) -> impl Iterator<Item = usize> + 's {
        let mut hashes = [0; COMPONENTS];
        let (shapes, components) = match self.shapes.is_empty() {
            true => (&[][..], 0),
            false => {
                let components = uri.bytes().filter(|byte| *byte == b'.').count() + 1;
                (self.shapes.get(components - 1).map_or(&[][..], Vec::as_slice), components)
            }
        };
        if !shapes.is_empty() {
            for (place, component) in uri.split('.').enumerate() {
                hashes[place] = self.hash_component(place, component);
            }
        }
        shapes.iter().filter_map(move |Shape { gaps, .. }| {
            let hash = self.hash(components, *gaps, gaps.named(components).map(|place| hashes[place]));
            self.index.find(hash, |entry| matches(text(entry), *gaps, uri))
        })
    }

    /// The number of components of a pattern, its gaps, and its hash; `None` if it has too many components.
    fn read(&self, pattern: &str) -> Option<(usize, Gaps, u64)> {
        let (mut components, mut gaps, mut hashes) = (0, Gaps(0), [0; COMPONENTS]);
        for (place, component) in pattern.split('.').enumerate() {
            *hashes.get_mut(place)? = self.hash_component(place, component);
            if component.is_empty() {
                gaps.add(place);
            }
            components = place + 1;
        }
        let named = gaps.named(components).map(|place| hashes[place]);
        Some((components, gaps, self.hash(components, gaps, named)))
    }

    fn hash_component(&self, place: usize, component: &str) -> u64 {
        self.hashing.hash_one((place, component))
    }

    fn hash(&self, components: usize, gaps: Gaps, named: impl Iterator<Item = u64>) -> u64 {
        let sum = named.fold(0, u64::wrapping_add);
        self.hashing.hash_one((components, gaps, sum))
    }
}

/// Whether a pattern has these gaps and matches a URI.
fn matches(pattern: &str, gaps: Gaps, uri: &str) -> bool {
    let (mut pattern, mut uri) = (pattern.split('.'), uri.split('.'));
    for place in 0.. {
        match (pattern.next(), uri.next()) {
            (None, None) => return true,
            (Some(""), Some(_)) if gaps.has(place) => {}
            (Some(own), Some(component)) if own == component && !gaps.has(place) => {}
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(patterns: &[&str]) -> Wildcards {
        let mut wildcards = Wildcards::new(1.into());
        for (entry, pattern) in patterns.iter().enumerate() {
            assert_eq!(wildcards.check_room(pattern, 64), Ok(()));
            wildcards.insert(pattern, entry);
        }
        wildcards
    }

    fn matching<'a>(wildcards: &Wildcards, patterns: &[&'a str], uri: &str) -> Vec<&'a str> {
        wildcards.matching(uri, |entry| patterns[entry]).map(|entry| patterns[entry]).collect()
    }

    // The examples of the specification.
    #[test]
    fn the_longest_portion_before_a_gap_wins() {
        const PATTERNS: [&str; 4] = ["a1.b2..d4.e5", "a1.b2.c33..e5", "a1.b2..d4.e5..g7", "a1.b2..d4..f6.g7"];
        let wildcards = all(&PATTERNS);
        for (uri, expected) in [
            ("a1.b2.c3.d98.e74", &[][..]),
            ("a1.b2.c55.d4.e5", &["a1.b2..d4.e5"]),
            ("a1.b2.c33.d4.e5", &["a1.b2.c33..e5", "a1.b2..d4.e5"]),
            ("a1.b2.c88.d4.e5.f6.g7", &["a1.b2..d4.e5..g7", "a1.b2..d4..f6.g7"]),
            ("a2.b2.c2.d2.e2", &[]),
            ("a1.b2.c55.d4", &[]),
        ] {
            assert_eq!(matching(&wildcards, &PATTERNS, uri), expected, "{uri}");
        }
    }

    #[test]
    fn a_pattern_may_have_64_components_and_not_more() {
        let (named, gaps) = (["a"; 64].join("."), ".".repeat(63));
        let patterns = [gaps.as_str(), named.as_str()];
        let wildcards = all(&patterns);
        assert_eq!(matching(&wildcards, &patterns, &named), [&named, &gaps]);
        assert_eq!(matching(&wildcards, &patterns, &["b"; 64].join(".")), [&gaps]);
        assert_eq!(matching(&wildcards, &patterns, &["a"; 63].join(".")), Vec::<&str>::new());
        assert_eq!(matching(&wildcards, &patterns, &["a"; 65].join(".")), Vec::<&str>::new());
        assert_eq!(wildcards.check_room(&".".repeat(64), 64), Err(NoRoom::Components));
    }

    #[test]
    fn the_number_of_shapes_is_limited_and_that_of_patterns_is_not() {
        const PATTERNS: [&str; 3] = ["a..c", ".b.c", "a.b."];
        let mut wildcards = all(&PATTERNS[..2]);
        assert_eq!(wildcards.check_room("x.y.", 2), Err(NoRoom::Shapes));
        assert_eq!(wildcards.check_room("x..y", 2), Ok(()));
        assert_eq!(wildcards.check_room("x.y..", 2), Ok(()));
        wildcards.remove("a..c", 0);
        assert_eq!(wildcards.check_room("x.y.", 2), Ok(()));
    }

    #[test]
    fn a_removed_pattern_leaves_nothing() {
        const PATTERNS: [&str; 6] = ["a..c", "a..c.d", "", ".b.", "x..c", "a"];
        let mut wildcards = all(&PATTERNS);
        for (entry, pattern) in PATTERNS.into_iter().enumerate() {
            assert_eq!(wildcards.get(pattern, |entry| PATTERNS[entry]), Some(entry));
        }
        wildcards.remove("a..c", 0);
        assert_eq!(wildcards.get("a..c", |entry| PATTERNS[entry]), None);
        assert_eq!(matching(&wildcards, &PATTERNS, "a.b.c.d"), ["a..c.d"]);
        assert_eq!(matching(&wildcards, &PATTERNS, "x.b.c"), ["x..c", ".b."]);
        assert_eq!(matching(&wildcards, &PATTERNS, "a"), ["a", ""]);
        for (entry, pattern) in PATTERNS.into_iter().enumerate().skip(1) {
            wildcards.remove(pattern, entry);
        }
        wildcards.remove("nothing", 0);
        assert!(wildcards.index.is_empty() && wildcards.shapes.is_empty());
    }
}
