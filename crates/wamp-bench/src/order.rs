//! A check that all numbered results arrived, once and in order.

use std::collections::BTreeMap;
use std::fmt;

/// The numbers that have arrived, of 0, 1, 2, …
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    next: u64,
    /// Numbers before `next` that have not arrived, as start and end.
    missing: BTreeMap<u64, u64>,
    wrong: Wrong,
}

/// The numbers of lost, doubled and misplaced results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) misordered: u64,
}

impl Order {
    pub(crate) fn see(&mut self, number: u64) {
        if number == self.next {
            self.next += 1;
        } else if number > self.next {
            self.missing.insert(self.next, number);
            self.next = number + 1;
        } else {
            self.see_late(number);
        }
    }

    fn see_late(&mut self, number: u64) {
        let hole = self.missing.range(..=number).next_back().map(|(start, end)| (*start, *end));
        match hole {
            Some((start, end)) if number < end => {
                self.wrong.misordered += 1;
                self.missing.remove(&start);
                if start < number {
                    self.missing.insert(start, number);
                }
                if number + 1 < end {
                    self.missing.insert(number + 1, end);
                }
            }
            _ => self.wrong.doubled += 1,
        }
    }

    /// The number of different results that have arrived, if there is no hole.
    pub(crate) fn seen(&self) -> u64 {
        self.next
    }

    /// Returns the mistakes if nothing more is to arrive: holes count as lost.
    pub(crate) fn wrong(&self) -> Wrong {
        let holes: u64 = self.missing.iter().map(|(start, end)| end - start).sum();
        Wrong { lost: holes, ..self.wrong }
    }

    /// Returns the mistakes, if this many were sent.
    pub(crate) fn wrong_of(&self, sent: u64) -> Wrong {
        let mut wrong = self.wrong();
        wrong.lost += sent.saturating_sub(self.next);
        wrong.doubled += self.next.saturating_sub(sent);
        wrong
    }
}

impl Wrong {
    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.misordered += other.misordered;
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {}", self.lost, self.doubled, self.misordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(numbers: &[u64], sent: u64) -> (u64, u64, u64) {
        let mut order = Order::default();
        numbers.iter().for_each(|number| order.see(*number));
        let Wrong { lost, doubled, misordered } = order.wrong_of(sent);
        (lost, doubled, misordered)
    }

    #[test]
    fn lost_doubled_and_misplaced_results_are_counted() {
        assert_eq!(seen(&[0, 1, 2], 3), (0, 0, 0));
        assert_eq!(seen(&[0, 2], 4), (2, 0, 0));
        assert_eq!(seen(&[0, 1, 1, 2, 0], 3), (0, 2, 0));
        assert_eq!(seen(&[0, 4, 2, 1, 3, 2], 5), (0, 1, 3));
        assert_eq!(seen(&[], 2), (2, 0, 0));
    }
}
