//! Finding the pattern that a URI matches (Advanced Profile, *Pattern-based Registrations*).

use std::collections::BTreeMap;

use slab::Slab;
use wamp_proto::{RegistrationId, Uri};

use crate::map::{Map, map};

/// Prefixes, found by trying each length that one of them has, the longest first.
#[derive(Clone)]
pub(super) struct Prefixes {
    prefixes: Map<Uri, RegistrationId>,
    /// How many prefixes have this many octets.
    lengths: BTreeMap<usize, usize>,
}

impl Prefixes {
    pub(super) fn new(seed: u64) -> Self {
        Self { prefixes: map(seed), lengths: BTreeMap::new() }
    }

    pub(super) fn get(&self, prefix: &str) -> Option<RegistrationId> {
        self.prefixes.get(prefix).copied()
    }

    pub(super) fn insert(&mut self, prefix: Uri, id: RegistrationId) {
        *self.lengths.entry(prefix.len()).or_default() += 1;
        self.prefixes.insert(prefix, id);
    }

    pub(super) fn remove(&mut self, prefix: &str) {
        if self.prefixes.remove(prefix).is_some()
            && let Some(count) = self.lengths.get_mut(&prefix.len())
        {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// The longest prefix of a URI. Every length is tried at most once, so it takes the time of the URI's
    /// length, however many prefixes there are.
    pub(super) fn find(&self, uri: &str) -> Option<RegistrationId> {
        self.lengths.range(..=uri.len()).rev().find_map(|(length, _)| self.get(uri.get(..*length)?))
    }
}

/// Wildcard patterns, as a tree of components.
#[derive(Clone)]
pub(super) struct Wildcards {
    nodes: Slab<Node>,
    root: usize,
    seed: u64,
}

#[derive(Clone)]
struct Node {
    /// The pattern that ends here.
    id: Option<RegistrationId>,
    components: Map<Box<str>, usize>,
    any: Option<usize>,
}

impl Wildcards {
    pub(super) fn new(seed: u64) -> Self {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node { id: None, components: map(seed), any: None });
        Self { nodes, root, seed }
    }

    fn step(&self, node: usize, component: &str) -> Option<usize> {
        let node = &self.nodes[node];
        if component.is_empty() { node.any } else { node.components.get(component).copied() }
    }

    pub(super) fn get(&self, pattern: &str) -> Option<RegistrationId> {
        let end = pattern.split('.').try_fold(self.root, |node, component| self.step(node, component))?;
        self.nodes[end].id
    }

    pub(super) fn insert(&mut self, pattern: &str, id: RegistrationId) {
        let mut node = self.root;
        for component in pattern.split('.') {
            node = match self.step(node, component) {
                Some(next) => next,
                None => {
                    let next = self.nodes.insert(Node { id: None, components: map(self.seed), any: None });
                    if component.is_empty() {
                        self.nodes[node].any = Some(next);
                    } else {
                        self.nodes[node].components.insert(component.into(), next);
                    }
                    next
                }
            };
        }
        self.nodes[node].id = Some(id);
    }

    pub(super) fn remove(&mut self, pattern: &str) {
        let mut path = vec![self.root];
        for component in pattern.split('.') {
            let last = path[path.len() - 1];
            let Some(next) = self.step(last, component) else { return };
            path.push(next);
        }
        self.nodes[path[path.len() - 1]].id = None;
        for (component, pair) in pattern.split('.').rev().zip(path.windows(2).rev()) {
            let (parent, child) = (pair[0], pair[1]);
            let node = &self.nodes[child];
            if node.id.is_some() || node.any.is_some() || !node.components.is_empty() {
                return;
            }
            self.nodes.remove(child);
            if component.is_empty() {
                self.nodes[parent].any = None;
            } else {
                self.nodes[parent].components.remove(component);
            }
        }
    }

    /// The pattern that matches a URI; of several the one with the longest portion of components before each
    /// gap, which is the one found first when a component is preferred to a gap.
    pub(super) fn find(&self, uri: &str) -> Option<RegistrationId> {
        // What is still to be tried: a node, and where in the URI its next component begins.
        let mut paths = vec![(self.root, Some(0))];
        while let Some((node, at)) = paths.pop() {
            let node = &self.nodes[node];
            let Some(at) = at else {
                match node.id {
                    Some(id) => return Some(id),
                    None => continue,
                }
            };
            let rest = &uri[at..];
            let (component, next) = match rest.find('.') {
                Some(dot) => (&rest[..dot], Some(at + dot + 1)),
                None => (rest, None),
            };
            // The last in is the first out.
            paths.extend(node.any.map(|any| (any, next)));
            paths.extend(node.components.get(component).map(|node| (*node, next)));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> RegistrationId {
        RegistrationId::new(n).unwrap()
    }

    // The examples of the specification.
    #[test]
    fn the_longest_prefix_and_the_longest_portion_before_a_gap_win() {
        let mut prefixes = Prefixes::new(1);
        prefixes.insert("a1.b2.c3".into(), id(2));
        prefixes.insert("a1.b2.c3.d4".into(), id(3));
        let mut wildcards = Wildcards::new(1);
        for (n, pattern) in
            [(4, "a1.b2..d4.e5"), (5, "a1.b2.c33..e5"), (6, "a1.b2..d4.e5..g7"), (7, "a1.b2..d4..f6.g7")]
        {
            wildcards.insert(pattern, id(n));
        }
        for (uri, prefix, wildcard) in [
            ("a1.b2.c3.d98.e74", Some(2), None),
            ("a1.b2.c3.d4.e325", Some(3), None),
            ("a1.b2.c55.d4.e5", None, Some(4)),
            // The specification says here that no prefix matches, and two paragraphs before that a prefix may end
            // within a component. We take the second.
            ("a1.b2.c33.d4.e5", Some(2), Some(5)),
            ("a1.b2.c88.d4.e5.f6.g7", None, Some(6)),
            ("a2.b2.c2.d2.e2", None, None),
            ("a1.b2.c3-more", Some(2), None),
            ("a1.b2.c55.d4", None, None),
        ] {
            assert_eq!(prefixes.find(uri), prefix.map(id), "{uri}");
            assert_eq!(wildcards.find(uri), wildcard.map(id), "{uri}");
        }
    }

    #[test]
    fn what_is_removed_leaves_nothing() {
        let mut prefixes = Prefixes::new(1);
        let mut wildcards = Wildcards::new(1);
        for (n, pattern) in [(1, "a..c"), (2, "a..c.d"), (3, "a"), (4, ".b.")] {
            prefixes.insert(pattern.into(), id(n));
            wildcards.insert(pattern, id(n));
            assert_eq!(wildcards.get(pattern), Some(id(n)));
        }
        wildcards.remove("a..c");
        assert_eq!(wildcards.get("a..c"), None);
        assert_eq!(wildcards.find("a.b.c.d"), Some(id(2)));
        for pattern in ["a..c", "a..c.d", "a", ".b.", "nothing"] {
            prefixes.remove(pattern);
            wildcards.remove(pattern);
        }
        assert_eq!((wildcards.nodes.len(), prefixes.lengths.len()), (1, 0));
    }

    #[test]
    fn a_prefix_may_end_inside_a_character_of_the_uri() {
        let mut prefixes = Prefixes::new(1);
        prefixes.insert("com.x".into(), id(1));
        prefixes.insert("com.\u{e9}".into(), id(2));
        assert_eq!(prefixes.find("com.\u{e8}"), None);
        assert_eq!(prefixes.find("com.\u{e9}t\u{e9}"), Some(id(2)));
    }
}
