//! A call that is being awaited, and its result.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use serde::Deserialize;
use wamp_proto::message::Ppt;
use wamp_proto::{Payload, PayloadError};

use crate::caller::handle::{CallHandle, Later};
use crate::caller::running::{CallRequest, RunningCall, Starting, Submitted};
use crate::engine::inbox::Next;
use crate::error::CallError;
use crate::opaque;

/// A function that sees each progressive result.
pub(super) type Observer<'a> = Box<dyn FnMut(&Payload) -> Result<(), PayloadError> + Send + 'a>;

/// The future of a call, with a named type; see [`Call::send`](crate::Call::send). Dropping it cancels the
/// call.
#[must_use = "nothing is sent until it is awaited"]
pub struct CallFuture<'a> {
    stage: Stage,
    observer: Option<Observer<'a>>,
}

enum Stage {
    New(Box<CallRequest>),
    /// There is no connection, or no room in the queue.
    Waiting(Starting, Arc<Later>),
    Running(RunningCall),
    Over,
}

impl<'a> CallFuture<'a> {
    pub(super) fn new(request: CallRequest, observer: Option<Observer<'a>>) -> Self {
        Self { stage: Stage::New(Box::new(request)), observer }
    }

    /// Changes the request. A call that is under way stays as it is.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut CallRequest)) {
        if let Stage::New(request) = &mut self.stage {
            change(request);
        }
    }

    /// Returns the request and the observer of a call that is not under way.
    ///
    /// # Panics
    /// If it has been polled.
    pub(super) fn into_request(self) -> (CallRequest, Option<Observer<'a>>) {
        match self.stage {
            Stage::New(request) => (*request, self.observer),
            _ => panic!("a call was changed after it was polled"),
        }
    }

    /// A handle that can cancel the call; see [`Call::handle`](crate::Call::handle).
    pub fn handle(&mut self) -> CallHandle {
        match &mut self.stage {
            Stage::New(request) => CallHandle::later(request.limits.later.get_or_insert_default().clone()),
            Stage::Waiting(_, later) => CallHandle::later(later.clone()),
            Stage::Running(call) => call.handle(),
            Stage::Over => CallHandle::later(Arc::default()),
        }
    }
}

impl fmt::Debug for CallFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture").finish_non_exhaustive()
    }
}

impl Future for CallFuture<'_> {
    type Output = Result<CallResult, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let result = loop {
            match std::mem::replace(&mut this.stage, Stage::Over) {
                Stage::New(request) => match request.start() {
                    Ok(Submitted::Running(call)) => this.stage = Stage::Running(call),
                    Ok(Submitted::Waiting(starting, later)) => this.stage = Stage::Waiting(starting, later),
                    Err(error) => break Err(error),
                },
                Stage::Waiting(mut starting, later) => match starting.as_mut().poll(cx) {
                    Poll::Ready(Ok(pending)) => this.stage = Stage::Running(pending),
                    Poll::Ready(Err(error)) => break Err(error),
                    Poll::Pending => {
                        this.stage = Stage::Waiting(starting, later);
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
                    Poll::Ready(Next::End(end)) => {
                        let ppt = pending.take_ppt();
                        break end.map(|payload| CallResult { payload, ppt });
                    }
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
#[derive(Clone, Debug, PartialEq)]
pub struct CallResult {
    payload: Payload,
    ppt: Option<Box<Ppt>>,
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

    /// How to read a payload that is opaque to routers, if the callee said it.
    pub fn ppt(&self) -> Option<&Ppt> {
        self.ppt.as_deref()
    }

    /// The bytes that are opaque to routers, and how to read them; `None` if the callee sent arguments.
    pub fn opaque(&self) -> Option<(&Ppt, Bytes)> {
        opaque::read(self.ppt(), &self.payload)
    }

    /// All arguments, as they arrived.
    pub fn into_payload(self) -> Payload {
        self.payload
    }
}
