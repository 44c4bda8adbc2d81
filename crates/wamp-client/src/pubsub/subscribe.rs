//! Subscribing to topics: events for a handler, or as a stream.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use wamp_core::reconnect::{Declaration, DeclarationId, Standing};
use wamp_proto::message::{MatchPolicy, Ppt, SubscribeOptions};
use wamp_proto::{EncodeError, Payload, PayloadError, PublicationId, SessionId, SubscriptionId, Uri};

use crate::deferred::Deferred;
use crate::ended::Ended;
use crate::engine::feed::{About, Feed, Published};
use crate::engine::inbox::{Hand, Next};
use crate::engine::state::{PendingRequest, State};
use crate::error::{RequestError, SubmitError};
use crate::link::Link;
use crate::link::declared::Withdrawn;
use crate::link::kept::{Current, Kept};
use crate::opaque;
use crate::session::Session;

/// The default limit of the waiting events of one subscriber, in bytes.
const BUFFER: usize = 16 << 20;

/// An event of a topic.
#[derive(Clone, Debug)]
pub struct Event {
    id: PublicationId,
    topic: Uri,
    payload: Payload,
    about: Option<Arc<About>>,
}

impl Event {
    /// Creates the event of a subscription to this topic. Its details may name another topic.
    fn new(published: Published, subscribed: &Uri) -> Self {
        let Published { id, topic, payload, about } = published;
        Self { id, topic: topic.unwrap_or_else(|| subscribed.clone()), payload, about }
    }
}

impl Event {
    /// The list of positional arguments, as a tuple, an array or a `Vec`.
    ///
    /// # Errors
    /// The argument that does not fit.
    pub fn args<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.payload.args()
    }

    /// The keyword arguments, as a struct or a map.
    ///
    /// # Errors
    /// The keyword that does not fit.
    pub fn kwargs<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.payload.kwargs()
    }

    /// The value that the arguments stand for; see the table at [`Payload`].
    ///
    /// # Errors
    /// The argument that does not fit.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.payload.decode()
    }

    /// All arguments, as they arrived.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// How to read a payload that is opaque to routers, if the publisher said it.
    pub fn ppt(&self) -> Option<&Ppt> {
        self.about.as_ref()?.ppt.as_deref()
    }

    /// The bytes that are opaque to routers, and how to read them; `None` if the publisher sent arguments.
    pub fn opaque(&self) -> Option<(&Ppt, Bytes)> {
        opaque::read(self.ppt(), &self.payload)
    }

    /// The topic of the publication.
    pub fn topic(&self) -> &Uri {
        &self.topic
    }

    /// Whether this is a retained event, published before this session subscribed.
    pub fn is_retained(&self) -> bool {
        self.about.as_ref().is_some_and(|about| about.retained)
    }

    /// The publisher's session, if it is disclosed.
    pub fn publisher(&self) -> Option<SessionId> {
        self.about.as_ref()?.publisher
    }

    /// The publisher's authid, if it is disclosed.
    pub fn publisher_authid(&self) -> Option<&str> {
        self.about.as_ref()?.authid.as_deref()
    }

    /// The publisher's role, if it is disclosed.
    pub fn publisher_authrole(&self) -> Option<&str> {
        self.about.as_ref()?.authrole.as_deref()
    }

    /// The level of trust that the router assigns to the publisher, if it does.
    pub fn trustlevel(&self) -> Option<u64> {
        self.about.as_ref()?.trustlevel
    }

    /// A key of `EVENT.Details` that has no method of its own, such as `_traceparent`. `None` if it is missing or not of
    /// this type.
    pub fn detail<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.about.as_ref()?.extra.get(key)?.ok()
    }

    /// The context of the trace that the publisher has sent along; the current one if it has sent none.
    #[cfg(feature = "otel")]
    pub fn trace_context(&self) -> opentelemetry::Context {
        match &self.about {
            Some(about) => crate::trace::received(&about.extra),
            None => opentelemetry::Context::current(),
        }
    }

    /// The publication's id.
    pub fn publication(&self) -> PublicationId {
        self.id
    }
}

impl Session {
    /// Subscribes to a topic. The handler gets the events in order, one at a time, on a task of the
    /// subscription. Waiting events may take 16 MiB; further ones are dropped and counted.
    ///
    /// ```
    /// # use wamp_client::{Event, RequestError, Session};
    /// # async fn example(session: Session) -> Result<(), RequestError> {
    /// let subscription = session
    ///     .subscribe("com.example.onstart", |event: Event| async move {
    ///         let started: Result<(String, u32), _> = event.args();
    ///         # drop(started);
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe<H, F>(&self, topic: impl Into<Uri>, handler: H) -> Subscribe
    where
        H: FnMut(Event) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Subscribe::new(self, topic.into(), |session, topic, subscription| {
            session.engine().runtime().spawn(serve(subscription.feed.clone(), topic, handler));
            subscription
        })
    }

    /// Subscribes to a topic, with a stream of its events, which keeps the session. Waiting events may take
    /// 16 MiB; further ones are dropped and counted.
    ///
    /// ```
    /// # use wamp_client::{RequestError, Session};
    /// # async fn example(session: Session) -> Result<(), RequestError> {
    /// let mut started = session.subscribe_stream("com.example.onstart").await?;
    /// while let Some(event) = started.next().await {
    ///     if let Ok((name, number)) = event.args::<(String, u32)>() {
    ///         println!("{name} {number} has started");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe_stream(&self, topic: impl Into<Uri>) -> Subscribe<EventStream> {
        Subscribe::new(self, topic.into(), |session, topic, subscription| EventStream {
            subscription,
            topic,
            hand: Hand::new(),
            over: false,
            _session: session,
        })
    }
}

/// A subscription request: a future of the [`Subscription`], or of the [`EventStream`].
#[must_use = "nothing is subscribed to until it is awaited"]
pub struct Subscribe<T = Subscription>(Deferred<'static, Settings<T>, Result<T, RequestError>>);

struct Settings<T> {
    session: Session,
    topic: Uri,
    options: SubscribeOptions,
    buffer: usize,
    when_up: Option<Duration>,
    /// An option that cannot be written.
    fault: Option<EncodeError>,
    /// Creates the handle for the program.
    made: Box<dyn FnOnce(Session, Uri, Subscription) -> T + Send>,
}

impl<T> Subscribe<T> {
    fn new(
        session: &Session,
        topic: Uri,
        made: impl FnOnce(Session, Uri, Subscription) -> T + Send + 'static,
    ) -> Self {
        let (session, made) = (session.clone(), Box::new(made));
        Self(Deferred::new(Settings {
            session,
            topic,
            options: SubscribeOptions::default(),
            buffer: BUFFER,
            when_up: None,
            fault: None,
            made,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings<T>)) -> Self {
        self.0.set(change);
        self
    }

    /// Subscribes to all topics that begin with this one. [`Event::topic`] is the topic of each publication.
    /// [`RequestError::NotSupported`] if the router did not announce `pattern_based_subscription`.
    ///
    /// ```
    /// # use wamp_client::{RequestError, Session};
    /// # async fn example(session: Session) -> Result<(), RequestError> {
    /// let mut orders = session.subscribe_stream("com.shop.order.").prefix().retained().await?;
    /// while let Some(event) = orders.next().await {
    ///     println!("{} by {:?}, retained: {}", event.topic(), event.publisher(), event.is_retained());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn prefix(self) -> Self {
        self.with(|it| it.options.policy = Some(MatchPolicy::Prefix))
    }

    /// Subscribes to all topics with the same number of components, where each component is equal or empty in
    /// the pattern: `com..order` matches `com.shop.order`. Otherwise as [`prefix`](Self::prefix).
    pub fn wildcard(self) -> Self {
        self.with(|it| it.options.policy = Some(MatchPolicy::Wildcard))
    }

    /// Asks for the retained events as well, which come first. Other subscribers of this session do not get
    /// them. [`RequestError::NotSupported`] if the router did not announce `event_retention`. A session that
    /// comes back asks again.
    pub fn retained(self) -> Self {
        self.with(|it| it.options.get_retained = Some(true))
    }

    /// Sets an option of the SUBSCRIBE by its name (`SUBSCRIBE.Options`), for extensions of routers. An option that
    /// cannot be written is [`RequestError::Encode`].
    pub fn option(self, key: &str, value: impl Serialize) -> Self {
        self.with(|it| {
            if let Err(error) = it.options.set(key, &value) {
                it.fault = Some(error);
            }
        })
    }

    /// Sets how many bytes of events may wait to be taken; 16 MiB by default.
    pub fn buffer(self, bytes: usize) -> Self {
        self.with(|it| it.buffer = bytes)
    }

    /// Waits for a connection, at most this long, if there is none. By default a subscription without a
    /// connection fails at once.
    pub fn when_up(self, limit: Duration) -> Self {
        self.with(|it| it.when_up = Some(limit))
    }
}

impl<T: 'static> Subscribe<T> {
    /// Returns the subscription as a future, for functions that take no builder.
    pub fn send(self) -> impl Future<Output = Result<T, RequestError>> + Send + use<T> {
        self
    }
}

impl<T: 'static> Future for Subscribe<T> {
    type Output = Result<T, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx, |settings| {
            let Settings { session, topic, options, buffer, when_up, fault, made } = settings;
            Box::pin(async move {
                if let Some(fault) = fault {
                    return Err(fault.into());
                }
                if let Some(limit) = when_up {
                    session.link().when_up(limit).await;
                }
                let subscription = subscribe(&session, topic.clone(), options, buffer).await?;
                Ok(made(session, topic, subscription))
            })
        })
    }
}

impl<T> fmt::Debug for Subscribe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe").finish_non_exhaustive()
    }
}

/// Subscribes. If this is dropped before the answer arrives, the subscription ends with the answer, or with
/// the first event after it.
async fn subscribe(
    session: &Session,
    topic: Uri,
    options: SubscribeOptions,
    buffer: usize,
) -> Result<Subscription, RequestError> {
    let retained = options.get_retained == Some(true);
    let declaration = Declaration::Subscribe { options: options.clone(), topic: topic.clone() };
    let declaring = session.declare(declaration)?;
    let engine = declaring.engine.clone();
    let mut unanswered = Unanswered { feed: Feed::new(buffer), answered: false };
    let (feed, uri) = (unanswered.feed.clone(), topic.clone());
    let (waiter, answer) = oneshot::channel();
    let subscribe = move |state: &mut State, now| -> Result<(), SubmitError> {
        match state.session.subscribe(now, options, uri) {
            Ok(request) => {
                state.requests.insert(request, PendingRequest::Subscribe { feed, retained, waiter });
                Ok(())
            }
            Err(misuse) => Err(state.refused(misuse)),
        }
    };
    engine.with_room(subscribe).await?;
    // The waiter is kept until it is notified.
    let id = Current::new(answer.await.unwrap_or(Err(RequestError::Gone))?);
    let feed = unanswered.feed.clone();
    match declaring.keep(Kept::Feed(topic, feed.clone(), id.clone())) {
        Some(declaration) => {
            unanswered.answered = true;
            Ok(Subscription { link: session.link().clone(), declaration, id, feed })
        }
        None => Err(RequestError::from_closed(&session.link().last_end(), true)),
    }
}

/// A subscriber whose subscription ends if it is dropped before the answer.
struct Unanswered {
    feed: Arc<Feed>,
    answered: bool,
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !self.answered {
            self.feed.finish(Ended::Withdrawn);
        }
    }
}

/// Passes the events of a feed to a handler. A panic ends the handling of its event only.
async fn serve<H, F>(feed: Arc<Feed>, topic: Uri, mut handler: H)
where
    H: FnMut(Event) -> F,
    F: Future<Output = ()>,
{
    let mut hand = Hand::new();
    while let Next::Item(published, _) = poll_fn(|cx| feed.poll_next(cx, &mut hand)).await {
        let event = Event::new(published, &topic);
        let Ok(handling) = catch_unwind(AssertUnwindSafe(|| handler(event))) else { continue };
        let mut handling = pin!(handling);
        poll_fn(|cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx)));
            polled.unwrap_or(Poll::Ready(()))
        })
        .await;
    }
}

/// A subscription with a handler. It lasts until [`unsubscribe`](Self::unsubscribe) or the end of the
/// session; dropping this changes nothing.
#[derive(Clone)]
pub struct Subscription {
    link: Arc<Link>,
    declaration: Option<DeclarationId>,
    id: Arc<Current<SubscriptionId>>,
    feed: Arc<Feed>,
}

impl Subscription {
    /// The subscription's id. A session that comes back gets another one.
    pub fn id(&self) -> SubscriptionId {
        self.id.get()
    }

    /// The state of the subscription; `None` after it has ended.
    pub fn state(&self) -> Option<Standing> {
        self.link.standing(self.declaration)
    }

    /// Waits for the end of the subscription: [`unsubscribe`](Self::unsubscribe), a revocation by the router, or
    /// the end of the session for good. A lost connection is not the end of a session that comes back.
    ///
    /// ```
    /// # use wamp_client::{Ended, Subscription};
    /// # async fn example(subscription: Subscription) {
    /// if let Ended::Revoked { reason } = subscription.closed().await {
    ///     println!("the router revoked the subscription: {reason:?}");
    /// }
    /// # }
    /// ```
    pub async fn closed(&self) -> Ended {
        self.feed.end().wait().await
    }

    /// Ends the subscription. Events that have already arrived are still handled.
    ///
    /// # Errors
    /// [`RequestError::Gone`] if it has ended before; or the session is over.
    pub async fn unsubscribe(&self) -> Result<(), RequestError> {
        let (waiter, answer) = oneshot::channel();
        match self.link.withdraw(self.declaration) {
            Withdrawn::Up(engine) => {
                engine.with(|state, now| state.unsubscribe(now, self.id.get(), &self.feed, Some(waiter)));
            }
            Withdrawn::Down => {
                self.feed.finish(Ended::Withdrawn);
                return Ok(());
            }
            Withdrawn::Unknown => return Err(self.link.gone()),
        }
        // The waiter is kept until it is notified.
        answer.await.unwrap_or(Err(RequestError::Gone))
    }

    fn end(&self) {
        self.feed.finish(Ended::Withdrawn);
        if let Withdrawn::Up(engine) = self.link.withdraw(self.declaration) {
            engine.with(|state, now| state.unsubscribe(now, self.id.get(), &self.feed, None));
        }
    }

    /// A guard that ends the subscription when it is dropped.
    pub fn into_guard(self) -> SubscriptionGuard {
        SubscriptionGuard { subscription: self }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").field(&self.id()).finish()
    }
}

/// A subscription that ends when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the subscription"]
pub struct SubscriptionGuard {
    subscription: Subscription,
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        self.subscription.end();
    }
}

/// The events of a topic. It keeps the session. Dropping it ends the subscription. Besides [`next`](Self::next) there is
/// [`Stream`].
#[must_use = "dropping it ends the subscription"]
pub struct EventStream {
    subscription: Subscription,
    topic: Uri,
    hand: Hand<Published>,
    over: bool,
    /// Dropped after the subscription has ended.
    _session: Session,
}

impl EventStream {
    /// Waits for the end of the subscription; see [`Subscription::closed`].
    pub async fn closed(&self) -> Ended {
        self.subscription.closed().await
    }

    /// The next event; `None` when the subscription has [ended](Self::closed). May be dropped at any time without losing one.
    #[allow(clippy::should_implement_trait, reason = "as every stream has it")]
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.over {
            return Poll::Ready(None);
        }
        match ready!(self.subscription.feed.poll_next(cx, &mut self.hand)) {
            Next::Item(published, _) => Poll::Ready(Some(Event::new(published, &self.topic))),
            Next::End(()) => {
                self.over = true;
                Poll::Ready(None)
            }
        }
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().poll_event(cx)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.subscription.id();
        f.debug_struct("EventStream").field("id", &id).field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.subscription.end();
    }
}
