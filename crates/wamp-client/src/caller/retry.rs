//! Repetition of failed calls.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use wamp_core::reconnect::Retry;

use crate::caller::attempts::Attempts;
use crate::caller::future::{CallFuture, CallResult, Observer};
use crate::caller::running::CallRequest;
use crate::deferred::Deferred;
use crate::error::CallError;

/// A call that is repeated after failures that allow it: a future of its result.
#[must_use = "nothing is sent until it is awaited"]
pub struct RetriedCall<'a>(Deferred<'a, Settings<'a>, Result<CallResult, CallError>>);

struct Settings<'a> {
    request: CallRequest,
    observer: Option<Observer<'a>>,
    retry: Retry,
}

impl<'a> RetriedCall<'a> {
    pub(super) fn new(request: CallRequest, observer: Option<Observer<'a>>, retry: Retry) -> Self {
        Self(Deferred::new(Settings { request, observer, retry }))
    }
}

async fn run(settings: Settings<'_>) -> Result<CallResult, CallError> {
    let Settings { request, mut observer, retry } = settings;
    let mut attempts = Attempts::new(request, retry)?;
    let mut is_begun = false;
    loop {
        let begun = &mut is_begun;
        let observed = observer.as_mut().map(|observer| -> Observer<'_> {
            Box::new(move |payload| {
                *begun = true;
                observer(payload)
            })
        });
        let error = match CallFuture::new(attempts.request(), observed).await {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        if is_begun {
            attempts.handle_progress();
        }
        attempts.wait(error).await?;
    }
}

impl Future for RetriedCall<'_> {
    type Output = Result<CallResult, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx, |settings| Box::pin(run(settings)))
    }
}

impl fmt::Debug for RetriedCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetriedCall").finish_non_exhaustive()
    }
}
