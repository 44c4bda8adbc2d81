//! Sessions that come back: the times and URLs of attempts, the declarations in a new session, and the final
//! end.
//!
//! A [`Link`] lasts as long as a program wants to be connected, over any number of sessions. It knows no
//! transport and no message: its driver connects, joins with a [`Session`](crate::session::Session) of its own
//! for each connection, and reports the outcome. The link decides what follows.
//!
//! ```text
//!            poll_action            handle_joined               every answer
//!   due ───────────────▶ dialing ─────────────────▶ restoring ───────────────▶ up
//!    ▲                      │ handle_failed              │ handle_closed        │
//!    │ the delay is over    ▼                            ▼                      │
//!    └────────────────── waiting ◀──────────────────────────────────────────────┘
//!
//!   every state ──▶ over, by a final answer or by `leave`
//! ```
//!
//! # Declarations
//!
//! A registration or subscription is declared once, by [`Link::declare`]. It is declared again in each later session,
//! with the same options and in the same order, before [`Event::Up`].
//!
//! | answer to | accepted | `procedure_already_exists` | other refusal | the session is lost |
//! |---|---|---|---|---|
//! | the first time | up | dropped | dropped | dropped |
//! | again | up | waiting: asked again each half second, for 60 s | lost | down: asked again |
//!
//! The refusal in the middle comes from an earlier session of the same link that the router has not given up
//! yet. An answer that does not arrive within 10 s does not keep the link from being up: [`Event::Unanswered`].

mod backoff;
mod declarations;
mod fault;
mod repeat;

use std::collections::VecDeque;
use std::time::Duration;

use crate::session::Closed;
use crate::{Failure, Misuse, Time};

pub use declarations::{Ask, Declaration, DeclarationId, Standing};
pub use fault::{Fault, is_final};
pub use repeat::{Again, Broken, Repeat, Retry};

use backoff::Backoff;
use declarations::{Answered, Declarations};
use fault::Refusals;

/// The settings of a link.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The number of URLs, at least one; each attempt takes the next one.
    pub urls: usize,
    /// The shortest delay before an attempt; 250 ms by default. Each delay is drawn from once to twice its nominal
    /// length.
    pub first_delay: Duration,
    /// The nominal length up to which delays double; 15 s by default.
    pub longest_delay: Duration,
    /// Delays begin anew after a session that has been up for this long; 30 s by default.
    pub stable_after: Duration,
    /// Whether the first session is waited for like all later ones. By default every URL is tried once, without
    /// a delay, and then the link is over.
    pub waits_for_first: bool,
    /// Whether to come back after an administrator has closed the session (`wamp.close.*` other than
    /// `system_shutdown`); `false` by default.
    pub returns_after_close: bool,
    /// The delay after `procedure_already_exists` before a procedure is registered again; 500 ms by default.
    pub shadow_delay: Duration,
    /// The time for which registering is repeated; 60 s by default.
    pub shadow_limit: Duration,
    /// The longest wait for the answers to repeated declarations before [`Event::Up`]; 10 s by default.
    pub answer_limit: Duration,
}

impl Config {
    /// The defaults, for a link with this many URLs.
    pub fn new(urls: usize) -> Self {
        Self {
            urls: urls.max(1),
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(15),
            stable_after: Duration::from_secs(30),
            waits_for_first: false,
            returns_after_close: false,
            shadow_delay: Duration::from_millis(500),
            shadow_limit: Duration::from_secs(60),
            answer_limit: Duration::from_secs(10),
        }
    }
}

/// A task for the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to the URL with this index and join. [`Link::handle_joined`] or [`Link::handle_failed`] follows.
    /// Credentials are asked for anew.
    Dial {
        /// The index of the URL.
        url: usize,
    },
    /// Declare this in the present session, at once and in this order. [`Link::handle_answer`] follows, unless
    /// the session is lost before.
    Ask(Ask),
}

/// An event for the program.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The session is lost and another one will be joined.
    Down {
        /// The reason.
        closed: Closed,
    },
    /// The next attempt follows after a delay.
    Retrying {
        /// The index of its URL.
        url: usize,
        /// Its number since the link was last stable, from 1.
        attempt: u32,
        /// The delay.
        delay: Duration,
    },
    /// A session is open and everything is declared in it, except for declarations that were reported as
    /// [unanswered](Self::Unanswered) or that wait for the router to give up an earlier session.
    Up {
        /// The time without a session; `None` for the first one.
        gap: Option<Duration>,
    },
    /// The router has not answered a declaration in time; the link is up without it. [`Restored`] or [`Lost`]
    /// follows if the answer arrives.
    ///
    /// [`Restored`]: Self::Restored
    /// [`Lost`]: Self::Lost
    Unanswered {
        /// The declaration.
        declaration: DeclarationId,
    },
    /// A procedure that waited for the end of an earlier session is registered again, or an overdue answer has arrived.
    Restored {
        /// The declaration.
        declaration: DeclarationId,
    },
    /// A declaration was refused in a later session, and is dropped.
    Lost {
        /// The declaration.
        declaration: DeclarationId,
        /// The reason.
        failure: Failure,
    },
    /// The link is over; the last event.
    Over(Over),
}

/// The reason why a link is over.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Over {
    /// The program left, or the session had a final end.
    Closed(Closed),
    /// The last attempt failed, and no other follows; [`Link::handle_failed`] had the reason.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// An attempt is to be made now.
    Due,
    Dialing,
    /// The next attempt follows at this time.
    Waiting {
        until: Time,
    },
    /// A session is open, and some declarations are not answered in it.
    Restoring,
    Up {
        since: Time,
    },
    /// The program leaves, and the session has not ended yet.
    Leaving,
    Over,
}

/// The machine that keeps a program connected.
#[derive(Clone, Debug)]
pub struct Link {
    config: Config,
    state: State,
    /// The index of the URL of the present attempt, or of the next one.
    url: usize,
    /// Attempts since the link was last stable.
    attempt: u32,
    backoff: Backoff,
    refusals: Refusals,
    declarations: Declarations,
    /// The time since which there is no session, if there was one.
    lost: Option<Time>,
    /// Whether there has been a session.
    has_joined: bool,
    asks: VecDeque<Ask>,
    events: VecDeque<Event>,
}

impl Link {
    /// A link whose first attempt is due now. The seed decides the delays, which must not be the same for many
    /// clients.
    pub fn new(config: Config, seed: u64) -> Self {
        let backoff = Backoff::new(config.first_delay, config.longest_delay, seed);
        Self {
            config,
            state: State::Due,
            url: 0,
            attempt: 1,
            backoff,
            refusals: Refusals::default(),
            declarations: Declarations::default(),
            lost: None,
            has_joined: false,
            asks: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Handles the failure of an attempt before WELCOME.
    pub fn handle_failed(&mut self, now: Time, fault: Fault) {
        if self.state != State::Dialing {
            return;
        }
        if self.refusals.is_final(&fault, self.config.returns_after_close) {
            return self.end(match fault {
                Fault::Closed(closed) => Over::Closed(closed),
                Fault::Passing | Fault::Final => Over::Failed,
            });
        }
        let is_first_round = !self.has_joined && !self.config.waits_for_first;
        if !is_first_round {
            return self.wait(now);
        }
        if self.url + 1 == self.config.urls {
            return self.end(Over::Failed);
        }
        self.url += 1;
        self.attempt += 1;
        self.state = State::Due;
    }

    /// Handles WELCOME. The declarations follow as [actions](Action::Ask).
    pub fn handle_joined(&mut self, now: Time) {
        if self.state != State::Dialing {
            return;
        }
        self.refusals.clear();
        self.has_joined = true;
        self.state = State::Restoring;
        self.asks = self.declarations.ask_all(now + self.config.answer_limit);
        self.check_restored(now);
    }

    /// Handles the answer to a declaration. Returns whether the declaration is still wanted: if not, and the
    /// router has accepted it, the driver withdraws it. Answers of earlier sessions have no effect.
    pub fn handle_answer(&mut self, now: Time, ask: Ask, answer: Result<(), Failure>) -> bool {
        let limits = (self.config.shadow_delay, self.config.shadow_limit);
        let declaration = ask.declaration;
        let is_wanted = match self.declarations.handle_answer(now, ask, answer, limits) {
            Answered::Unwanted => return false,
            Answered::Up { waited } => {
                if waited {
                    self.events.push_back(Event::Restored { declaration });
                }
                true
            }
            Answered::Waiting => true,
            Answered::Lost(failure) => {
                self.events.push_back(Event::Lost { declaration, failure });
                false
            }
            Answered::Refused => false,
        };
        self.check_restored(now);
        is_wanted
    }

    /// Handles the end of the session.
    pub fn handle_closed(&mut self, now: Time, closed: Closed) {
        let since = match self.state {
            State::Restoring => None,
            State::Up { since } => Some(since),
            State::Leaving => return self.end(Over::Closed(closed)),
            State::Due | State::Dialing | State::Waiting { .. } | State::Over => return,
        };
        self.asks.clear();
        self.declarations.handle_lost();
        if is_final(&closed, self.config.returns_after_close) {
            return self.end(Over::Closed(closed));
        }
        if since.is_some_and(|since| now.since(since) >= self.config.stable_after) {
            self.attempt = 0;
            self.backoff.reset();
        }
        self.lost.get_or_insert(now);
        self.events.push_back(Event::Down { closed });
        self.wait(now);
    }

    /// Handles the deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Time) {
        match self.state {
            State::Waiting { until } if until <= now => self.state = State::Due,
            State::Restoring | State::Up { .. } => {
                for declaration in self.declarations.pass_over(now) {
                    self.events.push_back(Event::Unanswered { declaration });
                }
                self.declarations.ask_waiting(now, now + self.config.answer_limit, &mut self.asks);
                self.check_restored(now);
            }
            _ => {}
        }
    }

    /// Adds a declaration, which the driver makes in the present session. [`handle_answer`] follows.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`] while the link is not up.
    ///
    /// [`handle_answer`]: Self::handle_answer
    pub fn declare(&mut self, declaration: Declaration) -> Result<Ask, Misuse> {
        match self.state {
            State::Up { .. } => Ok(self.declarations.declare(declaration)),
            _ => Err(Misuse::NotOpen),
        }
    }

    /// Removes a declaration. Returns whether it is up, so that the driver has to withdraw it from the router.
    pub fn withdraw(&mut self, now: Time, declaration: DeclarationId) -> bool {
        let standing = self.declarations.withdraw(declaration);
        self.asks.retain(|ask| ask.declaration != declaration);
        self.check_restored(now);
        standing == Some(Standing::Up)
    }

    /// Ends the link for good. The driver ends the present session, and reports its end by
    /// [`handle_closed`](Self::handle_closed).
    pub fn leave(&mut self) {
        match self.state {
            State::Due | State::Dialing | State::Waiting { .. } => self.end(Over::Closed(Closed::Left)),
            State::Restoring | State::Up { .. } => {
                self.asks.clear();
                self.state = State::Leaving;
            }
            State::Leaving | State::Over => {}
        }
    }

    /// The next task for the driver.
    pub fn poll_action(&mut self) -> Option<Action> {
        if self.state == State::Due {
            self.state = State::Dialing;
            return Some(Action::Dial { url: self.url });
        }
        self.asks.pop_front().map(Action::Ask)
    }

    /// The next deadline, at which [`handle_timeout`](Self::handle_timeout) must be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Restoring | State::Up { .. } => self.declarations.next_timeout(),
            State::Due | State::Dialing | State::Leaving | State::Over => None,
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether a session is open with everything declared in it.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Whether no further session follows.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Returns a declaration, while it is wanted.
    pub fn declaration(&self, id: DeclarationId) -> Option<&Declaration> {
        self.declarations.get(id).map(|(declaration, _)| declaration)
    }

    /// The state of a declaration, while it is wanted.
    pub fn standing(&self, id: DeclarationId) -> Option<Standing> {
        self.declarations.get(id).map(|(_, standing)| standing)
    }

    /// All declarations that are wanted, in the order in which they were made.
    pub fn declarations(&self) -> impl Iterator<Item = DeclarationId> + '_ {
        self.declarations.ids()
    }

    fn check_restored(&mut self, now: Time) {
        if self.state == State::Restoring && !self.declarations.is_asking() {
            self.state = State::Up { since: now };
            let gap = self.lost.take().map(|lost| now.since(lost));
            self.events.push_back(Event::Up { gap });
        }
    }

    fn wait(&mut self, now: Time) {
        let delay = self.backoff.next_delay();
        self.url = (self.url + 1) % self.config.urls;
        self.attempt = self.attempt.saturating_add(1);
        self.state = State::Waiting { until: now + delay };
        self.events.push_back(Event::Retrying { url: self.url, attempt: self.attempt, delay });
    }

    fn end(&mut self, over: Over) {
        self.state = State::Over;
        self.asks.clear();
        self.declarations.clear();
        self.events.push_back(Event::Over(over));
    }
}
