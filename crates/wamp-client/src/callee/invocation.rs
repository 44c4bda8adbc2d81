//! What a handler sees of the call that it answers.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wamp_core::ReplyError;
use wamp_core::session::Stream;
use wamp_proto::message::{self, Discloser};
use wamp_proto::relay::PlainProgress;
use wamp_proto::{EncodeError, Payload, PayloadBuffer, PayloadError, RequestId, Serializer, SessionId, Uri};
use wamp_transport::COPIED_BELOW;

use crate::callee::chunks::{Chunks, Upload};
use crate::callee::scratch;
use crate::engine::cancel::{CancelReason, Ending};
use crate::engine::invocations::{Place, memory};
use crate::engine::shared::{Shared, Waits};
use crate::engine::state::State;
use crate::error::{TooLarge, Unsent};
use crate::session::Session;

/// A call to be answered.
pub struct Invocation {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: RequestId,
    pub(crate) uri: Uri,
    pub(crate) willing: bool,
    pub(crate) caller: Option<Box<Discloser>>,
    pub(crate) payload: Payload,
    pub(crate) upload: Option<Arc<Upload>>,
    pub(crate) ending: Arc<Ending>,
}

impl Invocation {
    /// The list of positional arguments, as a tuple, an array or a `Vec`.
    ///
    /// # Errors
    /// Says which argument does not fit. By `?` it becomes `wamp.error.invalid_argument`.
    pub fn args<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.payload.args()
    }

    /// The keyword arguments, as a struct or a map.
    ///
    /// # Errors
    /// Says which keyword does not fit. By `?` it becomes `wamp.error.invalid_argument`.
    pub fn kwargs<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.payload.kwargs()
    }

    /// The value that the arguments stand for; see the table at [`Payload`].
    ///
    /// # Errors
    /// Says which argument does not fit. By `?` it becomes `wamp.error.invalid_argument`.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.payload.decode()
    }

    /// All arguments, as they came.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// What was called.
    pub fn procedure(&self) -> &Uri {
        &self.uri
    }

    /// Who calls, where the router discloses it: because the caller or the callee asked for it, or always.
    pub fn caller(&self) -> Option<Caller<'_>> {
        let peer = self.caller.as_deref()?;
        Some(Caller {
            session: peer.caller?,
            authid: peer.caller_authid.as_deref(),
            authrole: peer.caller_authrole.as_deref(),
        })
    }

    /// Whether the call is made in chunks, of which the arguments seen so far are the first.
    pub fn is_in_chunks(&self) -> bool {
        self.upload.is_some()
    }

    /// All chunks of the call, the first one included; one that is the first or the last and has no arguments
    /// is none. A call that is not made in chunks has one. Of several streams of one call, each chunk comes out
    /// of one.
    ///
    /// ```
    /// # use wamp_client::{Failure, Invocation};
    /// async fn upload(call: Invocation) -> Result<usize, Failure> {
    ///     let mut octets = 0;
    ///     let mut chunks = call.chunks::<Vec<u8>>();
    ///     while let Some(chunk) = chunks.next().await {
    ///         octets += chunk?.len();
    ///         if let Some(progress) = call.progress() {
    ///             progress.send(octets).await?;
    ///         }
    ///     }
    ///     Ok(octets)
    /// }
    /// ```
    pub fn chunks<T>(&self) -> Chunks<T> {
        let first = Some(self.payload.clone()).filter(|payload| !payload.is_empty());
        Chunks::new(self, first)
    }

    /// The chunks after the first one, whose arguments are something else: the name of a file, say.
    pub fn more_chunks<T>(&self) -> Chunks<T> {
        Chunks::new(self, None)
    }

    /// For sending progressive results; `None` unless the caller asked for them.
    pub fn progress(&self) -> Option<ProgressSender> {
        self.willing.then(|| ProgressSender {
            shared: self.shared.clone(),
            id: self.id,
            ending: self.ending.clone(),
        })
    }

    /// Waits until the call is canceled, and says why. From then on nobody waits for an answer, unless
    /// [`answer_cancel_myself`](Self::answer_cancel_myself) was said. A call that is not canceled lets this
    /// wait for ever.
    pub async fn canceled(&self) -> CancelReason {
        self.ending.canceled().await
    }

    /// Why the call was canceled, if it was.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.ending.reason()
    }

    /// If the call is canceled in a way that awaits an answer (`kill`), this handler gives it: it may go on
    /// sending, and what it returns is heard. Otherwise the library answers for it, at once.
    pub fn answer_cancel_myself(&self) {
        // `Over`: it is too late for any answer.
        let _ = self.shared.with(|state, _| state.session.answer_cancel_myself(self.id));
    }

    /// The session, for calls of the handler's own. It does not keep the session open.
    pub fn session(&self) -> Session {
        Session::inside(&self.shared)
    }

    pub(crate) fn serializer(&self) -> Serializer {
        self.shared.serializer()
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("id", &self.id)
            .field("procedure", &self.uri)
            .field("progress", &self.willing)
            .finish_non_exhaustive()
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// The caller's session.
    pub session: SessionId,
    /// Its identity.
    pub authid: Option<&'a str>,
    /// Its role.
    pub authrole: Option<&'a str>,
}

/// Sends progressive results of one call.
#[derive(Clone)]
pub struct ProgressSender {
    shared: Arc<Shared>,
    id: RequestId,
    ending: Arc<Ending>,
}

impl ProgressSender {
    /// Sends a progressive result. Waits while the caller, or whoever is between, does not follow. May be dropped
    /// at any time: it has sent all or nothing.
    ///
    /// # Errors
    /// The call is over, or the value cannot be sent.
    pub async fn send<T: Serialize>(&self, value: T) -> Result<(), SendError> {
        let mut buffer = scratch::take();
        let written = buffer.write(self.shared.serializer(), &value);
        // Not to be held while this waits.
        drop(value);
        let sent = match written {
            Ok(()) => self.send_written(&mut buffer).await,
            Err(error) => Err(error.into()),
        };
        scratch::give(buffer);
        sent
    }

    /// Sends what is written there: if it is small and can go at once, without anything being made of it.
    async fn send_written(&self, buffer: &mut PayloadBuffer) -> Result<(), SendError> {
        let serializer = self.shared.serializer();
        let is_foreign = buffer.serializer().is_some_and(|written| written != serializer);
        if is_foreign || buffer.as_bytes().len() >= COPIED_BELOW {
            return self.send_payload(buffer.take()).await;
        }
        let head = PlainProgress::written(self.id, buffer);
        let (octets, limit) = (head.encoded_len(serializer), self.shared.max_send());
        if octets > limit {
            return Err(TooLarge { octets, limit }.into());
        }
        self.turn().await?;
        match self.shared.express(|state, now| state.progress_written(now, &head, buffer)) {
            Some(sent) => sent.map_err(|_| SendError::Over),
            // What waits holds no more memory than it needs.
            None => self.send_payload(buffer.take().detached()).await,
        }
    }

    /// A handler that never waits for anything else must let others run, on a single thread above all.
    async fn turn(&self) -> Result<(), SendError> {
        tokio::task::consume_budget().await;
        if self.ending.is_over() { Err(SendError::Over) } else { Ok(()) }
    }

    /// Whether the call is over, so that there is nobody to send to.
    pub fn is_over(&self) -> bool {
        self.ending.is_over()
    }

    pub(crate) async fn send_payload(&self, payload: Payload) -> Result<(), SendError> {
        let payload = payload.transcode(self.shared.serializer())?;
        self.check(&payload)?;
        self.turn().await?;
        let mut waiting = Some(payload);
        // Without a future for each thing that may have to be waited for, if nothing has.
        let mut waits = Waits::new(&self.shared);
        let place = &mut waits.place;
        let sent = self.shared.if_room(|state, now| state.progress(now, self.id, &mut waiting, place));
        let sent = match sent {
            Ok(Some(sent)) => sent,
            _ => tokio::select! {
                biased;
                () = self.ending.over() => Err(ReplyError::Over),
                sent = self.send_as_soon_as_possible(waiting, &mut waits.place) => sent,
            },
        };
        sent.map_err(|_| SendError::Over)
    }

    /// Sends as soon as there is room in the queue and credit. Dropped before, it has not sent.
    async fn send_as_soon_as_possible(
        &self,
        mut waiting: Option<Payload>,
        place: &mut Place,
    ) -> Result<(), ReplyError> {
        loop {
            // Made before the look at the credit, so that it hears of every grant after that.
            let credit = self.ending.credit.notified();
            let try_now = |state: &mut State, now| state.progress(now, self.id, &mut waiting, place);
            let tried = match self.shared.if_room(try_now) {
                Ok(tried) => tried,
                Err(_) => {
                    let bytes = waiting.as_ref().map_or(0, memory);
                    let wait = |state: &mut State, now| state.wait_in_place(now, self.id, bytes, place);
                    if !self.shared.with(wait) {
                        return Err(ReplyError::Over);
                    }
                    let send = |state: &mut State, now| state.progress(now, self.id, &mut waiting, place);
                    self.shared.with_room(send).await
                }
            };
            if let Some(sent) = tried {
                return sent;
            }
            credit.await;
        }
    }

    fn check(&self, payload: &Payload) -> Result<(), SendError> {
        let message = |_| {
            let mut options = message::YieldOptions::default();
            options.progress = Some(true);
            message::Yield { request: self.id, options, payload: payload.clone() }.into()
        };
        self.shared.check_size(payload.len(), &Uri::default(), message).map_err(|unsent| match unsent {
            Unsent::Encode(error) => SendError::Encode(error),
            Unsent::TooLarge(error) => SendError::TooLarge(error),
            Unsent::Closed(_) | Unsent::Misuse(_) => SendError::Over,
        })
    }

    /// Waits for room in the queue and for credit, or for the end of the call.
    pub(crate) async fn room(&self) -> Result<(), SendError> {
        let stream = Stream::Results(self.id);
        let room = async {
            loop {
                let credit = self.ending.credit.notified();
                if self.shared.with_room(|state, _| state.session.may_send(stream)).await {
                    return;
                }
                credit.await;
            }
        };
        tokio::select! {
            biased;
            () = self.ending.over() => Err(SendError::Over),
            () = room => Ok(()),
        }
    }
}

impl fmt::Debug for ProgressSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressSender").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a progressive result was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The call is over: it was answered, or canceled, or its caller has gone.
    #[error("the call is over")]
    Over,
    /// The value cannot be written.
    #[error("the progressive result cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// The value is longer than the router takes.
    #[error("the progressive result cannot be sent: {0}")]
    TooLarge(#[from] TooLarge),
}
