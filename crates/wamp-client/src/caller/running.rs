//! A call on its way: from its request to its last reply.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, Sleep, sleep_until};
use wamp_core::Time;
use wamp_core::session::Stream;
use wamp_proto::message::{CallOptions, Ppt};
use wamp_proto::relay::{Pack, Packed};
use wamp_proto::{Payload, PayloadError, RequestId, Serializer, Uri, uri};

use crate::arguments::{Body, sentence};
use crate::caller::handle::{self, CallHandle, Later};
use crate::deferred::Boxed;
use crate::engine::inbox::{Hand, Inbox, Next};
use crate::engine::shared::Engine;
use crate::engine::state::{CallItem, PendingCall, Replies, State};
use crate::error::{CallError, SubmitError};
use crate::session::Session;
use crate::trace::CallSpan;

/// The parts of a call before it is made.
pub(crate) struct CallRequest {
    pub(super) session: Session,
    /// The engine when the call was put together.
    pub(super) engine: Arc<Engine>,
    pub(super) procedure: Uri,
    pub(super) options: CallOptions,
    pub(super) body: Body,
    pub(super) buffer: usize,
    pub(super) limits: Limits,
}

/// The time limits of a call, and the handle that cancels it.
#[derive(Clone, Default)]
pub(crate) struct Limits {
    /// The longest wait for a connection.
    pub(super) when_up: Option<Duration>,
    /// The limit of the whole call.
    pub(super) deadline: Option<Deadline>,
    /// The handle that cancels the call before it is sent.
    pub(super) later: Option<Arc<Later>>,
}

/// A time limit that begins when the call is first polled.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    limit: Duration,
    /// `None`: it has not been polled.
    until: Option<Instant>,
}

impl Deadline {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, until: None }
    }

    fn passed(self, serializer: Serializer) -> CallError {
        let text = format!("the call took longer than its deadline of {:?}", self.limit);
        CallError::Timeout { uri: uri::TIMEOUT, payload: sentence(serializer, &text) }
    }
}

impl Limits {
    /// Starts the time of the call, at its first poll.
    pub(super) fn begin(&mut self) {
        if let Some(deadline) = &mut self.deadline
            && deadline.until.is_none()
        {
            // A deadline that cannot be expressed is never reached.
            deadline.until = Instant::now().checked_add(deadline.limit);
        }
    }

    /// Waits for a future before the call is sent, within the limits of the call.
    pub(super) async fn within<T>(
        &self,
        serializer: Serializer,
        doing: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let canceled = async {
            match &self.later {
                Some(later) => later.canceled().await,
                None => pending().await,
            }
        };
        let passed = async {
            match self.deadline {
                Some(deadline @ Deadline { until: Some(until), .. }) => {
                    sleep_until(until).await;
                    deadline
                }
                _ => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = canceled => Err(handle::canceled()),
            done = doing => done,
            deadline = passed => Err(deadline.passed(serializer)),
        }
    }
}

/// The number of results of one read that together use one unit of the budget of the task that takes them.
const RESULTS_OF_A_UNIT: u32 = 8;

/// A call that waits for room in the queue.
pub(crate) type Starting = Boxed<'static, Result<RunningCall, CallError>>;

/// The state of a request after an attempt to send it.
pub(crate) enum Submitted {
    Running(RunningCall),
    Waiting(Starting, Arc<Later>),
}

impl CallRequest {
    /// Makes the call, or begins to wait for room in the queue.
    pub(crate) fn start(mut self) -> Result<Submitted, CallError> {
        self.limits.begin();
        if self.limits.when_up.is_some() && !self.session.is_open() {
            let later = self.limits.later.get_or_insert_default().clone();
            return Ok(Submitted::Waiting(Box::pin(self.started()), later));
        }
        if self.limits.later.as_ref().is_some_and(|later| later.is_canceled()) {
            return Err(handle::canceled());
        }
        let (mut kept, ready) = self.prepare()?;
        match kept.engine.if_room_at_once(|state, now| ready.send(state, now)) {
            Ok(sent) => Ok(Submitted::Running(kept.running(sent?))),
            Err(send) => {
                let later = kept.limits.later.get_or_insert_default().clone();
                let starting = async move {
                    let serializer = kept.engine.serializer();
                    let sending = async { Ok(kept.engine.with_room(send).await?) };
                    let id = kept.limits.within(serializer, sending).await?;
                    Ok(kept.running(id))
                };
                Ok(Submitted::Waiting(Box::pin(starting), later))
            }
        }
    }

    /// Makes the call as soon as there is room in the queue.
    pub(crate) async fn started(mut self) -> Result<RunningCall, CallError> {
        self.limits.begin();
        let (limits, serializer) = (self.limits.clone(), self.engine.serializer());
        let starting = async {
            if let Some(limit) = limits.when_up {
                self.session.link().when_up(limit).await;
            }
            let (kept, ready) = self.prepare()?;
            let id = kept.engine.with_room(|state, now| ready.send(state, now)).await?;
            Ok(kept.running(id))
        };
        limits.within(serializer, starting).await
    }

    /// Writes the arguments.
    fn prepare(self) -> Result<(Kept, ReadyCall), SubmitError> {
        let CallRequest { session, engine, procedure, mut options, body, buffer, limits } = self;
        let engine = if engine.is_over() { session.engine() } else { engine };
        let payload = body.finish(engine.serializer())?;
        let replies = Arc::new(Inbox::new(buffer));
        let span = CallSpan::begin(&procedure, &mut options);
        let kept = Kept { session, engine, replies: replies.clone(), limits, span };
        Ok((kept, ReadyCall { procedure, options, payload, replies, limit: buffer }))
    }
}

/// The parts of a request that a running call keeps.
struct Kept {
    session: Session,
    engine: Arc<Engine>,
    replies: Arc<Replies>,
    limits: Limits,
    span: CallSpan,
}

impl Kept {
    /// Records that the call was sent with this id.
    fn running(self, id: RequestId) -> RunningCall {
        let Kept { session, engine, replies, limits, span } = self;
        if let Some(later) = &limits.later {
            later.handle_sent(&engine, id);
        }
        let alarm = limits.deadline.and_then(|deadline| {
            deadline.until.map(|until| Box::new(Alarm { deadline, sleep: Box::pin(sleep_until(until)) }))
        });
        RunningCall { session, engine, id, replies, hand: Hand::new(), several: None, alarm, span, ppt: None }
    }
}

/// A call that is ready to be sent. It has no handle of the session, since it may be dropped under the lock.
pub(crate) struct ReadyCall {
    pub(crate) procedure: Uri,
    pub(crate) options: CallOptions,
    pub(crate) payload: Payload,
    pub(crate) replies: Arc<Replies>,
    pub(crate) limit: usize,
}

impl ReadyCall {
    pub(crate) fn send(self, state: &mut State, now: Time) -> Result<RequestId, SubmitError> {
        let ReadyCall { procedure, options, payload, replies, limit } = self;
        match state.session.call(now, options, procedure, payload) {
            Ok(id) => {
                let batches_before = state.batches_taken;
                state.calls.insert(id, PendingCall { replies, limit, batches_before });
                Ok(id)
            }
            Err(misuse) => Err(state.refused(misuse)),
        }
    }
}

/// A call under way. Dropping it cancels it.
pub(crate) struct RunningCall {
    #[expect(dead_code, reason = "keeps the session")]
    session: Session,
    engine: Arc<Engine>,
    id: RequestId,
    replies: Arc<Replies>,
    hand: Hand<CallItem>,
    several: Option<Several>,
    alarm: Option<Box<Alarm>>,
    span: CallSpan,
    /// The options of the last result, if it is opaque to routers.
    ppt: Option<Box<Ppt>>,
}

/// A result for the consumer.
pub(crate) enum ResultItem<'a> {
    Alone(Payload),
    Packed(Packed<'a>),
}

impl ResultItem<'_> {
    fn into_payload(self) -> Payload {
        match self {
            Self::Alone(payload) => payload,
            Self::Packed(packed) => packed.payload(),
        }
    }

    /// Reads the result.
    pub(crate) fn decode<T: DeserializeOwned>(self) -> Result<T, PayloadError> {
        match self {
            Self::Alone(payload) => payload.decode(),
            Self::Packed(packed) => packed.decode(),
        }
    }
}

/// Results that were taken from the inbox together.
struct Several {
    results: Pack,
    /// The number of results that were delivered.
    taken: u32,
}

/// The deadline of a call under way.
struct Alarm {
    deadline: Deadline,
    sleep: Pin<Box<Sleep>>,
}

impl RunningCall {
    /// The next progressive result, or the end, which comes once.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Next<Payload, Result<Payload, CallError>>> {
        self.poll_taken(cx, |taken| taken.into_payload())
    }

    /// The same, with the result as `read` returns it.
    pub(crate) fn poll_taken<T>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(ResultItem<'_>) -> T,
    ) -> Poll<Next<T, Result<Payload, CallError>>> {
        self.poll_alarm(cx);
        loop {
            ready!(self.poll_several(cx));
            if let Some(several) = &mut self.several {
                several.taken += 1;
                if let Some(packed) = several.results.next_packed() {
                    self.span.progress(packed.encoded_len());
                    return Poll::Ready(Next::Item(read(ResultItem::Packed(packed)), 0));
                }
            }
            self.several = None;
            let mut owed = 0;
            let taken = self.replies.poll_next(cx, &mut self.hand, &mut owed);
            if owed > 0 {
                let stream = Stream::Results(self.id);
                self.engine.with(|state, now| state.session.consume(now, stream, owed));
            }
            match ready!(taken) {
                Next::Item(CallItem::Result(payload), _) => {
                    self.span.progress(payload.len());
                    return Poll::Ready(Next::Item(read(ResultItem::Alone(payload)), 0));
                }
                Next::Item(CallItem::Several(results), _) => {
                    self.several = Some(Several { results, taken: 0 })
                }
                Next::End(end) => {
                    let end = end.map(|(payload, ppt)| {
                        self.ppt = ppt;
                        payload
                    });
                    self.span.end(&end);
                    return Poll::Ready(Next::End(end));
                }
            }
        }
    }

    /// Waits for a unit of the task's budget, if the next of several results needs one.
    fn poll_several(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(several) = &self.several else { return Poll::Ready(()) };
        if several.taken % RESULTS_OF_A_UNIT == RESULTS_OF_A_UNIT - 1 {
            ready!(poll_proceed(cx)).made_progress();
        }
        Poll::Ready(())
    }

    /// Ends the call at its deadline. Results that have already arrived come before the error.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) {
        let Some(alarm) = &mut self.alarm else { return };
        if alarm.sleep.as_mut().poll(cx).is_pending() {
            return;
        }
        let passed = alarm.deadline.passed(self.engine.serializer());
        self.alarm = None;
        self.replies.finish(Err(passed));
        self.engine.with(|state, now| state.abandon(now, self.id));
    }

    /// Takes the options of the last result, if it is opaque to routers.
    pub(crate) fn take_ppt(&mut self) -> Option<Box<Ppt>> {
        self.ppt.take()
    }

    pub(crate) fn replies(&self) -> &Arc<Replies> {
        &self.replies
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns the handle that can cancel it.
    pub(crate) fn handle(&self) -> CallHandle {
        CallHandle::sent(self.engine.clone(), self.id)
    }

    pub(crate) fn id(&self) -> RequestId {
        self.id
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        if !self.replies.is_finished() {
            let id = self.id;
            self.engine.with(|state, now| state.abandon(now, id));
        }
    }
}
