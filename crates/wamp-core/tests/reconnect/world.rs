//! One client that loses its sessions, the router, and a witness beside the client whose session is never lost.
//!
//! Messages of the client wait in its queue, then on the wire; a loss drops both. The router may believe in a lost
//! session for a while: then that is a shadow. The realm has a shadow probed whose procedure the client wants, and the
//! driver, which this plays, ends it when the time is over. The witness talks to the realm directly.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use wamp_core::Time;
use wamp_core::auth::{Identity, Method};
use wamp_core::reconnect::{
    Action, Again, Ask, Broken, Config, Declaration, DeclarationId, Fault, Link, Repeat,
};
use wamp_core::router::{self, SessionKey};
use wamp_core::session::{self, Session};
use wamp_proto::message::{self, CallOptions, YieldOptions};
use wamp_proto::{Message, Payload, Uri, uri};

use crate::ends::{Connection, Router, STREAM, join};
use crate::ledger::{CallNo, Ledger};
use crate::step::{DECLARABLE, POLICIES, Step, declarable};

/// The longest wait for a shadow that is probed: two seconds, and the time to the next attempt.
const PROBED: Duration = Duration::from_millis(2500);

/// All of it.
#[derive(Clone)]
pub struct World {
    pub now: Time,
    pub link: Link,
    pub ledger: Ledger,
    pub router: Router,
    pub connection: Option<Connection>,
    pub is_dialing: bool,
    /// When the last session began.
    pub joined: Time,
    /// Lost sessions of the client that the router still keeps.
    pub shadows: VecDeque<SessionKey>,
    /// Shadows that are probed, and until when.
    pub probes: BTreeMap<SessionKey, Time>,
    /// When a declaration was last up that had waited for a shadow.
    pub restored: Option<Time>,
    /// Whether the router notices by itself that shadows are gone, when the world settles.
    pub forgets: bool,
    /// What the program believes to be declared.
    pub declared: BTreeMap<usize, DeclarationId>,
    /// Declared, and not answered for the first time.
    pub asked: BTreeMap<Ask, usize>,
    pub repeats: BTreeMap<CallNo, Repeat>,
    /// Calls that wait for a session, or for a time.
    pub waiting: VecDeque<(CallNo, Option<Time>)>,
    /// Invocations and events that have reached a declaration since the last check.
    pub reached: Vec<DeclarationId>,
}

impl World {
    pub fn new(config: Config, seed: u64) -> Self {
        let mut world = Self {
            now: Time::ORIGIN,
            link: Link::new(config, seed),
            ledger: Ledger::default(),
            router: Router::new(Time::ORIGIN, seed),
            connection: None,
            is_dialing: false,
            joined: Time::ORIGIN,
            shadows: VecDeque::new(),
            probes: BTreeMap::new(),
            restored: None,
            forgets: true,
            declared: BTreeMap::new(),
            asked: BTreeMap::new(),
            repeats: BTreeMap::new(),
            waiting: VecDeque::new(),
            reached: Vec::new(),
        };
        world.run();
        world
    }

    /// Returns the possible next steps.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.is_dialing {
            steps.extend([Step::Connect, Step::Fail]);
        }
        if let Some(connection) = &self.connection {
            let Connection { queue, to_router, to_client, key, .. } = connection;
            if !queue.is_empty() {
                steps.push(Step::Write);
            }
            if !to_router.is_empty() {
                steps.push(Step::ToRouter);
            }
            if !to_client.is_empty() {
                steps.push(Step::ToClient);
            }
            steps.push(Step::Lose);
            if key.is_some() {
                steps.push(Step::LoseSilently);
            }
        }
        if !self.shadows.is_empty() {
            steps.push(Step::Forget);
        }
        steps.extend([Step::Restart, Step::ShutDown]);
        if self.next_timeout().is_some() {
            steps.push(Step::Tick);
        }
        for index in 0..DECLARABLE {
            if self.declared.contains_key(&index) {
                steps.push(Step::Withdraw(index));
            } else if self.link.is_up() && !self.asked.values().any(|asked| *asked == index) {
                steps.push(Step::Declare(index));
            }
        }
        steps.extend((0..POLICIES.len()).map(Step::Call));
        if !self.router.invocations.is_empty() {
            steps.extend([Step::Progress, Step::Result, Step::Unavailable]);
        }
        steps.push(Step::Leave);
        steps
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Connect => self.connect(),
            Step::Fail => {
                self.is_dialing = false;
                self.link.handle_failed(self.now, Fault::Passing);
            }
            Step::Write => self.with_connection(|it| it.to_router.extend(it.queue.pop_front())),
            Step::ToRouter => self.deliver_to_router(),
            Step::ToClient => self.deliver_to_client(),
            Step::Lose => self.lose(false),
            Step::LoseSilently => self.lose(true),
            Step::Forget => {
                if let Some(key) = self.shadows.pop_front() {
                    self.router.realm.handle_closed(self.now, key);
                }
            }
            Step::Restart => self.restart(),
            Step::ShutDown => {
                self.router.realm.shut_down(self.now);
                self.run();
                while self.connection.as_ref().is_some_and(|it| !it.to_client.is_empty()) {
                    self.deliver_to_client();
                }
                self.restart();
            }
            Step::Tick => self.tick(),
            Step::Declare(index) => self.declare(index),
            Step::Withdraw(index) => self.withdraw(index),
            Step::Call(policy) => {
                let call = self.ledger.begin(POLICIES[policy]);
                if let Some(retry) = POLICIES[policy] {
                    self.repeats.insert(call, Repeat::new(retry, 1));
                }
                self.call(call);
            }
            Step::Progress => {
                if let Some(request) = self.router.invocations.front() {
                    let options = YieldOptions { progress: Some(true), ..YieldOptions::default() };
                    self.answer(message::Yield { request: *request, options, payload: Payload::empty() });
                }
            }
            Step::Result => {
                if let Some(request) = self.router.invocations.pop_front() {
                    let options = YieldOptions::default();
                    self.answer(message::Yield { request, options, payload: Payload::empty() });
                }
            }
            Step::Unavailable => {
                if let Some(request) = self.router.invocations.pop_front() {
                    let kind = message::RequestKind::Invocation;
                    let (details, error) = (Default::default(), uri::UNAVAILABLE);
                    let payload = Payload::empty();
                    self.answer(message::Error { kind, request, details, error, payload });
                }
            }
            Step::Leave => {
                self.link.leave();
                if let Some(connection) = &mut self.connection {
                    let _ = connection.session.leave(self.now, uri::CLOSE_REALM);
                }
                self.is_dialing = false;
            }
        }
        self.run();
    }

    /// Runs the world to its end, over a network without further losses.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let step = match &self.connection {
                _ if self.is_dialing => Step::Connect,
                Some(connection) if !connection.queue.is_empty() => Step::Write,
                Some(connection) if !connection.to_router.is_empty() => Step::ToRouter,
                Some(connection) if !connection.to_client.is_empty() => Step::ToClient,
                _ if self.forgets && !self.shadows.is_empty() => Step::Forget,
                _ if !self.router.invocations.is_empty() => Step::Result,
                _ if self.is_unsettled() => Step::Tick,
                _ => return,
            };
            self.step(step);
        }
        self.ledger.fail("it does not come to rest");
    }

    /// Settles, and checks how long that takes for what waits for shadows.
    pub fn settle_by_probes(&mut self) {
        self.forgets = false;
        let begin = self.now;
        self.settle();
        let late = |at: Time| at.since(begin.max(self.joined)) > PROBED;
        if self.restored.is_some_and(late) {
            self.ledger.fail("11: a declaration has waited for a shadow that was probed");
        }
    }

    fn is_unsettled(&self) -> bool {
        let is_lasting = !self.link.is_up() || self.link.poll_timeout().is_some() || !self.waiting.is_empty();
        self.next_timeout().is_some() && is_lasting
    }

    /// Checks the declarations at the router.
    pub fn check_settled(&mut self) {
        self.ledger.check_ended();
        if self.link.is_over() {
            return;
        }
        if !self.link.is_up() {
            return self.ledger.fail("the link is not up in the end");
        }
        for index in 0..DECLARABLE {
            let expected: Vec<DeclarationId> = self.declared.get(&index).copied().into_iter().collect();
            self.reached.clear();
            self.reach(index);
            if self.reached != expected {
                let text = format!("{index} has reached {:?} instead of {expected:?}", self.reached);
                self.ledger.fail(&text);
            }
        }
    }

    /// The witness calls the procedure, or publishes to the topic, of a declaration.
    fn reach(&mut self, index: usize) {
        let request = self.router.request();
        let (options, payload) = (CallOptions::default(), Payload::empty());
        let message: Message = match declarable(index) {
            Declaration::Register { procedure, .. } => {
                let procedure = match index {
                    0 => Uri::from(format!("{procedure}longop")),
                    _ => procedure,
                };
                message::Call { request, options, procedure, payload }.into()
            }
            Declaration::Subscribe { topic, .. } => {
                message::Publish { request, options: Default::default(), topic, payload }.into()
            }
            _ => return,
        };
        self.router.realm.handle_message(self.now, self.router.witness, message);
        self.run();
        self.settle();
    }

    pub fn with_connection(&mut self, op: impl FnOnce(&mut Connection)) {
        if let Some(connection) = &mut self.connection {
            op(connection);
        }
    }

    fn connect(&mut self) {
        self.is_dialing = false;
        self.ledger.begin_session(self.link.declarations().collect());
        self.connection = Some(Connection {
            session: Session::new(self.now, session::Config::new("realm1"), 1),
            key: None,
            queue: VecDeque::new(),
            to_router: VecDeque::new(),
            to_client: VecDeque::new(),
            has_joined: false,
            asks: BTreeMap::new(),
            subscribing: 0,
            calls: BTreeMap::new(),
            procedures: BTreeMap::new(),
            topics: BTreeMap::new(),
        });
    }

    fn deliver_to_router(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let Some(message) = connection.to_router.pop_front() else { return };
        match (message, connection.key) {
            (Message::Hello(hello), _) => {
                let identity = Identity::new("client", "user", Method::Ticket.name());
                let joined = self.router.realm.join_as(self.now, join(hello.details), identity.into());
                connection.key = joined.ok();
            }
            (message, Some(key)) => {
                if let Message::Call(call) = &message
                    && let Some(number) = connection.calls.get(&call.request)
                {
                    self.ledger.reached_router(*number);
                }
                self.router.realm.handle_message(self.now, key, message);
            }
            (_, None) => {}
        }
    }

    fn deliver_to_client(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if let Some(message) = connection.to_client.pop_front() {
            connection.session.handle_message(self.now, message);
        }
        self.run();
    }

    fn lose(&mut self, silently: bool) {
        let Some(connection) = &mut self.connection else { return };
        match connection.key.take() {
            Some(key) if silently => self.shadows.push_back(key),
            Some(key) => self.router.realm.handle_closed(self.now, key),
            None => {}
        }
        connection.session.handle_closed(self.now);
    }

    fn restart(&mut self) {
        let seed = u64::from(self.ledger.next_router());
        self.shadows.clear();
        self.probes.clear();
        self.router = Router::new(self.now, seed);
        if let Some(connection) = &mut self.connection {
            connection.key = None;
            connection.session.handle_closed(self.now);
        }
    }

    fn next_timeout(&self) -> Option<Time> {
        let session = self.connection.as_ref().and_then(|it| it.session.poll_timeout());
        let calls = self.waiting.iter().filter_map(|(_, until)| *until);
        let realm = self.router.realm.poll_timeout();
        let probes = self.probes.values().copied();
        self.link.poll_timeout().into_iter().chain(session).chain(calls).chain(realm).chain(probes).min()
    }

    fn tick(&mut self) {
        let Some(next) = self.next_timeout() else { return };
        self.now = self.now.max(next);
        self.link.handle_timeout(self.now);
        if self.router.realm.poll_timeout().is_some_and(|at| at <= self.now) {
            self.router.realm.handle_timeout(self.now);
        }
        let now = self.now;
        self.end_probed(now);
        self.with_connection(|it| it.session.handle_timeout(now));
        let due = |(_, until): &(CallNo, Option<Time>)| until.is_some_and(|until| until <= now);
        let (due, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(due);
        self.waiting = waiting;
        let due: VecDeque<_> = due;
        due.into_iter().for_each(|(call, _)| self.call(call));
    }

    /// Shadows give no sign of life.
    fn end_probed(&mut self, now: Time) {
        let due = self.probes.iter().filter(|(_, until)| **until <= now);
        for key in due.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.probes.remove(&key);
            self.shadows.retain(|shadow| *shadow != key);
            self.router.realm.handle_closed(now, key);
        }
    }

    fn handle_probe(&mut self, session: SessionKey, within: Duration) {
        if !self.shadows.contains(&session) {
            self.ledger.fail("10: a session that is alive is probed");
        } else if self.probes.insert(session, self.now + within).is_some() {
            self.ledger.fail("10: a shadow is probed twice at a time");
        }
        self.ledger.probed += 1;
    }

    fn declare(&mut self, index: usize) {
        let Ok(ask) = self.link.declare(declarable(index)) else {
            return self.ledger.fail("a link that is up takes no declaration");
        };
        self.asked.insert(ask, index);
        self.ask(ask);
    }

    fn ask(&mut self, ask: Ask) {
        let Some(declaration) = self.link.declaration(ask.declaration).cloned() else {
            return self.ledger.fail("something withdrawn is to be declared");
        };
        let now = self.now;
        self.ledger.declares(ask.declaration);
        self.with_connection(|it| {
            let request = match declaration {
                Declaration::Register { options, procedure } => it.session.register(now, options, procedure),
                Declaration::Subscribe { options, topic } => {
                    it.subscribing += 1;
                    it.session.subscribe(now, options, topic)
                }
                _ => return,
            };
            it.asks.insert(request.expect("the session is open"), ask);
        });
    }

    fn withdraw(&mut self, index: usize) {
        let Some(id) = self.declared.remove(&index) else { return };
        let is_up = self.link.withdraw(self.now, id);
        self.ledger.withdraws(id);
        if is_up {
            self.take_back(id);
        }
    }

    pub fn take_back(&mut self, id: DeclarationId) {
        let now = self.now;
        self.with_connection(|it| {
            let procedure = it.procedures.iter().find(|(_, declaration)| **declaration == id);
            if let Some(registration) = procedure.map(|(registration, _)| *registration) {
                let _ = it.session.unregister(now, registration);
            }
            it.topics.values_mut().for_each(|declarations| declarations.retain(|other| *other != id));
            it.unsubscribe_unused(now);
        });
    }

    /// Makes a call, or fails it.
    pub fn call(&mut self, call: CallNo) {
        let options = CallOptions { receive_progress: Some(true), ..CallOptions::default() };
        let now = self.now;
        let request = match &mut self.connection {
            Some(it) if self.link.is_up() => it.session.call(now, options, STREAM, Payload::empty()).ok(),
            _ => None,
        };
        match (request, &mut self.connection) {
            (Some(request), Some(it)) => {
                it.calls.insert(request, call);
                self.ledger.makes(call);
            }
            _ => self.broken(call, Broken::Disconnected { sent: false }),
        }
    }

    pub fn broken(&mut self, call: CallNo, broken: Broken) {
        let repeat = self.repeats.get_mut(&call);
        let (again, was_sent) = match (repeat, broken) {
            (Some(repeat), _) => (repeat.handle_broken(broken), repeat.was_sent()),
            (None, Broken::Disconnected { sent }) => (None, sent),
            (None, _) => (None, true),
        };
        self.ledger.broken(call, was_sent);
        match again {
            Some(Again::WhenUp) if self.link.is_over() => self.ledger.end(call),
            Some(Again::WhenUp) => self.waiting.push_back((call, None)),
            Some(Again::After(delay)) => {
                assert!(delay < Duration::from_secs(60));
                self.waiting.push_back((call, Some(self.now + delay)));
            }
            None => self.ledger.end(call),
        }
    }

    fn answer(&mut self, message: impl Into<Message>) {
        self.router.realm.handle_message(self.now, self.router.witness, message.into());
    }

    /// Handles all immediate effects.
    fn run(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some((to, message)) = self.router.realm.poll_transmit() {
                is_quiet = false;
                self.route(to, message);
            }
            while let Some(event) = self.router.realm.poll_event() {
                match event {
                    router::Event::Watch { watch, .. } => {
                        is_quiet = false;
                        self.router.realm.handle_left(self.now, watch);
                    }
                    router::Event::Probe { session, within } => self.handle_probe(session, within),
                    _ => {}
                }
            }
            while let Some(action) = self.link.poll_action() {
                is_quiet = false;
                match action {
                    Action::Dial { .. } => self.is_dialing = true,
                    Action::Ask(ask) => self.ask(ask),
                }
            }
            self.with_connection(|it| {
                it.queue.extend(std::iter::from_fn(|| it.session.poll_transmit()));
            });
            while let Some(event) = self.connection.as_mut().and_then(|it| it.session.poll_event()) {
                is_quiet = false;
                self.handle_session_event(event);
            }
            while let Some(event) = self.link.poll_event() {
                is_quiet = false;
                self.handle_link_event(event);
            }
            if is_quiet {
                return;
            }
        }
    }

    fn route(&mut self, to: SessionKey, message: Message) {
        if to == self.router.witness {
            match &message {
                Message::Invocation(invocation) => self.router.invocations.push_back(invocation.request),
                Message::Interrupt(interrupt) => {
                    self.router.invocations.retain(|request| *request != interrupt.request);
                }
                _ => {}
            }
            return self.router.heard.push(message);
        }
        // Messages to a shadow are lost.
        self.with_connection(|it| {
            if it.key == Some(to) {
                it.to_client.push_back(message);
            }
        });
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now).field("link", &self.link).finish_non_exhaustive()
    }
}
