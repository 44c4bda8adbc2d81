//! The part of a session that belongs to the meta API.

use std::collections::VecDeque;

use wamp_proto::message::Publish;

use crate::Time;
use crate::router::verdicts::Verdict;

/// The part of a session that belongs to the meta API.
#[derive(Clone, Debug, Default)]
pub(in crate::router) struct SessionPart {
    /// The lists that it has asked for in a second (behaviour [171](crate::behaviour#rule-171)).
    pub(super) lists: Option<(Time, u32)>,
    pub(super) testaments: Testaments,
}

impl SessionPart {
    /// The testaments of a session that is over.
    pub(in crate::router) fn into_testaments(self) -> Testaments {
        self.testaments
    }
}

/// A publication that is made when its session is over.
#[derive(Clone, Debug)]
pub(in crate::router) struct Testament {
    pub(in crate::router) publish: Publish,
    /// The bytes that it counts.
    pub(in crate::router) bytes: usize,
    /// The verdict that allowed it; `None` if a rule did.
    pub(in crate::router) verdict: Option<Verdict>,
}

/// The testaments of a session.
#[derive(Clone, Debug, Default)]
pub(in crate::router) struct Testaments {
    detached: VecDeque<Testament>,
    destroyed: VecDeque<Testament>,
}

/// The event upon which a testament is published. A session of this router is destroyed when it is detached, since
/// none is resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scope {
    Detached,
    #[default]
    Destroyed,
}

impl Testaments {
    /// Takes the next one to be published: first those of the scope `detached`, each in the order in which they
    /// were added.
    pub(in crate::router) fn pop(&mut self) -> Option<Testament> {
        let next = self.detached.pop_front();
        next.or_else(|| self.destroyed.pop_front())
    }

    pub(super) fn of(&mut self, scope: Scope) -> &mut VecDeque<Testament> {
        match scope {
            Scope::Detached => &mut self.detached,
            Scope::Destroyed => &mut self.destroyed,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.detached.iter().chain(&self.destroyed).map(|testament| testament.bytes).sum()
    }

    pub(super) fn count(&self) -> usize {
        self.detached.len() + self.destroyed.len()
    }
}
