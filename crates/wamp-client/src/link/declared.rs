//! Registrations and subscriptions that outlive the connection in which they were made.

use std::sync::Arc;

use wamp_core::Failure;
use wamp_core::reconnect::{Ask, Declaration, DeclarationId, Standing};
use wamp_core::session::Closed;

use crate::ended::Ended;
use crate::engine::shared::Engine;
use crate::error::SubmitError;
use crate::link::Link;
use crate::link::comeback::Comeback;
use crate::link::kept::Kept;

/// A declaration that is made for the first time. If it is dropped before it is [kept](Self::keep), it is
/// removed.
pub(crate) struct Declaring {
    link: Arc<Link>,
    /// The engine that declares it.
    pub(crate) engine: Arc<Engine>,
    ask: Option<Ask>,
}

/// The state of a declaration.
pub(crate) enum Withdrawn {
    /// The session does not have it, or no longer.
    Unknown,
    /// No connection has it now.
    Down,
    /// This engine has it.
    Up(Arc<Engine>),
}

impl Link {
    /// Begins a declaration in the present connection.
    pub(crate) fn declare(self: &Arc<Self>, declaration: Declaration) -> Result<Declaring, SubmitError> {
        let Some(comeback) = &self.comeback else {
            return Ok(Declaring { link: self.clone(), engine: self.engine(), ask: None });
        };
        let mut core = comeback.lock();
        let closed = core.closed.clone();
        match (core.machine.declare(declaration), core.engine.clone()) {
            (Ok(ask), Some(engine)) => Ok(Declaring { link: self.clone(), engine, ask: Some(ask) }),
            _ => Err(SubmitError::Closed(closed)),
        }
    }

    /// Withdraws a declaration.
    pub(crate) fn withdraw(self: &Arc<Self>, declaration: Option<DeclarationId>) -> Withdrawn {
        let (Some(comeback), Some(declaration)) = (&self.comeback, declaration) else {
            return Withdrawn::Up(self.engine());
        };
        let (withdrawn, kept) = self.tell(comeback, |core, now| {
            if core.machine.standing(declaration).is_none() {
                return (Withdrawn::Unknown, None);
            }
            let is_up = core.machine.withdraw(now, declaration);
            let withdrawn = match core.engine.clone() {
                Some(engine) if is_up => Withdrawn::Up(engine),
                _ => Withdrawn::Down,
            };
            (withdrawn, core.kept.remove(&declaration))
        });
        drop(kept);
        withdrawn
    }

    /// Withdraws all procedures, so that they are not declared again.
    pub(crate) fn withdraw_procedures(self: &Arc<Self>) {
        let Some(comeback) = &self.comeback else { return };
        let withdrawn: Vec<Kept> = self.tell(comeback, |core, now| {
            let procedures = core.kept.iter().filter(|(_, kept)| matches!(kept, Kept::Procedure(..)));
            let procedures: Vec<DeclarationId> = procedures.map(|(id, _)| *id).collect();
            for id in &procedures {
                core.machine.withdraw(now, *id);
            }
            procedures.iter().filter_map(|id| core.kept.remove(id)).collect()
        });
        withdrawn.iter().for_each(|kept| kept.finish(Ended::Withdrawn));
    }

    /// The state of a declaration; `None` if it was removed.
    pub(crate) fn standing(&self, declaration: Option<DeclarationId>) -> Option<Standing> {
        match (&self.comeback, declaration) {
            (Some(comeback), Some(declaration)) => comeback.lock().machine.standing(declaration),
            _ => Some(Standing::Up),
        }
    }

    /// The end of the last connection.
    pub(crate) fn last_end(&self) -> Closed {
        self.comeback.as_ref().map_or(Closed::Lost, |comeback| comeback.lock().closed.clone())
    }

    /// Handles the answer to a repeated declaration. The id is that of the engine that was asked.
    pub(super) fn handle_answer(
        self: &Arc<Self>,
        comeback: &Comeback,
        ask: Ask,
        answer: Result<(), Failure>,
        note: impl FnOnce(&Kept),
    ) -> bool {
        self.tell(comeback, |core, now| {
            let is_accepted = answer.is_ok();
            if let Some(kept) = core.kept.get(&ask.declaration).filter(|_| is_accepted) {
                note(kept);
            }
            core.machine.handle_answer(now, ask, answer)
        })
    }
}

impl Declaring {
    /// Records that the router has accepted it. Returns its lasting id, or `None` if the connection was lost
    /// meanwhile.
    pub(crate) fn keep(mut self, kept: Kept) -> Option<Option<DeclarationId>> {
        let (Some(comeback), Some(ask)) = (&self.link.comeback, self.ask.take()) else {
            return Some(None);
        };
        let (link, declaration) = (Arc::downgrade(&self.link), ask.declaration);
        let is_open = kept.end().set_withdraw(move || {
            if let Some(link) = link.upgrade() {
                link.withdraw(Some(declaration));
            }
        });
        let result = self.link.tell(comeback, |core, now| {
            let is_wanted = core.machine.handle_answer(now, ask, Ok(()));
            if is_wanted {
                core.kept.insert(ask.declaration, kept);
            }
            is_wanted.then_some(Some(ask.declaration))
        });
        if !is_open {
            // The router has revoked it already.
            self.link.withdraw(Some(declaration));
        }
        result
    }
}

impl Drop for Declaring {
    fn drop(&mut self) {
        if let (Some(comeback), Some(ask)) = (&self.link.comeback, self.ask) {
            self.link.tell(comeback, |core, now| core.machine.withdraw(now, ask.declaration));
        }
    }
}
