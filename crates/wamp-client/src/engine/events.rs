//! Events of the core, passed on to the waiting tasks.

use std::sync::Arc;

use wamp_core::session::{self, Closed, Publication, Stream};
use wamp_core::{Failure, Misuse, Reply, Time};
use wamp_proto::message::{CancelMode, Ppt};
use wamp_proto::{Message, Payload, RegistrationId, RequestId, SubscriptionId, Uri, uri};

use crate::ended::Ended;
use crate::engine::feed::{About, Feed, Published};
use crate::engine::inbox::{LimitReached, detach_unless_awaited, last};
use crate::engine::state::{Answer, CallItem, PendingRequest, State};
use crate::error::{CallError, CancelReason, RequestError};

/// Writes the messages of the core, and handles one event. Returns `false` if there was none.
pub(crate) fn drain(state: &mut State, now: Time) -> bool {
    while let Some(message) = state.session.poll_transmit() {
        let pushed = match &message {
            Message::Abort(_) => state.queue.abort(&message),
            _ => state.queue.push(&message),
        };
        // The core has checked messages of the application, and its own messages can always be written.
        debug_assert!(pushed.is_ok(), "{pushed:?}");
        if state.full {
            state.surplus += pushed.unwrap_or(0);
        }
    }
    state.note_full();
    match state.session.poll_event() {
        Some(event) => {
            state.handle_event(now, event);
            true
        }
        None => false,
    }
}

impl State {
    /// Cancels a call whose result is not awaited any more.
    pub(crate) fn abandon(&mut self, now: Time, call: RequestId) {
        self.calls.remove(&call);
        // `Unknown`: it has been answered meanwhile.
        let _ = self.session.cancel(now, call, CancelMode::KillNoWait);
    }

    /// Sends GOODBYE. Handlers are canceled now, since they cannot answer any more, and all waits for room
    /// end.
    pub(crate) fn leave(&mut self, now: Time) -> Result<(), Misuse> {
        self.session.leave(now, uri::CLOSE_REALM)?;
        self.full = false;
        self.after.freed = true;
        self.end_invocations(CancelReason::Closing);
        Ok(())
    }

    /// Passes an event of the core on to the tasks that wait for it.
    pub(crate) fn handle_event(&mut self, now: Time, event: session::Event) {
        use session::Event::*;
        match event {
            // The reply follows at once.
            OpaqueReply { ppt, .. } => self.ppt = Some(ppt),
            Replied { call, reply, cost } => self.handle_reply(now, call, reply, cost),
            Credit { stream } => self.handle_credit(stream),
            Invoked(invocation) => self.handle_invoked(now, invocation),
            Chunk { invocation, payload, last, cost } => {
                self.handle_chunk(now, invocation, payload, last, cost);
            }
            EventReceived(publication) => self.handle_publication(now, *publication),
            Interrupted { invocation, reason, .. } => {
                self.handle_interrupted(invocation, CancelReason::from_uri(reason.as_ref()));
            }
            Challenged(challenge) => {
                if let Some(waiter) = self.challenged.take() {
                    let _ = waiter.send(challenge);
                }
            }
            Joined(joined) => {
                self.challenged = None;
                if let Some(waiter) = self.joined.take() {
                    let _ = waiter.send(Ok(joined));
                }
            }
            Registered { request, registration } => self.handle_registered(now, request, registration),
            Subscribed { request, subscription } => {
                self.handle_subscribed(now, request, subscription);
            }
            Unregistered { request, registration } => {
                if let Some(procedure) = self.procedures.remove(&registration) {
                    procedure.end().set(Ended::Withdrawn);
                    self.after.trash.push(procedure);
                }
                if let Some(PendingRequest::Unregister(Some(waiter))) = self.requests.remove(&request) {
                    let _ = waiter.send(Ok(()));
                }
            }
            SubscriptionRevoked { subscription, reason } => {
                self.handle_subscription_revoked(subscription, reason);
            }
            Unsubscribed { request, .. } => {
                if let Some(PendingRequest::Unsubscribe(Some(waiter))) = self.requests.remove(&request) {
                    let _ = waiter.send(Ok(()));
                }
            }
            Revoked { registration, reason } => self.handle_registration_revoked(registration, reason),
            Published { request, publication } => {
                if let Some(PendingRequest::Publish(waiter)) = self.requests.remove(&request) {
                    let _ = waiter.send(Ok(publication));
                }
            }
            Refused { request, failure } => self.handle_refused(now, request, failure),
            Closed(closed) => self.handle_closed(now, closed),
            _ => {}
        }
    }

    /// Handles credit for an outgoing stream.
    fn handle_credit(&mut self, stream: Stream) {
        match stream {
            Stream::Results(invocation) => self.handle_credit_of_results(invocation),
            Stream::Chunks(call) => {
                if let Some(waiting) = self.calls.get(&call) {
                    waiting.replies.other_way.notify_waiters();
                }
            }
            _ => {}
        }
    }

    fn handle_reply(&mut self, now: Time, call: RequestId, reply: Reply, cost: u64) {
        let ppt = self.ppt.take();
        match reply {
            Reply::Progress(payload) => {
                let bytes = payload.len();
                self.handle_progress(now, call, bytes, cost, |waits| detach_unless_awaited(payload, waits));
            }
            Reply::Result(payload) => {
                self.handle_last(call, Ok(payload), ppt.map(|ppt| Box::new(ppt.detached())));
            }
            Reply::Error(failure) => self.handle_last(call, Err(failure), None),
            _ => {}
        }
    }

    /// Handles a progressive result with a payload of `len` bytes.
    pub(crate) fn handle_progress(
        &mut self,
        now: Time,
        call: RequestId,
        bytes: usize,
        cost: u64,
        payload: impl FnOnce(bool) -> Payload,
    ) {
        let Some(waiting) = self.calls.get(&call) else { return };
        let admitted = cost > 0 && !self.session.is_overdrawn(Stream::Results(call), cost);
        let make = |waits| CallItem::Result(payload(waits));
        match waiting.replies.push_counted(bytes, cost, admitted, &mut self.after.wakers, make) {
            Ok(0) => {}
            Ok(lent) => self.session.consume(now, Stream::Results(call), lent),
            Err(LimitReached) => self.end_lagging(now, call),
        }
    }

    /// Ends a call whose consumer is too far behind.
    pub(crate) fn end_lagging(&mut self, now: Time, call: RequestId) {
        if let Some(waiting) = self.calls.get(&call) {
            waiting.replies.finish(Err(CallError::Lagged { limit: waiting.limit }));
            self.abandon(now, call);
        }
    }

    /// Handles the last reply to a call.
    pub(crate) fn handle_last(
        &mut self,
        call: RequestId,
        reply: Result<Payload, Failure>,
        ppt: Option<Box<Ppt>>,
    ) {
        let Some(waiting) = self.calls.remove(&call) else { return };
        let end = |waits| reply.map(|payload| (last(payload, waits), ppt)).map_err(CallError::from_failure);
        waiting.replies.finish_with(&mut self.after.wakers, end);
    }

    fn handle_registered(&mut self, now: Time, request: RequestId, registration: RegistrationId) {
        let Some(PendingRequest::Register(procedure, waiter)) = self.requests.remove(&request) else {
            return;
        };
        if waiter.send(Ok(registration)).is_ok() {
            self.after.trash.extend(self.procedures.insert(registration, procedure));
            return;
        }
        // The requester has given up meanwhile.
        self.after.trash.push(procedure);
        let _ = self.unregister(now, registration, None);
    }

    fn handle_subscribed(&mut self, now: Time, request: RequestId, subscription: SubscriptionId) {
        let Some(PendingRequest::Subscribe { feed, retained, waiter }) = self.requests.remove(&request)
        else {
            return;
        };
        self.feeds.entry(subscription).or_default().push(feed.clone());
        if retained {
            self.retained_for.insert(subscription, feed.clone());
        }
        if waiter.send(Ok(subscription)).is_err() {
            self.unsubscribe(now, subscription, &feed, None);
        }
        self.unsubscribe_unused(now);
    }

    /// Whether a pending request can add a subscriber to a subscription.
    fn is_subscribing(&self) -> bool {
        self.requests.values().any(|request| matches!(request, PendingRequest::Subscribe { .. }))
    }

    /// Ends the subscriptions that still have no subscriber.
    fn unsubscribe_unused(&mut self, now: Time) {
        if self.unused.is_empty() || self.is_subscribing() {
            return;
        }
        for subscription in std::mem::take(&mut self.unused) {
            if self.feeds.get(&subscription).is_some_and(Vec::is_empty) {
                self.feeds.remove(&subscription);
                if let Ok(request) = self.session.unsubscribe(now, subscription) {
                    self.requests.insert(request, PendingRequest::Unsubscribe(None));
                }
            }
        }
    }

    /// Removes the subscribers of a subscription that take no more events.
    pub(crate) fn drop_finished_feeds(&mut self, now: Time, subscription: SubscriptionId) {
        let feeds = self.feeds.get(&subscription).into_iter().flatten();
        let finished: Vec<Arc<Feed>> = feeds.filter(|feed| feed.is_finished()).cloned().collect();
        for feed in finished {
            self.unsubscribe(now, subscription, &feed, None);
        }
    }

    /// Unregisters a procedure.
    ///
    /// # Errors
    /// It is unregistered already, or the session is over; `waiter` is then dropped.
    pub(crate) fn unregister(
        &mut self,
        now: Time,
        registration: RegistrationId,
        waiter: Option<Answer<()>>,
    ) -> Result<(), Misuse> {
        let request = self.session.unregister(now, registration)?;
        self.requests.insert(request, PendingRequest::Unregister(waiter));
        Ok(())
    }

    /// Ends a subscriber, and its subscription with the last one.
    pub(crate) fn unsubscribe(
        &mut self,
        now: Time,
        subscription: SubscriptionId,
        feed: &Arc<Feed>,
        waiter: Option<Answer<()>>,
    ) {
        feed.finish(Ended::Withdrawn);
        let done = |waiter: Option<Answer<()>>, result| {
            if let Some(waiter) = waiter {
                let _ = waiter.send(result);
            }
        };
        let Some(feeds) = self.feeds.get_mut(&subscription) else {
            let error = match &self.closed {
                Some((closed, _)) => RequestError::from_closed(closed, false),
                None => RequestError::Gone,
            };
            return done(waiter, Err(error));
        };
        feeds.retain(|other| !Arc::ptr_eq(other, feed));
        if self.retained_for.get(&subscription).is_some_and(|other| Arc::ptr_eq(other, feed)) {
            self.retained_for.remove(&subscription);
        }
        if !feeds.is_empty() {
            return done(waiter, Ok(()));
        }
        if self.is_subscribing() {
            // The request may be for the same topic, and thus for this subscription.
            self.unused.push(subscription);
            return done(waiter, Ok(()));
        }
        self.feeds.remove(&subscription);
        match self.session.unsubscribe(now, subscription) {
            Ok(request) => drop(self.requests.insert(request, PendingRequest::Unsubscribe(waiter))),
            Err(misuse) => done(waiter, Err(self.refused(misuse).into())),
        }
    }

    /// Handles the revocation of a subscription by the router (behaviour 291).
    fn handle_subscription_revoked(&mut self, subscription: SubscriptionId, reason: Option<Uri>) {
        let reason = reason.as_ref().map(Uri::detached);
        self.retained_for.remove(&subscription);
        for feed in self.feeds.remove(&subscription).into_iter().flatten() {
            feed.finish(Ended::Revoked { reason: reason.clone() });
            self.after.revoked.push(feed.end().clone());
        }
    }

    /// Handles the revocation of a registration by the router (behaviour 291).
    fn handle_registration_revoked(&mut self, registration: RegistrationId, reason: Option<Uri>) {
        if let Some(procedure) = self.procedures.remove(&registration) {
            procedure.end().set(Ended::Revoked { reason: reason.as_ref().map(Uri::detached) });
            self.after.revoked.push(procedure.end().clone());
            self.after.trash.push(procedure);
        }
    }

    fn handle_publication(&mut self, now: Time, publication: Publication) {
        let subscription = publication.subscription;
        let Some(feeds) = self.feeds.get(&subscription) else { return };
        let mut gone = None;
        let topic = publication.details.topic.as_ref().map(Uri::detached);
        let about = About::new(&publication.details);
        // Other subscribers did not ask for it, or already had it (behaviour 292).
        let is_retained = about.as_ref().is_some_and(|about| about.retained);
        let bytes = publication.payload.len()
            + topic.as_ref().map_or(0, |topic| topic.len())
            + about.as_ref().map_or(0, |about| about.bytes());
        let only = if is_retained { self.retained_for.get(&subscription) } else { None };
        let (mut published, last) =
            (Some((publication.payload, topic, about)), feeds.len().saturating_sub(1));
        for (index, feed) in feeds.iter().enumerate() {
            if is_retained && !only.is_some_and(|only| Arc::ptr_eq(only, feed)) {
                continue;
            }
            if feed.is_finished() {
                gone = Some(feed.clone());
            }
            let event = if index == last { published.take() } else { published.clone() };
            let Some((payload, topic, about)) = event else { break };
            let id = publication.publication;
            let event =
                |waits| Published { id, topic, payload: detach_unless_awaited(payload, waits), about };
            if feed.push(bytes, &mut self.after.wakers, event).is_err() {
                self.events_dropped += 1;
            }
        }
        if let Some(feed) = gone {
            self.unsubscribe(now, subscription, &feed, None);
        }
    }

    fn handle_refused(&mut self, now: Time, request: RequestId, failure: Failure) {
        let error = RequestError::from_failure(failure);
        self.fail(request, error);
        self.unsubscribe_unused(now);
    }

    fn fail(&mut self, request: RequestId, error: RequestError) {
        match self.requests.remove(&request) {
            Some(PendingRequest::Register(procedure, waiter)) => {
                self.after.trash.push(procedure);
                let _ = waiter.send(Err(error));
            }
            Some(PendingRequest::Subscribe { feed, waiter, .. }) => {
                if !self.keeps_declared {
                    feed.finish(Ended::Refused(error.clone()));
                }
                let _ = waiter.send(Err(error));
            }
            Some(PendingRequest::Unregister(Some(waiter)) | PendingRequest::Unsubscribe(Some(waiter))) => {
                let _ = waiter.send(Err(error));
            }
            Some(PendingRequest::Publish(waiter)) => {
                let _ = waiter.send(Err(error));
            }
            Some(PendingRequest::Unregister(None) | PendingRequest::Unsubscribe(None)) | None => {}
        }
    }

    /// Ends the session, and everything that waits, at once. If this end aborts the session, that waits until
    /// ABORT is written, since a program may exit on the error.
    fn handle_closed(&mut self, now: Time, closed: Closed) {
        self.queue.close();
        self.challenged = None;
        self.full = false;
        self.end_invocations(match closed {
            Closed::Left => CancelReason::Closing,
            _ => CancelReason::Disconnected,
        });
        for (_, procedure) in self.procedures.drain() {
            if !self.keeps_declared {
                procedure.end().set(Ended::Session(closed.clone()));
            }
            self.after.trash.push(procedure);
        }
        self.after.wakers.append(&mut self.invocations.drains);
        self.has_last_words =
            matches!(closed, Closed::Violation(_) | Closed::NotAnswered(_)) && !self.queue.is_empty();
        self.closed = Some((closed, now));
        self.after.closed = true;
        self.after.freed = true;
        if !self.has_last_words {
            self.fail_all();
        }
    }

    /// Ends everything that waits, if the session is over.
    pub(crate) fn fail_all(&mut self) {
        let Some((closed, _)) = self.closed.clone() else { return };
        self.has_last_words = false;
        for (_, call) in self.calls.drain() {
            let sent = call.batches_before != self.batches_taken;
            call.replies.finish(Err(CallError::from_closed(&closed, sent)));
        }
        let requests: Vec<RequestId> = self.requests.keys().copied().collect();
        for request in requests {
            self.fail(request, RequestError::from_closed(&closed, true));
        }
        for feed in self.feeds.drain().flat_map(|(_, feeds)| feeds).filter(|_| !self.keeps_declared) {
            feed.finish(Ended::Session(closed.clone()));
        }
        if let Some(waiter) = self.joined.take() {
            let _ = waiter.send(Err(closed));
        }
    }
}
