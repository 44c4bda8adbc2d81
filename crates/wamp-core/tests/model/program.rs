//! A step of a world: the actions of programs, and the messages that cross the clients' ends of the wires.

use std::rc::Rc;
use std::time::Duration;

use wamp_core::session::Session;
use wamp_proto::Message;

use crate::account::{Stream, cost};
use crate::client::{End, Got, observed};
use crate::coverage::{Coverage, Phase};
use crate::dealer::Standing;
use crate::endpoint::{Endpoint, Observed};
use crate::flow::{encoded_len, sent};
use crate::ledger::Broken;
use crate::plain::{COMPARED, session as plain};
use crate::step::Step;
use crate::wire_message::{Answer, WireMessage, json, wire_message};
use crate::world::{Frame, World};
use crate::{ours, raw};

impl World {
    /// Does one step. Returns `false` if the step makes no sense here and nothing happened.
    pub fn step(&mut self, step: &Step, cover: &mut Coverage) -> Result<bool, Broken> {
        self.note(|| format!("{step}"));
        let done = self.try_step(step, cover)?;
        if !done && let Some(log) = &mut self.log {
            log.pop();
        }
        Ok(done)
    }

    fn try_step(&mut self, step: &Step, cover: &mut Coverage) -> Result<bool, Broken> {
        match *step {
            Step::Up { client, count } => {
                let state = &mut self.clients[client];
                if !state.readable || state.held || state.up.is_empty() {
                    return Ok(false);
                }
                // Credit is followed message by message.
                let count = if self.counts { 1 } else { count.min(state.up.len()) };
                let state = &mut self.clients[client];
                let frames = state.up.drain(..count).collect();
                self.read(client, frames, cover)?;
                Ok(true)
            }
            Step::Down { client } => match self.clients[client].down.pop_front() {
                Some(frame) => self.receive(client, frame, cover).map(|()| true),
                None => Ok(false),
            },
            Step::Cut { client } => Ok(self.cut(client)),
            Step::Ask { procedure, timeout } => {
                let first = !self.shut_down;
                if first {
                    self.ask(procedure, timeout, cover)?;
                }
                Ok(first)
            }
            Step::Abandon { ask } => self.abandon(ask, cover),
            Step::CloseByRouter { client } => {
                let open = self.dealer.standing(client) == Standing::Open;
                if open {
                    self.kick(client, cover)?;
                }
                Ok(open)
            }
            Step::Hold { client } => Ok(self.hold(client, true)),
            Step::Release { client } => Ok(self.hold(client, false)),
            Step::Shutdown => {
                let first = !self.shut_down;
                if first {
                    self.shut_down(cover)?;
                }
                Ok(first)
            }
            Step::Pass { millis } => {
                self.now = self.now + Duration::from_millis(millis);
                Ok(true)
            }
            Step::Tick => {
                let deadline = self.deadline();
                if let Some(deadline) = deadline {
                    self.now = self.now.max(deadline);
                }
                Ok(deadline.is_some())
            }
            Step::Expire { client: None } => {
                let due = self.realm.poll_timeout().is_some_and(|deadline| deadline <= self.now);
                if due {
                    self.expire(cover)?;
                }
                Ok(due)
            }
            Step::Expire { client: Some(client) } => {
                let due = self.clients[client].deadline().is_some_and(|deadline| deadline <= self.now);
                if due {
                    self.command(client, step, cover)?;
                }
                Ok(due)
            }
            Step::Left { client } => self.left(client, cover),
            Step::Register { client, .. }
            | Step::Unregister { client, .. }
            | Step::Call { client, .. }
            | Step::Chunk { client, .. }
            | Step::Cancel { client, .. }
            | Step::Answer { client, .. }
            | Step::AnswerCancelMyself { client, .. }
            | Step::Take { client }
            | Step::Grant { client, .. }
            | Step::Leave { client }
            | Step::Die { client }
            | Step::Abort { client }
            | Step::Wrong { client, .. }
            | Step::Forge { client, .. } => self.command(client, step, cover),
        }
    }

    fn command(&mut self, client: usize, step: &Step, cover: &mut Coverage) -> Result<bool, Broken> {
        let now = self.now;
        let state = &mut self.clients[client];
        let tag = state.tag(client);
        let done = if state.kind.ours {
            let cancels = match *step {
                Step::Cancel { call, .. } => state.calls.get(call).map(|call| call.request),
                _ => None,
            };
            if let Some(request) = cancels {
                self.ledger.cancels(client, request);
            }
            ours::act(state, now, step, tag, cover)?
        } else {
            let wire_message = raw::act(state, step, tag);
            let done = wire_message.is_some();
            for message in wire_message.into_iter().flatten() {
                match message {
                    Some(message) => self.send(client, message, cover),
                    None => self.clients[client].up.push_back(Frame::Garbage),
                }
            }
            let unannounced = !self.counts_credit(client) && matches!(step, Step::Grant { .. });
            if done && (unannounced || matches!(step, Step::Wrong { .. } | Step::Chunk { .. })) {
                self.ledger.sins(client);
            }
            if done && matches!(step, Step::Die { .. } | Step::Abort { .. }) {
                self.hang_up(client);
            }
            done
        };
        if done {
            // The wait for the answer to GOODBYE begins now.
            let begins = matches!(step, Step::Leave { .. }).then_some(now);
            self.record(client, (step, begins));
            self.settle_client(client, cover)?;
        }
        Ok(done)
    }

    /// Delivers a message to a client.
    fn receive(&mut self, client: usize, frame: Frame, cover: &mut Coverage) -> Result<(), Broken> {
        let message = match frame {
            Frame::Message(message) => message,
            _ => {
                self.note(|| format!("    router ═▶ client {client}  (the link is gone)"));
                let state = &mut self.clients[client];
                if let End::Session(session, endpoint) = &mut state.end {
                    session.handle_closed(self.now);
                    endpoint.lost();
                }
                self.record(client, "lost");
                self.hang_up(client);
                return self.settle_client(client, cover);
            }
        };
        self.note(|| format!("    router ═▶ client {client}  {}", json(&message)));
        let wire_message = wire_message(&message, &self.names);
        let state = &mut self.clients[client];
        let costs = if state.kind.windows.is_some() && wire_message.costs() {
            encoded_len(&message, state.kind.serializer)?
        } else {
            0
        };
        let serializer = state.kind.serializer;
        match &mut state.end {
            End::Session(session, endpoint) => {
                if plain::now_and_then(COMPARED) {
                    plain::receive(session, self.now, serializer, &message)?;
                }
                session.handle_message(self.now, Rc::unwrap_or_clone(message));
                endpoint.hear(self.now, &wire_message, cost(costs), cover);
            }
            End::Raw(_) => self.raw_hears(client, &wire_message, cost(costs), cover),
        }
        self.record(client, &wire_message);
        self.settle_client(client, cover)
    }

    /// Compares one of our sessions with its model, and sends its messages.
    fn settle_client(&mut self, client: usize, cover: &mut Coverage) -> Result<(), Broken> {
        let state = &mut *self.clients[client];
        let End::Session(session, endpoint) = &mut state.end else {
            self.note_waiting(client, cover);
            return Ok(());
        };
        let messages: Vec<Message> = std::iter::from_fn(|| session.poll_transmit()).collect();
        let found: Vec<Observed> =
            std::iter::from_fn(|| session.poll_event()).map(|event| observed(&event)).collect();
        let mut says = Vec::with_capacity(messages.len());
        for message in &messages {
            let wire_message = wire_message(message, &self.names);
            if let WireMessage::Credit { request, chunks, total } = wire_message {
                let stream = Stream { chunks: chunks == Some(true), id: request };
                endpoint.grants(stream, total.unwrap_or_default(), cover)?;
                continue;
            }
            if let Some(stream) = sent(&wire_message).filter(|_| state.kind.windows.is_some()) {
                endpoint.spend(stream, cost(encoded_len(message, state.kind.serializer)?), cover);
            }
            says.push(wire_message);
        }
        check(client, session, endpoint, says, &found)?;
        endpoint.grants_enough()?;
        for observed in &found {
            match *observed {
                Observed::Registered { request } => state.learn(request),
                Observed::Invoked { invocation, wants_progress, .. } => {
                    state.invocations.push(Got { invocation, wants_progress, over: false, waits: false });
                }
                _ => {}
            }
        }
        self.observed_credit(client, &found);
        for message in messages {
            self.send(client, message, cover);
        }
        self.note_waiting(client, cover);
        self.tell(client, &found)?;
        if found.iter().any(|observed| matches!(observed, Observed::Closed(_))) {
            self.hang_up(client);
        }
        Ok(())
    }

    /// A client puts a message on its wire.
    pub fn send(&mut self, client: usize, message: Message, cover: &mut Coverage) {
        let wire_message = wire_message(&message, &self.names);
        self.raw_sends(client, &wire_message, &message, cover);
        self.ledger.sent(client, &wire_message);
        if self.clients[client].linked {
            self.note(|| format!("    client {client} ─▶ router  {}", json(&message)));
            self.clients[client].up.push_back(Frame::Message(Rc::new(message)));
        }
    }

    /// A client closes its end of the link.
    pub fn hang_up(&mut self, client: usize) {
        let state = &mut self.clients[client];
        if std::mem::replace(&mut state.linked, false) {
            state.up.push_back(Frame::Eof);
            state.down.clear();
            state.writable = false;
        }
    }

    fn cut(&mut self, client: usize) -> bool {
        let state = &mut self.clients[client];
        if !state.readable && !state.writable {
            return false;
        }
        let lost = state.up.drain(..).count();
        if state.readable {
            state.up.push_back(Frame::Eof);
        }
        if state.linked && state.writable {
            state.down.clear();
            state.down.push_back(Frame::Eof);
        }
        (state.writable, state.linked) = (false, false);
        self.record(client, "cut");
        if lost > 0 {
            self.record(self.clients.len(), ("cut", client));
        }
        true
    }

    /// A callee's program answers every waiting invocation.
    pub fn answer_all(&mut self, client: usize, cover: &mut Coverage) -> Result<bool, Broken> {
        let mut any = false;
        for invocation in 0..self.clients[client].invocations.len() {
            let state = &self.clients[client];
            let waits = match &state.end {
                End::Session(_, endpoint) => {
                    let phase = endpoint.invocation_phase(state.invocations[invocation].invocation);
                    phase.is_some_and(Phase::is_alive)
                }
                End::Raw(_) => !state.invocations[invocation].over,
            };
            if waits {
                any |= self.step(&Step::Answer { client, invocation, answer: Answer::Result }, cover)?;
            }
        }
        Ok(any)
    }
}

/// Checks that the machine and its model have sent, reported and kept the same.
fn check(
    client: usize,
    session: &mut Session,
    endpoint: &mut Endpoint,
    mut says: Vec<WireMessage>,
    found: &[Observed],
) -> Result<(), Broken> {
    let mut observed = found.to_vec();
    let mut expected = (std::mem::take(&mut endpoint.out), std::mem::take(&mut endpoint.observed));
    if std::mem::take(&mut endpoint.unordered) {
        says.sort();
        observed.sort();
        expected.0.sort();
        expected.1.sort();
    }
    let (to_say, to_tell) = expected;
    if says != to_say {
        return Err(format!("client {client} sends {says:?}, expected {to_say:?}"));
    }
    if observed != to_tell {
        return Err(format!("client {client} is told {observed:?}, expected {to_tell:?}"));
    }
    for stream in endpoint.outgoing() {
        let (found, expected) = (session.may_send(stream.of_session()), endpoint.may_send(stream));
        if found != expected {
            return Err(format!(
                "14: client {client} may send {stream:?}: {found}, where {expected} is right"
            ));
        }
    }
    // After GOODBYE it sends nothing, so its grants are not visible.
    let until = endpoint.leaves_until().filter(|_| endpoint.has_delayed());
    let deadline = match until {
        Some(until) => session.poll_timeout().filter(|found| *found <= until),
        None => endpoint.deadline(),
    };
    let stats = session.stats();
    let found = (session.in_flight(), session.poll_timeout(), stats.late, stats.unsolicited, stats.unknown);
    let expected = (endpoint.in_flight(), deadline, endpoint.late, endpoint.unsolicited, endpoint.unknown);
    if found != expected {
        return Err(format!(
            "client {client} has {found:?} under way, as next deadline, late, unsolicited and unknown, where it \
             should have {expected:?}"
        ));
    }
    Ok(())
}
