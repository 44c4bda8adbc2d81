//! The invocation of a handler.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wamp_proto::message::{Discloser, Extra, Ppt};
use wamp_proto::{EncodeError, Payload, PayloadError, RequestId, Serializer, SessionId, Uri};

use crate::callee::chunks::Chunks;
use crate::callee::progress::ProgressSender;
use crate::engine::cancel::CancelState;
use crate::engine::procedure::{Job, Procedure, Upload};
use crate::engine::shared::Engine;
use crate::error::CancelReason;
use crate::opaque;
use crate::session::Session;
use crate::trace::InvocationSpan;

/// A call to be answered.
pub struct Invocation {
    pub(super) engine: Arc<Engine>,
    id: RequestId,
    uri: Uri,
    wants_progress: bool,
    caller: Option<Box<Discloser>>,
    ppt: Option<Box<Ppt>>,
    extra: Extra,
    payload: Payload,
    upload: Option<Arc<Upload>>,
    pub(super) cancel_state: Arc<CancelState>,
    pub(super) span: InvocationSpan,
}

impl Invocation {
    pub(crate) fn new(engine: Arc<Engine>, procedure: &Procedure, job: Job) -> Self {
        let Job { id, uri, wants_progress, caller, ppt, extra, payload, upload, cancel_state, .. } = job;
        let uri = uri.unwrap_or_else(|| procedure.uri().clone());
        let span = InvocationSpan::begin(&uri, &extra);
        Self { engine, id, uri, wants_progress, caller, ppt, extra, payload, upload, cancel_state, span }
    }

    /// The list of positional arguments, as a tuple, an array or a `Vec`.
    ///
    /// # Errors
    /// The argument that does not fit. `?` makes it `wamp.error.invalid_argument`.
    pub fn args<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.payload.args()
    }

    /// The keyword arguments, as a struct or a map.
    ///
    /// # Errors
    /// The keyword that does not fit. `?` makes it `wamp.error.invalid_argument`.
    pub fn kwargs<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.payload.kwargs()
    }

    /// The value that the arguments stand for; see the table at [`Payload`].
    ///
    /// # Errors
    /// The argument that does not fit. `?` makes it `wamp.error.invalid_argument`.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        self.payload.decode()
    }

    /// All arguments, as they arrived.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// How to read a payload that is opaque to routers, if the caller said it.
    pub fn ppt(&self) -> Option<&Ppt> {
        self.ppt.as_deref()
    }

    /// The bytes that are opaque to routers, and how to read them; `None` if the caller sent arguments.
    pub fn opaque(&self) -> Option<(&Ppt, Bytes)> {
        opaque::read(self.ppt(), &self.payload)
    }

    /// Makes the payload of a result of bytes that are opaque to routers: the value to return, or to send as progress. All
    /// results of this call are then sent with these options, and must be made in this way. By payload transparency
    /// (`enc_…`) the bytes are in the place of the arguments, otherwise they are the only argument.
    ///
    /// ```
    /// use wamp_client::{Failure, Invocation, Payload};
    ///
    /// async fn secret(call: Invocation) -> Result<Payload, Failure> {
    ///     let (ppt, bytes) = call.opaque().ok_or_else(|| Failure::new("com.example.not_sealed"))?;
    ///     let answer: Vec<u8> = bytes.iter().rev().copied().collect();
    ///     Ok(call.opaque_result(ppt.clone(), answer)?)
    /// }
    /// ```
    ///
    /// # Errors
    /// The bytes cannot be written.
    pub fn opaque_result(&self, ppt: Ppt, bytes: impl AsRef<[u8]>) -> Result<Payload, EncodeError> {
        let payload = opaque::write(self.serializer(), &ppt, bytes.as_ref())?;
        // `Over`: no result is sent any more.
        let _ = self.engine.with(|state, _| state.session.reply_opaquely(self.id, ppt));
        Ok(payload)
    }

    /// The procedure that was called; of interest where a pattern is registered.
    pub fn procedure(&self) -> &Uri {
        &self.uri
    }

    /// The caller, if the router discloses it: because the caller or the callee asked for it, or always.
    pub fn caller(&self) -> Option<Caller<'_>> {
        let peer = self.caller.as_deref()?;
        Some(Caller {
            session: peer.caller?,
            authid: peer.caller_authid.as_deref(),
            authrole: peer.caller_authrole.as_deref(),
        })
    }

    /// The trust level that the router has assigned to the call, if it assigns any.
    pub fn trustlevel(&self) -> Option<u64> {
        self.caller.as_deref()?.trustlevel
    }

    /// A key of `INVOCATION.Details` that has no method of its own, such as `_traceparent`. `None` if it is missing or not
    /// of this type.
    ///
    /// ```
    /// # use wamp_client::{Failure, Invocation};
    /// async fn traced(call: Invocation) -> Result<Option<String>, Failure> {
    ///     Ok(call.detail("_traceparent"))
    /// }
    /// ```
    pub fn detail<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.extra.get(key)?.ok()
    }

    /// Whether the call is made in chunks, of which the arguments seen so far are the first.
    pub fn is_in_chunks(&self) -> bool {
        self.upload.is_some()
    }

    /// All chunks of the call, including the first. An empty first or last chunk is skipped. A call that is not
    /// made in chunks has one. If a call has several such streams, each chunk is delivered to one of them.
    ///
    /// Binary chunks are [`Bytes`]: a `Vec<u8>` takes a list of integers.
    ///
    /// ```
    /// use wamp_client::{Bytes, Failure, Invocation};
    ///
    /// async fn upload(call: Invocation) -> Result<usize, Failure> {
    ///     let mut received = 0;
    ///     let mut chunks = call.chunks::<Bytes>();
    ///     while let Some(chunk) = chunks.try_next().await? {
    ///         received += chunk.len();
    ///         if let Some(progress) = call.progress() {
    ///             progress.send(received).await?;
    ///         }
    ///     }
    ///     Ok(received)
    /// }
    /// ```
    pub fn chunks<T: DeserializeOwned>(&self) -> Chunks<T> {
        let first = Some(self.payload.clone()).filter(|payload| !payload.is_empty());
        self.chunks_after(first)
    }

    /// The chunks after the first one, for a call whose first arguments have another meaning, such as the
    /// name of a file.
    pub fn more_chunks<T: DeserializeOwned>(&self) -> Chunks<T> {
        self.chunks_after(None)
    }

    fn chunks_after<T>(&self, first: Option<Payload>) -> Chunks<T> {
        Chunks::new(self.engine.clone(), self.id, first, self.upload.clone())
    }

    /// The sender of progressive results; `None` unless the caller asked for them.
    pub fn progress(&self) -> Option<ProgressSender> {
        self.wants_progress.then(|| {
            ProgressSender::new(self.engine.clone(), self.id, self.cancel_state.clone(), self.span.clone())
        })
    }

    /// Waits until the call is canceled, and returns why. From then on no answer is awaited, unless the handler
    /// has called [`answer_cancel_myself`](Self::answer_cancel_myself). For a call that is not canceled this
    /// waits for ever.
    pub async fn canceled(&self) -> CancelReason {
        self.cancel_state.canceled().await
    }

    /// The reason of the cancel, if the call was canceled.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.cancel_state.reason()
    }

    /// Makes this handler answer a cancel that awaits an answer (`kill`): it may go on sending, and its result
    /// is sent. Otherwise the library answers at once.
    pub fn answer_cancel_myself(&self) {
        // `Over`: it is too late for an answer.
        let _ = self.engine.with(|state, _| state.session.answer_cancel_myself(self.id));
    }

    /// The session, for calls of the handler's own. This handle does not keep the session open.
    pub fn session(&self) -> Session {
        Session::inside(&self.engine)
    }

    pub(crate) fn serializer(&self) -> Serializer {
        self.engine.serializer()
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("id", &self.id)
            .field("procedure", &self.uri)
            .field("progress", &self.wants_progress)
            .finish_non_exhaustive()
    }
}

/// The caller of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// The caller's session.
    pub session: SessionId,
    /// Its authentication id.
    pub authid: Option<&'a str>,
    /// Its role.
    pub authrole: Option<&'a str>,
}
