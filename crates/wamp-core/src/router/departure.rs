//! The end of a session, of many calls at once, and of the realm, in portions.
//!
//! A session may have 65,536 calls, registrations and subscriptions. A session that ends is taken out of the
//! table of sessions at once, so that nothing finds it any more; its entries in the other tables are removed
//! in portions, so that the realm serves other sessions in between. Code that meets such an entry meanwhile
//! treats it as gone:
//!
//! | left behind by the session | met by | effect |
//! |---|---|---|
//! | a call that it made | a reply | the call ends, with INTERRUPT |
//! | a call that it was to answer | CANCEL, a timeout | the call ends with their ERROR |
//! | | a chunk | discarded; the ERROR follows |
//! | a registration | CALL, REGISTER | removed, and looked up again |
//! | a subscription | PUBLISH | skipped |

use std::collections::VecDeque;

use wamp_proto::message::CancelMode;
use wamp_proto::{SubscriptionId, uri};

use super::dealer::CallKey;
use super::dealer::RegistrationKey;
use super::realm::{Closing, Event, Realm};
use super::sessions::SessionKey;

/// How many entries of the tables one input of the realm handles at most: about half a millisecond.
pub(super) const PORTION: usize = 256;

const SHUTTING_DOWN: &str = "the router is shutting down";

/// Work that is done in portions, in the order in which it came up.
#[derive(Clone, Default)]
pub(super) struct Backlog {
    tasks: VecDeque<Task>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

#[derive(Clone)]
enum Task {
    /// Removes the entries of a session that is over.
    Remove(Box<Remains>),
    /// Ends calls of a stalled session; the first is the last of the list.
    EndSlow(Vec<CallKey>),
    /// Tells the callers of all sessions that their calls end, before any of them hears GOODBYE.
    FailInvocations { sessions: Vec<SessionKey>, calls: Vec<CallKey> },
    /// Says GOODBYE to sessions that take it, and ends the others, the last of the list first.
    Close(Vec<SessionKey>),
}

/// The entries of a session in the tables of the realm.
#[derive(Clone)]
struct Remains {
    session: SessionKey,
    registrations: Vec<RegistrationKey>,
    calls: Vec<CallKey>,
    invocations: Vec<CallKey>,
    subscriptions: Vec<SubscriptionId>,
}

impl Realm {
    /// Takes a session out of the realm; the backlog removes its entries. `false`: it was not there.
    pub(super) fn depart(&mut self, key: SessionKey) -> bool {
        self.forget_holds(key);
        let Some(session) = self.sessions.remove(key) else { return false };
        self.backlog.tasks.push_back(Task::Remove(Box::new(Remains {
            session: key,
            registrations: session.registrations.into_values().collect(),
            calls: session.calls.into_values().collect(),
            invocations: session.invocations.into_values().collect(),
            subscriptions: session.subscriptions.into_keys().collect(),
        })));
        true
    }

    /// Ends calls since one of their ends does not keep up, in this order.
    pub(super) fn end_all_slow(&mut self, mut calls: Vec<CallKey>) {
        calls.reverse();
        self.backlog.tasks.push_back(Task::EndSlow(calls));
        self.work_off(&mut { PORTION });
    }

    /// Ends all calls, then all sessions.
    pub(super) fn begin_shutdown(&mut self) {
        let mut sessions = self.sessions.keys();
        sessions.reverse();
        let calls = Vec::new();
        self.backlog.tasks.push_back(Task::FailInvocations { sessions: sessions.clone(), calls });
        self.backlog.tasks.push_back(Task::Close(sessions));
        self.work_off(&mut { PORTION });
    }

    /// Whether the realm has been shut down and all its sessions have ended.
    pub fn has_ended(&self) -> bool {
        self.is_shutting_down && self.backlog.is_empty() && self.sizes().sessions == 0
    }

    /// Handles up to `left` entries, and subtracts their number.
    pub(super) fn work_off(&mut self, left: &mut usize) {
        while *left > 0
            && let Some(mut task) = self.backlog.tasks.pop_front()
        {
            while *left > 0 && self.step(&mut task) {
                *left -= 1;
            }
            // A task that has used up the portion may be at its end; the next portion finds out.
            if *left == 0 {
                self.backlog.tasks.push_front(task);
            }
        }
    }

    /// Handles one entry. `false`: there was none left.
    fn step(&mut self, task: &mut Task) -> bool {
        match task {
            Task::Remove(remains) => self.remove_one(remains),
            Task::EndSlow(calls) => calls.pop().map(|call| self.end_slow(call)).is_some(),
            Task::FailInvocations { sessions, calls } => {
                if let Some(call) = calls.pop() {
                    self.fail(call, uri::CANCELED, SHUTTING_DOWN);
                    return true;
                }
                let Some(session) = sessions.pop() else { return false };
                if let Some(session) = self.sessions.get_mut(session) {
                    *calls = session.invocations.values().copied().collect();
                }
                true
            }
            Task::Close(sessions) => {
                let Some(session) = sessions.pop() else { return false };
                if self.sessions.get(session).is_some_and(|session| session.without_goodbye) {
                    self.depart(session);
                    self.events.push_back(Event::Closed { session, closing: Closing::Restart });
                    return true;
                }
                self.say_goodbye(self.now, session, uri::SYSTEM_SHUTDOWN, SHUTTING_DOWN);
                true
            }
        }
    }

    fn remove_one(&mut self, remains: &mut Remains) -> bool {
        let key = remains.session;
        if let Some(registration) = remains.registrations.pop() {
            self.dealer.procedures.remove(registration, key);
        } else if let Some(call) = remains.calls.pop() {
            self.interrupt(call, CancelMode::KillNoWait, uri::CLOSE_REALM);
            self.end(call);
        } else if let Some(call) = remains.invocations.pop() {
            self.fail(call, uri::CANCELED, "the callee is gone");
        } else if let Some(subscription) = remains.subscriptions.pop() {
            self.broker.topics.unsubscribe(subscription, key);
        } else {
            return false;
        }
        true
    }
}
