//! Testaments: publications that the router makes when the session is over.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use wamp_proto::message::{self, PublishOptions};
use wamp_proto::{EncodeError, RequestId, Uri};

use crate::arguments::Body;
use crate::deferred::Deferred;
use crate::error::CallError;
use crate::link;
use crate::pubsub::publish::Publish;
use crate::session::Session;

/// The event after which a router publishes a testament.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TestamentScope {
    /// The session is over for good.
    #[default]
    Destroyed,
    /// The session has lost its connection, and may be resumed if the router supports that. With other
    /// routers the same as [`Destroyed`](Self::Destroyed).
    Detached,
}

impl TestamentScope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Destroyed => "destroyed",
            Self::Detached => "detached",
        }
    }
}

/// A request to leave a publication as a testament: a future that is ready when the router has it. See
/// [`Publish::testament`].
#[must_use = "the router gets nothing until it is awaited"]
pub struct Testament(Deferred<'static, Settings, Result<(), CallError>>);

struct Settings {
    scope: TestamentScope,
    /// `None` if it was published already.
    publication: Option<(Session, Uri, PublishOptions, Body, Option<Duration>)>,
}

impl Publish {
    /// Leaves the publication with the router, which publishes it at any end of this session, including
    /// [`leave`](Session::leave), unless the testaments are [flushed](Session::flush_testaments) before.
    /// Routers do not publish testaments when they shut down.
    ///
    /// When a connection is lost, the router publishes them. A session that comes back leaves them with the router again, in
    /// their order and before anything else. One that the router then refuses is dropped, which
    /// [`ConnectionState::Lost`](crate::ConnectionState::Lost) tells with its topic.
    ///
    /// ```
    /// # async fn example(session: wamp_client::Session) -> Result<(), wamp_client::CallError> {
    /// session.publish("com.shop.gone").args(("till 3",)).retain().testament().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn testament(self) -> Testament {
        let publication = self.into_parts();
        Testament(Deferred::new(Settings { scope: TestamentScope::default(), publication }))
    }
}

impl Testament {
    /// Sets the event after which it is published.
    pub fn scope(mut self, scope: TestamentScope) -> Self {
        self.0.set(|settings| settings.scope = scope);
        self
    }
}

impl Future for Testament {
    type Output = Result<(), CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx, |settings| Box::pin(leave(settings)))
    }
}

impl fmt::Debug for Testament {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Testament").finish_non_exhaustive()
    }
}

async fn leave(settings: Settings) -> Result<(), CallError> {
    let Settings { scope, publication } = settings;
    let Some((session, topic, options, body, when_up)) = publication else {
        let text = "a publication that was polled cannot become a testament";
        return Err(CallError::Encode(EncodeError::Custom(text.to_owned())));
    };
    if let Some(limit) = when_up {
        session.link().when_up(limit).await;
    }
    let serializer = session.serializer();
    let payload = body.finish(serializer)?;
    session.engine().with(|state, _| {
        state.session.check_publish(&options, &payload).map_err(|misuse| state.refused(misuse))
    })?;
    // Its memory is its own, since it may be kept for long.
    let (topic, payload) = (topic.detached(), payload.detached());
    let publish = Arc::new(message::Publish { request: RequestId::FIRST, options, topic, payload });
    let testament = link::testaments::Testament { scope, publish };
    loop {
        let engine = session.engine();
        let arguments = testament.arguments(engine.serializer())?;
        session.call(link::testaments::ADD).payload(arguments).await?;
        // Otherwise the connection was lost meanwhile, and a newer one does not have the testament.
        if session.link().keep_testament(&engine, &testament) {
            return Ok(());
        }
    }
}

impl Session {
    /// Removes all testaments of a scope.
    ///
    /// # Errors
    /// Those of a call; `wamp.error.no_such_procedure` if the router has no testaments.
    pub async fn flush_testaments(&self, scope: TestamentScope) -> Result<(), CallError> {
        let flush = Uri::from_static("wamp.session.flush_testaments");
        self.call(flush).kwarg("scope", scope.as_str()).await?;
        self.link().forget_testaments(scope);
        Ok(())
    }
}
