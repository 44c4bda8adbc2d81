//! The dealer as the specification and `behaviour.md` describe it, without regard to speed: a list of peers,
//! a list of registrations, and a list of all calls ever made. For each input it states which messages must
//! be sent to which peers. It shares nothing with the crate under test.

mod calls;
mod credit;
mod leaving;
mod own;
mod rerouting;

use std::time::Duration;

use wamp_core::Time;

pub use credit::Snapshot;

use credit::Flow;

use crate::account::Windows;
use crate::coverage::{Coverage, Phase, Seen};
use crate::ledger::Broken;
use crate::wire_message::{OF_INVOCATION, OF_REGISTER, OF_UNREGISTER, Procedure, Tag, WireMessage};

const CANCELED: &str = "wamp.error.canceled";
/// The reason in the INTERRUPT to a callee whose caller has left.
const CALLER_GONE: &str = "wamp.close.close_realm";

/// The features that a client announced in HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    pub caller_progress: bool,
    pub caller_chunks: bool,
    pub callee_progress: bool,
    pub callee_canceling: bool,
    pub callee_chunks: bool,
    pub callee_timeout: bool,
    pub callee_reroute: bool,
    /// The first window in each of these roles.
    pub caller_credit: Option<u64>,
    pub callee_credit: Option<u64>,
}

impl Features {
    pub fn knows_credit(&self) -> bool {
        self.caller_credit.is_some() || self.callee_credit.is_some()
    }
}

/// The windows of the router, and the longest time that a receiver may grant nothing.
#[derive(Clone, Copy, Debug)]
pub struct Credit {
    pub windows: Windows,
    pub patience: Duration,
}

/// The configuration of the realm.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub strict: bool,
    /// Whether every session must count its requests.
    pub strict_ids: bool,
    pub kill_wait: Duration,
    pub goodbye_wait: Duration,
    pub credit: Option<Credit>,
}

/// The state of a client's session in the dealer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Open,
    /// The router has sent GOODBYE and waits for the answer until this time.
    Closing(Time),
    Gone,
}

/// The way in which a peer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    Goodbye,
    Lost,
    Abort,
    Violation,
    Kicked,
}

#[derive(Clone)]
struct Peer {
    features: Features,
    standing: Standing,
    next_request: u64,
    next_invocation: u64,
    /// For how long the router did not read from the peer, and since when it currently does not.
    held: Duration,
    held_since: Option<Time>,
}

impl Peer {
    fn held(&self, now: Time) -> Duration {
        self.held + self.held_since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Upload {
    None,
    Open,
    Finished,
}

#[derive(Clone)]
struct Call {
    caller: usize,
    request: u64,
    callee: usize,
    invocation: u64,
    procedure: Procedure,
    wants_progress: bool,
    upload: Upload,
    timeout: Option<Duration>,
    /// The timeout that was forwarded to the callee.
    forwarded: u64,
    deadline: Option<Time>,
    /// When the callee was last heard, and for how long it had been held until then.
    since: (Time, Duration),
    /// For how long the callee had been held when the deadline was set.
    held: Duration,
    phase: Phase,
    ended_by: Option<Seen>,
    restarted: bool,
    chunks: usize,
    tag: Tag,
    registration: u64,
    /// No result has passed, and no second chunk.
    fresh: bool,
    /// Whether its caller asks for progress and takes it.
    asks: bool,
    /// Whether there was another callee when the call was made; and the callees that have refused it.
    others: bool,
    refused: Vec<usize>,
    /// Its results and its chunks, if a peer counts credit for them.
    results: Option<Flow>,
    chunked: Option<Flow>,
}

impl Call {
    /// A call without progress, chunks and timeout that has just begun: its caller and callee, each with its id for the
    /// call, its procedure and registration, and the time with that for which its callee has been held.
    fn new(
        (caller, request): (usize, u64),
        (callee, invocation): (usize, u64),
        (procedure, registration): (Procedure, u64),
        tag: Tag,
        since: (Time, Duration),
    ) -> Self {
        Self {
            caller,
            request,
            callee,
            invocation,
            procedure,
            wants_progress: false,
            upload: Upload::None,
            timeout: None,
            forwarded: 0,
            deadline: None,
            since,
            held: since.1,
            phase: Phase::Running,
            ended_by: None,
            restarted: false,
            chunks: 0,
            tag,
            registration,
            fresh: true,
            asks: false,
            others: false,
            refused: Vec::new(),
            results: None,
            chunked: None,
        }
    }
}

#[derive(Clone)]
struct Registration {
    id: u64,
    procedure: Procedure,
    shared: bool,
    /// The callees, each with whether it watches timeouts itself.
    callees: Vec<(usize, bool)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub late: u64,
    pub unsolicited: u64,
    pub timeouts: u64,
    pub violations: u64,
    pub results: u64,
    pub chunks: u64,
    pub slow_consumers: u64,
    pub void_credits: u64,
}

#[derive(Clone)]
pub struct Dealer {
    rules: Rules,
    peers: Vec<Peer>,
    calls: Vec<Call>,
    registrations: Vec<Registration>,
    next_registration: u64,
    /// The messages that must be sent, and their receivers.
    pub out: Vec<(usize, WireMessage)>,
    /// The clients whose sessions are over.
    pub closed: Vec<usize>,
    /// Several calls ended at once; the specification does not order their ends.
    pub unordered: bool,
    /// A rule that the model itself broke.
    pub broken: Option<Broken>,
    pub counts: Counts,
    /// Callees that will not learn of the end of a call and have an invocation of it. They get unlimited
    /// credit.
    not_informed: Vec<(usize, u64)>,
    /// The cost of the message being handled, on its way in and on its way out.
    pub wire: (u64, u64),
}

/// An input that is not a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    WireMessage(WireMessage),
    Garbage,
    Lost,
    /// The router closes the session.
    CloseByRouter,
}

impl Dealer {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            peers: Vec::new(),
            calls: Vec::new(),
            registrations: Vec::new(),
            next_registration: 0,
            out: Vec::new(),
            closed: Vec::new(),
            unordered: false,
            broken: None,
            counts: Counts::default(),
            not_informed: Vec::new(),
            wire: (0, 0),
        }
    }

    pub fn join(&mut self, features: Features) {
        self.peers.push(Peer {
            features,
            standing: Standing::Open,
            next_request: 1,
            next_invocation: 1,
            held: Duration::ZERO,
            held_since: None,
        });
    }

    pub fn hold(&mut self, now: Time, peer: usize, hold: bool) {
        let peer = &mut self.peers[peer];
        if peer.standing != Standing::Gone {
            peer.held = peer.held(now);
            peer.held_since = hold.then_some(now);
        }
    }

    pub fn standing(&self, peer: usize) -> Standing {
        self.peers[peer].standing
    }

    pub fn sessions(&self) -> usize {
        self.peers.iter().filter(|peer| peer.standing != Standing::Gone).count()
    }

    /// Returns the number of calls that have both ends and have not ended.
    pub fn calls(&self) -> usize {
        self.calls.iter().filter(|call| call.phase.is_alive()).count()
    }

    pub fn registrations(&self) -> usize {
        self.registrations.len()
    }

    /// Returns the number of callees that have calls of a registration with a limit, and whether calls are kept for
    /// other callees.
    pub fn loads(&self) -> (usize, bool) {
        let alive = || self.calls.iter().filter(|call| call.phase.is_alive());
        let counted = alive().filter(|call| crate::setup::concurrency(call.procedure).is_some());
        let loads: std::collections::BTreeSet<_> =
            counted.map(|call| (call.registration, call.callee)).collect();
        let keeps = |call: &Call| {
            let is_open = call.phase == Phase::Running && call.fresh;
            is_open && call.others && self.peers[call.callee].features.callee_reroute
        };
        (loads.len(), alive().any(keeps))
    }

    /// Returns the deadlines of running calls.
    pub fn call_deadlines(&self) -> impl Iterator<Item = Time> {
        self.calls.iter().filter(|call| call.phase.is_alive()).filter_map(|call| call.deadline)
    }

    pub fn deadlines(&self) -> Vec<Time> {
        let calls = self.call_deadlines();
        let patience = self.rules.credit.map_or(Duration::ZERO, |credit| credit.patience);
        let starved = self.calls.iter().flat_map(Call::flows).filter_map(|(_, flow)| flow.starved());
        let peers = self.peers.iter().filter_map(|peer| match peer.standing {
            Standing::Closing(until) => Some(until),
            _ => None,
        });
        calls.chain(peers).chain(starved.map(|since| since + patience)).collect()
    }

    /// `chosen` tells, by the tag of a CALL, which of several callees got its INVOCATION. The choice is free.
    pub fn handle(
        &mut self,
        now: Time,
        from: usize,
        input: &Input,
        chosen: &dyn Fn(Tag) -> Option<usize>,
        cover: &mut Coverage,
    ) {
        match (self.peers[from].standing, input) {
            (Standing::Gone, _) => {}
            (
                Standing::Closing(_),
                Input::WireMessage(WireMessage::Goodbye { .. } | WireMessage::Abort { .. }) | Input::Lost,
            ) => {
                self.gone(from);
            }
            (_, Input::Garbage) => self.violation(from, cover),
            (Standing::Closing(_), _) => {}
            (Standing::Open, Input::Lost) => {
                self.dispose(from, Leaving::Lost, cover);
                self.forget(from);
                self.gone(from);
            }
            (Standing::Open, Input::CloseByRouter) => {
                self.dispose(from, Leaving::Kicked, cover);
                self.say_goodbye(now, from, "wamp.close.killed");
            }
            (Standing::Open, Input::WireMessage(wire_message)) => {
                self.hear(now, from, wire_message, chosen, cover)
            }
        }
    }

    fn hear(
        &mut self,
        now: Time,
        from: usize,
        wire_message: &WireMessage,
        chosen: &dyn Fn(Tag) -> Option<usize>,
        cover: &mut Coverage,
    ) {
        match *wire_message {
            WireMessage::Register { request, procedure } => {
                if self.takes_id(from, request, cover) {
                    self.register(from, request, procedure);
                }
            }
            WireMessage::Unregister { request, procedure } => {
                if self.takes_id(from, request, cover) {
                    self.unregister(from, request, procedure);
                }
            }
            WireMessage::Call { request, procedure, more, wants_progress, timeout, tag } => {
                let call = NewCall { from, request, procedure, more, wants_progress, timeout, tag };
                self.call(now, call, chosen(tag), cover);
            }
            WireMessage::Cancel { request, mode } => self.cancel(now, from, request, mode, cover),
            WireMessage::Yield { invocation, progress, tag } => {
                self.answer(now, from, invocation, progress, (None, chosen), tag, cover);
            }
            WireMessage::Error { kind: OF_INVOCATION, request, error, tag } => {
                self.answer(now, from, request, false, (Some(error), chosen), tag, cover);
            }
            WireMessage::Credit { request, chunks, total } => {
                self.credited(from, request, chunks, total, cover)
            }
            WireMessage::Goodbye { .. } => {
                self.dispose(from, Leaving::Goodbye, cover);
                self.out.push((from, WireMessage::Goodbye { reason: "wamp.close.goodbye_and_out" }));
                self.gone(from);
            }
            WireMessage::Abort { .. } => {
                self.dispose(from, Leaving::Abort, cover);
                self.forget(from);
                self.gone(from);
            }
            _ => self.violation(from, cover),
        }
    }

    // behaviour 2
    fn takes_id(&mut self, from: usize, request: u64, cover: &mut Coverage) -> bool {
        let mut calls = self.calls.iter().filter(|call| (call.caller, call.request) == (from, request));
        let peer = &mut self.peers[from];
        let takes = if self.rules.strict_ids || peer.features.caller_chunks {
            let next = peer.next_request == request;
            peer.next_request += u64::from(next);
            next
        } else {
            let is_used = calls.clone().any(|call| call.phase.is_alive());
            if is_used {
                cover.hit(Seen::IdInUse);
            } else if calls.next().is_some() {
                cover.hit(Seen::IdUsedAgain);
            }
            !is_used
        };
        if !takes {
            self.violation(from, cover);
        }
        takes
    }

    fn register(&mut self, from: usize, request: u64, procedure: Procedure) {
        let shared = crate::setup::is_shared(procedure);
        let forward = crate::setup::forwards_timeout(procedure) && self.peers[from].features.callee_timeout;
        match self.registrations.iter_mut().find(|registration| registration.procedure == procedure) {
            None => {
                self.next_registration += 1;
                let (id, callees) = (self.next_registration, vec![(from, forward)]);
                self.registrations.push(Registration { id, procedure, shared, callees });
            }
            Some(registration)
                if registration.shared && registration.callees.iter().all(|(callee, _)| *callee != from) =>
            {
                registration.callees.push((from, forward));
            }
            Some(_) => {
                let error = "wamp.error.procedure_already_exists";
                return self
                    .out
                    .push((from, WireMessage::Error { kind: OF_REGISTER, request, error, tag: 0 }));
            }
        }
        self.out.push((from, WireMessage::Registered { request }));
    }

    // behaviour 43: running calls go on.
    fn unregister(&mut self, from: usize, request: u64, procedure: Option<Procedure>) {
        let held = self.registrations.iter_mut().find(|registration| {
            Some(registration.procedure) == procedure && registration.callees.iter().any(|(c, _)| *c == from)
        });
        let Some(registration) = held else {
            let error = "wamp.error.no_such_registration";
            return self.out.push((from, WireMessage::Error { kind: OF_UNREGISTER, request, error, tag: 0 }));
        };
        registration.callees.retain(|(callee, _)| *callee != from);
        self.registrations.retain(|registration| !registration.callees.is_empty());
        self.out.push((from, WireMessage::Unregistered { request }));
    }
}

#[derive(Clone, Copy)]
struct NewCall {
    from: usize,
    request: u64,
    procedure: Procedure,
    more: bool,
    wants_progress: bool,
    timeout: u64,
    tag: Tag,
}

fn end(call: &mut Call, phase: Phase, by: Seen, cover: &mut Coverage) {
    call.phase = phase;
    call.deadline = None;
    (call.results, call.chunked) = (None, None);
    call.ended_by = Some(by);
    cover.hit(by);
}
