//! A client's end of a session as the specification and `behaviour.md` describe it. For each command of its
//! program and each message of the router it states the messages that must be sent and the events for the
//! program. It shares nothing with the crate under test.

mod credit;

use std::collections::BTreeMap;
use std::time::Duration;

use wamp_core::Time;

pub use credit::Counting;

use crate::account::{Meter, Purse, Stream};
use crate::coverage::{Coverage, Phase, Role, Seen};
use crate::wire_message::{
    Answer, Mode, OF_CALL, OF_INVOCATION, OF_REGISTER, OF_UNREGISTER, Procedure, Tag, WireMessage,
};

const CANCELED: &str = "wamp.error.canceled";
const LEAVE_WAIT: Duration = Duration::from_secs(5);

/// An event for a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Observed {
    Joined,
    Registered { request: u64 },
    Unregistered { request: u64 },
    Refused { request: u64, error: &'static str },
    Progress { call: u64, tag: Tag, cost: u64 },
    Result { call: u64, tag: Tag },
    Error { call: u64, error: &'static str, tag: Tag },
    Invoked { invocation: u64, more: bool, wants_progress: bool, tag: Tag },
    Chunk { invocation: u64, last: bool, tag: Tag, cost: u64 },
    Credit { stream: Stream },
    Interrupted { invocation: u64, mode: Mode, reason: &'static str },
    Closed(How),
}

/// The way in which a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    Left,
    ByRouter,
    Aborted,
    Violation,
    Lost,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Leaving(Time),
    Closed,
}

#[derive(Clone)]
struct Call {
    wants_progress: bool,
    phase: Phase,
    /// The procedure, until the last chunk.
    upload: Option<Procedure>,
    results: Option<Meter>,
    chunks: Option<Purse>,
}

#[derive(Clone)]
struct Invocation {
    wants_progress: bool,
    phase: Phase,
    uploading: bool,
    answers_cancel: bool,
    timeout: Option<Duration>,
    deadline: Option<Time>,
    results: Option<Purse>,
    chunks: Option<Meter>,
}

#[derive(Clone)]
pub struct Endpoint {
    counting: Option<Counting>,
    state: State,
    next_request: u64,
    /// All calls ever made.
    calls: BTreeMap<u64, Call>,
    /// All invocations ever received.
    invocations: BTreeMap<u64, Invocation>,
    pub out: Vec<WireMessage>,
    pub observed: Vec<Observed>,
    /// Several invocations timed out at once; the specification does not order their ends.
    pub unordered: bool,
    pub late: u64,
    pub unsolicited: u64,
    pub unknown: u64,
    /// The streams for which a delayed grant is due now.
    owed: Vec<Stream>,
}

impl Endpoint {
    pub fn new(counting: Option<Counting>) -> Self {
        Self {
            counting,
            state: State::Open,
            next_request: 1,
            calls: BTreeMap::new(),
            invocations: BTreeMap::new(),
            out: Vec::new(),
            observed: Vec::new(),
            unordered: false,
            late: 0,
            unsolicited: 0,
            unknown: 0,
            owed: Vec::new(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Returns the time until which it waits for the answer to its GOODBYE.
    pub fn leaves_until(&self) -> Option<Time> {
        match self.state {
            State::Leaving(until) => Some(until),
            _ => None,
        }
    }

    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Returns the numbers of running calls and invocations.
    pub fn in_flight(&self) -> (usize, usize) {
        let calls = self.calls.values().filter(|call| call.phase.is_alive()).count();
        (calls, self.invocations.values().filter(|invocation| invocation.phase.is_alive()).count())
    }

    pub fn deadline(&self) -> Option<Time> {
        let until = match self.state {
            State::Leaving(until) => Some(until),
            State::Open => None,
            State::Closed => return None,
        };
        let delayed = self.meters().filter_map(|(_, meter)| meter.delayed);
        let timeouts = self.invocations.values().filter_map(|invocation| invocation.deadline);
        timeouts.chain(delayed).chain(until).min()
    }

    /// Returns whether it watches the timeout of an invocation.
    pub fn has_deadline(&self) -> bool {
        self.invocations.values().any(|invocation| invocation.deadline.is_some())
    }

    /// Returns the state of one of its calls.
    pub fn call_phase(&self, call: u64) -> Option<(Phase, bool)> {
        self.calls.get(&call).map(|call| (call.phase, call.wants_progress))
    }

    pub fn invocation_phase(&self, invocation: u64) -> Option<Phase> {
        self.invocations.get(&invocation).map(|invocation| invocation.phase)
    }

    fn send(&mut self, wire_message: WireMessage) {
        // behaviour 44: after GOODBYE a peer makes no more requests.
        if self.state == State::Open {
            self.out.push(wire_message);
        }
    }

    fn request(&mut self) -> Option<u64> {
        if self.state != State::Open {
            return None;
        }
        self.next_request += 1;
        Some(self.next_request - 1)
    }

    // Commands of its program: whether each is possible.

    pub fn register(&mut self, procedure: Procedure) -> Option<u64> {
        let request = self.request()?;
        self.send(WireMessage::Register { request, procedure });
        Some(request)
    }

    pub fn unregister(&mut self, procedure: Procedure) -> Option<u64> {
        let request = self.request()?;
        self.send(WireMessage::Unregister { request, procedure: Some(procedure) });
        Some(request)
    }

    pub fn call(
        &mut self,
        procedure: Procedure,
        more: bool,
        wants_progress: bool,
        timeout: u64,
        tag: Tag,
    ) -> Option<u64> {
        let request = self.request()?;
        let upload = more.then_some(procedure);
        let results = self.counting.filter(|_| wants_progress).map(Counting::meter);
        let chunks = self.counting.filter(|_| more).map(Counting::purse);
        self.calls.insert(request, Call { wants_progress, phase: Phase::Running, upload, results, chunks });
        self.send(WireMessage::Call { request, procedure, more, wants_progress, timeout, tag });
        Some(request)
    }

    pub fn chunk(&mut self, call: u64, last: bool, tag: Tag) -> bool {
        let Some(entry) = self.calls.get_mut(&call).filter(|call| call.phase.is_alive()) else {
            return false;
        };
        let Some(procedure) = entry.upload else { return false };
        if !last && entry.chunks.is_some_and(|purse| !purse.may_send()) {
            return false;
        }
        if last {
            entry.upload = None;
        }
        self.send(WireMessage::Call {
            request: call,
            procedure,
            more: !last,
            wants_progress: false,
            timeout: 0,
            tag,
        });
        true
    }

    pub fn cancel(&mut self, call: u64, mode: Mode) -> bool {
        let Some(entry) = self.calls.get_mut(&call).filter(|call| call.phase.is_alive()) else {
            return false;
        };
        if mode == Mode::Kill {
            if entry.phase == Phase::Running {
                entry.phase = Phase::Canceling;
                self.send(WireMessage::Cancel { request: call, mode: Some(mode) });
            }
            return true;
        }
        entry.phase = Phase::Abandoned;
        self.send(WireMessage::Cancel { request: call, mode: Some(mode) });
        self.observed.push(Observed::Error { call, error: CANCELED, tag: 0 });
        true
    }

    pub fn answer(
        &mut self,
        now: Time,
        invocation: u64,
        answer: Answer,
        tag: Tag,
        cover: &mut Coverage,
    ) -> bool {
        if self.state != State::Open {
            return false;
        }
        let Some(entry) = self.invocations.get_mut(&invocation) else { return false };
        cover.cell(Role::Callee, entry.phase, entry.wants_progress, answer.is_progress());
        if !entry.phase.is_alive() || answer.is_progress() && !entry.wants_progress {
            return false;
        }
        let dry = entry.results.is_some_and(|purse| !purse.may_send());
        if dry && answer.is_progress() {
            return false;
        }
        if dry {
            cover.hit(Seen::CreditFreeEnd);
        }
        if answer.is_progress() {
            entry.deadline = entry.timeout.map(|timeout| now + timeout);
        } else {
            entry.phase = Phase::Over;
            entry.deadline = None;
        }
        self.send(match answer.error() {
            Some(error) => WireMessage::Error { kind: OF_INVOCATION, request: invocation, error, tag },
            None => WireMessage::Yield { invocation, progress: answer.is_progress(), tag },
        });
        true
    }

    pub fn answer_cancel_myself(&mut self, invocation: u64) -> bool {
        let alive = self.invocations.get_mut(&invocation).filter(|invocation| invocation.phase.is_alive());
        alive.map(|invocation| invocation.answers_cancel = true).is_some()
    }

    pub fn leave(&mut self, now: Time) -> bool {
        let open = self.is_open();
        if open {
            self.send(WireMessage::Goodbye { reason: "wamp.close.close_realm" });
            self.state = State::Leaving(now + LEAVE_WAIT);
        }
        open
    }

    // Inputs.

    pub fn garbage(&mut self) {
        if !self.is_closed() {
            // ABORT overtakes unsent messages; the model's wires accept everything at once.
            self.out.push(WireMessage::Abort { reason: "wamp.error.protocol_violation" });
            self.close(How::Violation);
        }
    }

    pub fn lost(&mut self) {
        match self.state {
            State::Open => self.close(How::Lost),
            State::Leaving(_) => self.close(How::Left),
            State::Closed => {}
        }
    }

    pub fn handle_timeout(&mut self, now: Time) {
        if matches!(self.state, State::Leaving(until) if until <= now) {
            return self.close(How::Left);
        }
        self.unordered = true;
        self.grants_are_due(now);
        let due = |invocation: &Invocation| invocation.deadline.is_some_and(|deadline| deadline <= now);
        let due: Vec<u64> =
            self.invocations.iter().filter(|(_, invocation)| due(invocation)).map(|(id, _)| *id).collect();
        for invocation in due {
            if let Some(entry) = self.invocations.get_mut(&invocation) {
                entry.deadline = None;
                entry.phase = Phase::Abandoned;
            }
            let error = "wamp.error.timeout";
            self.send(WireMessage::Error { kind: OF_INVOCATION, request: invocation, error, tag: 0 });
            self.observed.push(Observed::Interrupted { invocation, mode: Mode::KillNoWait, reason: error });
        }
    }

    /// Handles a message from the router; `cost` is the cost of the message.
    pub fn hear(&mut self, now: Time, wire_message: &WireMessage, cost: u64, cover: &mut Coverage) {
        if self.is_closed() {
            return;
        }
        match *wire_message {
            WireMessage::Registered { request } => self.observed.push(Observed::Registered { request }),
            WireMessage::Unregistered { request } => self.observed.push(Observed::Unregistered { request }),
            WireMessage::Error { kind: OF_REGISTER | OF_UNREGISTER, request, error, .. } => {
                self.observed.push(Observed::Refused { request, error });
            }
            WireMessage::Result { request, progress: true, tag } => {
                self.reply(now, request, Observed::Progress { call: request, tag, cost }, cover);
            }
            WireMessage::Result { request, tag, .. } => {
                self.reply(now, request, Observed::Result { call: request, tag }, cover);
            }
            WireMessage::Error { kind: OF_CALL, request, error, tag } => {
                self.reply(now, request, Observed::Error { call: request, error, tag }, cover);
            }
            WireMessage::Invocation { .. } => self.invoked(now, wire_message, cost, cover),
            WireMessage::Credit { request, chunks, total } => {
                self.credited(now, request, chunks, total, cover)
            }
            WireMessage::Interrupt { invocation, mode, reason } => {
                self.interrupted(invocation, mode, reason, cover)
            }
            WireMessage::Goodbye { .. } => {
                if self.is_open() {
                    self.send(WireMessage::Goodbye { reason: "wamp.close.goodbye_and_out" });
                    self.close(How::ByRouter);
                } else {
                    if *wire_message != (WireMessage::Goodbye { reason: "wamp.close.goodbye_and_out" }) {
                        cover.hit(Seen::GoodbyesCrossed);
                    }
                    self.close(How::Left);
                }
            }
            WireMessage::Abort { .. } => self.close(How::Aborted),
            _ => panic!("a message that no router sends: {wire_message:?}"),
        }
    }

    fn reply(&mut self, now: Time, call: u64, observed: Observed, cover: &mut Coverage) {
        let progress = matches!(observed, Observed::Progress { .. });
        let Some(entry) = self.calls.get_mut(&call) else {
            // A request of another kind, or none at all.
            if call < self.next_request {
                self.late += 1
            } else {
                self.unknown += 1
            }
            return;
        };
        cover.cell(Role::Caller, entry.phase, entry.wants_progress, progress);
        match entry.phase {
            Phase::Abandoned | Phase::Over => {
                self.late += 1;
                if entry.phase == Phase::Abandoned {
                    cover.hit(Seen::ReplyAfterLocalCancel);
                }
                if !progress {
                    entry.phase = Phase::Over;
                }
            }
            _ if progress && !entry.wants_progress => self.unsolicited += 1,
            phase => {
                let mut observed = observed;
                if let Observed::Progress { cost, .. } = &mut observed {
                    *cost = self.receive(Stream::results(call), *cost);
                    if phase == Phase::Canceling && *cost > 0 {
                        // A program that has canceled need not consume it.
                        self.consume(now, Stream::results(call), std::mem::take(cost));
                        cover.hit(Seen::CreditAfterKill);
                    }
                } else {
                    entry.phase = Phase::Over;
                }
                self.observed.push(observed);
            }
        }
    }

    fn invoked(&mut self, now: Time, wire_message: &WireMessage, cost: u64, cover: &mut Coverage) {
        let WireMessage::Invocation { invocation, more, wants_progress, timeout, tag, .. } = *wire_message
        else {
            return;
        };
        if let Some(entry) = self.invocations.get_mut(&invocation) {
            if !entry.phase.is_alive() {
                // behaviour 4
                cover.hit(Seen::ChunkLateAtCallee);
                self.late += 1;
                return;
            }
            assert!(entry.uploading, "the router sends no chunk after the last");
            entry.uploading = more;
            let cost = if more { self.receive(Stream::chunks(invocation), cost) } else { 0 };
            return self.observed.push(Observed::Chunk { invocation, last: !more, tag, cost });
        }
        if matches!(self.state, State::Leaving(_)) {
            cover.hit(Seen::InvokedWhileLeaving);
        }
        // behaviour 39
        let timeout = (timeout > 0).then(|| Duration::from_millis(timeout));
        let results = self.counting.filter(|_| wants_progress).map(Counting::purse);
        let chunks = self.counting.filter(|_| more).map(Counting::meter);
        let dry = results.is_some_and(|purse| !purse.may_send());
        let deadline = timeout.filter(|_| !dry).map(|timeout| now + timeout);
        let (phase, answers_cancel, uploading) = (Phase::Running, false, more);
        let entry = Invocation {
            wants_progress,
            phase,
            uploading,
            answers_cancel,
            timeout,
            deadline,
            results,
            chunks,
        };
        self.invocations.insert(invocation, entry);
        self.observed.push(Observed::Invoked { invocation, more, wants_progress, tag });
        // The first chunk is consumed with the invocation.
        if self.receive(Stream::chunks(invocation), cost) > 0 {
            self.consume(now, Stream::chunks(invocation), cost);
        }
    }

    // behaviour 31, behaviour 32, behaviour 33
    fn interrupted(&mut self, invocation: u64, mode: Mode, reason: &'static str, cover: &mut Coverage) {
        let Some(entry) = self.invocations.get_mut(&invocation).filter(|entry| entry.phase.is_alive()) else {
            cover.hit(Seen::InterruptCrossedYield);
            self.late += 1;
            return;
        };
        if mode == Mode::Kill && entry.answers_cancel {
            if entry.phase == Phase::Canceling {
                return;
            }
            entry.phase = Phase::Canceling;
        } else {
            entry.phase = Phase::Abandoned;
            entry.deadline = None;
            if mode == Mode::Kill {
                self.send(WireMessage::Error {
                    kind: OF_INVOCATION,
                    request: invocation,
                    error: CANCELED,
                    tag: 0,
                });
            }
        }
        self.observed.push(Observed::Interrupted { invocation, mode, reason });
    }

    fn close(&mut self, how: How) {
        self.state = State::Closed;
        for call in self.calls.values_mut().filter(|call| call.phase.is_alive()) {
            call.phase = Phase::Over;
        }
        for invocation in self.invocations.values_mut() {
            invocation.deadline = None;
            if invocation.phase.is_alive() {
                invocation.phase = Phase::Over;
            }
        }
        self.observed.push(Observed::Closed(how));
    }
}
