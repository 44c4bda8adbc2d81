//! Registering procedures: functions that return a future, and functions that return a stream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use serde::Serialize;
use tokio::sync::oneshot;
use wamp_core::reconnect::{Declaration, DeclarationId, Standing};
use wamp_proto::message::{InvocationPolicy, MatchPolicy, RegisterOptions};
use wamp_proto::{EncodeError, Payload, RegistrationId, Uri};

use crate::callee::failure::Failure;
use crate::callee::invocation::Invocation;
use crate::callee::outcome::encode;
use crate::callee::stream_procedure::{self, StreamItem};
use crate::deferred::Deferred;
use crate::ended::{End, Ended};
use crate::engine::handlers::{Handler, Running, Start};
use crate::engine::procedure::{Job, Procedure};
use crate::engine::shared::Engine;
use crate::engine::state::PendingRequest;
use crate::error::{RequestError, SubmitError};
use crate::link::Link;
use crate::link::declared::Withdrawn;
use crate::link::kept::{Current, Kept};
use crate::session::Session;

impl Session {
    /// Registers a procedure. Its handler runs on a task of its own for each call, concurrently with other
    /// calls, and is never aborted: when its call is canceled, its next [`send`](crate::ProgressSender::send)
    /// fails and [`Invocation::canceled`] returns why. A panic is an error of that call only.
    ///
    /// ```
    /// # use wamp_client::{Invocation, RequestError, Session};
    /// # async fn example(session: Session) -> Result<(), RequestError> {
    /// session
    ///     .register("com.example.sum", |call: Invocation| async move {
    ///         let (a, b): (i64, i64) = call.args()?;
    ///         Ok(a + b)
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn register<H, F, T>(&self, procedure: impl Into<Uri>, handler: H) -> Register
    where
        H: Fn(Invocation) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
        T: Serialize,
    {
        let handler = Arc::new(handler);
        let start = starts(move |invocation| {
            let handler = handler.clone();
            async move {
                let serializer = invocation.serializer();
                encode(handler(invocation).await, serializer)
            }
        });
        Register::new(self.clone(), procedure.into(), start)
    }

    /// Registers a procedure that answers with a stream: its items are progressive results, and the last
    /// result is empty, unless the stream ends with [`Reply::Result`](crate::Reply::Result).
    ///
    /// A caller that did not ask for progressive results gets the last result, or, if it is empty, a list of
    /// all items, up to 16 MiB; beyond that, `wamp.error.payload_size_exceeded`. The stream is polled only
    /// while there is room for its items, and dropped when the call is over.
    pub fn register_stream<H, S, I>(&self, procedure: impl Into<Uri>, handler: H) -> Register
    where
        H: Fn(Invocation) -> S + Send + Sync + 'static,
        S: Stream<Item = Result<I, Failure>> + Send + 'static,
        I: StreamItem + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        let start = starts(move |invocation| {
            let handler = handler.clone();
            async move { stream_procedure::answer(&*handler, invocation).await }
        });
        Register::new(self.clone(), procedure.into(), start)
    }
}

/// Starts a task for each invocation, which answers it.
fn starts<F>(answer: impl Fn(Invocation) -> F + Send + Sync + 'static) -> Start
where
    F: Future<Output = Result<Payload, wamp_core::Failure>> + Send + 'static,
{
    Arc::new(move |engine: Arc<Engine>, procedure: Arc<Procedure>, job: Job| {
        let running = Running::new(engine.clone(), procedure.clone(), &job);
        let invocation = Invocation::new(engine.clone(), &procedure, job);
        let span = invocation.span.clone();
        let outcome = span.within(answer(invocation));
        engine.runtime().spawn(async move {
            if let Some(running) = running.begin().await {
                let outcome = outcome.await;
                span.end(&outcome);
                running.answer(outcome).await;
            }
        });
    })
}

/// A registration request: a future of the [`Registration`].
#[must_use = "nothing is registered until it is awaited"]
pub struct Register(Deferred<'static, Settings, Result<Registration, RequestError>>);

struct Settings {
    session: Session,
    procedure: Uri,
    options: RegisterOptions,
    concurrency: Option<usize>,
    when_up: Option<Duration>,
    /// An option that cannot be written.
    fault: Option<EncodeError>,
    start: Start,
}

impl Register {
    fn new(session: Session, procedure: Uri, start: Start) -> Self {
        let options = RegisterOptions::default();
        let (concurrency, when_up, fault) = (None, None, None);
        Self(Deferred::new(Settings { session, procedure, options, concurrency, when_up, fault, start }))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        self.0.set(change);
        self
    }

    /// Returns the registration as a future, for functions that take no builder.
    pub fn send(self) -> impl Future<Output = Result<Registration, RequestError>> + Send + use<> {
        self
    }

    /// Waits for a connection, at most this long, if there is none. By default a registration without a
    /// connection fails at once.
    pub fn when_up(self, limit: Duration) -> Self {
        self.with(|it| it.when_up = Some(limit))
    }

    /// Limits how many invocations run at a time, at least one; others wait for their turn, in order. By
    /// default all run at once. Handlers that were invoked over a lost connection are canceled and not counted any
    /// more.
    pub fn concurrency(self, invocations: usize) -> Self {
        self.with(|it| it.concurrency = Some(invocations))
    }

    /// Sets how the URI matches a called procedure: exactly, as a prefix, or component by component, where an
    /// empty one matches any. With a pattern, [`Invocation::procedure`] returns the called URI.
    pub fn matching(self, policy: MatchPolicy) -> Self {
        self.with(|it| it.options.policy = Some(policy))
    }

    /// Shares the procedure with other callees that register it with the same policy. The policy selects the
    /// callee of each call.
    pub fn invoke(self, policy: InvocationPolicy) -> Self {
        self.with(|it| it.options.invoke = Some(policy))
    }

    /// Limits how many calls the router sends at a time, at least one; further calls go to other callees of the
    /// procedure, or fail with `wamp.error.unavailable`. Unlike [`concurrency`](Self::concurrency) this takes a router
    /// that knows the option, as this project's and Crossbar.io do; others ignore it.
    pub fn concurrency_at_router(self, calls: u32) -> Self {
        self.with(|it| it.options.concurrency = Some(u64::from(calls.max(1))))
    }

    /// Takes the procedure over from the callees that have it, such as an earlier session of this program whose end the
    /// router has not noticed: their registrations end with `wamp.error.unregistered`, and calls under way go on. This
    /// takes a router that knows the option `force_reregister`, as this project's and Crossbar.io do. Without it, or if
    /// the procedure belongs to another client, registering fails with `wamp.error.procedure_already_exists`.
    ///
    /// ```
    /// # use wamp_client::{Failure, Invocation, RequestError, Session};
    /// # async fn pay(_: Invocation) -> Result<(), Failure> { Ok(()) }
    /// # async fn example(session: Session) -> Result<(), RequestError> {
    /// let registration = session.register("com.shop.pay", pay).concurrency_at_router(8).replace().await?;
    /// println!("over: {}", registration.closed().await);
    /// # Ok(())
    /// # }
    /// ```
    pub fn replace(self) -> Self {
        self.with(|it| it.options.force_reregister = Some(true))
    }

    /// Watches the timeouts of calls here instead of in the router: the call ends with `wamp.error.timeout`,
    /// and [`Invocation::canceled`] returns this reason.
    pub fn forward_timeout(self) -> Self {
        self.with(|it| it.options.forward_timeout = Some(true))
    }

    /// Sets an option of the REGISTER by its name (`REGISTER.Options`), for extensions of routers. An option that cannot
    /// be written is [`RequestError::Encode`].
    pub fn option(self, key: &str, value: impl Serialize) -> Self {
        self.with(|it| {
            if let Err(error) = it.options.set(key, &value) {
                it.fault = Some(error);
            }
        })
    }

    /// Asks for the identity of callers; see [`Invocation::caller`].
    pub fn disclose_caller(self) -> Self {
        self.with(|it| it.options.disclose_caller = Some(true))
    }
}

impl Future for Register {
    type Output = Result<Registration, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx, |settings| Box::pin(register(settings)))
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register").finish_non_exhaustive()
    }
}

async fn register(settings: Settings) -> Result<Registration, RequestError> {
    let Settings { session, procedure, options, concurrency, when_up, fault, start } = settings;
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    if let Some(limit) = when_up {
        session.link().when_up(limit).await;
    }
    let declaration = Declaration::Register { options: options.clone(), procedure: procedure.clone() };
    let declaring = session.declare(declaration)?;
    let engine = declaring.engine.clone();
    let end = End::new();
    let handler = Handler { uri: procedure.clone(), concurrency, start, end: end.clone() };
    let (waiter, answer) = oneshot::channel();
    engine
        .with_room({
            // No value of the application is dropped under the lock, since `handler` keeps it, too.
            let registered = handler.procedure(&engine);
            move |state, now| -> Result<(), SubmitError> {
                match state.session.register(now, options, procedure) {
                    Ok(request) => {
                        state.requests.insert(request, PendingRequest::Register(registered, waiter));
                        Ok(())
                    }
                    Err(misuse) => Err(state.refused(misuse)),
                }
            }
        })
        .await?;
    // The waiter is kept until it is notified.
    let id = Current::new(answer.await.unwrap_or(Err(RequestError::Gone))?);
    match declaring.keep(Kept::Procedure(handler, id.clone())) {
        Some(declaration) => Ok(Registration { link: session.link().clone(), declaration, id, end }),
        None => Err(RequestError::from_closed(&session.link().last_end(), true)),
    }
}

/// A registered procedure. It stays registered until [`unregister`](Self::unregister) or the end of the
/// session; dropping this changes nothing.
#[derive(Clone)]
pub struct Registration {
    link: Arc<Link>,
    declaration: Option<DeclarationId>,
    id: Arc<Current<RegistrationId>>,
    end: Arc<End>,
}

impl Registration {
    /// The registration's id. A session that comes back gets another one.
    pub fn id(&self) -> RegistrationId {
        self.id.get()
    }

    /// The state of the registration; `None` after it was unregistered or lost.
    pub fn state(&self) -> Option<Standing> {
        self.link.standing(self.declaration)
    }

    /// Waits for the end of the registration: [`unregister`](Self::unregister), a revocation by the router, or the
    /// end of the session for good. A lost connection is not the end of a session that comes back.
    pub async fn closed(&self) -> Ended {
        self.end.wait().await
    }

    /// Unregisters the procedure. Running invocations go on.
    ///
    /// # Errors
    /// [`RequestError::Gone`] if it was unregistered before; or the session is over.
    pub async fn unregister(&self) -> Result<(), RequestError> {
        let engine = match self.link.withdraw(self.declaration) {
            Withdrawn::Up(engine) => {
                // It is not declared again, even if this request fails.
                if self.declaration.is_some() {
                    self.end.set(Ended::Withdrawn);
                }
                engine
            }
            Withdrawn::Down => {
                self.end.set(Ended::Withdrawn);
                return Ok(());
            }
            Withdrawn::Unknown => return Err(self.link.gone()),
        };
        let (waiter, answer) = oneshot::channel();
        let id = self.id.get();
        engine.with(|state, now| {
            state.unregister(now, id, Some(waiter)).map_err(|misuse| state.refused(misuse))
        })?;
        // The waiter is kept until it is notified.
        answer.await.unwrap_or(Err(RequestError::Gone))
    }

    fn end(&self) {
        let Withdrawn::Up(engine) = self.link.withdraw(self.declaration) else {
            return self.end.set(Ended::Withdrawn);
        };
        if self.declaration.is_some() {
            self.end.set(Ended::Withdrawn);
        }
        let id = self.id.get();
        let _ = engine.with(|state, now| state.unregister(now, id, None));
    }

    /// A guard that unregisters the procedure when it is dropped.
    pub fn into_guard(self) -> RegistrationGuard {
        RegistrationGuard { registration: self }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration").field(&self.id()).finish()
    }
}

/// A registered procedure that is unregistered when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it unregisters the procedure"]
pub struct RegistrationGuard {
    registration: Registration,
}

impl Drop for RegistrationGuard {
    fn drop(&mut self) {
        self.registration.end();
    }
}
