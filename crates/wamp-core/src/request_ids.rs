//! Request ids: counted from 1 in each session and each direction (Basic Profile, *IDs*; behaviour
//! [1](crate::behaviour#rule-1), [2](crate::behaviour#rule-2), [5](crate::behaviour#rule-5)).

use wamp_proto::RequestId;

/// The ids of requests that this end sends.
#[derive(Clone, Debug)]
pub(crate) struct RequestIds {
    next: RequestId,
    /// The latest id issued; `None` before the first.
    last: Option<RequestId>,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self::beginning_at(RequestId::FIRST)
    }

    pub(crate) fn beginning_at(next: RequestId) -> Self {
        Self { next, last: None }
    }

    /// The next id, without issuing it.
    pub(crate) fn peek(&self) -> RequestId {
        self.next
    }

    /// Issues the next id.
    pub(crate) fn next(&mut self) -> RequestId {
        let id = self.next;
        self.next = id.next();
        self.last = Some(id);
        id
    }

    /// Whether this id was issued. Once the count has wrapped, every id was.
    pub(crate) fn has_issued(&self, id: RequestId) -> bool {
        self.last.is_some_and(|last| id <= last)
    }
}

/// The relation of the id of an incoming request to the ids before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// It is the next one.
    Next,
    /// It was used before: perhaps by a call in chunks.
    Seen,
    /// Ids before it are missing.
    Gap { expected: RequestId },
}

/// The ids of requests that the other end sends.
#[derive(Clone, Debug)]
pub(crate) struct Watermark {
    next: RequestId,
}

impl Watermark {
    pub(crate) fn new() -> Self {
        Self { next: RequestId::FIRST }
    }

    /// Whether an id was used before.
    pub(crate) fn has_seen(&self, id: RequestId) -> bool {
        id < self.next
    }

    /// Compares an id with the mark, and moves the mark if it is the next one.
    pub(crate) fn check(&mut self, id: RequestId) -> Sequence {
        if id == self.next {
            self.next = id.next();
            Sequence::Next
        } else if id < self.next {
            Sequence::Seen
        } else {
            Sequence::Gap { expected: self.next }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wamp_proto::MAX_ID;

    // behaviour 1
    #[test]
    fn ids_count_from_1_and_wrap_after_2_to_the_53() {
        let mut ids = RequestIds::new();
        assert_eq!((ids.next().get(), ids.next().get()), (1, 2));
        let mut ids = RequestIds::beginning_at(RequestId::new(MAX_ID).unwrap());
        assert_eq!((ids.next().get(), ids.next().get()), (MAX_ID, 1));
    }

    // behaviour 2
    #[test]
    fn a_watermark_tells_next_from_seen_from_gap() {
        let id = |n| RequestId::new(n).unwrap();
        let mut mark = Watermark::new();
        assert_eq!(mark.check(id(1)), Sequence::Next);
        assert_eq!(mark.check(id(2)), Sequence::Next);
        assert_eq!(mark.check(id(1)), Sequence::Seen);
        assert_eq!(mark.check(id(4)), Sequence::Gap { expected: id(3) });
        assert_eq!(mark.check(id(3)), Sequence::Next);
    }
}
