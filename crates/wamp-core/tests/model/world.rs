//! A realm, its clients, and a wire in each direction for each of them: the router's side.
//!
//! Every input goes to the machine under test and to its model, and their outputs must be the same.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash};
use std::rc::Rc;

use foldhash::fast::FixedState;
use wamp_core::Time;
use wamp_core::router::{Closing, Event, Feed, Join, Realm, RouterCallId, Watch};
use wamp_core::session::{self, Session};
use wamp_proto::message::HelloDetails;
use wamp_proto::{Message, uri};

use crate::account::{Windows, cost};
use crate::client::Client;
use crate::coverage::Coverage;
use crate::dealer::{Dealer, Input};
use crate::endpoint::Observed;
use crate::flow::encoded_len;
use crate::ledger::{Broken, Ledger};
use crate::setup::Setup;
use crate::shared::Shared;
use crate::step::Step;
use crate::wire_message::{Names, Procedure, Tag, WireMessage, json, wire_message};

/// A message or an event on a wire.
#[derive(Clone, Debug)]
pub enum Frame {
    Message(Rc<Message>),
    Garbage,
    /// The link is gone.
    Eof,
}

#[derive(Clone)]
pub struct World {
    pub now: Time,
    pub realm: Shared<Realm>,
    pub clients: Vec<Shared<Client>>,
    pub dealer: Shared<Dealer>,
    pub ledger: Shared<Ledger>,
    pub names: Shared<Names>,
    /// The procedure of each REGISTER.
    asked: Shared<Vec<(usize, u64, Procedure)>>,
    /// The calls that the router makes itself.
    pub asks: Shared<Vec<Option<RouterCallId>>>,
    /// The number of realm sessions that each wire has seen closed.
    over: Vec<usize>,
    pub shut_down: bool,
    /// The router's windows, and whether any client counts them.
    pub windows: Option<Windows>,
    pub counts: bool,
    /// Since the last comparison: the CREDITs that the realm has sent, its watches, and the cost of the
    /// stream message that it has sent.
    pub credits: Vec<(usize, WireMessage)>,
    pub watched: Vec<(usize, Watch)>,
    goes: u64,
    /// The hash of all inputs of each machine; the realm is the last.
    histories: Vec<(u64, u64)>,
    /// The messages that crossed an end of a wire.
    pub log: Option<Vec<String>>,
}

impl World {
    pub fn new(setup: &Setup, log: bool, cover: &mut Coverage) -> Result<Self, Broken> {
        let mut world = Self {
            now: Time::ORIGIN,
            realm: Shared::new(Realm::new(setup.config(), 7)),
            clients: Vec::new(),
            dealer: Shared::new(Dealer::new(setup.rules())),
            ledger: Shared::new(Ledger::new(&setup.clients)),
            names: Shared::new(Names::new()),
            asked: Shared::new(Vec::new()),
            asks: Shared::new(Vec::new()),
            over: Vec::new(),
            shut_down: false,
            windows: setup.windows,
            counts: setup.counts(),
            credits: Vec::new(),
            watched: Vec::new(),
            goes: 0,
            histories: vec![(0, 0); setup.clients.len() + 1],
            log: log.then(Vec::new),
        };
        for kind in &setup.clients {
            let mut session = kind.ours.then(|| {
                let mut config = session::Config::new("realm1");
                config.credit = kind.windows.map(|windows| {
                    let mut credit = session::Credit::new(kind.serializer);
                    (credit.window, credit.max_window) = (windows.first, windows.max);
                    credit
                });
                Session::new(world.now, config, 1)
            });
            let mut details = HelloDetails { roles: kind.roles(), ..HelloDetails::default() };
            if let Some(Message::Hello(hello)) = session.as_mut().and_then(Session::poll_transmit) {
                details = hello.details;
            }
            let join = Join {
                details,
                serializer: kind.serializer,
                max_message: 1 << 20,
                transport: Default::default(),
            };
            let key = world.realm.join(world.now, join).map_err(|(_, text)| text)?;
            world.dealer.join(kind.features);
            let (_, welcome) = world.realm.poll_transmit().ok_or("no WELCOME")?;
            let knows = setup.windows.is_some() && kind.features.knows_credit();
            if json(&welcome).contains("_progress_credit") != knows {
                return Err(format!("18: {} to {kind:?}", json(&welcome)));
            }
            if let Some(session) = &mut session {
                session.handle_message(world.now, welcome);
                while session.poll_event().is_some() {}
            }
            world.clients.push(Shared::new(Client::new(
                *kind,
                key,
                session,
                setup.windows.map(|windows| windows.first),
            )));
        }
        for (client, procedure) in &setup.offers {
            world.step(&Step::Register { client: *client, procedure: *procedure }, cover)?;
            world.settle(cover)?;
        }
        Ok(world)
    }

    /// Delivers all messages, in some order.
    pub fn settle(&mut self, cover: &mut Coverage) -> Result<bool, Broken> {
        let mut any = false;
        loop {
            let mut quiet = true;
            for client in 0..self.clients.len() {
                quiet &= !self.step(&Step::Up { client, count: 1 }, cover)?;
                quiet &= !self.step(&Step::Down { client }, cover)?;
            }
            if quiet {
                return Ok(any);
            }
            any = true;
        }
    }

    /// Records an input of a machine for the key of this world. The time of an input matters only to a
    /// machine that watches timeouts after it.
    pub fn record(&mut self, machine: usize, input: impl Hash) {
        let timed = match self.clients.get(machine) {
            Some(client) => client.watches_timeouts() || client.has_delayed(),
            None => self.realm.poll_timeout().is_some(),
        };
        let (a, b) = &mut self.histories[machine];
        let input = (timed.then_some(self.now), input);
        *a = FixedState::with_seed(1).hash_one((*a, &input));
        *b = FixedState::with_seed(2).hash_one((*b, &input));
    }

    /// Returns a key that identifies this world. The machines are deterministic: two worlds whose machines
    /// have had the same inputs in the same order are the same, wires included.
    pub fn key(&self) -> u128 {
        let key = (self.now, &self.histories);
        let (a, b) = (FixedState::with_seed(3).hash_one(key), FixedState::with_seed(4).hash_one(key));
        u128::from(a) << 64 | u128::from(b)
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(text());
        }
    }

    /// Lets the router read these messages from a client in one batch.
    pub fn read(&mut self, from: usize, frames: Vec<Frame>, cover: &mut Coverage) -> Result<(), Broken> {
        let key = self.clients[from].key;
        let single = frames.len() == 1;
        let (mut leaving, mut came) = (None, 0);
        let mut inputs = Vec::with_capacity(frames.len());
        for frame in frames {
            match frame {
                Frame::Message(message) => {
                    self.note(|| format!("    client {from} ═▶ router  {}", json(&message)));
                    let wire_message = wire_message(&message, &self.names);
                    if self.counts && wire_message.costs() {
                        came = cost(encoded_len(&message, self.clients[from].kind.serializer)?);
                    }
                    if let WireMessage::Register { request, procedure } = wire_message {
                        self.asked.push((from, request, procedure));
                    }
                    if let WireMessage::Goodbye { .. } | WireMessage::Abort { .. } = wire_message {
                        leaving.get_or_insert(matches!(wire_message, WireMessage::Abort { .. }));
                    }
                    if let Message::Yield(_) = &*message {
                        let serializer = self.clients[from].kind.serializer;
                        crate::plain::compare(&self.realm, self.now, key, serializer, &message)?;
                    }
                    self.realm.handle_message(self.now, key, Rc::unwrap_or_clone(message));
                    inputs.push(Input::WireMessage(wire_message));
                }
                Frame::Garbage => {
                    self.note(|| format!("    client {from} ═▶ router  (garbage)"));
                    self.ledger.sins(from);
                    self.realm.handle_garbage(self.now, key, "not a message");
                    inputs.push(Input::Garbage);
                }
                Frame::Eof => {
                    self.note(|| format!("    client {from} ═▶ router  (the link is gone)"));
                    leaving = Some(true);
                    self.clients[from].readable = false;
                    self.realm.handle_closed(self.now, key);
                    inputs.push(Input::Lost);
                }
            }
        }
        self.record(self.clients.len(), (from, &inputs));
        // In a batch the last message may follow others, which are answered.
        if let Some(gone) = leaving.filter(|_| single) {
            self.ledger.left(from, gone);
        }
        let written = self.written()?;
        if let Some(gone) = leaving {
            self.ledger.left(from, gone);
        }
        let chosen = |wanted: Tag| {
            let invoked = |wire_message: &WireMessage| matches!(wire_message, WireMessage::Invocation { tag, .. } if *tag == wanted);
            written.iter().find(|(_, wire_message)| invoked(wire_message)).map(|(to, _)| *to)
        };
        self.dealer.wire = (came, std::mem::take(&mut self.goes));
        for input in &inputs {
            self.dealer.handle(self.now, from, input, &chosen, cover);
        }
        self.compare(written, cover)
    }

    /// Closes a session, as the router's operator.
    pub fn kick(&mut self, client: usize, cover: &mut Coverage) -> Result<(), Broken> {
        self.realm.close(self.now, self.clients[client].key, uri::KILLED, "closed by the operator");
        self.record(self.clients.len(), (client, "kick"));
        self.dealer.handle(self.now, client, &Input::CloseByRouter, &|_| None, cover);
        let written = self.written()?;
        self.compare(written, cover)
    }

    /// Lets the router pause or resume reading from a client.
    pub fn hold(&mut self, client: usize, hold: bool) -> bool {
        let state = &mut self.clients[client];
        if state.held == hold || !state.readable {
            return false;
        }
        state.held = hold;
        let key = state.key;
        if hold {
            // The client is held by itself, so that no other client is involved.
            self.realm.hold(self.now, key, key, Feed::Stream);
        } else {
            self.realm.release(self.now, key, key);
        }
        self.dealer.hold(self.now, client, hold);
        self.record(self.clients.len(), (client, hold, self.now));
        true
    }

    pub fn shut_down(&mut self, cover: &mut Coverage) -> Result<(), Broken> {
        self.shut_down = true;
        self.realm.shut_down(self.now);
        self.record(self.clients.len(), "shutdown");
        self.dealer.shut_down(self.now, cover);
        let written = self.written()?;
        self.compare(written, cover)
    }

    /// Lets the realm handle its deadlines.
    pub fn expire(&mut self, cover: &mut Coverage) -> Result<(), Broken> {
        self.realm.handle_timeout(self.now);
        self.record(self.clients.len(), "time");
        self.dealer.handle_timeout(self.now, cover);
        let written = self.written()?;
        self.compare(written, cover)
    }

    /// Puts the router's messages on the wires, and returns them.
    pub fn written(&mut self) -> Result<Vec<(usize, WireMessage)>, Broken> {
        let mut written = Vec::new();
        while let Some((key, message)) = self.realm.poll_transmit() {
            let to = self
                .clients
                .iter()
                .position(|client| client.key == key)
                .ok_or("a message to an unknown client")?;
            if let Message::Registered(registered) = &message {
                let request = registered.request.get();
                let asked = self.asked.iter().find(|asked| (asked.0, asked.1) == (to, request));
                let procedure = asked.map(|asked| asked.2).ok_or("REGISTERED without REGISTER")?;
                self.names.insert(registered.registration, procedure);
                self.clients[to].registered(registered.registration, procedure);
            }
            self.note(|| format!("    router ─▶ client {to}  {}", json(&message)));
            let wire_message = wire_message(&message, &self.names);
            if self.counts && wire_message.costs() {
                self.goes = cost(encoded_len(&message, self.clients[to].kind.serializer)?);
            }
            message
                .encode_head(self.clients[to].kind.serializer, &mut Vec::new())
                .map_err(|error| format!("{wire_message:?} to client {to} cannot be written: {error}"))?;
            self.ledger.heard(to, &wire_message)?;
            if self.clients[to].writable {
                self.clients[to].down.push_back(Frame::Message(Rc::new(message)));
            }
            match wire_message {
                WireMessage::Credit { .. } => self.credits.push((to, wire_message)),
                wire_message => written.push((to, wire_message)),
            }
        }
        while let Some(event) = self.realm.poll_event() {
            let (session, closing) = match event {
                Event::Closed { session, closing } => (session, closing),
                Event::Watch { session, watch } => {
                    let client = self.clients.iter().position(|client| client.key == session);
                    self.watched.push((client.ok_or("a watch on an unknown client")?, watch));
                    continue;
                }
                Event::Released { session } => {
                    // Its last call to itself has ended, or the test has released it before.
                    let held = self.clients.iter().position(|client| client.key == session && client.held);
                    if let Some(client) = held.filter(|_| !self.realm.is_held(session)) {
                        self.clients[client].held = false;
                        self.dealer.hold(self.now, client, false);
                    }
                    continue;
                }
                Event::Answered { call, outcome } => {
                    let request = self.ask_of(call)?;
                    written.push(self.answered(request, outcome)?);
                    continue;
                }
                other => return Err(format!("an event that the model does not know: {other:?}")),
            };
            let of = self
                .clients
                .iter()
                .position(|client| client.key == session)
                .ok_or("an unknown session was closed")?;
            self.over.push(of);
            if closing == Closing::Abort && self.clients[of].writable {
                let client = &mut self.clients[of];
                client.writable = false;
                client.readable = false;
                client.up = VecDeque::new();
                client.down.push_back(Frame::Eof);
            }
        }
        Ok(written)
    }

    /// Compares the realm with its model.
    pub fn compare(
        &mut self,
        mut written: Vec<(usize, WireMessage)>,
        cover: &mut Coverage,
    ) -> Result<(), Broken> {
        let mut expected = std::mem::take(&mut self.dealer.out);
        if std::mem::take(&mut self.dealer.unordered) {
            for client in 0..self.clients.len() {
                // GOODBYE is last, in any order of the others.
                let last = written.iter().rposition(|(to, _)| *to == client);
                let goodbye = |(to, wire_message): &(usize, WireMessage)| {
                    *to == client && matches!(wire_message, WireMessage::Goodbye { .. })
                };
                if written.iter().position(goodbye).is_some_and(|goodbye| Some(goodbye) != last) {
                    return Err(format!("GOODBYE to client {client} is not the last message"));
                }
            }
            written.sort();
            expected.sort();
        } else {
            // The wires are independent of each other.
            written.sort_by_key(|(to, _)| *to);
            expected.sort_by_key(|(to, _)| *to);
        }
        if written != expected {
            return Err(format!("the router sends {written:?}, expected {expected:?}"));
        }
        let mut over = std::mem::take(&mut self.over);
        let mut closed = std::mem::take(&mut self.dealer.closed);
        over.sort_unstable();
        closed.sort_unstable();
        if over != closed {
            return Err(format!("the sessions of {over:?} are over, expected {closed:?}"));
        }
        self.compare_credit(cover)?;
        self.check_tables()
    }

    /// Returns the next deadline of all machines.
    pub fn deadline(&self) -> Option<Time> {
        self.clients.iter().filter_map(|client| client.deadline()).chain(self.realm.poll_timeout()).min()
    }

    pub fn tell(&mut self, client: usize, observed: &[Observed]) -> Result<(), Broken> {
        observed.iter().try_for_each(|observed| self.ledger.observed(client, observed))
    }
}
