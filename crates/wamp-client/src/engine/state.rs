//! Who waits for what: the tables of a session, and what each event of the core does to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;

use tokio::sync::oneshot;
use wamp_core::session::{self, Closed, Joined, Publication, Session, Stream};
use wamp_core::{Failure, Misuse, Reply, Time};
use wamp_proto::message::CancelMode;
use wamp_proto::{Payload, PublicationId, RegistrationId, RequestId, SubscriptionId, Uri, uri};
use wamp_transport::Queue;

use crate::engine::cancel::CancelReason;
use crate::engine::handlers::{Job, Procedure};
use crate::engine::inbox::{Full, Inbox, for_now, last};
use crate::engine::invocations::Invocations;
use crate::error::{CallError, RequestError, Unsent};
use crate::pubsub::subscribe::Event;

/// The replies to one call: progressive results, then the last result or an error.
pub(crate) type Replies = Inbox<Payload, Result<Payload, CallError>>;

/// The events of one subscriber. It ends with the subscription.
pub(crate) type Feed = Inbox<Event, ()>;

/// How a request is answered.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, RequestError>>;

/// A request under way, and who waits for its answer.
pub(crate) enum Request {
    Register(Arc<Procedure>, Answer<RegistrationId>),
    Unregister(Option<Answer<()>>),
    Subscribe(Arc<Feed>, Answer<SubscriptionId>),
    Unsubscribe(Option<Answer<()>>),
    Publish(Answer<PublicationId>),
}

/// Everything behind the lock of a session.
pub(crate) struct State {
    pub(crate) session: Session,
    pub(crate) queue: Queue,
    /// The queue has passed its high water and not yet fallen to its low water.
    pub(crate) full: bool,
    /// Bytes that were added while it was full.
    pub(crate) surplus: usize,
    /// The writer has found nothing to do.
    pub(crate) writer_idle: bool,
    pub(crate) calls: HashMap<RequestId, Waiting>,
    pub(crate) requests: HashMap<RequestId, Request>,
    pub(crate) joined: Option<oneshot::Sender<Result<Box<Joined>, Closed>>>,
    /// How the session ended, and when.
    pub(crate) closed: Option<(Closed, Time)>,
    pub(crate) procedures: HashMap<RegistrationId, Arc<Procedure>>,
    pub(crate) invocations: Invocations,
    feeds: HashMap<SubscriptionId, Vec<Arc<Feed>>>,
    pub(crate) discarded: u64,
    pub(crate) events_dropped: u64,
    pub(crate) after: After,
}

/// A call under way.
pub(crate) struct Waiting {
    pub(crate) replies: Arc<Replies>,
    pub(crate) limit: usize,
}

/// What is to be done when the lock has been released.
#[derive(Default)]
pub(crate) struct After {
    /// Handlers to start.
    pub(crate) jobs: Vec<(Arc<Procedure>, Job)>,
    /// Handlers that nobody needs any more; what they hold is the application's.
    pub(crate) trash: Vec<Arc<Procedure>>,
    /// Consumers for whom something has come.
    pub(crate) wakers: Vec<Waker>,
    /// The session has just ended.
    pub(crate) closed: bool,
    /// Nothing waits for room in the queue any more.
    pub(crate) freed: bool,
    /// A message that cannot be written, and why.
    pub(crate) unwritable: Option<(&'static str, String)>,
}

impl State {
    pub(crate) fn new(
        session: Session,
        queue: Queue,
        joined: oneshot::Sender<Result<Box<Joined>, Closed>>,
    ) -> Self {
        Self {
            session,
            queue,
            full: false,
            surplus: 0,
            writer_idle: false,
            calls: HashMap::new(),
            requests: HashMap::new(),
            joined: Some(joined),
            closed: None,
            procedures: HashMap::new(),
            invocations: Invocations::default(),
            feeds: HashMap::new(),
            discarded: 0,
            events_dropped: 0,
            after: After::default(),
        }
    }

    /// Why a command was refused by the core.
    pub(crate) fn refused(&self, misuse: Misuse) -> Unsent {
        match &self.closed {
            Some((closed, _)) => Unsent::Closed(closed.clone()),
            None => Unsent::Misuse(misuse),
        }
    }

    /// Cancels a call that nobody waits for any more.
    pub(crate) fn abandon(&mut self, now: Time, call: RequestId) {
        self.calls.remove(&call);
        // `Unknown`: it has been answered meanwhile.
        let _ = self.session.cancel(now, call, CancelMode::KillNoWait);
    }

    /// Says GOODBYE. Handlers learn of it now, since they cannot answer any more, and nothing waits for room.
    pub(crate) fn leave(&mut self, now: Time) -> Result<(), Misuse> {
        self.session.leave(now, uri::CLOSE_REALM)?;
        self.full = false;
        self.after.freed = true;
        self.end_invocations();
        Ok(())
    }

    /// What an event of the core means for those who wait.
    pub(crate) fn handle_event(&mut self, now: Time, event: session::Event) {
        use session::Event::*;
        match event {
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
            Joined(joined) => {
                if let Some(waiter) = self.joined.take() {
                    let _ = waiter.send(Ok(joined));
                }
            }
            Registered { request, registration } => self.handle_registered(now, request, registration),
            Subscribed { request, subscription } => {
                self.handle_subscribed(now, request, subscription);
            }
            Unregistered { request, registration } => {
                self.after.trash.extend(self.procedures.remove(&registration));
                if let Some(Request::Unregister(Some(waiter))) = self.requests.remove(&request) {
                    let _ = waiter.send(Ok(()));
                }
            }
            Unsubscribed { request, .. } => {
                if let Some(Request::Unsubscribe(Some(waiter))) = self.requests.remove(&request) {
                    let _ = waiter.send(Ok(()));
                }
            }
            Revoked { registration } => {
                self.after.trash.extend(self.procedures.remove(&registration));
            }
            Published { request, publication } => {
                if let Some(Request::Publish(waiter)) = self.requests.remove(&request) {
                    let _ = waiter.send(Ok(publication));
                }
            }
            Refused { request, failure } => self.handle_refused(request, failure),
            Closed(closed) => self.handle_closed(now, closed),
            _ => {}
        }
    }

    /// A stream that goes out may go on.
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
        match reply {
            Reply::Progress(payload) => {
                let octets = payload.len();
                self.handle_progress(now, call, octets, cost, |waits| for_now(payload, waits));
            }
            Reply::Result(payload) => self.handle_last(call, Ok(payload)),
            Reply::Error(failure) => self.handle_last(call, Err(failure)),
            _ => {}
        }
    }

    /// A progressive result has come, with a payload of so many octets.
    pub(crate) fn handle_progress(
        &mut self,
        now: Time,
        call: RequestId,
        octets: usize,
        cost: u64,
        payload: impl FnOnce(bool) -> Payload,
    ) {
        let Some(waiting) = self.calls.get(&call) else { return };
        let admitted = cost > 0 && !self.session.is_overdrawn(Stream::Results(call), cost);
        match waiting.replies.push_counted(octets, cost, admitted, &mut self.after.wakers, payload) {
            Ok(0) => {}
            Ok(lent) => self.session.consume(now, Stream::Results(call), lent),
            Err(Full) => {
                waiting.replies.finish(Err(CallError::Lagged { limit: waiting.limit }));
                self.abandon(now, call);
            }
        }
    }

    /// The last reply has come.
    pub(crate) fn handle_last(&mut self, call: RequestId, reply: Result<Payload, Failure>) {
        let Some(waiting) = self.calls.remove(&call) else { return };
        let end = |waits| reply.map(|payload| last(payload, waits)).map_err(CallError::from_failure);
        waiting.replies.finish_with(end);
    }

    fn handle_registered(&mut self, now: Time, request: RequestId, registration: RegistrationId) {
        let Some(Request::Register(procedure, waiter)) = self.requests.remove(&request) else { return };
        if waiter.send(Ok(registration)).is_ok() {
            self.after.trash.extend(self.procedures.insert(registration, procedure));
            return;
        }
        // Whoever wanted it has given up meanwhile.
        self.after.trash.push(procedure);
        if let Ok(request) = self.session.unregister(now, registration) {
            self.requests.insert(request, Request::Unregister(None));
        }
    }

    fn handle_subscribed(&mut self, now: Time, request: RequestId, subscription: SubscriptionId) {
        let Some(Request::Subscribe(feed, waiter)) = self.requests.remove(&request) else { return };
        self.feeds.entry(subscription).or_default().push(feed.clone());
        if waiter.send(Ok(subscription)).is_err() {
            self.unsubscribe(now, subscription, &feed, None);
        }
    }

    /// Ends a subscriber, and with the last one of its subscription that too.
    pub(crate) fn unsubscribe(
        &mut self,
        now: Time,
        subscription: SubscriptionId,
        feed: &Arc<Feed>,
        waiter: Option<Answer<()>>,
    ) {
        feed.finish(());
        let done = |waiter: Option<Answer<()>>, result| {
            if let Some(waiter) = waiter {
                let _ = waiter.send(result);
            }
        };
        let Some(feeds) = self.feeds.get_mut(&subscription) else {
            let error = match &self.closed {
                Some((closed, _)) => RequestError::from_closed(closed),
                None => RequestError::Gone,
            };
            return done(waiter, Err(error));
        };
        feeds.retain(|other| !Arc::ptr_eq(other, feed));
        if !feeds.is_empty() {
            return done(waiter, Ok(()));
        }
        self.feeds.remove(&subscription);
        match self.session.unsubscribe(now, subscription) {
            Ok(request) => drop(self.requests.insert(request, Request::Unsubscribe(waiter))),
            Err(misuse) => done(waiter, Err(self.refused(misuse).into())),
        }
    }

    fn handle_publication(&mut self, now: Time, publication: Publication) {
        let subscription = publication.subscription;
        let Some(feeds) = self.feeds.get(&subscription) else { return };
        let mut gone = None;
        let topic = publication.details.topic.as_ref().map(Uri::detached);
        for feed in feeds {
            if feed.is_finished() {
                gone = Some(feed.clone());
            }
            let payload = publication.payload.clone();
            let octets = payload.len() + topic.as_ref().map_or(0, |topic| topic.len());
            let (id, topic) = (publication.publication, topic.clone());
            let event = |waits| Event { id, topic, payload: for_now(payload, waits) };
            if feed.push(octets, &mut self.after.wakers, event).is_err() {
                self.events_dropped += 1;
            }
        }
        if let Some(feed) = gone {
            self.unsubscribe(now, subscription, &feed, None);
        }
    }

    fn handle_refused(&mut self, request: RequestId, failure: Failure) {
        let error = RequestError::from_failure(failure);
        self.fail(request, error);
    }

    fn fail(&mut self, request: RequestId, error: RequestError) {
        match self.requests.remove(&request) {
            Some(Request::Register(procedure, waiter)) => {
                self.after.trash.push(procedure);
                let _ = waiter.send(Err(error));
            }
            Some(Request::Subscribe(feed, waiter)) => {
                feed.finish(());
                let _ = waiter.send(Err(error));
            }
            Some(Request::Unregister(Some(waiter)) | Request::Unsubscribe(Some(waiter))) => {
                let _ = waiter.send(Err(error));
            }
            Some(Request::Publish(waiter)) => {
                let _ = waiter.send(Err(error));
            }
            Some(Request::Unregister(None) | Request::Unsubscribe(None)) | None => {}
        }
    }

    /// The session is over: everybody learns it at once.
    fn handle_closed(&mut self, now: Time, closed: Closed) {
        self.queue.close();
        self.full = false;
        for (_, call) in self.calls.drain() {
            call.replies.finish(Err(CallError::from_closed(&closed)));
        }
        let requests: Vec<RequestId> = self.requests.keys().copied().collect();
        for request in requests {
            self.fail(request, RequestError::from_closed(&closed));
        }
        self.end_invocations();
        self.after.trash.extend(self.procedures.drain().map(|(_, procedure)| procedure));
        for feed in self.feeds.drain().flat_map(|(_, feeds)| feeds) {
            feed.finish(());
        }
        if let Some(waiter) = self.joined.take() {
            let _ = waiter.send(Err(closed.clone()));
        }
        self.closed = Some((closed, now));
        self.after.closed = true;
        self.after.freed = true;
    }
}
