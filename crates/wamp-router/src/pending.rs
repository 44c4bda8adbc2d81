//! Items that a link has read and not handled yet.

use bytes::{Buf, Bytes};
use wamp_transport::{Incoming, Run};

/// The length before each message of a [`Run`].
const PREFIX: usize = 4;

/// Items in the order of arrival. Taking the first one is O(1), also from a [`Run`].
#[derive(Debug, Default)]
pub(crate) struct Pending {
    items: Vec<Incoming>,
    /// The index of the first unhandled item.
    first: usize,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.first == self.items.len()
    }

    pub(crate) fn items(&self) -> &[Incoming] {
        &self.items[self.first..]
    }

    pub(crate) fn items_mut(&mut self) -> &mut [Incoming] {
        &mut self.items[self.first..]
    }

    /// Appends the items of a later read.
    pub(crate) fn append(&mut self, other: Pending) {
        let Pending { mut items, first } = other;
        if self.is_empty() {
            *self = Pending { items, first };
        } else {
            self.items.extend(items.drain(first..));
        }
    }

    /// Returns the list to which a transport appends items.
    pub(crate) fn buffer(&mut self) -> &mut Vec<Incoming> {
        if self.is_empty() {
            self.clear();
        }
        &mut self.items
    }

    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.first = 0;
    }

    /// Removes all items before this index of [`items`](Self::items), and from a run all messages before this
    /// place.
    pub(crate) fn skip_to(&mut self, item: usize, start: usize) {
        for item in &mut self.items[self.first..self.first + item] {
            *item = nothing();
        }
        self.first += item;
        if let Some(Incoming::Run(run)) = self.items.get_mut(self.first) {
            *run = Run::new(run.buffer().slice(start - PREFIX..));
        }
    }

    /// Removes the first message, or the first item of another kind.
    pub(crate) fn pop(&mut self) -> Option<Incoming> {
        let item = self.items.get_mut(self.first)?;
        let message = match item {
            Incoming::Run(run) => run.messages().next().map(|range| (run.buffer().clone(), range)),
            _ => None,
        };
        if let Some((mut bytes, range)) = message {
            let message = bytes.slice(range.clone());
            bytes.advance(range.end);
            let rest = Run::new(bytes);
            if rest.messages().next().is_none() {
                self.first += 1;
            }
            *item = Incoming::Run(rest);
            return Some(Incoming::Message(message));
        }
        self.first += 1;
        Some(std::mem::replace(item, nothing()))
    }
}

/// A placeholder for an item that has been taken; it holds no memory.
fn nothing() -> Incoming {
    Incoming::Pong(Bytes::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Pending {
        let mut pending = Pending::default();
        let run = Run::new(Bytes::from_static(b"\0\0\0\x03[1]\0\0\0\x03[2]"));
        let ping = Incoming::Ping(Bytes::from_static(b"p"));
        pending.buffer().extend([Incoming::Run(run), ping, Incoming::Message(Bytes::from_static(b"[3]"))]);
        pending
    }

    fn rest(pending: &mut Pending) -> Vec<Vec<u8>> {
        let rest = std::iter::from_fn(|| match pending.pop()? {
            Incoming::Message(bytes) | Incoming::Ping(bytes) => Some(bytes.to_vec()),
            other => panic!("{other:?}"),
        })
        .collect();
        assert!(pending.is_empty() && pending.items().is_empty());
        rest
    }

    #[test]
    fn messages_come_one_by_one_out_of_a_run_too() {
        assert_eq!(rest(&mut pending()), [&b"[1]"[..], b"[2]", b"p", b"[3]"]);
    }

    #[test]
    fn any_place_can_be_skipped_to() {
        for (item, start, left) in [(0, 4, 4), (0, 11, 3), (1, 0, 2), (2, 0, 1)] {
            let mut pending = pending();
            pending.skip_to(item, start);
            assert_eq!(rest(&mut pending).len(), left);
        }
        let mut pending = pending();
        pending.pop();
        pending.skip_to(1, 0);
        pending.pop();
        assert_eq!(pending.items().len(), 1);
        pending.clear();
        pending.buffer().push(Incoming::Ping(Bytes::from_static(b"q")));
        assert_eq!(rest(&mut pending), [b"q"]);
    }
}
