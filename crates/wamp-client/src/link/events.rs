//! The inputs of the machine of a session that comes back, and the effects of its events.

use std::sync::{Arc, Weak};
use std::task::Waker;

use wamp_core::Time;
use wamp_core::reconnect::{Event, Fault, Over};
use wamp_core::session::Closed;

use crate::connect::error::ConnectError;
use crate::ended::Ended;
use crate::engine::shared::Engine;
use crate::engine::stats::Stats;
use crate::error::RequestError;
use crate::link::comeback::{Comeback, Core};
use crate::link::kept::Kept;
use crate::link::states::{ConnectionState, ConnectionStates};
use crate::link::{Link, Phase};

/// Work to do when the lock is released: wake-ups, notifications, and values of the application to drop.
#[derive(Default)]
struct Aftermath {
    wakers: Vec<Waker>,
    phases: Vec<Phase>,
    kept: Vec<(Kept, Ended)>,
}

impl Link {
    /// Creates the state of a session that comes back, which this engine has joined.
    pub(crate) fn lasting(engine: Arc<Engine>, comeback: Comeback) -> Arc<Self> {
        Self::new(engine, Some(comeback))
    }

    /// Passes an input to the machine, and handles its events.
    pub(super) fn tell<R>(self: &Arc<Self>, comeback: &Comeback, op: impl FnOnce(&mut Core, Time) -> R) -> R {
        let mut aftermath = Aftermath::default();
        let mut core = comeback.lock();
        let result = op(&mut core, Time::after(comeback.start.elapsed()));
        while let Some(event) = core.machine.poll_event() {
            self.handle_event(comeback, &mut core, event, &mut aftermath);
        }
        drop(core);
        aftermath.wakers.into_iter().for_each(Waker::wake);
        aftermath.kept.into_iter().for_each(|(kept, ended)| kept.finish(ended));
        comeback.wake.notify_one();
        result
    }

    fn handle_event(
        self: &Arc<Self>,
        comeback: &Comeback,
        core: &mut Core,
        event: Event,
        aftermath: &mut Aftermath,
    ) {
        let state = match event {
            Event::Down { closed } => {
                self.phase.send_modify(|phase| phase.is_up = false);
                core.closed = closed.clone();
                ConnectionState::Down { closed }
            }
            Event::Retrying { url, attempt, delay } => {
                let (url, error) = (comeback.dialer.shown(url), core.error.take());
                tracing::debug!(url, attempt, ?delay, "the next attempt to connect follows");
                ConnectionState::Retrying { url, attempt, delay, error }
            }
            Event::Up { gap } => {
                let Some(engine) = core.engine.clone() else { return };
                let id = engine.joined().session;
                self.adopt(&engine);
                let up = Phase { engine, is_up: true, over: None };
                aftermath.phases.push(self.phase.send_replace(up));
                core.error = None;
                ConnectionState::Up { id, gap: gap.unwrap_or_default() }
            }
            Event::Unanswered { declaration } => match core.kept.get(&declaration) {
                Some(kept) => ConnectionState::Unanswered { uri: kept.uri().clone() },
                None => return,
            },
            Event::Restored { declaration } => match core.kept.get(&declaration) {
                Some(kept) => ConnectionState::Restored { uri: kept.uri().clone() },
                None => return,
            },
            Event::Lost { declaration, failure } => {
                let Some(kept) = core.kept.remove(&declaration) else { return };
                let uri = kept.uri().clone();
                let error = RequestError::from_failure(failure);
                aftermath.kept.push((kept, Ended::Refused(error.clone())));
                ConnectionState::Lost { uri, error }
            }
            // The supervisor reports it when everything is written.
            Event::Over(over) => {
                if let Over::Closed(closed) = over {
                    core.closed = closed;
                }
                return;
            }
            _ => return,
        };
        core.push(state, &mut aftermath.wakers);
    }

    /// Handles the end of the connection.
    pub(super) fn handle_ended(self: &Arc<Self>, comeback: &Comeback, engine: &Arc<Engine>, closed: Closed) {
        let stats = engine.stats();
        self.tell(comeback, |core, now| {
            core.engine = None;
            core.closed = closed.clone();
            core.before = core.before + stats;
            core.machine.handle_closed(now, closed);
        });
    }

    /// Handles the failure of an attempt.
    pub(super) fn handle_failed(self: &Arc<Self>, comeback: &Comeback, error: ConnectError) {
        tracing::debug!(%error, "an attempt to connect has failed");
        let fault = error.fault();
        self.tell(comeback, |core, now| {
            if let Fault::Closed(closed) = &fault {
                core.closed = closed.clone();
            }
            core.error = Some(error);
            core.machine.handle_failed(now, fault);
        });
    }

    /// Ends the session for good. Returns the engine of the present connection, which must leave.
    pub(super) fn stop(self: &Arc<Self>) -> Option<Arc<Engine>> {
        let comeback = self.comeback.as_ref()?;
        self.tell(comeback, |core, _| {
            core.machine.leave();
            core.engine.clone()
        })
    }

    /// Handles the final end of the session.
    pub(super) fn finish(&self, comeback: &Comeback) {
        let mut aftermath = Aftermath::default();
        let mut core = comeback.lock();
        core.machine.leave();
        if self.phase.borrow().over.is_some() {
            return;
        }
        let (closed, error) = (core.closed.clone(), core.error.take());
        let kept = std::mem::take(&mut core.kept).into_values();
        aftermath.kept.extend(kept.map(|kept| (kept, Ended::Session(closed.clone()))));
        core.push(ConnectionState::Closed { closed: closed.clone(), error }, &mut aftermath.wakers);
        let watchers = std::mem::take(&mut core.watchers);
        self.phase.send_modify(|phase| {
            phase.is_up = false;
            phase.over = Some(closed);
        });
        drop(core);
        watchers.iter().filter_map(Weak::upgrade).for_each(|watcher| watcher.finish(()));
        aftermath.wakers.into_iter().for_each(Waker::wake);
        aftermath.kept.into_iter().for_each(|(kept, ended)| kept.finish(ended));
    }

    /// Returns the changes of the connection from now on.
    pub(crate) fn states(&self) -> ConnectionStates {
        let (states, inbox) = ConnectionStates::new();
        match &self.comeback {
            Some(comeback) if !comeback.lock().machine.is_over() => {
                let mut core = comeback.lock();
                core.watchers.retain(|watcher| watcher.strong_count() > 0);
                core.watchers.push(Arc::downgrade(&inbox));
            }
            _ => inbox.finish(()),
        }
        states
    }

    /// Returns the counters of all connections.
    pub(crate) fn stats(&self) -> Stats {
        match &self.comeback {
            None => self.engine().stats(),
            Some(comeback) => {
                let core = comeback.lock();
                let (before, engine) = (core.before, core.engine.clone());
                drop(core);
                engine.map_or(before, |engine| before + engine.stats())
            }
        }
    }

    /// Leaves the realm for good, if there is a session. `NotOpen` means that the session is over, or about
    /// to be.
    pub(crate) fn leave(self: &Arc<Self>) {
        let engine = match &self.comeback {
            Some(_) => self.stop(),
            None => Some(self.engine()),
        };
        if let Some(engine) = engine {
            engine.with(|state, now| {
                let _ = state.leave(now);
            });
        }
    }
}
