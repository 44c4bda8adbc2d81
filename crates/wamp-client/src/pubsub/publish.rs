//! Publishing to topics.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;
use wamp_core::Time;
use wamp_proto::message::{Millis, Ppt, PublishOptions, Receivers};
use wamp_proto::{Args, ByteString, Payload, PublicationId, SessionId, Uri};

use crate::arguments::Body;
use crate::deferred::Boxed;
use crate::engine::shared::Engine;
use crate::engine::state::{PendingRequest, State};
use crate::error::{RequestError, SubmitError};
use crate::session::Session;
use crate::trace;

impl Session {
    /// Publishes to a topic.
    ///
    /// ```
    /// # use wamp_client::{RequestError, Session};
    /// # async fn example(session: Session) -> Result<(), RequestError> {
    /// session.publish("com.example.onstart").args(("engine", 1)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish(&self, topic: impl Into<Uri>) -> Publish {
        let engine = self.engine();
        let inner = Inner {
            body: Body::new(Some(engine.serializer())),
            session: self.clone(),
            engine,
            topic: topic.into(),
            options: PublishOptions::default(),
            when_up: None,
        };
        Publish { future: PublishFuture { stage: Stage::New(Box::new(inner)) } }
    }
}

/// A publication request: a future of the publication.
///
/// Without [`acknowledge`](Self::acknowledge) it is done, with `None`, when it is queued.
#[must_use = "nothing is published until it is awaited"]
pub struct Publish {
    future: PublishFuture,
}

struct Inner {
    session: Session,
    /// The engine when the publication was put together.
    engine: Arc<Engine>,
    topic: Uri,
    options: PublishOptions,
    body: Body,
    when_up: Option<Duration>,
}

impl Publish {
    /// Returns the parts of the publication, unless it has been polled.
    pub(super) fn into_parts(self) -> Option<(Session, Uri, PublishOptions, Body, Option<Duration>)> {
        match self.future.stage {
            Stage::New(inner) => Some((inner.session, inner.topic, inner.options, inner.body, inner.when_up)),
            _ => None,
        }
    }

    /// Changes the publication, unless it has been polled.
    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if let Stage::New(inner) = &mut self.future.stage {
            change(inner);
        }
        self
    }

    /// Returns the publication as a future with a named type.
    pub fn send(self) -> PublishFuture {
        self.future
    }

    /// Waits for a connection, at most this long, if there is none. By default a publication without a
    /// connection fails at once.
    pub fn when_up(self, limit: Duration) -> Self {
        self.with(|inner| inner.when_up = Some(limit))
    }

    /// Adds positional arguments: each element of a tuple or a list is one.
    pub fn args(self, values: impl Args) -> Self {
        self.with(|inner| inner.body.args(&values))
    }

    /// Adds one positional argument, of any type.
    pub fn arg(self, value: impl Serialize) -> Self {
        self.with(|inner| inner.body.arg(&value))
    }

    /// Adds one keyword argument.
    pub fn kwarg(self, name: &str, value: impl Serialize) -> Self {
        self.with(|inner| inner.body.kwarg(name, &value))
    }

    /// Adds keyword arguments: each field of a struct or entry of a map is one.
    pub fn kwargs(self, values: impl Serialize) -> Self {
        self.with(|inner| inner.body.kwargs(&values))
    }

    /// Sets all arguments to a ready payload. It excludes the other ways to set them.
    pub fn payload(self, payload: Payload) -> Self {
        self.with(|inner| inner.body.payload(payload))
    }

    /// Sets bytes that are opaque to the router, as all arguments, and the options that say how to read them. It excludes
    /// the other ways to set arguments.
    ///
    /// With `ppt_…` this is payload passthru mode (Advanced Profile, *Payload Passthru Mode*), and the bytes are the only
    /// argument. With `enc_…` it is the older payload transparency, which Autobahn has, and the bytes are in the place of the
    /// arguments. Encrypting them is left to the application. [`NotSupported`](RequestError::NotSupported) if the router did
    /// not announce the form.
    pub fn opaque(self, ppt: Ppt, bytes: impl AsRef<[u8]>) -> Self {
        self.with(|inner| {
            inner.body.opaque(&ppt, bytes.as_ref());
            inner.options.ppt = Some(Box::new(ppt));
        })
    }

    /// Waits for the router's answer: the publication id, or the error.
    pub fn acknowledge(self) -> Self {
        self.with(|inner| inner.options.acknowledge = Some(true))
    }

    /// Sets whether this session itself gets no event for it, which is the default.
    pub fn exclude_me(self, exclude: bool) -> Self {
        self.with(|inner| inner.options.exclude_me = Some(exclude))
    }

    /// Lets only these sessions receive it. A receiver must satisfy this and all other lists that are set; an
    /// empty list admits no session. [`RequestError::NotSupported`] if the router did not announce
    /// `subscriber_blackwhite_listing`, since it would send the event to all.
    ///
    /// ```
    /// # use wamp_client::{RequestError, Session};
    /// # async fn example(session: Session) -> Result<(), RequestError> {
    /// session.publish("com.example.price").args((7, 99)).eligible_authrole(["staff"]).acknowledge().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn eligible(self, sessions: impl IntoIterator<Item = SessionId>) -> Self {
        self.to(|to| to.eligible = Some(sessions.into_iter().collect()))
    }

    /// Lets only sessions with these authids receive it.
    pub fn eligible_authid(self, names: impl IntoIterator<Item = impl Into<ByteString>>) -> Self {
        self.to(|to| to.eligible_authid = Some(names.into_iter().map(Into::into).collect()))
    }

    /// Lets only sessions with these roles receive it.
    pub fn eligible_authrole(self, names: impl IntoIterator<Item = impl Into<ByteString>>) -> Self {
        self.to(|to| to.eligible_authrole = Some(names.into_iter().map(Into::into).collect()))
    }

    /// Excludes these sessions.
    pub fn exclude(self, sessions: impl IntoIterator<Item = SessionId>) -> Self {
        self.to(|to| to.exclude = Some(sessions.into_iter().collect()))
    }

    /// Excludes sessions with these authids.
    pub fn exclude_authid(self, names: impl IntoIterator<Item = impl Into<ByteString>>) -> Self {
        self.to(|to| to.exclude_authid = Some(names.into_iter().map(Into::into).collect()))
    }

    /// Excludes sessions with these roles.
    pub fn exclude_authrole(self, names: impl IntoIterator<Item = impl Into<ByteString>>) -> Self {
        self.to(|to| to.exclude_authrole = Some(names.into_iter().map(Into::into).collect()))
    }

    fn to(self, change: impl FnOnce(&mut Receivers)) -> Self {
        self.with(|inner| change(inner.options.receivers.get_or_insert_default()))
    }

    /// Keeps the event for later subscribers that ask for it: see [`Subscribe::retained`](crate::Subscribe::retained).
    /// [`RequestError::NotSupported`] if the router did not announce `event_retention`.
    pub fn retain(self) -> Self {
        self.with(|inner| inner.options.retain = Some(true))
    }

    /// Keeps the event for this time only, in whole milliseconds, rounded up. Zero removes the event that was
    /// kept for the topic. This is an extension of this project's router, which others ignore.
    pub fn retain_for(self, time: Duration) -> Self {
        let ttl = Millis::from(time);
        self.with(|inner| {
            inner.options.retain = Some(true);
            inner.options.set_retain_ttl(ttl);
        })
    }

    /// Sets an option of the PUBLISH by its name (`PUBLISH.Options`), for extensions of routers. A router of this project
    /// passes keys such as `_traceparent` on to the subscribers; see [`Call::option`](crate::Call::option) and
    /// [`Event::detail`](crate::Event::detail). An option that cannot be written is [`RequestError::Encode`].
    pub fn option(self, key: &str, value: impl Serialize) -> Self {
        self.with(|inner| {
            if let Err(error) = inner.options.set(key, &value) {
                inner.body.fail(error);
            }
        })
    }

    /// Discloses this session to the subscribers: its id, authid and role.
    pub fn disclose_me(self) -> Self {
        self.with(|inner| inner.options.disclose_me = Some(true))
    }
}

impl Future for Publish {
    type Output = Result<Option<PublicationId>, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().future).poll(cx)
    }
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish").finish_non_exhaustive()
    }
}

/// The future of a publication, with a named type; see [`Publish::send`]. If it is dropped before it is
/// queued, nothing is published.
#[must_use = "nothing is published until it is awaited"]
pub struct PublishFuture {
    stage: Stage,
}

/// A pending answer, and the session that it keeps until then.
type Acknowledgement = (oneshot::Receiver<Result<PublicationId, RequestError>>, Session);

enum Stage {
    New(Box<Inner>),
    /// There is no connection.
    Down(Boxed<'static, Inner>),
    /// There is no room in the queue.
    Waiting(Boxed<'static, Result<(), SubmitError>>, Option<Acknowledgement>),
    Acknowledged(Acknowledgement),
    Over,
}

impl Inner {
    /// Publishes, or begins to wait for room in the queue. Returns `None` if it is queued and no answer
    /// follows.
    fn start(self) -> Result<Option<Stage>, SubmitError> {
        let Inner { session, engine, topic, mut options, body, .. } = self;
        trace::send_current(&mut options.extra);
        let engine = if engine.is_over() { session.engine() } else { engine };
        let payload = body.finish(engine.serializer())?;
        let (waiter, answer) = match options.acknowledge {
            Some(true) => {
                let (waiter, answer) = oneshot::channel();
                (Some(waiter), Some((answer, session.clone())))
            }
            _ => (None, None),
        };
        let publish =
            move |state: &mut State, now: Time| match state.session.publish(now, options, topic, payload) {
                Ok(request) => {
                    if let Some(waiter) = waiter {
                        state.requests.insert(request, PendingRequest::Publish(waiter));
                    }
                    Ok(())
                }
                Err(misuse) => Err(state.refused(misuse)),
            };
        match engine.if_room(publish) {
            Ok(published) => published.map(|()| answer.map(Stage::Acknowledged)),
            Err(publish) => {
                let waiting = async move {
                    let _kept = session;
                    engine.with_room(publish).await
                };
                Ok(Some(Stage::Waiting(Box::pin(waiting), answer)))
            }
        }
    }
}

impl Future for PublishFuture {
    type Output = Result<Option<PublicationId>, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            this.stage = match std::mem::replace(&mut this.stage, Stage::Over) {
                Stage::New(mut inner) => match inner.when_up.take().filter(|_| !inner.session.is_open()) {
                    Some(limit) => Stage::Down(Box::pin(async move {
                        inner.session.link().when_up(limit).await;
                        *inner
                    })),
                    None => match inner.start()? {
                        Some(stage) => stage,
                        None => return Poll::Ready(Ok(None)),
                    },
                },
                Stage::Down(mut waiting) => match waiting.as_mut().poll(cx) {
                    Poll::Ready(inner) => Stage::New(Box::new(inner)),
                    Poll::Pending => {
                        this.stage = Stage::Down(waiting);
                        return Poll::Pending;
                    }
                },
                Stage::Waiting(mut waiting, answer) => match (waiting.as_mut().poll(cx), answer) {
                    (Poll::Ready(Err(error)), _) => return Poll::Ready(Err(error.into())),
                    (Poll::Ready(Ok(())), Some(answer)) => Stage::Acknowledged(answer),
                    (Poll::Ready(Ok(())), None) => return Poll::Ready(Ok(None)),
                    (Poll::Pending, answer) => {
                        this.stage = Stage::Waiting(waiting, answer);
                        return Poll::Pending;
                    }
                },
                Stage::Acknowledged(mut answer) => match Pin::new(&mut answer.0).poll(cx) {
                    // The waiter is kept until it is notified.
                    Poll::Ready(answer) => {
                        return Poll::Ready(answer.unwrap_or(Err(RequestError::Gone)).map(Some));
                    }
                    Poll::Pending => {
                        this.stage = Stage::Acknowledged(answer);
                        return Poll::Pending;
                    }
                },
                Stage::Over => panic!("a publication was polled after it was ready"),
            };
        }
    }
}
