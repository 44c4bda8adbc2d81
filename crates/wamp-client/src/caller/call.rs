//! Calls as futures.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wamp_core::Time;
use wamp_core::session::Stream;
use wamp_proto::message::{self, CallOptions, CancelMode, Millis};
use wamp_proto::{Args, Payload, PayloadError, RequestId, Uri};

use crate::arguments::Body;
use crate::caller::duplex::DuplexCall;
use crate::caller::stream::ProgressiveCall;
use crate::engine::inbox::{Inbox, Taken};
use crate::engine::shared::Shared;
use crate::engine::state::{Replies, State, Waiting};
use crate::error::{CallError, Unsent};
use crate::session::Session;

/// What the replies to one call may take while they wait, unless said otherwise.
const BUFFER: usize = 64 << 20;

type Observer<'a> = Box<dyn FnMut(&Payload) -> Result<(), PayloadError> + Send + 'a>;

/// A call to be made. It owns a handle of its session, so it can be spawned.
///
/// Await it for its result, or make a stream of its progressive results with
/// [`progressive`](Self::progressive). Dropping what is being awaited cancels the call (`killnowait`).
#[must_use = "nothing is sent until it is awaited"]
pub struct Call<'a> {
    request: Request,
    observer: Option<Observer<'a>>,
}

/// All that is known about a call before it is made.
pub(crate) struct Request {
    session: Session,
    procedure: Uri,
    options: CallOptions,
    body: Body,
    buffer: usize,
}

impl Call<'static> {
    pub(crate) fn new(session: Session, procedure: Uri) -> Self {
        let body = Body::new(Some(session.serializer()));
        let options = CallOptions::default();
        Self { request: Request { session, procedure, options, body, buffer: BUFFER }, observer: None }
    }
}

impl<'a> Call<'a> {
    /// More positional arguments: each element of a tuple or a list is one.
    pub fn args(mut self, values: impl Args) -> Self {
        self.request.body.args(&values);
        self
    }

    /// One more positional argument, whatever the value is.
    pub fn arg(mut self, value: impl Serialize) -> Self {
        self.request.body.arg(&value);
        self
    }

    /// One more keyword argument.
    pub fn kwarg(mut self, name: &str, value: impl Serialize) -> Self {
        self.request.body.kwarg(name, &value);
        self
    }

    /// More keyword arguments: each field of a struct, each entry of a map is one.
    pub fn kwargs(mut self, values: impl Serialize) -> Self {
        self.request.body.kwargs(&values);
        self
    }

    /// All arguments, as they came from somewhere else. It excludes the other ways to say them.
    pub fn payload(mut self, payload: Payload) -> Self {
        self.request.body.payload(payload);
        self
    }

    /// How long the callee may take for each result (`CALL.Options.timeout`); the router watches it, where it
    /// can. Whole milliseconds, rounded up.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        let millis = u64::try_from(millis).unwrap_or(u64::MAX).min(wamp_proto::MAX_ID);
        self.request.options.timeout = Some(Millis(millis));
        self
    }

    /// Lets the callee know who calls, if the router allows it.
    pub fn disclose_me(mut self) -> Self {
        self.request.options.disclose_me = Some(true);
        self
    }

    /// How many octets of progressive results may wait to be taken; 64 MiB by default. When more come, the
    /// call is canceled and ends with [`CallError::Lagged`].
    ///
    /// That is for callees and routers that know no credit and send whatever they have. Others are kept waiting:
    /// what waits here is then what was granted to them, 64 KiB at first and up to 1 MiB for who keeps up.
    pub fn buffer(mut self, octets: usize) -> Self {
        self.request.buffer = octets;
        self
    }

    /// Asks for progressive results and shows each to a function, on the task that awaits the call and in
    /// order. One that does not fit `T` ends the call with [`CallError::Decode`]; a function that takes a
    /// [`Payload`] accepts them all.
    ///
    /// ```
    /// # use wamp_client::{CallError, Session};
    /// # async fn example(session: Session) -> Result<(), CallError> {
    /// let mut last = 0;
    /// let total: i64 = session
    ///     .call("com.myapp.longop")
    ///     .args((3,))
    ///     .on_progress(|i: i64| last = i)
    ///     .await?
    ///     .decode()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_progress<'b, T, F>(self, mut observer: F) -> Call<'b>
    where
        T: DeserializeOwned,
        F: FnMut(T) + Send + 'b,
    {
        let mut request = self.request;
        request.options.receive_progress = Some(true);
        let observer: Observer<'b> = Box::new(move |payload| {
            observer(payload.decode()?);
            Ok(())
        });
        Call { request, observer: Some(observer) }
    }

    /// Asks for progressive results, as a stream. Await it to make the call.
    ///
    /// ```
    /// # use wamp_client::{CallError, Session};
    /// # async fn example(session: Session) -> Result<(), CallError> {
    /// # fn draw(_: String) {}
    /// let mut rows = session.call("com.example.report").args((2024,)).progressive::<String>().await?;
    /// while let Some(row) = rows.next().await {
    ///     draw(row?);
    /// }
    /// let count: u64 = rows.finish().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn progressive<T>(self) -> ProgressiveCall<T> {
        let mut request = self.request;
        request.options.receive_progress = Some(true);
        ProgressiveCall::new(request)
    }

    /// Sends the arguments in chunks, and takes results at the same time, as a stream. Await it to make the
    /// call; the arguments given so far go with the first message, before all chunks.
    ///
    /// ```
    /// # use wamp_client::Session;
    /// # async fn example(session: Session) -> Result<(), Box<dyn std::error::Error>> {
    /// let call = session.call("com.example.transcribe").kwarg("language", "is");
    /// let (mut up, mut down) = call.duplex::<&[u8], String>().await?;
    /// up.send(b"some sound").await?;
    /// up.finish(b"the last of it").await?;
    /// while let Some(sentence) = down.next().await {
    ///     println!("{}", sentence?);
    /// }
    /// let words: u64 = down.finish().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn duplex<In, Out>(self) -> DuplexCall<In, Out> {
        let mut request = self.request;
        request.options.progress = Some(true);
        request.options.receive_progress = Some(true);
        DuplexCall::new(request)
    }
}

impl<'a> IntoFuture for Call<'a> {
    type Output = Result<CallResult, CallError>;
    type IntoFuture = CallFuture<'a>;

    fn into_future(self) -> CallFuture<'a> {
        CallFuture { stage: Stage::New(Box::new(self.request)), observer: self.observer }
    }
}

/// A call that is being awaited. Dropping it cancels the call.
#[must_use = "nothing is sent until it is awaited"]
pub struct CallFuture<'a> {
    stage: Stage,
    observer: Option<Observer<'a>>,
}

enum Stage {
    New(Box<Request>),
    /// There is no room in the queue.
    Waiting(Pin<Box<dyn Future<Output = Result<Pending, CallError>> + Send>>),
    Running(Pending),
    Over,
}

impl Future for CallFuture<'_> {
    type Output = Result<CallResult, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let result = loop {
            match std::mem::replace(&mut this.stage, Stage::Over) {
                Stage::New(request) => match request.start() {
                    Ok(stage) => this.stage = stage,
                    Err(error) => break Err(error),
                },
                Stage::Waiting(mut starting) => match starting.as_mut().poll(cx) {
                    Poll::Ready(Ok(pending)) => this.stage = Stage::Running(pending),
                    Poll::Ready(Err(error)) => break Err(error),
                    Poll::Pending => {
                        this.stage = Stage::Waiting(starting);
                        return Poll::Pending;
                    }
                },
                Stage::Running(mut pending) => match pending.poll_take(cx) {
                    Poll::Ready(Taken::Item(payload, _)) => {
                        let shown = this.observer.as_mut().map_or(Ok(()), |observer| observer(&payload));
                        if let Err(error) = shown {
                            break Err(CallError::Decode(error));
                        }
                        this.stage = Stage::Running(pending);
                    }
                    Poll::Ready(Taken::End(end)) => break end.map(|payload| CallResult { payload }),
                    Poll::Pending => {
                        this.stage = Stage::Running(pending);
                        return Poll::Pending;
                    }
                },
                Stage::Over => panic!("a call was polled after it was ready"),
            }
        };
        // An observer that borrows is not called after the end.
        this.observer = None;
        Poll::Ready(result)
    }
}

impl Request {
    /// Makes the call, or begins to wait for room in the queue.
    fn start(self) -> Result<Stage, CallError> {
        let (session, prepared) = self.prepare()?;
        let replies = prepared.replies.clone();
        let shared = session.shared.clone();
        match shared.if_room(|state, now| prepared.send(state, now)) {
            Ok(sent) => Ok(Stage::Running(Pending { session, id: sent?, replies })),
            Err(send) => Ok(Stage::Waiting(Box::pin(async move {
                let id = shared.with_room(send).await?;
                Ok(Pending { session, id, replies })
            }))),
        }
    }

    pub(crate) fn procedure(&self) -> &Uri {
        &self.procedure
    }

    /// Makes the call as soon as there is room in the queue.
    pub(crate) async fn started(self) -> Result<Pending, CallError> {
        let (session, prepared) = self.prepare()?;
        let replies = prepared.replies.clone();
        let id = session.shared.with_room(|state, now| prepared.send(state, now)).await?;
        Ok(Pending { session, id, replies })
    }

    /// Writes the arguments and checks that they can be sent.
    fn prepare(self) -> Result<(Session, Prepared), Unsent> {
        let Request { session, procedure, options, body, buffer } = self;
        let payload = body.finish(session.serializer())?;
        let replies = Arc::new(Inbox::new(buffer));
        let prepared = Prepared { procedure, options, payload, replies, limit: buffer };
        session.shared.check_size(prepared.payload.len(), &prepared.procedure, |request| {
            let Prepared { procedure, options, payload, .. } = &prepared;
            let (procedure, options, payload) = (procedure.clone(), options.clone(), payload.clone());
            message::Call { request, options, procedure, payload }.into()
        })?;
        Ok((session, prepared))
    }
}

/// A call that can be sent. It has no handle of the session, since it may be dropped under the lock.
struct Prepared {
    procedure: Uri,
    options: CallOptions,
    payload: Payload,
    replies: Arc<Replies>,
    limit: usize,
}

impl Prepared {
    fn send(self, state: &mut State, now: Time) -> Result<RequestId, Unsent> {
        let Prepared { procedure, options, payload, replies, limit } = self;
        match state.session.call(now, options, procedure, payload) {
            Ok(id) => {
                state.calls.insert(id, Waiting { replies, limit });
                Ok(id)
            }
            Err(misuse) => Err(state.refused(misuse)),
        }
    }
}

/// A call under way. Dropping it cancels it.
pub(crate) struct Pending {
    session: Session,
    id: RequestId,
    replies: Arc<Replies>,
}

impl Pending {
    /// The next progressive result, or the end, which comes once.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Taken<Payload, Result<Payload, CallError>>> {
        let taken = ready!(self.replies.poll_take(cx));
        if let Taken::Item(_, owed @ 1..) = taken {
            let stream = Stream::Results(self.id);
            self.session.shared.with(|state, now| state.session.consume(now, stream, owed));
        }
        Poll::Ready(taken)
    }

    pub(crate) fn replies(&self) -> &Arc<Replies> {
        &self.replies
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.session.shared
    }

    /// The handle for canceling it.
    pub(crate) fn handle(&self) -> CallHandle {
        CallHandle { shared: self.session.shared.clone(), id: self.id }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.replies.is_finished() {
            let id = self.id;
            self.session.shared.with(|state, now| state.abandon(now, id));
        }
    }
}

/// Cancels a call from somewhere else. It keeps neither the call nor the session.
#[derive(Clone)]
pub struct CallHandle {
    shared: Arc<Shared>,
    id: RequestId,
}

impl CallHandle {
    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    /// Cancels the call. With [`CancelMode::Kill`] the callee decides how it ends and may go on sending until
    /// then; with the other modes it ends with [`CallError::Canceled`] after what has already come. A call
    /// that is over stays as it is.
    pub fn cancel(&self, mode: CancelMode) {
        // `Unknown`: it is over.
        let _ = self.shared.with(|state, now| state.session.cancel(now, self.id, mode));
    }
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallHandle").field(&self.id).finish()
    }
}

/// The last result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    payload: Payload,
}

impl CallResult {
    /// The value that the result stands for; see the table at [`Payload`].
    ///
    /// # Errors
    /// [`CallError::Decode`] says which argument does not fit.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, CallError> {
        Ok(self.payload.decode()?)
    }

    /// The list of positional arguments, as a tuple, an array or a `Vec`.
    ///
    /// # Errors
    /// [`CallError::Decode`] says which argument does not fit.
    pub fn args<'de, T: Deserialize<'de>>(&'de self) -> Result<T, CallError> {
        Ok(self.payload.args()?)
    }

    /// The keyword arguments, as a struct or a map.
    ///
    /// # Errors
    /// [`CallError::Decode`] says which keyword does not fit.
    pub fn kwargs<'de, T: Deserialize<'de>>(&'de self) -> Result<T, CallError> {
        Ok(self.payload.kwargs()?)
    }

    /// All of it, as it came.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// All of it, as it came.
    pub fn into_payload(self) -> Payload {
        self.payload
    }
}
