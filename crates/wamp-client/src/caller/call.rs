//! Calls as futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wamp_core::reconnect::Retry;
use wamp_proto::message::{CallOptions, Ppt};
use wamp_proto::{Args, EncodeError, Payload, Uri};

use crate::arguments::Body;
use crate::caller::duplex::DuplexCall;
use crate::caller::future::{CallFuture, CallResult, Observer};
use crate::caller::handle::CallHandle;
use crate::caller::retry::RetriedCall;
use crate::caller::running::{CallRequest, Deadline, Limits};
use crate::caller::stream::ProgressiveCall;
use crate::error::CallError;
use crate::session::Session;

/// The memory of the replies to one call while they wait, by default.
const BUFFER: usize = 64 << 20;

/// A call request: a future of its result. It owns a handle of its session and can be moved into a task.
///
/// Await it, spawn it or join it with others, or get a stream of its progressive results with
/// [`progressive`](Self::progressive). Nothing is sent before it is polled. Dropping it while it is being
/// awaited cancels the call (`killnowait`); [`handle`](Self::handle) cancels it in another mode.
///
/// ```
/// # async fn example(session: wamp_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::future::join_all;
///
/// let squares = join_all((0..10).map(|i| session.call("com.example.square").arg(i))).await;
/// let in_a_task = tokio::spawn(session.call("com.example.slow").send());
/// # drop((squares, in_a_task));
/// # Ok(())
/// # }
/// ```
///
/// A call that has been polled cannot be changed any more.
#[must_use = "nothing is sent until it is awaited"]
pub struct Call<'a> {
    future: CallFuture<'a>,
}

impl Session {
    /// Calls a procedure.
    ///
    /// Await it for one value, or get a stream with [`progressive`](Call::progressive). Nothing is sent
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
        let (options, limits) = (CallOptions::default(), Limits::default());
        let request = CallRequest { session, engine, procedure, options, body, buffer: BUFFER, limits };
        Self { future: CallFuture::new(request, None) }
    }
}

impl<'a> Call<'a> {
    fn with(mut self, change: impl FnOnce(&mut CallRequest)) -> Self {
        self.future.change(change);
        self
    }

    /// Returns the call as a future with a named type.
    pub fn send(self) -> CallFuture<'a> {
        self.future
    }

    /// A handle that can cancel the call, in each mode, while it is being awaited.
    ///
    /// ```
    /// # use wamp_client::{CallError, CancelMode, Session};
    /// # async fn example(session: Session) -> Result<(), CallError> {
    /// # async fn ctrl_c() {}
    /// let mut call = session.call("com.example.long");
    /// let handle = call.handle();
    /// let result = tokio::select! {
    ///     result = &mut call => result,
    ///     () = ctrl_c() => {
    ///         handle.cancel(CancelMode::Kill); // the callee decides how it ends
    ///         call.await
    ///     }
    /// };
    /// # drop(result);
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle(&mut self) -> CallHandle {
        self.future.handle()
    }

    /// Adds positional arguments: each element of a tuple or a list is one.
    pub fn args(self, values: impl Args) -> Self {
        self.with(|request| request.body.args(&values))
    }

    /// Adds one positional argument, of any type.
    pub fn arg(self, value: impl Serialize) -> Self {
        self.with(|request| request.body.arg(&value))
    }

    /// Adds one keyword argument.
    pub fn kwarg(self, name: &str, value: impl Serialize) -> Self {
        self.with(|request| request.body.kwarg(name, &value))
    }

    /// Adds keyword arguments: each field of a struct or entry of a map is one.
    pub fn kwargs(self, values: impl Serialize) -> Self {
        self.with(|request| request.body.kwargs(&values))
    }

    /// Sets all arguments to a ready payload. It excludes the other ways to set them.
    pub fn payload(self, payload: Payload) -> Self {
        self.with(|request| request.body.payload(payload))
    }

    /// Sets bytes that are opaque to the router, as all arguments, and the options that say how to read them. It excludes
    /// the other ways to set arguments.
    ///
    /// With `ppt_…` this is payload passthru mode (Advanced Profile, *Payload Passthru Mode*), and the bytes are the only
    /// argument. With `enc_…` it is the older payload transparency, which Autobahn has, and the bytes are in the place of the
    /// arguments. Encrypting them is left to the application. [`NotSupported`](CallError::NotSupported) if the router did
    /// not announce the form.
    ///
    /// ```
    /// # use wamp_client::{CallError, Session};
    /// use wamp_client::Ppt;
    ///
    /// # async fn example(session: Session) -> Result<(), CallError> {
    /// let ppt = Ppt { enc_algo: Some("x_seal".into()), ..Ppt::default() };
    /// let result = session.call("com.example.secret").opaque(ppt, b"sealed").await?;
    /// if let Some((ppt, bytes)) = result.opaque() {
    ///     println!("{} bytes by {:?}", bytes.len(), ppt.enc_algo);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn opaque(self, ppt: Ppt, bytes: impl AsRef<[u8]>) -> Self {
        self.with(|request| {
            request.body.opaque(&ppt, bytes.as_ref());
            request.options.ppt = Some(Box::new(ppt));
        })
    }

    /// Sets how long the callee may take for each result (`CALL.Options.timeout`). The router watches it, if it
    /// can. Whole milliseconds, rounded up.
    ///
    /// For a limit of the whole call use [`deadline`](Self::deadline).
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|request| request.options.timeout = Some(timeout.into()))
    }

    /// Sets how long the whole call may take, with all its results, chunks and [repetitions](Self::retry),
    /// from its first poll. Then it is canceled (`killnowait`) and ends with [`CallError::Timeout`]. The
    /// client watches this time.
    pub fn deadline(self, limit: Duration) -> Self {
        self.with(|request| request.limits.deadline = Some(Deadline::new(limit)))
    }

    /// Discloses the caller to the callee, if the router allows it.
    pub fn disclose_me(self) -> Self {
        self.with(|request| request.options.disclose_me = Some(true))
    }

    /// Sets an option of the CALL by its name (`CALL.Options`), for extensions of routers. A router of this project passes
    /// keys such as `_traceparent` on to the callee, which reads them with
    /// [`Invocation::detail`](crate::Invocation::detail): an underscore, then at least three of `a-z`, `0-9`, `_`; the first
    /// 8, up to 512 bytes in all.
    ///
    /// An option that cannot be written ends the call with [`CallError::Encode`]; so does `progress`, for which there is
    /// [`duplex`](Self::duplex).
    ///
    /// ```
    /// # use wamp_client::{CallError, Session};
    /// # async fn example(session: Session) -> Result<(), CallError> {
    /// let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// session.call("com.example.sum").args((1, 2)).option("_traceparent", trace).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn option(self, key: &str, value: impl Serialize) -> Self {
        self.with(|request| {
            let set = match key {
                "progress" => Err(EncodeError::Custom("a call in chunks is made by `duplex`".to_owned())),
                key => request.options.set(key, &value),
            };
            if let Err(error) = set {
                request.body.fail(error);
            }
        })
    }

    /// Sets how many bytes of progressive results may wait to be taken; 64 MiB by default. Past it the call is
    /// canceled and ends with [`CallError::Lagged`].
    ///
    /// The limit is for callees and routers without credit, which send all they have. With credit the sender
    /// waits instead, and at most 64 KiB wait here, or up to 1 MiB for a caller that keeps up.
    pub fn buffer(self, bytes: usize) -> Self {
        self.with(|request| request.buffer = bytes)
    }

    /// Waits for a connection, at most this long, if there is none. By default a call without a connection
    /// fails at once.
    pub fn when_up(self, limit: Duration) -> Self {
        self.with(|request| request.limits.when_up = Some(limit))
    }

    /// Repeats the call after a failure that allows it; see [`Retry`]. The call has no further settings after
    /// that.
    ///
    /// A call that has delivered a progressive result is never repeated. Each attempt waits for a connection
    /// for at most 30 s, or as long as [`when_up`](Self::when_up) says.
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
        let (request, observer) = self.future.into_request();
        RetriedCall::new(request, observer, retry)
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
        let (mut request, _) = self.future.into_request();
        request.options.receive_progress = Some(true);
        let observer: Observer<'b> = Box::new(move |payload| {
            observer(payload.decode()?);
            Ok(())
        });
        Call { future: CallFuture::new(request, Some(observer)) }
    }

    /// Asks for progressive results, as a stream. Await it to make the call.
    ///
    /// ```
    /// # use wamp_client::{CallError, Session};
    /// # async fn example(session: Session) -> Result<(), CallError> {
    /// # fn draw(_: String) {}
    /// let mut rows = session.call("com.example.report").args((2024,)).progressive::<String>().await?;
    /// while let Some(row) = rows.try_next().await? {
    ///     draw(row);
    /// }
    /// let count: u64 = rows.finish().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn progressive<T: DeserializeOwned>(self) -> ProgressiveCall<T> {
        let (mut request, _) = self.future.into_request();
        request.options.receive_progress = Some(true);
        ProgressiveCall::new(request)
    }

    /// Sends the arguments in chunks and receives results at the same time, as a stream. Await it to make the
    /// call; the arguments given so far are sent with the first message, before all chunks.
    ///
    /// Binary chunks are [`Bytes`](crate::Bytes): a slice or a `Vec` of bytes is a list of integers.
    ///
    /// ```
    /// # use wamp_client::Session;
    /// use wamp_client::Bytes;
    ///
    /// # async fn example(session: Session) -> Result<(), Box<dyn std::error::Error>> {
    /// let call = session.call("com.example.transcribe").kwarg("language", "is");
    /// let (mut up, mut down) = call.duplex::<String>().await?;
    /// up.send(Bytes::from_static(b"some sound")).await?;
    /// up.finish(Bytes::from_static(b"the last of it")).await?;
    /// while let Some(sentence) = down.try_next().await? {
    ///     println!("{sentence}");
    /// }
    /// let words: u64 = down.finish().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn duplex<T: DeserializeOwned>(self) -> DuplexCall<T> {
        let (mut request, _) = self.future.into_request();
        request.options.progress = Some(true);
        request.options.receive_progress = Some(true);
        DuplexCall::new(request)
    }
}

impl Future for Call<'_> {
    type Output = Result<CallResult, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().future).poll(cx)
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}
