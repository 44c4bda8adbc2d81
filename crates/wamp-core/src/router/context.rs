//! The parts of a realm that its dealer, its broker and its back-pressure share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wamp_proto::message::{Call, RequestKind};
use wamp_proto::{RequestId, Uri};

use super::chance::Chance;
use super::config::{Config, Meta};
use super::dealer::{CallKey, Stream};
use super::departure::Ending;
use super::event::Event;
use super::figures::Joins;
use super::meta_event::{MetaEvent, Subject};
use super::outbox::{Outbox, failure};
use super::pace::Side;
pub(super) use super::refused::{Refused, Violation};
use super::sessions::{SessionKey, Sessions};
use super::stats::Stats;
use super::waiting::Ticket;
use crate::Time;
use crate::deadlines::{Deadline, Deadlines};
use crate::request_ids::Sequence;

/// The state that all parts of a realm work with. Each part owns its other state and changes no other part; an effect
/// on another part is returned to the realm.
#[derive(Clone)]
pub(super) struct Context {
    /// The time of the input that is being handled.
    pub(super) now: Time,
    pub(super) config: Config,
    pub(super) chance: Chance,
    pub(super) sessions: Sessions,
    pub(super) deadlines: Deadlines<Due>,
    pub(super) out: Outbox,
    pub(super) events: VecDeque<Event>,
    pub(super) stats: Stats,
    /// The reason why the realm takes no new sessions and no new calls; `None` if it does.
    pub(super) ending: Option<Ending>,
    /// Whether a session has had a role with an authorizer.
    pub(super) asks: bool,
    /// The number of requests that ever waited for an authorizer or behind one that did.
    pub(super) waited: u64,
    /// The subscriptions of meta topics, counted for each session.
    pub(super) watchers: usize,
    /// Meta events that are to be published.
    pub(super) noted: Vec<MetaEvent>,
    /// Sessions that end without a meta event.
    pub(super) silenced: BTreeSet<SessionKey>,
    /// Sessions that are asked for a sign of life, each with the end of the time for it.
    pub(super) probed: BTreeMap<SessionKey, Deadline>,
    pub(super) joins: Joins,
}

/// The purpose of a deadline.
#[derive(Clone)]
pub(super) enum Due {
    /// The end of the time that a callee may take to answer.
    Call(CallKey),
    /// The end of the time that a client may take to answer GOODBYE.
    Goodbye(SessionKey),
    /// The receiver of a stream has granted no credit.
    Starved(CallKey, Stream),
    /// The end of the time for the decision about a request.
    Decision(Ticket),
    /// The timeout of a call that waits for a decision.
    Waiting(Ticket),
    /// The end of the time for which GOODBYE waits for decisions.
    Leaves(SessionKey),
    /// A session has paused others, or was paused, for longer than its share.
    Share(SessionKey, Side),
    /// Further sessions end in a shutdown.
    Drain,
    /// A session may be asked for a sign of life again.
    Probe(SessionKey),
}

impl Context {
    /// Tells the driver that a question needs no verdict any more.
    pub(super) fn void(&mut self, ticket: Ticket) {
        self.events.push_back(Event::Void { ticket });
    }

    /// Answers a request with ERROR.
    pub(super) fn refuse(
        &mut self,
        to: SessionKey,
        kind: RequestKind,
        request: RequestId,
        error: Uri,
        text: &str,
    ) {
        if let Some(session) = self.sessions.get(to) {
            self.stats.requests_refused += 1;
            self.out.send(to, failure(error, text, session).answer(kind, request));
        }
    }

    /// Checks the id of a request that cannot continue a call. The next id counts as used from now on.
    pub(super) fn check_request(
        &mut self,
        from: SessionKey,
        name: &str,
        request: RequestId,
    ) -> Result<(), Violation> {
        match self.sequence(from, request) {
            Sequence::Next => Ok(()),
            wrong => Err(self.wrong_id(from, name, request, wrong)),
        }
    }

    /// Returns the violation for an invalid request id.
    pub(super) fn wrong_id(
        &self,
        from: SessionKey,
        name: &str,
        request: RequestId,
        wrong: Sequence,
    ) -> Violation {
        let why = match wrong {
            Sequence::Gap { expected } => format!("expected {expected}"),
            _ if self.sessions.get(from).is_some_and(|session| session.requests.is_some()) => {
                "which was used before".to_owned()
            }
            _ => "which a running call has".to_owned(),
        };
        Violation(format!("{name} with the request id {request}, {why}"))
    }

    /// Returns the relation of a request's id to those before it; the next id counts as used from now on.
    pub(super) fn sequence(&mut self, from: SessionKey, request: RequestId) -> Sequence {
        let Some(session) = self.sessions.get_mut(from) else { return Sequence::Seen };
        match &mut session.requests {
            Some(requests) => requests.check(request),
            // All other requests are answered at once.
            None => match session.is_calling(request) {
                true => Sequence::Seen,
                false => Sequence::Next,
            },
        }
    }

    /// Returns whether a request can only be a further chunk of a call, or has a wrong id.
    pub(super) fn is_seen(&self, from: SessionKey, request: RequestId) -> bool {
        self.sessions.get(from).is_some_and(|session| match &session.requests {
            Some(requests) => requests.has_seen(request),
            None => session.is_calling(request),
        })
    }

    /// Checks the id of a CALL and, of a new call, its options. The next id counts as used from now on. Returns whether it
    /// is a further chunk.
    #[inline]
    pub(super) fn check_call(&mut self, from: SessionKey, call: &Call) -> Result<bool, Violation> {
        let Some(session) = self.sessions.get(from) else { return Ok(false) };
        let announced = session.announced;
        match self.sequence(from, call.request) {
            Sequence::Next => announced.check_call(call).map(|()| false),
            Sequence::Seen if announced.caller_chunks => Ok(true),
            wrong => Err(self.wrong_id(from, "CALL", call.request, wrong)),
        }
    }

    /// Returns whether a session may use a part of the meta API.
    pub(super) fn allows_meta(&self, session: SessionKey, part: Meta) -> bool {
        let role = self.sessions.get(session).and_then(|session| session.role.as_ref());
        role.map_or(self.config.meta, |role| role.meta_part()) >= part
    }

    /// Notes a meta event, if there is a subscriber that it may concern. Nothing is noted of sessions that end
    /// together with all others (behaviour [177](crate::behaviour#rule-177)).
    pub(super) fn note(
        &mut self,
        topic: &'static str,
        about: SessionKey,
        subject: impl FnOnce(&Self) -> Subject,
    ) {
        self.note_if(topic, about, |cx| Some(subject(cx)));
    }

    /// Notes a meta event that may lose its subject.
    pub(super) fn note_if(
        &mut self,
        topic: &'static str,
        about: SessionKey,
        subject: impl FnOnce(&Self) -> Option<Subject>,
    ) {
        if self.watchers > 0
            && self.ending.is_none()
            && !self.silenced.contains(&about)
            && let Some(subject) = subject(self)
        {
            self.noted.push(MetaEvent { topic: Uri::from_static(topic), about, subject });
        }
    }
}
