//! Calls as futures.

use std::future::IntoFuture;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wamp_core::reconnect::Retry;
use wamp_proto::message::{CallOptions, Millis};
use wamp_proto::{Args, Payload, Uri};

use crate::arguments::Body;
use crate::caller::duplex::DuplexCall;
use crate::caller::future::{CallFuture, CallResult, Observer};
use crate::caller::retry::RetriedCall;
use crate::caller::running::CallRequest;
use crate::caller::stream::ProgressiveCall;
use crate::error::CallError;
use crate::session::Session;

/// The memory of the replies to one call while they wait, by default.
const BUFFER: usize = 64 << 20;

/// A call to be made. It owns a handle of its session and can be moved into a task.
///
/// Await it for its result, or make a stream of its progressive results with
/// [`progressive`](Self::progressive). Dropping it while it is being awaited cancels the call (`killnowait`).
#[must_use = "nothing is sent until it is awaited"]
pub struct Call<'a> {
    request: CallRequest,
    observer: Option<Observer<'a>>,
}

impl Session {
    /// Calls a procedure.
    ///
    /// Await it for one value, or make it a stream with [`progressive`](Call::progressive). Nothing is sent
    /// before that.
    ///
    /// ```
    /// # use wamp_client::{CallError, Session};
    /// # async fn example(session: Session) -> Result<(), CallError> {
    /// let sum: i64 = session.call("com.example.sum").args((1, 2)).await?.decode()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call(&self, procedure: impl Into<Uri>) -> Call<'static> {
        Call::new(self.clone(), procedure.into())
    }
}

impl Call<'static> {
    fn new(session: Session, procedure: Uri) -> Self {
        let engine = session.engine();
        let body = Body::new(Some(engine.serializer()));
        let options = CallOptions::default();
        let request =
            CallRequest { session, engine, procedure, options, body, buffer: BUFFER, when_up: None };
        Self { request, observer: None }
    }
}

impl<'a> Call<'a> {
    /// Adds positional arguments: each element of a tuple or a list is one.
    pub fn args(mut self, values: impl Args) -> Self {
        self.request.body.args(&values);
        self
    }

    /// Adds one positional argument, whatever the value is.
    pub fn arg(mut self, value: impl Serialize) -> Self {
        self.request.body.arg(&value);
        self
    }

    /// Adds one keyword argument.
    pub fn kwarg(mut self, name: &str, value: impl Serialize) -> Self {
        self.request.body.kwarg(name, &value);
        self
    }

    /// Adds keyword arguments: each field of a struct or entry of a map is one.
    pub fn kwargs(mut self, values: impl Serialize) -> Self {
        self.request.body.kwargs(&values);
        self
    }

    /// Sets all arguments to a ready payload. It excludes the other ways to set them.
    pub fn payload(mut self, payload: Payload) -> Self {
        self.request.body.payload(payload);
        self
    }

    /// Sets how long the callee may take for each result (`CALL.Options.timeout`). The router watches it, if it
    /// can. Whole milliseconds, rounded up.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        let millis = u64::try_from(millis).unwrap_or(u64::MAX).min(wamp_proto::MAX_ID);
        self.request.options.timeout = Some(Millis(millis));
        self
    }

    /// Discloses the caller to the callee, if the router allows it.
    pub fn disclose_me(mut self) -> Self {
        self.request.options.disclose_me = Some(true);
        self
    }

    /// Sets how many bytes of progressive results may wait to be taken; 64 MiB by default. Past it the call is
    /// canceled and ends with [`CallError::Lagged`].
    ///
    /// The limit is for callees and routers without credit, which send all they have. With credit the sender
    /// waits instead, and at most 64 KiB wait here, or up to 1 MiB for a caller that keeps up.
    pub fn buffer(mut self, octets: usize) -> Self {
        self.request.buffer = octets;
        self
    }

    /// Waits for a connection, for so long at most, if there is none. By default a call without a connection fails at
    /// once.
    pub fn when_up(mut self, limit: Duration) -> Self {
        self.request.when_up = Some(limit);
        self
    }

    /// Makes the call again when it has failed in a way that allows it; see [`Retry`]. Nothing can be said about the
    /// call after that.
    ///
    /// A call that has shown a progressive result is never made again. Each time a connection is waited for, for 30 s at
    /// most, or as long as [`when_up`](Self::when_up) says.
    ///
    /// ```
    /// # use wamp_client::{CallError, Retry, Session};
    /// # async fn example(session: Session) -> Result<(), CallError> {
    /// let call = session.call("com.example.sum").args((1, 2)).retry(Retry::idempotent().times(3));
    /// let sum: i64 = call.await?.decode()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(self, retry: Retry) -> RetriedCall<'a> {
        RetriedCall::new(self.request, self.observer, retry)
    }

    /// Asks for progressive results and passes each to a function, on the task that awaits the call and in
    /// order. A result that does not fit `T` ends the call with [`CallError::Decode`]; a function of a
    /// [`Payload`] accepts them all. The function is not async: to await something for each result, use
    /// [`progressive`](Self::progressive).
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

    /// Sends the arguments in chunks and receives results at the same time, as a stream. Await it to make the
    /// call; the arguments given so far are sent with the first message, before all chunks.
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
        CallFuture::new(self.request, self.observer)
    }
}
