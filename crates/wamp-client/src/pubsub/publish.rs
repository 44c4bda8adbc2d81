//! Publishing to topics.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use serde::Serialize;
use tokio::sync::oneshot;
use wamp_proto::message::PublishOptions;
use wamp_proto::{Args, Payload, PublicationId, Uri};

use crate::arguments::Body;
use crate::engine::state::PendingRequest;
use crate::error::{RequestError, SubmitError};
use crate::session::Session;

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
        Publish {
            body: Body::new(Some(self.serializer())),
            session: self.clone(),
            topic: topic.into(),
            options: PublishOptions::default(),
        }
    }
}

/// A publication to be made. Await it.
///
/// Without [`acknowledge`](Self::acknowledge) it is done, with `None`, when it is queued.
#[must_use = "nothing is published until it is awaited"]
pub struct Publish {
    session: Session,
    topic: Uri,
    options: PublishOptions,
    body: Body,
}

impl Publish {
    /// Adds positional arguments: each element of a tuple or a list is one.
    pub fn args(mut self, values: impl Args) -> Self {
        self.body.args(&values);
        self
    }

    /// Adds one positional argument, whatever the value is.
    pub fn arg(mut self, value: impl Serialize) -> Self {
        self.body.arg(&value);
        self
    }

    /// Adds one keyword argument.
    pub fn kwarg(mut self, name: &str, value: impl Serialize) -> Self {
        self.body.kwarg(name, &value);
        self
    }

    /// Adds keyword arguments: each field of a struct or entry of a map is one.
    pub fn kwargs(mut self, values: impl Serialize) -> Self {
        self.body.kwargs(&values);
        self
    }

    /// Sets all arguments to a ready payload. It excludes the other ways to set them.
    pub fn payload(mut self, payload: Payload) -> Self {
        self.body.payload(payload);
        self
    }

    /// Waits for the router's answer: the publication id, or the error.
    pub fn acknowledge(mut self) -> Self {
        self.options.acknowledge = Some(true);
        self
    }

    /// Sets whether this session itself gets no event for it, which is the default.
    pub fn exclude_me(mut self, exclude: bool) -> Self {
        self.options.exclude_me = Some(exclude);
        self
    }
}

impl IntoFuture for Publish {
    type Output = Result<Option<PublicationId>, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Publish { session, topic, options, body } = self;
        Box::pin(async move {
            let engine = session.engine();
            let payload = body.finish(engine.serializer())?;
            let (waiter, answer) = oneshot::channel();
            let acknowledged = options.acknowledge == Some(true);
            let publish = move |state: &mut crate::engine::state::State, now| -> Result<(), SubmitError> {
                match state.session.publish(now, options, topic, payload) {
                    Ok(request) if acknowledged => {
                        state.requests.insert(request, PendingRequest::Publish(waiter));
                        Ok(())
                    }
                    Ok(_) => Ok(()),
                    Err(misuse) => Err(state.refused(misuse)),
                }
            };
            engine.with_room(publish).await?;
            if !acknowledged {
                return Ok(None);
            }
            // The waiter is kept until it is told.
            answer.await.unwrap_or(Err(RequestError::Gone)).map(Some)
        })
    }
}
