//! Registrations and subscriptions that outlive their sessions.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use wamp_proto::message::{RegisterOptions, SubscribeOptions};
use wamp_proto::{Uri, uri};

use crate::{Failure, Time};

/// A registration or subscription to declare in each session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Declaration {
    /// A procedure.
    Register {
        /// The options asked for.
        options: RegisterOptions,
        /// Its URI.
        procedure: Uri,
    },
    /// A topic.
    Subscribe {
        /// The options asked for.
        options: SubscribeOptions,
        /// Its URI.
        topic: Uri,
    },
}

/// The id of a declaration during the lifetime of its link; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeclarationId(u64);

/// A declaration in one session, which waits for its answer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    /// The declaration.
    pub declaration: DeclarationId,
    /// The session, which tells it from the same declaration in others.
    number: u64,
}

/// The state of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// The router was asked.
    Asked,
    /// The router has accepted it in the present session.
    Up,
    /// There is no session.
    Down,
    /// The procedure still belongs to an earlier session that the router has not given up; it is asked again.
    Waiting,
    /// The router was asked again in a later session, and has not answered in time.
    Unanswered,
}

#[derive(Clone, Debug)]
struct Entry {
    declaration: Declaration,
    state: State,
    /// The router has accepted it before, in this session or an earlier one.
    is_ours: bool,
    /// The end of repeated requests, set by the first such refusal in this session.
    shadow: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `due` is the time until which the link waits for the answer.
    Asked {
        number: u64,
        due: Option<Time>,
    },
    Up,
    Down,
    Waiting {
        next: Time,
    },
}

/// The meaning of an answer.
#[derive(Debug)]
pub(super) enum Answered {
    Up {
        waited: bool,
    },
    Waiting,
    /// It was refused the first time.
    Refused,
    /// It was refused after it had been accepted in an earlier session.
    Lost(Failure),
    /// It belongs to an earlier session, or was withdrawn meanwhile.
    Unwanted,
}

/// All declarations of a link, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Declarations {
    entries: BTreeMap<DeclarationId, Entry>,
    declared: u64,
    asked: u64,
}

impl Declarations {
    pub(super) fn declare(&mut self, declaration: Declaration) -> Ask {
        self.declared += 1;
        let id = DeclarationId(self.declared);
        let ask = next_ask(&mut self.asked, id);
        let state = State::Asked { number: ask.number, due: None };
        self.entries.insert(id, Entry { declaration, state, is_ours: false, shadow: None });
        ask
    }

    /// A new session: everything is declared again.
    pub(super) fn ask_all(&mut self, due: Time) -> VecDeque<Ask> {
        let asked = &mut self.asked;
        let ask = |(id, entry): (&DeclarationId, &mut Entry)| entry.ask(next_ask(asked, *id), due);
        self.entries.iter_mut().map(ask).collect()
    }

    /// Repeats the declarations whose delay has passed.
    pub(super) fn ask_waiting(&mut self, now: Time, due: Time, asks: &mut VecDeque<Ask>) {
        for (id, entry) in &mut self.entries {
            if matches!(entry.state, State::Waiting { next } if next <= now) {
                asks.push_back(entry.ask(next_ask(&mut self.asked, *id), due));
            }
        }
    }

    /// Stops waiting for answers that are overdue. They are accepted when they arrive.
    pub(super) fn pass_over(&mut self, now: Time) -> Vec<DeclarationId> {
        let overdue = |(id, entry): (&DeclarationId, &mut Entry)| match &mut entry.state {
            State::Asked { due, .. } if due.is_some_and(|due| due <= now) => {
                *due = None;
                Some(*id)
            }
            _ => None,
        };
        self.entries.iter_mut().filter_map(overdue).collect()
    }

    pub(super) fn handle_answer(
        &mut self,
        now: Time,
        ask: Ask,
        answer: Result<(), Failure>,
        (delay, limit): (Duration, Duration),
    ) -> Answered {
        let number = ask.number;
        let Some(entry) = self.entries.get_mut(&ask.declaration) else { return Answered::Unwanted };
        let State::Asked { number: asked, due } = entry.state else { return Answered::Unwanted };
        if asked != number {
            return Answered::Unwanted;
        }
        let Err(failure) = answer else {
            let is_late = entry.is_ours && due.is_none();
            entry.is_ours = true;
            entry.state = State::Up;
            return Answered::Up { waited: entry.shadow.take().is_some() || is_late };
        };
        if entry.is_ours && failure.error == uri::PROCEDURE_ALREADY_EXISTS {
            let until = *entry.shadow.get_or_insert(now + limit);
            if now < until {
                entry.state = State::Waiting { next: now + delay };
                return Answered::Waiting;
            }
        }
        let is_ours = entry.is_ours;
        self.entries.remove(&ask.declaration);
        if is_ours { Answered::Lost(failure) } else { Answered::Refused }
    }

    /// The session is lost. Declarations that were never accepted are dropped: the program learns that its
    /// request failed.
    pub(super) fn handle_lost(&mut self) {
        self.entries.retain(|_, entry| entry.is_ours);
        for entry in self.entries.values_mut() {
            entry.state = State::Down;
            entry.shadow = None;
        }
    }

    pub(super) fn withdraw(&mut self, id: DeclarationId) -> Option<Standing> {
        self.entries.remove(&id).map(|entry| entry.standing())
    }

    /// Whether a declaration has no answer in this session yet.
    pub(super) fn is_asking(&self) -> bool {
        self.entries
            .values()
            .any(|entry| matches!(entry.state, State::Asked { due: Some(_), .. }) && entry.shadow.is_none())
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        let next = |entry: &Entry| match entry.state {
            State::Waiting { next } => Some(next),
            State::Asked { due, .. } => due,
            _ => None,
        };
        self.entries.values().filter_map(next).min()
    }

    pub(super) fn get(&self, id: DeclarationId) -> Option<(&Declaration, Standing)> {
        self.entries.get(&id).map(|entry| (&entry.declaration, entry.standing()))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = DeclarationId> + '_ {
        self.entries.keys().copied()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

impl Entry {
    fn ask(&mut self, ask: Ask, due: Time) -> Ask {
        self.state = State::Asked { number: ask.number, due: Some(due) };
        ask
    }

    fn standing(&self) -> Standing {
        match self.state {
            State::Asked { .. } if self.shadow.is_some() => Standing::Waiting,
            State::Asked { due: None, .. } if self.is_ours => Standing::Unanswered,
            State::Asked { .. } => Standing::Asked,
            State::Up => Standing::Up,
            State::Down => Standing::Down,
            State::Waiting { .. } => Standing::Waiting,
        }
    }
}

fn next_ask(asked: &mut u64, declaration: DeclarationId) -> Ask {
    *asked += 1;
    Ask { declaration, number: *asked }
}
