//! A call that is being awaited, and its result.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde::Deserialize;
use wamp_proto::{Payload, PayloadError};

use crate::caller::running::{CallRequest, RunningCall, Starting, Submitted};
use crate::engine::inbox::Next;
use crate::error::CallError;

/// What is shown of progressive results.
pub(super) type Observer<'a> = Box<dyn FnMut(&Payload) -> Result<(), PayloadError> + Send + 'a>;

/// A call that is being awaited. Dropping it cancels the call.
#[must_use = "nothing is sent until it is awaited"]
pub struct CallFuture<'a> {
    stage: Stage,
    observer: Option<Observer<'a>>,
}

impl<'a> CallFuture<'a> {
    pub(super) fn new(request: CallRequest, observer: Option<Observer<'a>>) -> Self {
        Self { stage: Stage::New(Box::new(request)), observer }
    }
}

enum Stage {
    New(Box<CallRequest>),
    /// There is no room in the queue.
    Waiting(Starting),
    Running(RunningCall),
    Over,
}

impl Future for CallFuture<'_> {
    type Output = Result<CallResult, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let result = loop {
            match std::mem::replace(&mut this.stage, Stage::Over) {
                Stage::New(request) => match request.start() {
                    Ok(Submitted::Running(call)) => this.stage = Stage::Running(call),
                    Ok(Submitted::Waiting(starting)) => this.stage = Stage::Waiting(starting),
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
                    Poll::Ready(Next::Item(payload, _)) => {
                        let shown = this.observer.as_mut().map_or(Ok(()), |observer| observer(&payload));
                        if let Err(error) = shown {
                            break Err(CallError::Decode(error));
                        }
                        this.stage = Stage::Running(pending);
                    }
                    Poll::Ready(Next::End(end)) => break end.map(|payload| CallResult { payload }),
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

/// The last result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    payload: Payload,
}

impl CallResult {
    /// The value that the result stands for; see the table at [`Payload`].
    ///
    /// # Errors
    /// [`CallError::Decode`] names the argument that does not fit.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, CallError> {
        Ok(self.payload.decode()?)
    }

    /// The list of positional arguments, as a tuple, an array or a `Vec`.
    ///
    /// # Errors
    /// [`CallError::Decode`] names the argument that does not fit.
    pub fn args<'de, T: Deserialize<'de>>(&'de self) -> Result<T, CallError> {
        Ok(self.payload.args()?)
    }

    /// The keyword arguments, as a struct or a map.
    ///
    /// # Errors
    /// [`CallError::Decode`] names the keyword that does not fit.
    pub fn kwargs<'de, T: Deserialize<'de>>(&'de self) -> Result<T, CallError> {
        Ok(self.payload.kwargs()?)
    }

    /// All arguments, as they arrived.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// All arguments, as they arrived.
    pub fn into_payload(self) -> Payload {
        self.payload
    }
}
