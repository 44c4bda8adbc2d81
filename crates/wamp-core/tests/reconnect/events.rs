//! The driver of the client: events of sessions and of the link.

use std::collections::VecDeque;
use std::time::Duration;

use wamp_core::reconnect::{Ask, Broken, Event, Fault, Standing};
use wamp_core::session::{self, Closed};
use wamp_core::{Failure, Reply};
use wamp_proto::{Message, Payload, RequestId, uri};

use crate::world::World;

/// The longest time that `Up` waits for answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

impl World {
    pub fn handle_session_event(&mut self, event: session::Event) {
        let Some(connection) = &mut self.connection else { return };
        match event {
            session::Event::Joined(_) => {
                connection.has_joined = true;
                self.joined = self.now;
                self.link.handle_joined(self.now);
            }
            session::Event::Registered { request, registration } => {
                let Some(ask) = connection.asks.remove(&request) else { return };
                connection.procedures.insert(registration, ask.declaration);
                self.handle_answer(ask, Ok(()));
            }
            session::Event::Subscribed { request, subscription } => {
                let Some(ask) = connection.asks.remove(&request) else { return };
                connection.topics.entry(subscription).or_default().push(ask.declaration);
                connection.subscribing -= 1;
                self.handle_answer(ask, Ok(()));
                let now = self.now;
                self.with_connection(|it| it.unsubscribe_unused(now));
            }
            session::Event::Refused { request, failure } => {
                let Some(ask) = connection.asks.remove(&request) else { return };
                self.handle_answer(ask, Err(failure));
            }
            session::Event::Invoked(invocation) => {
                self.reached.extend(connection.procedures.get(&invocation.registration));
                let result = Reply::Result(Payload::empty());
                connection.session.reply(self.now, invocation.request, result).expect("it is under way");
            }
            session::Event::EventReceived(event) => {
                self.reached.extend(connection.topics.get(&event.subscription).into_iter().flatten());
            }
            session::Event::Replied { call, reply, .. } => self.handle_reply(call, reply),
            session::Event::Closed(closed) => self.handle_closed(closed),
            _ => {}
        }
    }

    fn handle_answer(&mut self, ask: Ask, answer: Result<(), Failure>) {
        let is_accepted = answer.is_ok();
        let is_wanted = self.link.handle_answer(self.now, ask, answer);
        if is_accepted && !is_wanted {
            self.take_back(ask.declaration);
        }
        if let Some(index) = self.asked.remove(&ask)
            && is_wanted
        {
            self.declared.insert(index, ask.declaration);
        }
    }

    fn handle_reply(&mut self, request: RequestId, reply: Reply) {
        let Some(connection) = &mut self.connection else { return };
        let Some(call) = connection.calls.get(&request).copied() else { return };
        match reply {
            Reply::Progress(_) => {
                self.ledger.shows(call);
                if let Some(repeat) = self.repeats.get_mut(&call) {
                    repeat.handle_progress();
                }
            }
            Reply::Error(failure) if failure.error == uri::UNAVAILABLE => {
                connection.calls.remove(&request);
                self.broken(call, Broken::Unavailable);
            }
            _ => {
                connection.calls.remove(&request);
                self.ledger.end(call);
            }
        }
    }

    fn handle_closed(&mut self, closed: Closed) {
        let Some(connection) = self.connection.take() else { return };
        if connection.has_joined {
            self.link.handle_closed(self.now, closed);
        } else {
            self.link.handle_failed(self.now, Fault::Closed(closed));
        }
        // The session is also over for the router if the router ended it.
        if let Some(key) = connection.key {
            self.router.realm.handle_closed(self.now, key);
        }
        // The requests that were not answered have failed.
        self.asked.retain(|ask, _| !connection.asks.values().any(|failed| failed == ask));
        let unsent: Vec<RequestId> = connection
            .queue
            .iter()
            .filter_map(|message| match message {
                Message::Call(call) => Some(call.request),
                _ => None,
            })
            .collect();
        for (request, call) in connection.calls {
            self.broken(call, Broken::Disconnected { sent: !unsent.contains(&request) });
        }
    }

    pub fn handle_link_event(&mut self, event: Event) {
        match event {
            Event::Up { .. } => {
                self.check_up();
                let (now, later) =
                    std::mem::take(&mut self.waiting).into_iter().partition(|(_, until)| until.is_none());
                self.waiting = later;
                let now: VecDeque<_> = now;
                now.into_iter().for_each(|(call, _)| self.call(call));
            }
            Event::Restored { .. } => self.restored = Some(self.now),
            Event::Lost { declaration, failure } => {
                let is_shadow = failure.error == uri::PROCEDURE_ALREADY_EXISTS;
                if !is_shadow || self.now.since(self.joined) < Duration::from_secs(60) {
                    self.ledger.fail("9: a declaration is lost");
                }
                self.declared.retain(|_, id| *id != declaration);
                self.ledger.withdraws(declaration);
            }
            Event::Unanswered { declaration } => {
                let is_due = self.now.since(self.joined) >= ANSWER_LIMIT;
                if !is_due || self.link.standing(declaration) == Some(Standing::Up) {
                    self.ledger.fail("an answer is not overdue");
                }
            }
            Event::Over(_) => {
                self.declared.clear();
                for (call, _) in std::mem::take(&mut self.waiting) {
                    self.ledger.end(call);
                }
            }
            _ => {}
        }
    }

    /// Before the event `Up`, each declaration has its answer in this session, or is overdue.
    fn check_up(&mut self) {
        let Some(connection) = &self.connection else {
            return self.ledger.fail("up without a session");
        };
        let mut faults = Vec::new();
        for (index, id) in &self.declared {
            let count = connection.procedures.values().chain(connection.topics.values().flatten());
            let count = count.filter(|declared| *declared == id).count();
            let expected = match self.link.standing(*id) {
                Some(Standing::Up) => 1,
                Some(Standing::Waiting) => 0,
                // The program was notified of it.
                Some(Standing::Unanswered) if self.now.since(self.joined) >= ANSWER_LIMIT => 0,
                other => {
                    faults.push(format!("{index} is {other:?} at Up"));
                    continue;
                }
            };
            if count != expected {
                faults.push(format!("{index} is there {count} times at Up"));
            }
        }
        faults.iter().for_each(|fault| self.ledger.fail(fault));
    }
}
