//! Requests of sessions whose role has an authorizer: which wait, and how they leave. The queue is in
//! [`waiting`](super::waiting).

use std::time::Duration;

use wamp_proto::message::{self, CreditOptions, MatchPolicy, Publish, RequestKind, Total};
use wamp_proto::uri::UriKind;
use wamp_proto::{Message, RequestId, SubscriptionId, Uri, uri};

use super::config::Meta;
use super::context::{Context, Due, Violation};
use super::dealer::timeout;
use super::event::Event;
use super::outbox::FrameInfo;
use super::realm::Realm;
use super::roles::Actions;
use super::sessions::{Session, SessionKey};
use super::waiting::{
    Entry, PATIENCE, Question, REQUESTS, State, Ticket, Verdict, Waiting, detached, without_arguments,
};
use crate::Time;
use crate::request_ids::Sequence;

/// The requests of a session that leave its queue at a time.
pub(super) const AT_ONCE: usize = 64;

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
            self.advance(ticket.session);
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
        if waiting.is_leaving() {
            // Nothing follows GOODBYE.
            return Admitted::Done(Ok(()));
        }
        let needs_verdict = self.question(from, &message).is_some();
        if waiting.queue.is_empty() && !needs_verdict {
            return Admitted::Now(message);
        }
        Admitted::Done(self.enqueue(from, message, len, needs_verdict))
    }

    fn enqueue(
        &mut self,
        from: SessionKey,
        message: Message,
        len: usize,
        needs_verdict: bool,
    ) -> Result<(), Violation> {
        let cx = &mut self.cx;
        let mut is_chunk = false;
        match &message {
            Message::Call(call) => {
                let Some(session) = cx.sessions.get(from) else { return Ok(()) };
                let announced = session.announced;
                match cx.sequence(from, call.request) {
                    Sequence::Next => announced.check_call(call)?,
                    Sequence::Seen if announced.caller_chunks => is_chunk = true,
                    wrong => return Err(cx.wrong_id(from, "CALL", call.request, wrong)),
                }
            }
            Message::Goodbye(_) => {}
            other => {
                if let Some((_, request)) = kind(other) {
                    cx.check_request(from, other.name(), request)?;
                }
            }
        }
        let is_goodbye = matches!(message, Message::Goodbye(_));
        let Some(session) = cx.sessions.get_mut(from) else { return Ok(()) };
        let (serializer, is_asked_itself) =
            (session.serializer, session.dealer.is_called_by(SessionKey::ROUTER));
        let Some(waiting) = session.waiting.as_deref_mut() else { return Ok(()) };
        if waiting.is_full() && !is_goodbye {
            // A session that the router has asked must be read from.
            if is_asked_itself || waiting.queue.len() >= 4 * REQUESTS {
                self.refuse_surplus(from, &message, is_chunk);
                return Ok(());
            }
            waiting.holds = true;
        }
        let state = if needs_verdict && !is_chunk { State::Unasked } else { State::Ready(None) };
        let call_timeout = match &message {
            Message::Call(call) if !is_chunk => timeout(&call.options).ok().flatten(),
            _ => None,
        };
        cx.waited += 1;
        let number = cx.waited;
        waiting.push(number, detached(message, serializer), len, is_chunk, state);
        if is_goodbye {
            waiting.holds = true;
            waiting.leaves = Some(cx.deadlines.set(cx.now + PATIENCE, Due::Leaves(from)));
        }
        if let Some(timeout) = call_timeout {
            let deadline = cx.deadlines.set(cx.now + timeout, Due::Waiting(Ticket { session: from, number }));
            if let Some(entry) = waiting.queue.back_mut() {
                entry.timeout = Some(deadline);
            }
        }
        self.ask_next(from);
        // A chunk needs no decision.
        self.advance(from);
        Ok(())
    }

    /// Asks about further requests of a session, as far as there may be more questions.
    fn ask_next(&mut self, from: SessionKey) {
        while let Some(index) = self.waiting(from).and_then(|waiting| waiting.next_question()) {
            let entry = self.waiting(from).and_then(|waiting| waiting.queue.get(index));
            let Some((number, message)) = entry.map(|entry| (entry.number, entry.message.clone())) else {
                return;
            };
            let Some(question) = self.question(from, &message) else {
                // The rules have changed.
                if let Some(waiting) = self.waiting_mut(from) {
                    waiting.set_needs_verdict(index, false);
                }
                continue;
            };
            let Self { cx, .. } = self;
            let ticket = Ticket { session: from, number };
            let deadline = cx.deadlines.set(cx.now + PATIENCE, Due::Decision(ticket));
            let Some(waiting) = cx.sessions.get_mut(from).and_then(|session| session.waiting.as_deref_mut())
            else {
                return;
            };
            waiting.set_asked(index, deadline);
            cx.events.push_back(Event::Authorize { ticket, question: Box::new(question) });
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
        let count = self.waiting(key).map_or(0, |waiting| waiting.queue.len());
        for index in 0..count {
            let Some(entry) = self.waiting(key).and_then(|waiting| waiting.queue.get(index)) else { break };
            if entry.is_chunk || !matches!(entry.state, State::Ready(None) | State::Unasked) {
                continue;
            }
            let needs_verdict = self.question(key, &entry.message).is_some();
            if let Some(waiting) = self.waiting_mut(key) {
                waiting.set_needs_verdict(index, needs_verdict);
            }
        }
        self.ask_next(key);
        self.advance_later(key);
        count
    }

    /// Records a verdict. Returns `false` if nothing waits for it.
    fn set_decided(&mut self, ticket: Ticket, verdict: Verdict) -> bool {
        let Some(waiting) = self.waiting_mut(ticket.session) else { return false };
        let Some(index) = waiting.index(ticket.number) else { return false };
        let Some(deadline) = waiting.set_decided(index, verdict) else { return false };
        self.cx.deadlines.clear(deadline);
        true
    }

    /// No decision has come in time.
    pub(super) fn handle_no_decision(&mut self, ticket: Ticket) {
        self.cx.events.push_back(Event::Void { ticket });
        self.decide(self.cx.now, ticket, Verdict::Undecided);
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
        waiting.leaves = None;
        let asked = Vec::from_iter(waiting.asked());
        let mut passed = Vec::new();
        for index in 0..waiting.queue.len() {
            passed.extend(waiting.set_decided(index, Verdict::Undecided));
        }
        for deadline in passed {
            self.cx.deadlines.clear(deadline);
        }
        let void = |number| Event::Void { ticket: Ticket { session, number } };
        self.cx.events.extend(asked.into_iter().map(void));
        self.advance(session);
    }

    pub(super) fn handle_advance(&mut self, session: SessionKey) {
        if let Some(waiting) = self.waiting_mut(session) {
            waiting.advance = None;
        }
        self.advance(session);
    }

    /// Handles the requests at the head of a queue that are decided, in order.
    fn advance(&mut self, from: SessionKey) {
        for _ in 0..AT_ONCE {
            let Some(waiting) = self.waiting_mut(from) else { return };
            let Some(entry) = waiting.pop() else { break };
            let State::Ready(verdict) = entry.state else { break };
            waiting.verdict = verdict;
            if let Some(deadline) = entry.timeout {
                let left = deadline.at().since(self.cx.now).max(Duration::from_millis(1));
                self.cx.deadlines.clear(deadline);
                if let Some(waiting) = self.waiting_mut(from) {
                    waiting.left = Some(left);
                }
            }
            let handled = self.dispatch(from, entry);
            if let Some(waiting) = self.waiting_mut(from) {
                (waiting.verdict, waiting.left) = (None, None);
            }
            self.conclude(from, handled);
        }
        self.advance_later(from);
        let Self { cx, .. } = self;
        let is_paused = cx.sessions.is_held(from);
        let Some(session) = cx.sessions.get_mut(from) else { return };
        let Some(waiting) = session.waiting.as_deref_mut() else { return };
        if waiting.holds && waiting.has_room() {
            waiting.holds = false;
            if !is_paused {
                cx.events.push_back(Event::Released { session: from });
            }
        }
    }

    /// Has the rest of the requests that can leave a queue handled in [`handle_timeout`](Self::handle_timeout).
    fn advance_later(&mut self, from: SessionKey) {
        let Self { cx, .. } = self;
        let Some(session) = cx.sessions.get_mut(from) else { return };
        let Some(waiting) = session.waiting.as_deref_mut() else { return };
        if waiting.has_ready() && waiting.advance.is_none() {
            waiting.advance = Some(cx.deadlines.set(cx.now, Due::Advance(from)));
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
            let ticket = Ticket { session: from, number: entry.number };
            self.cx.events.push_back(Event::Void { ticket });
        }
        for deadline in entry.deadlines() {
            self.cx.deadlines.clear(deadline);
        }
        self.cx.refuse(from, RequestKind::Call, request, error, text);
        self.ask_next(from);
        self.advance(from);
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

    /// The question to the authorizer about a request. `None` if a rule decides, or if the request is refused for another
    /// reason than authorization.
    fn question(&self, from: SessionKey, message: &Message) -> Option<Question> {
        let (cx, session) = (&self.cx, self.cx.sessions.get(from)?);
        match message {
            Message::Call(call) if &*call.procedure == "wamp.session.add_testament" => {
                let publish = Publish::from_testament(&call.payload).ok()?;
                about_topic(cx, from, session, &publish)
            }
            Message::Call(call) if &*call.procedure == "wamp.subscription.get_events" => {
                let (id,) = call.payload.args::<(u64,)>().ok()?;
                let (policy, pattern) = self.broker.pattern(cx, SubscriptionId::new(id)?)?;
                let asks = cx.allows_meta(from, Meta::Read)
                    && session.role.as_ref()?.asks(Actions::SUBSCRIBE, policy, &pattern);
                asks.then(|| ask(from, session, (Actions::SUBSCRIBE, policy, &pattern), message))
            }
            Message::Call(message::Call { procedure, options, .. }) => {
                let is_good = !procedure.is_reserved()
                    && cx.config.check_uri(procedure, UriKind::Exact).is_ok()
                    && timeout(options).is_ok();
                let asks =
                    is_good && session.role.as_ref()?.asks(Actions::CALL, MatchPolicy::Exact, procedure);
                asks.then(|| ask(from, session, (Actions::CALL, MatchPolicy::Exact, procedure), message))
            }
            Message::Publish(publish) => about_topic(cx, from, session, publish),
            Message::Register(message::Register { procedure, options, .. }) => {
                let policy = options.policy.unwrap_or(MatchPolicy::Exact);
                let is_good = !["match", "invoke"].into_iter().any(|key| options.extra.contains(key))
                    && !procedure.is_reserved()
                    && cx.config.check_uri(procedure, policy.into()).is_ok();
                let asks = is_good && session.role.as_ref()?.asks(Actions::REGISTER, policy, procedure);
                asks.then(|| ask(from, session, (Actions::REGISTER, policy, procedure), message))
            }
            Message::Subscribe(message::Subscribe { topic, options, .. }) => {
                let policy = options.policy.unwrap_or(MatchPolicy::Exact);
                let is_open = !topic.is_reserved()
                    || (policy == MatchPolicy::Prefix && topic.as_str() == "wamp")
                        && cx.allows_meta(from, Meta::Read);
                let is_good = !options.extra.contains("match")
                    && is_open
                    && cx.config.check_uri(topic, policy.into()).is_ok();
                let asks = is_good && session.role.as_ref()?.asks(Actions::SUBSCRIBE, policy, topic);
                asks.then(|| ask(from, session, (Actions::SUBSCRIBE, policy, topic), message))
            }
            _ => None,
        }
    }
}

fn about_topic(cx: &Context, from: SessionKey, session: &Session, publish: &Publish) -> Option<Question> {
    let topic = &publish.topic;
    let is_good = !topic.is_reserved() && cx.config.check_uri(topic, UriKind::Exact).is_ok();
    let asks = is_good && session.role.as_ref()?.asks(Actions::PUBLISH, MatchPolicy::Exact, topic);
    asks.then(|| {
        let message = Message::from(publish.clone());
        ask(from, session, (Actions::PUBLISH, MatchPolicy::Exact, topic), &message)
    })
}

fn ask(
    from: SessionKey,
    session: &Session,
    (action, policy, uri): (Actions, MatchPolicy, &Uri),
    message: &Message,
) -> Question {
    Question {
        session: from,
        identity: session.identity.clone(),
        transport: session.transport.clone(),
        action,
        uri: uri.clone(),
        policy,
        request: without_arguments(message),
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
