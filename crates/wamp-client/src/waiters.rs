//! Who waits for what: the tables of a session, and what each event of the core does to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;

use tokio::sync::oneshot;
use wamp_core::session::{self, Closed, Joined, Publication, Session, Stream};
use wamp_core::{Failure, Misuse, Reply, ReplyError, Time};
use wamp_proto::message::{self, CancelMode};
use wamp_proto::relay::PlainProgress;
use wamp_proto::{
    Payload, PayloadBuffer, PublicationId, RegistrationId, RequestId, SubscriptionId, Uri, uri,
};
use wamp_transport::Queue;

use crate::chunks::Upload;
use crate::ending::{CancelReason, Ending};
use crate::error::{CallError, RequestError, Unsent};
use crate::failure::sentence;
use crate::inbox::{Full, Inbox, for_now, to_keep};
use crate::serving::{Job, Procedure};
use crate::subscribe::Event;

/// Invocations under way; a further one is refused.
const MAX_INVOCATIONS: usize = 65_536;

/// Octets of the arguments of all invocations under way; what goes beyond is refused.
const MAX_INVOCATION_OCTETS: usize = 256 << 20;

/// Octets of chunks of one invocation that its handler has not taken yet; with more it is refused.
const MAX_UPLOAD_OCTETS: usize = 64 << 20;

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
    /// The writer has found nothing to do.
    pub(crate) writer_idle: bool,
    pub(crate) calls: HashMap<RequestId, Waiting>,
    pub(crate) requests: HashMap<RequestId, Request>,
    pub(crate) joined: Option<oneshot::Sender<Result<Box<Joined>, Closed>>>,
    /// How the session ended, and when.
    pub(crate) closed: Option<(Closed, Time)>,
    procedures: HashMap<RegistrationId, Arc<Procedure>>,
    invocations: HashMap<RequestId, Invoked>,
    invocation_octets: usize,
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

/// An invocation whose handler has not ended, perhaps not begun.
struct Invoked {
    ending: Arc<Ending>,
    procedure: Arc<Procedure>,
    octets: usize,
    /// The chunks that come after the first, of a call in chunks.
    upload: Option<Arc<Upload>>,
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
            writer_idle: false,
            calls: HashMap::new(),
            requests: HashMap::new(),
            joined: Some(joined),
            closed: None,
            procedures: HashMap::new(),
            invocations: HashMap::new(),
            invocation_octets: 0,
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

    /// Says GOODBYE. Handlers learn of it now, since they cannot answer any more.
    pub(crate) fn leave(&mut self, now: Time) -> Result<(), Misuse> {
        self.session.leave(now, uri::CLOSE_REALM)?;
        self.end_invocations();
        Ok(())
    }

    /// Sends a progressive result that is written there, unless there is no credit for it.
    pub(crate) fn progress_written(
        &mut self,
        now: Time,
        head: &PlainProgress,
        payload: &PayloadBuffer,
    ) -> Option<Result<(), ReplyError>> {
        match self.session.progress(now, head) {
            Ok(()) => {
                self.queue.push_plain(&head.head(self.queue.serializer()), payload.octets());
                Some(Ok(()))
            }
            Err(ReplyError::NoCredit) => None,
            Err(over) => Some(Err(over)),
        }
    }

    /// Sends a progressive result.
    pub(crate) fn progress(
        &mut self,
        now: Time,
        invocation: RequestId,
        payload: Payload,
    ) -> Result<(), ReplyError> {
        self.session.reply(now, invocation, Reply::Progress(payload))
    }

    /// A handler has ended, with this as its answer.
    pub(crate) fn finish(&mut self, now: Time, id: RequestId, procedure: &Arc<Procedure>, answer: Reply) {
        if self.session.reply(now, id, answer).is_err() {
            self.discarded += 1;
        }
        // Not the last handle of the procedure, which the handler holds.
        drop(self.forget_invocation(id));
        if let Some(job) = procedure.next() {
            self.after.jobs.push((procedure.clone(), job));
        }
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
            Stream::Results(invocation) => {
                if let Some(invoked) = self.invocations.get(&invocation) {
                    invoked.ending.credit.notify_waiters();
                }
            }
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
        waiting.replies.finish(reply.map(to_keep).map_err(CallError::from_failure));
    }

    fn handle_invoked(&mut self, now: Time, invocation: message::Invocation) {
        let id = invocation.request;
        if !self.session.is_open() {
            // It has crossed our GOODBYE, upon which the router answers for us.
            return;
        }
        let Some(procedure) = self.procedures.get(&invocation.registration) else {
            return self.refuse(now, id, Failure::new(uri::NO_SUCH_REGISTRATION));
        };
        let octets = invocation.payload.len();
        if self.invocations.len() >= MAX_INVOCATIONS
            || self.invocation_octets + octets > MAX_INVOCATION_OCTETS
        {
            let text = sentence(self.queue.serializer(), "the callee has too many invocations under way");
            return self.refuse(now, id, Failure { error: uri::UNAVAILABLE, payload: text });
        }
        let procedure = procedure.clone();
        let ending = Arc::new(Ending::default());
        let in_chunks = invocation.details.progress == Some(true);
        let upload = in_chunks.then(|| Arc::new(Inbox::new(MAX_UPLOAD_OCTETS)));
        let invoked =
            Invoked { ending: ending.clone(), procedure: procedure.clone(), octets, upload: upload.clone() };
        self.invocation_octets += octets;
        self.invocations.insert(id, invoked);
        if let Some(job) = procedure.admit(Job::new(invocation, upload, ending)) {
            self.after.jobs.push((procedure, job));
        }
    }

    fn handle_chunk(&mut self, now: Time, id: RequestId, payload: Payload, last: bool, cost: u64) {
        let Some(upload) = self.invocations.get(&id).and_then(|invoked| invoked.upload.as_ref()) else {
            return;
        };
        let ends_only = last && payload.is_empty();
        let wakers = &mut self.after.wakers;
        let pushed = || {
            let octets = payload.len();
            upload.push_counted(octets, cost, false, wakers, |waits| for_now(payload, waits))
        };
        if !ends_only && pushed().is_err() {
            upload.finish(Err(CancelReason::Canceled));
            let text = sentence(self.queue.serializer(), "the callee takes the chunks too slowly");
            self.refuse(now, id, Failure { error: uri::UNAVAILABLE, payload: text });
            return self.handle_interrupted(id, CancelReason::Canceled);
        }
        if last {
            upload.finish(Ok(()));
        }
    }

    fn refuse(&mut self, now: Time, invocation: RequestId, failure: Failure) {
        // `Over`: it is canceled already.
        let _ = self.session.reply(now, invocation, Reply::Error(failure));
    }

    fn handle_interrupted(&mut self, id: RequestId, reason: CancelReason) {
        let Some(invoked) = self.invocations.get(&id) else { return };
        let over = !self.session.is_invoked(id);
        invoked.ending.cancel(reason, over);
        if let Some(upload) = &invoked.upload {
            upload.finish(Err(reason));
        }
        // One that has not begun never will.
        if over && invoked.procedure.withdraw(id) {
            let procedure = self.forget_invocation(id);
            self.after.trash.extend(procedure);
        }
    }

    fn forget_invocation(&mut self, id: RequestId) -> Option<Arc<Procedure>> {
        let invoked = self.invocations.remove(&id)?;
        invoked.ending.answered();
        if let Some(upload) = &invoked.upload {
            upload.finish(Err(CancelReason::Canceled));
        }
        self.invocation_octets -= invoked.octets;
        Some(invoked.procedure)
    }

    /// Nobody waits for any handler any more.
    fn end_invocations(&mut self) {
        let mut waiting = Vec::new();
        for (id, invoked) in &self.invocations {
            invoked.ending.cancel(CancelReason::Closing, true);
            if let Some(upload) = &invoked.upload {
                upload.finish(Err(CancelReason::Closing));
            }
            if invoked.procedure.withdraw(*id) {
                waiting.push(*id);
            }
        }
        for id in waiting {
            let procedure = self.forget_invocation(id);
            self.after.trash.extend(procedure);
        }
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
            let (octets, id, topic) = (payload.len(), publication.publication, topic.clone());
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
    }
}
