//! The end of a session, of many calls at once, and of the realm, in portions.
//!
//! A session may have 65,536 calls, registrations and subscriptions. When it ends it is removed from the table
//! of sessions at once; its entries in the other tables are removed in portions, so that the realm serves other
//! sessions in between (behaviour [87](crate::behaviour#rule-87)): calls, then registrations and subscriptions by
//! their ids, then its testaments are published, and then `wamp.session.on_leave` (behaviour
//! [175](crate::behaviour#rule-175)). Such an entry is treated as gone:
//!
//! | left behind by the session | met by | effect |
//! |---|---|---|
//! | a call that it made | a reply | the call ends, with INTERRUPT |
//! | a call that it was to answer | CANCEL, a timeout | the call ends with their ERROR |
//! | | a chunk | discarded; the ERROR follows |
//! | a registration | CALL, REGISTER | removed, and looked up again |
//! | a subscription | PUBLISH | skipped |

use std::collections::VecDeque;
use std::sync::Arc;

use wamp_proto::{SubscriptionId, Uri, uri};

use super::dealer::{self, CallKey};
use super::event::{Closing, Event};
use super::meta::Testaments;
use super::realm::Realm;
use super::reconfigure::Judgement;
use super::sessions::{Session, SessionKey};
use super::waiting::Ticket;
use crate::auth::Identity;

/// The largest number of table entries that one input of the realm handles: about half a millisecond.
pub(super) const PORTION: usize = 256;

/// The number of entries that a testament counts as, since it may have many receivers.
const TESTAMENT: usize = 32;

/// Why a realm ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The router shuts down.
    Shutdown,
    /// The realm is not configured any more.
    Removed,
}

impl Ending {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Shutdown => "the router is shutting down",
            Self::Removed => "the realm has been removed",
        }
    }

    /// The reason of GOODBYE.
    fn reason(self) -> Uri {
        match self {
            Self::Shutdown => uri::SYSTEM_SHUTDOWN,
            Self::Removed => uri::CLOSE_REALM,
        }
    }

    /// The reason and the text of the ABORT for a link that comes too late.
    pub(super) fn refusal(self) -> (Uri, String) {
        let reason = match self {
            Self::Shutdown => uri::SYSTEM_SHUTDOWN,
            Self::Removed => uri::NO_SUCH_REALM,
        };
        (reason, self.text().to_owned())
    }
}

/// Work that is done in portions, in its order.
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
    /// Tells the callers of all sessions that their calls end, before any of them gets GOODBYE.
    FailInvocations { sessions: Vec<SessionKey>, calls: Vec<CallKey>, ending: Ending },
    /// Sends GOODBYE to sessions that another one ends, the last of the list first.
    Kill { sessions: Vec<SessionKey>, reason: Uri, message: Option<String> },
    /// Sends GOODBYE to sessions that take it, and ends the others, the last of the list first.
    Close { sessions: Vec<SessionKey>, ending: Ending },
    /// Judges sessions by a configuration that has changed.
    Judge(Box<Judgement>),
    /// Gives waiting calls to callees that have room.
    ServeQueued,
}

/// The entries of a session in the tables of the realm.
#[derive(Clone)]
struct Remains {
    session: SessionKey,
    /// `None` when its end has been published.
    identity: Option<Arc<Identity>>,
    dealer: dealer::Remains,
    subscriptions: Vec<SubscriptionId>,
    testaments: Testaments,
}

impl Realm {
    /// Removes a session from the realm; the backlog removes its entries. Returns `false` if it was not there.
    pub(super) fn depart(&mut self, key: SessionKey) -> bool {
        self.holds.forget(&mut self.cx, key);
        let Some(session) = self.cx.sessions.remove(key) else { return false };
        if let Some(deadline) = self.cx.probed.remove(&key) {
            self.cx.deadlines.clear(deadline);
        }
        if let Some(waiting) = &session.waiting {
            self.cx.stats.requests_dropped += waiting.queue.len() as u64;
            for deadline in waiting.deadlines() {
                self.cx.deadlines.clear(deadline);
            }
            waiting.asked().for_each(|number| self.cx.void(Ticket { session: key, number }));
        }
        self.backlog.tasks.push_back(Task::Remove(Box::new(Remains {
            session: key,
            identity: Some(session.identity),
            dealer: session.dealer.into_remains(),
            subscriptions: session.broker.into_remains(),
            testaments: session.meta.map(|meta| meta.into_testaments()).unwrap_or_default(),
        })));
        true
    }

    /// Ends calls because one of their peers does not keep up, in this order.
    pub(super) fn end_all_slow(&mut self, mut calls: Vec<CallKey>) {
        calls.reverse();
        self.backlog.tasks.push_back(Task::EndSlow(calls));
        self.work_off(&mut { PORTION });
    }

    /// Ends sessions with GOODBYE, in this order; of many, the others follow in portions.
    pub(super) fn kill_all(
        &mut self,
        mut sessions: Vec<SessionKey>,
        reason: Uri,
        message: Option<String>,
        silently: bool,
    ) {
        if silently {
            self.cx.silenced.extend(sessions.iter().copied());
        }
        sessions.reverse();
        self.backlog.tasks.push_back(Task::Kill { sessions, reason, message });
        self.work_off(&mut { PORTION });
    }

    /// Ends all calls, then all sessions, unless that has begun.
    pub(super) fn begin_ending(&mut self, ending: Ending) {
        if self.cx.ending.is_some() {
            return;
        }
        self.cx.ending = Some(ending);
        let mut sessions = self.cx.sessions.keys();
        sessions.reverse();
        let calls = self.dealer.queued_calls();
        self.backlog.tasks.push_back(Task::FailInvocations { sessions: sessions.clone(), calls, ending });
        self.close_all(sessions, ending);
    }

    /// Gives waiting calls to callees that have room; of many, the others follow in portions.
    #[cold]
    pub(super) fn serve_queued(&mut self) {
        let mut left = PORTION;
        while left > 0 && self.dealer.serve_queued(&mut self.cx) {
            left -= 1;
        }
        let serves = |task: &Task| matches!(task, Task::ServeQueued);
        if self.dealer.has_room_for_queued() && !self.backlog.tasks.iter().any(serves) {
            self.backlog.tasks.push_back(Task::ServeQueued);
        }
    }

    /// Sends GOODBYE to sessions that take it, and ends the others, the last of the list first; of many, the others
    /// follow in portions.
    pub(super) fn close_all(&mut self, sessions: Vec<SessionKey>, ending: Ending) {
        self.backlog.tasks.push_back(Task::Close { sessions, ending });
        self.work_off(&mut { PORTION });
    }

    /// Judges sessions; of many, the others follow in portions.
    pub(super) fn judge_all(&mut self, judgement: Judgement) {
        self.backlog.tasks.push_back(Task::Judge(Box::new(judgement)));
        self.work_off(&mut { PORTION });
    }

    /// Whether the realm has been shut down or closed and all its sessions have ended.
    pub fn has_ended(&self) -> bool {
        self.cx.ending.is_some() && self.backlog.is_empty() && self.sizes().sessions == 0
    }

    /// Handles up to `left` entries, and subtracts their number.
    pub(super) fn work_off(&mut self, left: &mut usize) {
        while *left > 0
            && let Some(mut task) = self.backlog.tasks.pop_front()
        {
            while *left > 0
                && let Some(cost) = self.step(&mut task)
            {
                *left = left.saturating_sub(cost);
            }
            self.pass_on();
            // A task that has used up the portion may be complete; the next portion checks that.
            if *left == 0 {
                match task {
                    // Sessions that are over take turns, and nothing else waits for all that they leave behind.
                    Task::Remove(_) | Task::Judge(_) => self.backlog.tasks.push_back(task),
                    _ => self.backlog.tasks.push_front(task),
                }
            }
        }
    }

    /// Handles one entry. Returns how many it counts for, or `None` if none was left.
    fn step(&mut self, task: &mut Task) -> Option<usize> {
        let is_done = match task {
            Task::Remove(remains) => return self.remove_one(remains),
            Task::Judge(judgement) => return self.judge_one(judgement),
            Task::ServeQueued => self.dealer.serve_queued(&mut self.cx),
            Task::EndSlow(calls) => {
                calls.pop().map(|call| self.dealer.end_slow(&mut self.cx, call)).is_some()
            }
            Task::FailInvocations { sessions, calls, ending } => {
                if let Some(call) = calls.pop() {
                    self.dealer.fail(&mut self.cx, call, uri::CANCELED, ending.text());
                    return Some(1);
                }
                let session = sessions.pop()?;
                if let Some(session) = self.cx.sessions.get_mut(session) {
                    *calls = session.dealer.invocations();
                }
                true
            }
            Task::Kill { sessions, reason, message } => {
                let session = sessions.pop()?;
                self.say_goodbye(self.cx.now, session, reason.clone(), message.as_deref());
                true
            }
            Task::Close { sessions, ending } => {
                let session = sessions.pop()?;
                let without_goodbye = |session: &Session| session.without_goodbye;
                if *ending == Ending::Shutdown && self.cx.sessions.get(session).is_some_and(without_goodbye) {
                    self.depart(session);
                    self.cx.events.push_back(Event::Closed { session, closing: Closing::Restart });
                    return Some(1);
                }
                self.say_goodbye(self.cx.now, session, ending.reason(), Some(ending.text()));
                true
            }
        };
        is_done.then_some(1)
    }

    fn remove_one(&mut self, remains: &mut Remains) -> Option<usize> {
        let Remains { session, identity, dealer, subscriptions, testaments } = remains;
        if self.dealer.remove_one(&mut self.cx, *session, dealer)
            || self.broker.remove_one(&mut self.cx, *session, subscriptions)
        {
            return Some(1);
        }
        // With all others, no session is left to read it.
        let publishes = self.cx.ending.is_none() && !self.cx.silenced.contains(session);
        if let Some(testament) = testaments.pop() {
            self.testament_bytes -= testament.bytes;
            if let Some(identity) = identity
                && publishes
            {
                self.publish_noted();
                self.broker.publish_testament(&mut self.cx, *session, identity, testament);
                return Some(TESTAMENT);
            }
            return Some(1);
        }
        identity.take().map(|identity| self.note_left(*session, identity)).map(|()| 1)
    }
}
