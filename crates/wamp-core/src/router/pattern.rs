//! Finding the pattern that a URI matches (Advanced Profile, *Pattern-based Registrations*).

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use slab::Slab;

use super::index::Index;
use crate::map::hashing;

/// Octets of a URI that are hashed in one step.
const STEP: usize = 8;

/// The steps of a URI of usual length, which takes no allocation.
const STEPS: usize = 32;

/// Prefixes, found by trying each length that one of them has, the longest first. The entries, and the texts,
/// are the caller's.
#[derive(Clone)]
pub(super) struct Prefixes {
    index: Index,
    hashing: FixedState,
    /// How many prefixes have this many octets.
    lengths: BTreeMap<usize, usize>,
}

impl Prefixes {
    pub(super) fn new(seed: u64) -> Self {
        Self { index: Index::new(seed), hashing: hashing(seed), lengths: BTreeMap::new() }
    }

    pub(super) fn get(&self, prefix: &str, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        self.index.find(self.hash(prefix), is_it)
    }

    pub(super) fn insert(&mut self, prefix: &str, entry: usize) {
        *self.lengths.entry(prefix.len()).or_default() += 1;
        self.index.insert(self.hash(prefix), entry);
    }

    /// Takes away a prefix that is there.
    pub(super) fn remove(&mut self, prefix: &str, entry: usize) {
        self.index.remove(self.hash(prefix), entry);
        if let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// The longest prefix of a URI. Every length is tried at most once, and the hash of each costs one step from
    /// that of a shorter one, so it takes the time of the URI's length, whatever prefixes there are.
    pub(super) fn find(&self, uri: &str, is_it: impl Fn(usize, &[u8]) -> bool) -> Option<usize> {
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
            let hash = self.last(states[steps], &prefix[steps * STEP..]);
            self.index.find(hash, |entry| is_it(entry, prefix))
        })
    }

    fn hash(&self, prefix: &str) -> u64 {
        let (blocks, rest) = prefix.as_bytes().as_chunks::<STEP>();
        self.last(blocks.iter().fold(0, |state, block| self.step(state, *block)), rest)
    }

    fn step(&self, state: u64, block: [u8; STEP]) -> u64 {
        self.hashing.hash_one((state, u64::from_le_bytes(block)))
    }

    /// What is left after the last whole step, which is less than one.
    fn last(&self, state: u64, rest: &[u8]) -> u64 {
        let mut block = [0; STEP];
        block[..rest.len()].copy_from_slice(rest);
        block[STEP - 1] = rest.len() as u8;
        self.step(state, block)
    }
}

/// Wildcard patterns, as a tree of components. The entries are the caller's.
#[derive(Clone)]
pub(super) struct Wildcards {
    nodes: Slab<Node>,
    root: usize,
    /// The nodes by their parents and components.
    index: Index,
    hashing: FixedState,
}

/// It fills a line of the cache.
#[derive(Clone)]
#[repr(align(64))]
struct Node {
    parent: usize,
    /// Empty for a gap.
    component: Box<str>,
    /// The pattern that ends here.
    entry: Option<usize>,
    /// The node after a gap.
    any: Option<usize>,
    /// How many nodes there are after other components.
    named: usize,
}

impl Node {
    fn new(parent: usize, component: &str) -> Self {
        Self { parent, component: component.into(), entry: None, any: None, named: 0 }
    }
}

impl Wildcards {
    pub(super) fn new(seed: u64) -> Self {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node::new(0, ""));
        Self { nodes, root, index: Index::new(seed), hashing: hashing(seed) }
    }

    fn hash(&self, parent: usize, component: &str) -> u64 {
        self.hashing.hash_one((parent, component))
    }

    /// The node after a component that is no gap.
    fn named(&self, parent: usize, component: &str) -> Option<usize> {
        if self.nodes[parent].named == 0 {
            return None;
        }
        self.index.find(self.hash(parent, component), |node| {
            let node = &self.nodes[node];
            node.parent == parent && *node.component == *component
        })
    }

    fn step(&self, node: usize, component: &str) -> Option<usize> {
        if component.is_empty() { self.nodes[node].any } else { self.named(node, component) }
    }

    pub(super) fn get(&self, pattern: &str) -> Option<usize> {
        let end = pattern.split('.').try_fold(self.root, |node, component| self.step(node, component))?;
        self.nodes[end].entry
    }

    pub(super) fn insert(&mut self, pattern: &str, entry: usize) {
        let mut node = self.root;
        for component in pattern.split('.') {
            node = match self.step(node, component) {
                Some(next) => next,
                None => {
                    let next = self.nodes.insert(Node::new(node, component));
                    if component.is_empty() {
                        self.nodes[node].any = Some(next);
                    } else {
                        self.nodes[node].named += 1;
                        self.index.insert(self.hash(node, component), next);
                    }
                    next
                }
            };
        }
        self.nodes[node].entry = Some(entry);
    }

    pub(super) fn remove(&mut self, pattern: &str) {
        let end = pattern.split('.').try_fold(self.root, |node, component| self.step(node, component));
        let Some(mut node) = end else { return };
        self.nodes[node].entry = None;
        while node != self.root {
            let Node { entry, any, named, .. } = &self.nodes[node];
            if entry.is_some() || any.is_some() || *named > 0 {
                return;
            }
            let Node { parent, component, .. } = self.nodes.remove(node);
            if component.is_empty() {
                self.nodes[parent].any = None;
            } else {
                self.nodes[parent].named -= 1;
                self.index.remove(self.hash(parent, &component), node);
            }
            node = parent;
        }
    }

    /// The pattern that matches a URI; of several the one with the longest portion of components before each
    /// gap, which is the one found first when a component is preferred to a gap.
    pub(super) fn find(&self, uri: &str) -> Option<usize> {
        // A node, and where in the URI its next component begins; and what is to be tried after it.
        let (mut path, mut others) = (Some((self.root, Some(0))), Vec::new());
        while let Some((node, at)) = path {
            let Node { entry, any, .. } = &self.nodes[node];
            path = match at {
                None if entry.is_some() => return *entry,
                None => others.pop(),
                Some(at) => {
                    let rest = &uri[at..];
                    let (component, next) = match rest.find('.') {
                        Some(dot) => (&rest[..dot], Some(at + dot + 1)),
                        None => (rest, None),
                    };
                    let any = any.map(|any| (any, next));
                    match self.named(node, component) {
                        Some(named) => {
                            others.extend(any);
                            Some((named, next))
                        }
                        None => any.or_else(|| others.pop()),
                    }
                }
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prefixes, and the texts that stand in their entries.
    fn prefixes(texts: &'static [&'static str]) -> (Prefixes, impl Fn(usize, &[u8]) -> bool) {
        let mut prefixes = Prefixes::new(1);
        for (entry, text) in texts.iter().enumerate() {
            prefixes.insert(text, entry);
        }
        (prefixes, |entry, prefix| texts[entry].as_bytes() == prefix)
    }

    // The examples of the specification.
    #[test]
    fn the_longest_prefix_and_the_longest_portion_before_a_gap_win() {
        let (prefixes, is_it) = prefixes(&["a1.b2.c3", "a1.b2.c3.d4"]);
        let mut wildcards = Wildcards::new(1);
        for (n, pattern) in
            [(4, "a1.b2..d4.e5"), (5, "a1.b2.c33..e5"), (6, "a1.b2..d4.e5..g7"), (7, "a1.b2..d4..f6.g7")]
        {
            wildcards.insert(pattern, n);
        }
        for (uri, prefix, wildcard) in [
            ("a1.b2.c3.d98.e74", Some(0), None),
            ("a1.b2.c3.d4.e325", Some(1), None),
            ("a1.b2.c55.d4.e5", None, Some(4)),
            // The specification says here that no prefix matches, and two paragraphs before that a prefix may end
            // within a component. We take the second.
            ("a1.b2.c33.d4.e5", Some(0), Some(5)),
            ("a1.b2.c88.d4.e5.f6.g7", None, Some(6)),
            ("a2.b2.c2.d2.e2", None, None),
            ("a1.b2.c3-more", Some(0), None),
            ("a1.b2.c55.d4", None, None),
        ] {
            assert_eq!(prefixes.find(uri, &is_it), prefix, "{uri}");
            assert_eq!(wildcards.find(uri), wildcard, "{uri}");
        }
    }

    #[test]
    fn what_is_removed_leaves_nothing() {
        const PATTERNS: [&str; 4] = ["a..c", "a..c.d", "a", ".b."];
        let (mut prefixes, _) = prefixes(&PATTERNS);
        let mut wildcards = Wildcards::new(1);
        for (n, pattern) in PATTERNS.into_iter().enumerate() {
            wildcards.insert(pattern, n);
            assert_eq!(wildcards.get(pattern), Some(n));
        }
        wildcards.remove("a..c");
        assert_eq!(wildcards.get("a..c"), None);
        assert_eq!(wildcards.find("a.b.c.d"), Some(1));
        for (n, pattern) in PATTERNS.into_iter().enumerate() {
            prefixes.remove(pattern, n);
            wildcards.remove(pattern);
        }
        wildcards.remove("nothing");
        assert_eq!((wildcards.nodes.len(), prefixes.lengths.len()), (1, 0));
        assert!(wildcards.index.is_empty() && prefixes.index.is_empty());
    }

    #[test]
    fn a_prefix_may_end_inside_a_character_of_the_uri() {
        let (prefixes, is_it) = prefixes(&["com.x", "com.\u{e9}"]);
        assert_eq!(prefixes.find("com.\u{e8}", &is_it), None);
        assert_eq!(prefixes.find("com.\u{e9}t\u{e9}", &is_it), Some(1));
    }

    #[test]
    fn prefixes_that_differ_in_what_fills_a_step_are_not_one() {
        let (prefixes, _) = prefixes(&[]);
        let texts =
            ["", "\0", "\0\0", "\u{1}", "a", "a\0", "abcdefgh", "abcdefg", "abcdefgh\0", "abcdefg\u{7}"];
        let hashes: std::collections::BTreeSet<_> = texts.iter().map(|text| prefixes.hash(text)).collect();
        assert_eq!(hashes.len(), texts.len());
    }
}
