//! The attempts to make one call.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use wamp_core::reconnect::{Again, Broken, Repeat, Retry};
use wamp_proto::message::CallOptions;
use wamp_proto::{Payload, Uri, uri};

use crate::arguments::Body;
use crate::caller::handle::Later;
use crate::caller::running::{CallRequest, Limits, RunningCall};
use crate::error::CallError;
use crate::session::Session;

/// The longest wait for a connection before a repetition, by default.
const PATIENCE: Duration = Duration::from_secs(30);

/// A call that may be made again.
pub(crate) struct Attempts {
    session: Session,
    procedure: Uri,
    options: CallOptions,
    payload: Payload,
    buffer: usize,
    limits: Limits,
    repeat: Repeat,
    is_first: bool,
}

impl Attempts {
    pub(crate) fn new(request: CallRequest, retry: Retry) -> Result<Self, CallError> {
        let CallRequest { session, procedure, options, body, buffer, mut limits, .. } = request;
        let payload = body.finish(session.serializer())?;
        limits.begin();
        limits.later.get_or_insert_default();
        let repeat = Repeat::new(retry, RandomState::new().hash_one(()));
        Ok(Self { session, procedure, options, payload, buffer, limits, repeat, is_first: true })
    }

    /// Returns the request of the next attempt.
    pub(crate) fn request(&mut self) -> CallRequest {
        let mut limits = self.limits.clone();
        if !std::mem::take(&mut self.is_first) {
            limits.when_up.get_or_insert(PATIENCE);
        }
        let mut body = Body::new(None);
        body.payload(self.payload.clone());
        CallRequest {
            session: self.session.clone(),
            engine: self.session.engine(),
            procedure: self.procedure.clone(),
            options: self.options.clone(),
            body,
            buffer: self.buffer,
            limits,
        }
    }

    /// Returns the handle that cancels the call between attempts.
    pub(crate) fn later(&mut self) -> Arc<Later> {
        self.limits.later.get_or_insert_default().clone()
    }

    /// Records that the program has received a progressive result.
    pub(crate) fn handle_progress(&mut self) {
        self.repeat.handle_progress();
    }

    /// Handles the failure of an attempt, and waits until the next one is due.
    ///
    /// # Errors
    /// No further attempt follows: this is the error of the call.
    pub(crate) async fn wait(&mut self, error: CallError) -> Result<(), CallError> {
        let broken = match &error {
            CallError::Disconnected { sent, .. } => Broken::Disconnected { sent: *sent },
            CallError::Application { uri, .. } if *uri == uri::UNAVAILABLE => Broken::Unavailable,
            _ => return Err(error),
        };
        let Some(again) = self.repeat.handle_broken(broken) else {
            return Err(match error {
                CallError::Disconnected { closed, .. } => {
                    CallError::Disconnected { closed, sent: self.repeat.was_sent() }
                }
                error => error,
            });
        };
        if let Some(later) = &self.limits.later {
            later.handle_failed();
        }
        let waiting = async {
            if let Again::After(delay) = again {
                tokio::time::sleep(delay).await;
            }
            Ok(())
        };
        self.limits.within(self.session.serializer(), waiting).await
    }

    /// Handles the failure of an attempt. Makes others until one is under way, or none follows.
    pub(crate) async fn again(mut self, mut error: CallError) -> (Self, Result<RunningCall, CallError>) {
        loop {
            if let Err(error) = self.wait(error).await {
                return (self, Err(error));
            }
            match self.request().started().await {
                Ok(call) => return (self, Ok(call)),
                Err(next) => error = next,
            }
        }
    }
}
