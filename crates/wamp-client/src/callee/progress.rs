//! Sending progressive results.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use wamp_core::ReplyError;
use wamp_core::session::Stream;
use wamp_proto::relay::PlainProgress;
use wamp_proto::{Payload, RequestId};
use wamp_transport::COPIED_BELOW;

use crate::callee::scratch;
use crate::engine::cancel::CancelState;
use crate::engine::handlers::Waits;
use crate::engine::invocations::memory;
use crate::engine::shared::Engine;
use crate::engine::state::{State, WaitingResult};
use crate::error::SendError;
use crate::trace::InvocationSpan;

/// Sends progressive results of one call.
#[derive(Clone)]
pub struct ProgressSender {
    engine: Arc<Engine>,
    id: RequestId,
    cancel_state: Arc<CancelState>,
    span: InvocationSpan,
}

impl ProgressSender {
    pub(super) fn new(
        engine: Arc<Engine>,
        id: RequestId,
        cancel_state: Arc<CancelState>,
        span: InvocationSpan,
    ) -> Self {
        Self { engine, id, cancel_state, span }
    }

    /// Sends a progressive result. Waits while the caller or the router is behind. May be dropped at any
    /// time: it has sent all or nothing.
    ///
    /// # Errors
    /// The call is over, or the value cannot be sent.
    pub async fn send<T: Serialize>(&self, value: T) -> Result<(), SendError> {
        self.yield_to_others().await;
        let tried = self.try_send(&value);
        // It must not be held while this waits.
        drop(value);
        match tried? {
            Tried::Sent => Ok(()),
            Tried::MustWait(payload) => self.send_now(payload).await,
        }
    }

    /// Sends a small value, if that is possible at once, without creating a message.
    fn try_send<T: Serialize>(&self, value: &T) -> Result<Tried, SendError> {
        scratch::with(|buffer| {
            let serializer = self.engine.serializer();
            buffer.write(serializer, value)?;
            let is_foreign = buffer.serializer().is_some_and(|written| written != serializer);
            if is_foreign || buffer.is_binary() || buffer.as_bytes().len() >= COPIED_BELOW {
                return Ok(Tried::MustWait(buffer.take()));
            }
            self.check()?;
            let head = PlainProgress::written(self.id, buffer);
            match self
                .engine
                .push_written(|state| state.progress_written(|| self.engine.now(), &head, buffer))
            {
                Some(sent) => {
                    sent?;
                    self.span.progress(buffer.as_bytes().len());
                    Ok(Tried::Sent)
                }
                // A waiting result holds no more memory than it needs.
                None => Ok(Tried::MustWait(buffer.take().detached())),
            }
        })
    }

    /// A handler that never waits for anything else must yield, above all on a single thread.
    async fn yield_to_others(&self) {
        if self.cancel_state.needs_unit(|| self.engine.results_of_a_unit()) {
            tokio::task::consume_budget().await;
        }
    }

    fn check(&self) -> Result<(), SendError> {
        if self.cancel_state.is_over() { Err(SendError::Over) } else { Ok(()) }
    }

    /// Whether the call is over, so that nothing can be sent.
    pub fn is_over(&self) -> bool {
        self.cancel_state.is_over()
    }

    pub(crate) async fn send_payload(&self, payload: Payload) -> Result<(), SendError> {
        self.yield_to_others().await;
        self.send_now(payload).await
    }

    /// Sends a payload as soon as there is room in the queue and credit.
    async fn send_now(&self, payload: Payload) -> Result<(), SendError> {
        let payload = payload.transcode(self.engine.serializer())?;
        self.check()?;
        let len = payload.len();
        let mut waiting = Some(payload);
        // The usual case, without any wait, creates no futures.
        let mut waits = Waits::new(&self.engine);
        let place = &mut waits.place;
        let sent = self.engine.if_room(|state, now| state.progress(now, self.id, &mut waiting, place));
        let sent = match sent {
            Ok(Some(sent)) => sent,
            _ => tokio::select! {
                biased;
                () = self.cancel_state.over() => Err(ReplyError::Over),
                sent = self.send_as_soon_as_possible(waiting, &mut waits.place) => sent,
            },
        };
        sent?;
        self.span.progress(len);
        Ok(())
    }

    /// Sends as soon as there is room in the queue and credit. If it is dropped before, nothing is sent.
    async fn send_as_soon_as_possible(
        &self,
        mut waiting: Option<Payload>,
        place: &mut WaitingResult,
    ) -> Result<(), ReplyError> {
        loop {
            // Created before the check of the credit, so that it notices every later grant.
            let credit = self.cancel_state.credit.notified();
            let try_now = |state: &mut State, now| state.progress(now, self.id, &mut waiting, place);
            let tried = match self.engine.if_room(try_now) {
                Ok(tried) => tried,
                Err(_) => {
                    let bytes = waiting.as_ref().map_or(0, memory);
                    let wait = |state: &mut State, now| state.wait_in_place(now, self.id, bytes, place);
                    if !self.engine.with(wait) {
                        return Err(ReplyError::Over);
                    }
                    let send = |state: &mut State, now| state.progress(now, self.id, &mut waiting, place);
                    self.engine.with_room(send).await
                }
            };
            if let Some(sent) = tried {
                return sent;
            }
            credit.await;
        }
    }

    /// Waits for room in the queue and for credit, or for the end of the call.
    pub(crate) async fn room(&self) -> Result<(), SendError> {
        let stream = Stream::Results(self.id);
        let room = async {
            loop {
                let credit = self.cancel_state.credit.notified();
                if self.engine.with_room(|state, _| state.session.may_send(stream)).await {
                    return;
                }
                credit.await;
            }
        };
        tokio::select! {
            biased;
            () = self.cancel_state.over() => Err(SendError::Over),
            () = room => Ok(()),
        }
    }
}

/// A value after an attempt to send it at once.
enum Tried {
    Sent,
    MustWait(Payload),
}

impl fmt::Debug for ProgressSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressSender").field("id", &self.id).finish_non_exhaustive()
    }
}
