//! The deadlines of a machine: setting, clearing and finding the next take O(log n).

use std::collections::BTreeMap;

use crate::Time;

/// Deadlines, each with its purpose.
#[derive(Clone, Debug)]
pub(crate) struct Deadlines<T> {
    queue: BTreeMap<(Time, u64), T>,
    count: u64,
}

/// A deadline that was set. Its owner clears it, or drops it once it has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(Time, u64);

impl Deadline {
    /// The time at which it passes.
    pub(crate) fn at(self) -> Time {
        self.0
    }
}

impl<T> Deadlines<T> {
    pub(crate) fn new() -> Self {
        Self { queue: BTreeMap::new(), count: 0 }
    }

    pub(crate) fn set(&mut self, at: Time, what: T) -> Deadline {
        self.count += 1;
        self.queue.insert((at, self.count), what);
        Deadline(at, self.count)
    }

    /// Removes a deadline, unless it has passed.
    pub(crate) fn clear(&mut self, deadline: Deadline) -> Option<T> {
        self.queue.remove(&(deadline.0, deadline.1))
    }

    /// The time of the next deadline.
    pub(crate) fn next(&self) -> Option<Time> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Removes and returns a deadline that has passed.
    pub(crate) fn pop(&mut self, now: Time) -> Option<T> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_pass_in_order_and_not_before_their_time() {
        let at = |ms| Time::after(Duration::from_millis(ms));
        let mut deadlines = Deadlines::new();
        deadlines.set(at(30), "c");
        let b = deadlines.set(at(20), "b");
        deadlines.set(at(10), "a");
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop(at(9)), None);
        assert_eq!(deadlines.clear(b), Some("b"));
        assert_eq!(deadlines.pop(at(40)), Some("a"));
        assert_eq!(deadlines.pop(at(40)), Some("c"));
        assert_eq!(deadlines.pop(at(40)), None);
        assert_eq!(deadlines.clear(b), None);
        assert_eq!(deadlines.len(), 0);
    }
}
