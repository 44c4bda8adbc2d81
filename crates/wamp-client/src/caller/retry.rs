//! Calls that are made again.

use std::future::{Future, IntoFuture};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::time::Duration;

use wamp_core::reconnect::{Again, Broken, Repeat, Retry};
use wamp_proto::uri;

use crate::arguments::Body;
use crate::caller::future::{CallFuture, CallResult, Observer};
use crate::caller::running::CallRequest;
use crate::error::CallError;

/// How long a connection is waited for, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// A call that is made again when it has failed in a way that allows it. Await it.
#[must_use = "nothing is sent until it is awaited"]
pub struct RetriedCall<'a> {
    request: CallRequest,
    observer: Option<Observer<'a>>,
    retry: Retry,
}

impl<'a> RetriedCall<'a> {
    pub(super) fn new(request: CallRequest, observer: Option<Observer<'a>>, retry: Retry) -> Self {
        Self { request, observer, retry }
    }

    async fn run(self) -> Result<CallResult, CallError> {
        let RetriedCall { request, mut observer, retry } = self;
        let CallRequest { session, procedure, options, body, buffer, when_up, .. } = request;
        let payload = body.finish(session.serializer())?;
        let mut repeat = Repeat::new(retry, RandomState::new().hash_one(()));
        let (mut is_first, mut is_begun) = (true, false);
        loop {
            let mut body = Body::new(None);
            body.payload(payload.clone());
            let when_up = if is_first { when_up } else { Some(when_up.unwrap_or(PATIENCE)) };
            let request = CallRequest {
                session: session.clone(),
                engine: session.engine(),
                procedure: procedure.clone(),
                options: options.clone(),
                body,
                buffer,
                when_up,
            };
            let begun = &mut is_begun;
            let observed = observer.as_mut().map(|observer| -> Observer<'_> {
                Box::new(move |payload| {
                    *begun = true;
                    observer(payload)
                })
            });
            let result = CallFuture::new(request, observed).await;
            is_first = false;
            if is_begun {
                repeat.handle_progress();
            }
            let broken = match &result {
                Err(CallError::Disconnected { sent, .. }) => Broken::Disconnected { sent: *sent },
                Err(CallError::Application { uri, .. }) if *uri == uri::UNAVAILABLE => Broken::Unavailable,
                _ => return result,
            };
            match repeat.handle_broken(broken) {
                Some(Again::WhenUp) => {}
                Some(Again::After(delay)) => tokio::time::sleep(delay).await,
                None => {
                    return result.map_err(|error| match error {
                        CallError::Disconnected { closed, .. } => {
                            CallError::Disconnected { closed, sent: repeat.was_sent() }
                        }
                        error => error,
                    });
                }
            }
        }
    }
}

impl<'a> IntoFuture for RetriedCall<'a> {
    type Output = Result<CallResult, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
