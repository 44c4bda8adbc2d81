//! Requests of sessions whose role has an authorizer: which wait, and how they leave. The queue is in
//! [`waiting`](super::waiting).

use std::time::Duration;

use wamp_proto::message::{self, CreditOptions, MatchPolicy, Publish, RequestKind, Total};
use wamp_proto::uri::UriKind;
use wamp_proto::{Message, RequestId, SubscriptionId, Uri, uri};

use super::config::Meta;
use super::context::{Due, Violation};
use super::dealer::timeout;
use super::event::Event;
use super::outbox::FrameInfo;
use super::realm::Realm;
use super::roles::Actions;
use super::sessions::{Session, SessionKey};
use super::verdicts::{Subject, Verdict};
use super::waiting::{
    Entry, PATIENCE, Question, REQUESTS, State, Ticket, Waiting, detached, without_arguments,
};
use crate::Time;

/// The procedure whose requests are judged as the publication that they describe.
const ADD_TESTAMENT: &str = "wamp.session.add_testament";

/// What to do with a message of a session whose role has an authorizer.
pub(super) enum Admitted {
    /// It is handled as any other.
    Now(Message),
    /// It has been handled, or waits.
    Done(Result<(), Violation>),
}

impl Realm {
    /// Delivers the decision of an authorizer. It has no effect if the request has ended in the meantime, or its time for
    /// the decision is over.
    pub fn decide(&mut self, now: Time, ticket: Ticket, verdict: Verdict) {
        self.cx.now = now;
        if self.set_decided(ticket, verdict) {
            self.ask_next(ticket.session);
            self.tell_decided(ticket.session);
        }
    }

    /// Handles the next request of a session that has waited, if it can leave now. Returns `false` if there is none, or if
    /// the session is held for a full link: then the driver tries again when it is [released](Event::Released).
    pub fn advance(&mut self, now: Time, session: SessionKey) -> bool {
        self.cx.now = now;
        if self.cx.sessions.is_held(session) {
            return false;
        }
        let Some(waiting) = self.waiting_mut(session) else { return false };
        let Some(entry) = waiting.pop() else {
            waiting.told = false;
            return false;
        };
        if let State::Ready(verdict) = entry.state {
            waiting.verdict = verdict;
        }
        if let Some(deadline) = entry.timeout {
            let left = deadline.at().since(self.cx.now).max(Duration::from_millis(1));
            self.cx.deadlines.clear(deadline);
            if let Some(waiting) = self.waiting_mut(session) {
                waiting.left = Some(left);
            }
        }
        let handled = self.dispatch(session, entry);
        self.end_request(session);
        self.conclude(session, handled);
        self.release_with_room(session);
        true
    }

    /// Returns whether [`advance`](Self::advance) has something to do.
    pub fn can_advance(&self, session: SessionKey) -> bool {
        !self.cx.sessions.is_held(session) && self.waiting(session).is_some_and(Waiting::has_ready)
    }

    /// Returns whether a request of a session has waited for its authorizer and now waits only for the end of a hold. Chunks of
    /// running calls do not count. See [`set_waiting`](Self::set_waiting).
    pub fn has_decided_request(&self, session: SessionKey) -> bool {
        self.waiting(session).is_some_and(Waiting::has_ready_request)
    }

    /// Forgets all verdicts that hold for further requests, of all sessions: authorizers are asked anew.
    pub fn forget_verdicts(&mut self) {
        if !self.cx.asks {
            return;
        }
        let waited = self.cx.waited;
        for key in self.cx.sessions.keys() {
            if let Some(waiting) = self.waiting_mut(key) {
                waiting.forget_verdicts(waited);
            }
        }
    }

    /// Returns whether the requests of a session may have to wait for an authorizer.
    pub fn has_authorizer(&self, session: SessionKey) -> bool {
        self.cx.sessions.get(session).is_some_and(|session| session.waiting.is_some())
    }

    /// The number of requests of all sessions that wait.
    pub(super) fn waiting_requests(&self) -> usize {
        if !self.cx.asks {
            return 0;
        }
        let waiting = self.cx.sessions.iter().filter_map(|(_, session)| session.waiting.as_ref());
        waiting.map(|waiting| waiting.queue.len()).sum()
    }

    /// A message has arrived from a session whose role has an authorizer.
    pub(super) fn admit(&mut self, from: SessionKey, message: Message, len: usize) -> Admitted {
        let Some(session) = self.cx.sessions.get(from) else { return Admitted::Done(Ok(())) };
        let Some(waiting) = session.waiting.as_deref() else { return Admitted::Now(message) };
        match &message {
            Message::Cancel(cancel) => {
                if self.cancel_waiting(from, cancel.request) {
                    return Admitted::Done(Ok(()));
                }
                return Admitted::Now(message);
            }
            Message::Credit(credit) => {
                let knows = self.cx.config.credit.is_some() && session.announced.knows_credit();
                let is_of_results = credit.options.chunks != Some(true);
                if let (true, true, Some(total)) = (knows, is_of_results, credit.total.0)
                    && let Some(index) = waiting.call(credit.request)
                    && let Some(entry) =
                        self.waiting_mut(from).and_then(|waiting| waiting.queue.get_mut(index))
                {
                    entry.credit = entry.credit.max(Some(total));
                    return Admitted::Done(Ok(()));
                }
                return Admitted::Now(message);
            }
            Message::Call(_)
            | Message::Publish(_)
            | Message::Register(_)
            | Message::Subscribe(_)
            | Message::Unregister(_)
            | Message::Unsubscribe(_)
            | Message::Goodbye(_) => {}
            _ => return Admitted::Now(message),
        }
        if waiting.leaves {
            // Nothing follows GOODBYE.
            return Admitted::Done(Ok(()));
        }
        // A further chunk needs no decision.
        let state = match &message {
            Message::Call(call) if self.cx.is_seen(from, call.request) => State::Ready(None),
            _ => self.state(from, &message).0,
        };
        match state {
            State::Ready(verdict) if waiting.queue.is_empty() => {
                if verdict.is_some()
                    && let Some(waiting) = self.waiting_mut(from)
                {
                    waiting.verdict = verdict;
                }
                Admitted::Now(message)
            }
            state => Admitted::Done(self.enqueue(from, message, len, state)),
        }
    }

    /// Forgets the verdict on the request that was being handled, and what was left of its timeout.
    pub(super) fn end_request(&mut self, session: SessionKey) {
        if let Some(waiting) = self.waiting_mut(session) {
            (waiting.verdict, waiting.left) = (None, None);
        }
    }

    /// The state of a request that was not asked about, and the subject of the question if it needs a decision.
    fn state(&self, from: SessionKey, message: &Message) -> (State, Option<Subject>) {
        let Some(subject) = self.subject(from, message) else { return (State::Ready(None), None) };
        let known = self.waiting(from).filter(|waiting| !waiting.known.is_empty());
        match known.and_then(|waiting| waiting.known.get(self.cx.now, &subject)) {
            Some(verdict) => (State::Ready(Some(verdict)), None),
            None => (State::Unasked, Some(subject)),
        }
    }

    fn enqueue(
        &mut self,
        from: SessionKey,
        message: Message,
        len: usize,
        state: State,
    ) -> Result<(), Violation> {
        let cx = &mut self.cx;
        let mut is_chunk = false;
        match &message {
            Message::Call(call) => is_chunk = cx.check_call(from, call)?,
            Message::Goodbye(_) => {}
            other => {
                if let Some((_, request)) = kind(other) {
                    cx.check_request(from, other.name(), request)?;
                }
            }
        }
        let is_goodbye = matches!(message, Message::Goodbye(_));
        let Some(session) = cx.sessions.get_mut(from) else { return Ok(()) };
        let is_asked_itself = session.dealer.is_called_by(SessionKey::ROUTER);
        let Some(waiting) = session.waiting.as_deref_mut() else { return Ok(()) };
        if waiting.is_full() && !is_goodbye {
            // A session that the router has asked must be read from.
            if is_asked_itself || waiting.queue.len() >= 4 * REQUESTS {
                self.refuse_surplus(from, &message, is_chunk);
                return Ok(());
            }
            waiting.holds = true;
        }
        let call_timeout = match &message {
            Message::Call(call) if !is_chunk => timeout(&call.options).ok().flatten(),
            _ => None,
        };
        cx.waited += 1;
        let number = cx.waited;
        waiting.push(number, detached(message), len, is_chunk, state);
        if is_goodbye {
            waiting.leaves = true;
            waiting.patience = Some(cx.deadlines.set(cx.now + PATIENCE, Due::Leaves(from)));
        }
        if let Some(timeout) = call_timeout {
            let deadline = cx.deadlines.set(cx.now + timeout, Due::Waiting(Ticket { session: from, number }));
            if let Some(entry) = waiting.queue.back_mut() {
                entry.timeout = Some(deadline);
            }
        }
        self.ask_next(from);
        self.tell_decided(from);
        Ok(())
    }

    /// Asks about further requests of a session, as far as there may be more questions.
    fn ask_next(&mut self, from: SessionKey) {
        while let Some(index) = self.waiting(from).and_then(|waiting| waiting.next_question()) {
            let entry = self.waiting(from).and_then(|waiting| waiting.queue.get(index));
            let Some((number, message)) = entry.map(|entry| (entry.number, entry.message.clone())) else {
                return;
            };
            let (state, subject) = self.state(from, &message);
            let Self { cx, .. } = self;
            let Some(session) = cx.sessions.get_mut(from) else { return };
            let Some(waiting) = session.waiting.as_deref_mut() else { return };
            let Some(subject) = subject else {
                // The rules have changed, or there is a verdict by now.
                waiting.set_state(index, state);
                continue;
            };
            let ticket = Ticket { session: from, number };
            waiting.set_asked(index, cx.deadlines.set(cx.now + PATIENCE, Due::Decision(ticket)));
            let question = Box::new(question(from, session, subject, &message));
            cx.events.push_back(Event::Authorize { ticket, question });
        }
    }

    /// Gives a session the queue that its role needs, since that has changed. Requests that wait, and that no rule
    /// decides about any more, are asked about. Returns the number of requests that waited.
    pub(super) fn update_waiting(&mut self, key: SessionKey) -> usize {
        let Some(session) = self.cx.sessions.get_mut(key) else { return 0 };
        let asks = session.role.as_ref().is_some_and(|role| role.has_authorizer());
        match &session.waiting {
            None => {
                session.waiting = asks.then(Box::default);
                self.cx.asks |= asks;
                return 0;
            }
            Some(waiting) if waiting.is_idle() && !asks => {
                session.waiting = None;
                return 0;
            }
            Some(_) => {}
        }
        let waited = self.cx.waited;
        if let Some(waiting) = self.waiting_mut(key) {
            waiting.forget_verdicts(waited);
        }
        let count = self.waiting(key).map_or(0, |waiting| waiting.queue.len());
        for index in 0..count {
            let Some(entry) = self.waiting(key).and_then(|waiting| waiting.queue.get(index)) else { break };
            if entry.is_chunk || !matches!(entry.state, State::Ready(None) | State::Unasked) {
                continue;
            }
            let state = self.state(key, &entry.message).0;
            if let Some(waiting) = self.waiting_mut(key) {
                waiting.set_state(index, state);
            }
        }
        self.ask_next(key);
        self.tell_decided(key);
        count
    }

    /// Records a verdict. Returns `false` if nothing waits for it.
    fn set_decided(&mut self, ticket: Ticket, verdict: Verdict) -> bool {
        let Some(waiting) = self.waiting(ticket.session) else { return false };
        let Some(index) = waiting.index(ticket.number) else { return false };
        let keeps =
            waiting.keeps(ticket.number) && (!verdict.lifetime().is_zero() || !waiting.known.is_empty());
        let subject = waiting.queue.get(index).filter(|entry| keeps && entry.asked().is_some());
        let subject = subject.and_then(|entry| self.subject(ticket.session, &entry.message));
        let now = self.cx.now;
        let Some(waiting) = self.waiting_mut(ticket.session) else { return false };
        let Some(deadline) = waiting.set_decided(index, verdict) else { return false };
        if let Some(subject) = subject {
            waiting.known.keep(now, &subject, verdict);
        }
        self.cx.deadlines.clear(deadline);
        true
    }

    /// No decision has come in time.
    pub(super) fn handle_no_decision(&mut self, ticket: Ticket) {
        self.cx.void(ticket);
        self.decide(self.cx.now, ticket, Verdict::UNDECIDED);
    }

    /// The timeout of a call that waits has passed.
    pub(super) fn handle_waited(&mut self, ticket: Ticket) {
        let Some(waiting) = self.waiting(ticket.session) else { return };
        let entry = waiting.index(ticket.number).and_then(|index| waiting.queue.get(index));
        let Some(Message::Call(call)) = entry.map(|entry| &entry.message) else { return };
        let request = call.request;
        self.cx.stats.timeouts += 1;
        self.end_waiting(ticket.session, request, uri::TIMEOUT, "the call was not authorized in time");
    }

    /// GOODBYE has waited for long enough.
    pub(super) fn handle_leaves(&mut self, session: SessionKey) {
        let Some(waiting) = self.waiting_mut(session) else { return };
        waiting.patience = None;
        let asked = Vec::from_iter(waiting.asked());
        let mut passed = Vec::new();
        for index in 0..waiting.queue.len() {
            passed.extend(waiting.set_decided(index, Verdict::UNDECIDED));
        }
        for deadline in passed {
            self.cx.deadlines.clear(deadline);
        }
        asked.into_iter().for_each(|number| self.cx.void(Ticket { session, number }));
        self.tell_decided(session);
    }

    /// Tells the driver, once, that requests of a session can be handled.
    fn tell_decided(&mut self, session: SessionKey) {
        if let Some(waiting) = self.waiting_mut(session)
            && waiting.has_ready()
            && !std::mem::replace(&mut waiting.told, true)
        {
            self.cx.events.push_back(Event::Decided { session });
        }
    }

    /// Whether a session is held because of its own requests that wait: GOODBYE, or too many. One that the router has asked
    /// is read from, since others may wait for its answer.
    pub(super) fn is_held_by_requests(&self, session: SessionKey) -> bool {
        let Some(session) = self.cx.sessions.get(session) else { return false };
        let is_asked = || session.dealer.is_called_by(SessionKey::ROUTER);
        session.waiting.as_ref().is_some_and(|waiting| waiting.leaves || waiting.holds && !is_asked())
    }

    /// Has a session that too many requests hold read from, since the router has asked it.
    pub(super) fn release_asked(&mut self, session: SessionKey) {
        if self.waiting(session).is_some_and(|waiting| waiting.holds) {
            self.release_requests(session);
        }
    }

    /// Ends the hold of a session because of its own requests, once there is room for more.
    fn release_with_room(&mut self, session: SessionKey) {
        if let Some(waiting) = self.waiting_mut(session)
            && waiting.holds
            && waiting.has_room()
        {
            waiting.holds = false;
            self.release_requests(session);
        }
    }

    /// Tells the driver that a session is not held any more because of its own requests.
    fn release_requests(&mut self, session: SessionKey) {
        if !self.is_held(session) {
            self.cx.events.push_back(Event::Released { session });
        }
    }

    /// Handles a request that has waited.
    fn dispatch(&mut self, from: SessionKey, entry: Entry) -> Result<(), Violation> {
        let Entry { message, len, is_chunk, credit, .. } = entry;
        let info = FrameInfo::sized(len);
        let Self { cx, dealer, broker, .. } = self;
        match message {
            Message::Call(call) if is_chunk => dealer.handle_chunk(cx, from, call, len, &info),
            Message::Call(call) if call.procedure.is_reserved() => {
                self.call_meta(from, &call);
                Ok(())
            }
            Message::Call(call) => {
                dealer.call(cx, from, &call, len, &info);
                match credit {
                    Some(total) => {
                        let (options, total) =
                            (CreditOptions { chunks: Some(false), ..Default::default() }, Total(Some(total)));
                        dealer.handle_credit(
                            cx,
                            from,
                            message::Credit { request: call.request, options, total },
                        )
                    }
                    None => Ok(()),
                }
            }
            Message::Publish(publish) => broker.publish(cx, from, publish, &info),
            Message::Register(register) => {
                dealer.register_or_refuse(cx, from, &register);
                Ok(())
            }
            Message::Unregister(unregister) => {
                dealer.unregister(cx, from, &unregister);
                Ok(())
            }
            Message::Subscribe(subscribe) => {
                broker.subscribe_or_refuse(cx, from, &subscribe);
                Ok(())
            }
            Message::Unsubscribe(unsubscribe) => {
                broker.unsubscribe_or_refuse(cx, from, &unsubscribe);
                Ok(())
            }
            Message::Goodbye(_) => {
                self.answer_goodbye(from);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Cancels a call that waits. Returns `false` if there is none.
    pub(super) fn cancel_waiting(&mut self, from: SessionKey, request: RequestId) -> bool {
        self.end_waiting(from, request, uri::CANCELED, "the call was canceled")
    }

    /// Ends a call that waits with an ERROR. Returns `false` if there is none.
    pub(super) fn end_waiting(
        &mut self,
        from: SessionKey,
        request: RequestId,
        error: Uri,
        text: &str,
    ) -> bool {
        let Some(waiting) = self.waiting_mut(from) else { return false };
        let Some(entry) = waiting.call(request).and_then(|index| waiting.remove(index)) else { return false };
        if entry.asked().is_some() {
            self.cx.void(Ticket { session: from, number: entry.number });
        }
        for deadline in entry.deadlines() {
            self.cx.deadlines.clear(deadline);
        }
        self.cx.refuse(from, RequestKind::Call, request, error, text);
        self.ask_next(from);
        self.tell_decided(from);
        self.release_with_room(from);
        true
    }

    /// Refuses a request for which there is no room.
    fn refuse_surplus(&mut self, from: SessionKey, message: &Message, is_chunk: bool) {
        const TEXT: &str = "too many requests of this session wait for authorization";
        if let Message::Call(call) = message
            && is_chunk
        {
            if !self.end_waiting(from, call.request, uri::UNAVAILABLE, TEXT) {
                self.dealer.end_chunked(&mut self.cx, from, call.request, uri::UNAVAILABLE, TEXT);
            }
            return;
        }
        if let Message::Publish(publish) = message {
            self.cx.stats.publications_refused += 1;
            if publish.options.acknowledge != Some(true) {
                return;
            }
        }
        if let Some((kind, request)) = kind(message) {
            self.cx.refuse(from, kind, request, uri::UNAVAILABLE, TEXT);
        }
    }

    pub(super) fn waiting(&self, session: SessionKey) -> Option<&Waiting> {
        self.cx.sessions.get(session)?.waiting.as_deref()
    }

    fn waiting_mut(&mut self, session: SessionKey) -> Option<&mut Waiting> {
        self.cx.sessions.get_mut(session)?.waiting.as_deref_mut()
    }

    /// The subject of the question to the authorizer about a request. `None` if a rule decides, or if the request is refused
    /// for another reason than authorization.
    fn subject(&self, from: SessionKey, message: &Message) -> Option<Subject> {
        let cx = &self.cx;
        let role = cx.sessions.get(from)?.role.as_ref()?;
        let of_topic = |topic: &Uri| {
            let is_good = !topic.is_reserved() && cx.config.check_uri(topic, UriKind::Exact).is_ok();
            is_good.then(|| (Actions::PUBLISH, MatchPolicy::Exact, topic.clone()))
        };
        let subject @ (action, policy, uri) = &match message {
            Message::Call(call) if &*call.procedure == ADD_TESTAMENT => {
                of_topic(&Publish::from_testament(&call.payload).ok()?.topic)?
            }
            Message::Call(call) if &*call.procedure == "wamp.subscription.get_events" => {
                let (id,) = call.payload.args::<(u64,)>().ok()?;
                let (policy, pattern) = self.broker.pattern(cx, SubscriptionId::new(id)?)?;
                let is_good = cx.allows_meta(from, Meta::Read);
                is_good.then_some((Actions::SUBSCRIBE, policy, pattern))?
            }
            Message::Call(message::Call { procedure, options, .. }) => {
                let is_good = !procedure.is_reserved()
                    && cx.config.check_uri(procedure, UriKind::Exact).is_ok()
                    && timeout(options).is_ok();
                is_good.then(|| (Actions::CALL, MatchPolicy::Exact, procedure.clone()))?
            }
            Message::Publish(publish) => of_topic(&publish.topic)?,
            Message::Register(message::Register { procedure, options, .. }) => {
                let policy = options.policy.unwrap_or(MatchPolicy::Exact);
                let is_good = !["match", "invoke"].into_iter().any(|key| options.extra.contains(key))
                    && !procedure.is_reserved()
                    && cx.config.check_uri(procedure, policy.into()).is_ok();
                is_good.then(|| (Actions::REGISTER, policy, procedure.clone()))?
            }
            Message::Subscribe(message::Subscribe { topic, options, .. }) => {
                let policy = options.policy.unwrap_or(MatchPolicy::Exact);
                let is_open = !topic.is_reserved()
                    || (policy == MatchPolicy::Prefix && topic.as_str() == "wamp")
                        && cx.allows_meta(from, Meta::Read);
                let is_good = !options.extra.contains("match")
                    && is_open
                    && cx.config.check_uri(topic, policy.into()).is_ok();
                is_good.then(|| (Actions::SUBSCRIBE, policy, topic.clone()))?
            }
            _ => return None,
        };
        role.asks(*action, *policy, uri).then(|| subject.clone())
    }
}

/// The question about a request, and about the publication of a testament.
fn question(
    from: SessionKey,
    session: &Session,
    (action, policy, uri): Subject,
    message: &Message,
) -> Question {
    let testament = match message {
        Message::Call(call) if &*call.procedure == ADD_TESTAMENT => {
            Publish::from_testament(&call.payload).ok().map(Message::from)
        }
        _ => None,
    };
    Question {
        session: from,
        identity: session.identity.clone(),
        transport: session.transport.clone(),
        action,
        uri,
        policy,
        request: without_arguments(testament.as_ref().unwrap_or(message)),
    }
}

/// The kind and the id of a request.
fn kind(message: &Message) -> Option<(RequestKind, RequestId)> {
    Some(match message {
        Message::Call(call) => (RequestKind::Call, call.request),
        Message::Publish(publish) => (RequestKind::Publish, publish.request),
        Message::Register(register) => (RequestKind::Register, register.request),
        Message::Subscribe(subscribe) => (RequestKind::Subscribe, subscribe.request),
        Message::Unregister(unregister) => (RequestKind::Unregister, unregister.request),
        Message::Unsubscribe(unsubscribe) => (RequestKind::Unsubscribe, unsubscribe.request),
        _ => return None,
    })
}
