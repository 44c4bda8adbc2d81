//! The invariants, written without the machines under test.
//!
//! 1. Each call ends exactly once.
//! 2. A call is repeated only if its program asked for that.
//! 3. A call that has delivered a progressive result is never repeated.
//! 4. A call that may not be carried out twice reaches a router once.
//! 5. A call that has reached a router is never reported as unsent, even if it was repeated.
//! 6. In each session the first requests are the declarations, each once, in the order in which they were made.
//! 7. At `Up`, each declaration is up exactly once, or waits for a shadow, or has had no answer for 10 s.
//! 8. When nothing is lost any more, each declaration is up exactly once, and nothing else.
//! 9. No declaration is lost, unless a shadow has held its procedure for 60 s.
//! 10. Only shadows are probed, each once at a time.
//! 11. When nothing is lost any more, no declaration waits longer than 2.5 s for a shadow.

use std::collections::{BTreeMap, VecDeque};

use wamp_core::reconnect::{DeclarationId, Retry};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallNo(usize);

#[derive(Clone, Debug)]
struct Call {
    retry: Option<Retry>,
    ends: usize,
    made: usize,
    shown: usize,
    reached: usize,
}

#[derive(Clone, Debug, Default)]
pub struct Ledger {
    calls: BTreeMap<CallNo, Call>,
    /// The declarations that must come first in the present session.
    due: VecDeque<DeclarationId>,
    routers: u32,
    faults: Vec<String>,
    /// Counters of events, to detect a test in which nothing happens.
    pub sessions: usize,
    pub repeated: usize,
    pub declared_again: usize,
    pub probed: usize,
}

impl Ledger {
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    pub fn fail(&mut self, text: &str) {
        self.faults.push(text.to_owned());
    }

    fn check(&mut self, holds: bool, text: &str) {
        if !holds {
            self.fail(text);
        }
    }

    pub fn next_router(&mut self) -> u32 {
        self.routers += 1;
        self.routers
    }

    pub fn begin_session(&mut self, declarations: Vec<DeclarationId>) {
        self.sessions += 1;
        self.due = declarations.into();
    }

    pub fn declares(&mut self, id: DeclarationId) {
        if let Some(due) = self.due.pop_front() {
            self.check(due == id, "6: declared out of order");
            self.declared_again += 1;
        }
    }

    pub fn withdraws(&mut self, id: DeclarationId) {
        self.due.retain(|due| *due != id);
    }

    pub fn begin(&mut self, retry: Option<Retry>) -> CallNo {
        let number = CallNo(self.calls.len());
        let call = Call { retry, ends: 0, made: 0, shown: 0, reached: 0 };
        self.calls.insert(number, call);
        number
    }

    fn call(&mut self, number: CallNo) -> &mut Call {
        self.calls.get_mut(&number).expect("it has begun")
    }

    pub fn makes(&mut self, number: CallNo) {
        let is_due = !self.due.is_empty();
        self.check(!is_due, "6: a call before the declarations");
        let call = self.call(number);
        call.made += 1;
        let Call { retry, ends, made, shown, .. } = call.clone();
        self.check(ends == 0, "1: made after its end");
        self.check(made == 1 || retry.is_some(), "2: made again without being asked for");
        self.check(shown == 0, "3: made again after a progressive result");
        self.repeated += usize::from(made > 1);
    }

    pub fn reached_router(&mut self, number: CallNo) {
        let call = self.call(number);
        call.reached += 1;
        let Call { retry, reached, .. } = call.clone();
        let is_idempotent = retry.is_some_and(|retry| retry == Retry::idempotent().times(2));
        self.check(reached == 1 || is_idempotent, "4: carried out twice");
    }

    pub fn shows(&mut self, number: CallNo) {
        let call = self.call(number);
        call.shown += 1;
        let ends = call.ends;
        self.check(ends == 0, "1: a progressive result after the end");
    }

    pub fn broken(&mut self, number: CallNo, was_sent: bool) {
        let reached = self.call(number).reached;
        self.check(was_sent || reached == 0, "5: said to be unsent, and it has reached a router");
    }

    pub fn end(&mut self, number: CallNo) {
        let call = self.call(number);
        call.ends += 1;
        let ends = call.ends;
        self.check(ends == 1, "1: a second end");
    }

    pub fn check_ended(&mut self) {
        let endless = self.calls.values().filter(|call| call.ends == 0).count();
        self.check(endless == 0, "1: a call without an end");
    }
}
