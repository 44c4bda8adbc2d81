//! A WAMP client on tokio: a call is a future or a stream, a procedure is an async closure.
//!
//! ```
//! use wamp_client::{Client, Invocation, Serializer};
//!
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! # struct Row(u32, u32);
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! # struct Summary { rows: usize }
//! # fn draw(_: Row) {}
//! # use std::time::Duration;
//! # use tokio::time::sleep;
//! # const SECOND: Duration = Duration::from_micros(1);
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Over a socket: wamp_client::connect("ws://127.0.0.1:8080/ws").realm("realm1").await?
//! // Here over an in-memory pair, with a router in the same program:
//! let router = wamp_router::Router::default();
//! let (ours, theirs) = wamp_transport::memory::pair(Serializer::Json);
//! router.attach(theirs);
//! let session = Client::over(ours).await?;
//!
//! // A procedure.
//! session.register("com.myapp.longop", |call: Invocation| async move {
//!     let (n,): (i64,) = call.args()?;
//!     if let Some(progress) = call.progress() {          // present only if the caller asked for it
//!         for i in 0..n { progress.send((i,)).await?; sleep(SECOND).await; }
//!     } else {
//!         sleep(SECOND * n as u32).await;
//!     }
//!     Ok((n,))
//! }).await?;
//!
//! # session.register("com.example.sum", |call: Invocation| async move {
//! #     let (a, b): (i64, i64) = call.args()?;
//! #     Ok(a + b)
//! # }).await?;
//! // A call for one value.
//! let sum: i64 = session.call("com.example.sum").args((1, 2)).await?.decode()?;
//! assert_eq!(sum, 3);
//!
//! // A call with two handlers.
//! let total: i64 = session.call("com.myapp.longop").args((3,))
//!     .on_progress(|i: i64| println!("Progress: {i}"))
//!     .await?.decode()?;
//! assert_eq!(total, 3);
//!
//! # session.register("com.example.report", |call: Invocation| async move {
//! #     let progress = call.progress().expect("asked for");
//! #     for i in 0..4 { progress.send((wamp_client::Value(Row(2024, i)),)).await?; }
//! #     Ok(Summary { rows: 4 })
//! # }).await?;
//! // A call as a stream; the last value is separate and may have its own type.
//! let mut rows = session.call("com.example.report").args((2024,)).progressive::<Row>().await?;
//! while let Some(row) = rows.next().await { draw(row?); }
//! let summary: Summary = rows.finish().await?;
//! # assert_eq!(summary.rows, 4);
//!
//! session.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! The guarantees:
//!
//! 1. Progressive results arrive in order, before the last one, never two at a time for one call.
//! 2. No code of the application runs on the task that reads the connection. An observer given to
//!    [`Call::on_progress`] runs on the task that awaits the call, a handler on a task of its own, the handler
//!    of a subscription on a task of the subscription. A stuck one stalls its own call only.
//! 3. Dropping a call or a stream cancels the call (`killnowait`). [`Session::leave`], and dropping the last
//!    handle, write the queued messages before GOODBYE.
//! 4. When the connection is lost, everything that waits fails at once with
//!    [`Disconnected`](CallError::Disconnected).
//! 5. [`CallError`] tells the cause of an error: the procedure, the router, the connection, or this program.
//! 6. Late, repeated and unsolicited messages are counted ([`Session::stats`]) and logged at debug level; they
//!    never end a session.
//!
//! # Nothing is unbounded
//!
//! | what | limit | beyond it |
//! |---|---|---|
//! | bytes queued for the router | 1 MiB, then 768 KiB | calls, publications and results wait; refusals and cancels do not |
//! | bytes of progressive results that wait for one call | 64 MiB, [`Call::buffer`] | the call is canceled and ends with [`CallError::Lagged`] |
//! | bytes of events that wait for one subscriber | 16 MiB, [`Subscribe::buffer`] | dropped and counted |
//! | running invocations of a session | 65,536, with 176 MiB of arguments and chunks | ERROR `wamp.error.unavailable` |
//! | bytes of one message from the router | 16 MiB, [`Connect::max_message`] | ABORT |
//!
//! # How it works
//!
//! A session is the machine of [`wamp_core::session`] behind a lock, with two tasks. One reads a batch of
//! messages, decodes them, and takes the lock once for all of them; the other writes the queue. A call or a
//! progressive result takes the lock itself and writes its message directly into the queue. There is no channel
//! of commands between the handles and a driver: it would add a step to each message, and would limit messages
//! by number instead of bytes. Under the lock nothing waits and no code of the application runs, so it is held
//! for about as long as it takes to write one message.
//!
//! Send bulk data in chunks of 64 KiB or less, or in a session of its own: a fast call waits behind messages
//! queued before it.
//!
//! # Features
//!
//! `json`, `msgpack`, `cbor`: serializers; `ws`, `rawsocket`: transports; `tls`: `wss://` and `rss://`, with rustls,
//! which takes a C compiler. All are enabled by default and can be enabled individually.
//!
//! `otel`, off by default: each call and each invocation is a span of OpenTelemetry, recorded by the global tracer
//! provider. Both ends have the same trace, since the options `_traceparent` and `_tracestate` go through a router of
//! this project; other routers drop them. A span has the number of its progressive results and the bytes of all results
//! as attributes, and the first 32 progressive results as events. The handler of an invocation runs in the context of its
//! span, and a publication takes the current context along.

// The methods of `Session` are documented in this order.
mod caller;

mod callee;

mod pubsub;

mod session;

mod arguments;
pub mod auth;
mod client;
mod connect;
mod deferred;
mod ended;
mod engine;
mod error;
mod link;
mod meta;
mod opaque;
mod reply;
mod trace;

pub use bytes::Bytes;
pub use wamp_core::reconnect::{Retry, Standing};
pub use wamp_core::session::{Closed, Joined};
pub use wamp_proto::message::{CancelMode, InvocationPolicy, MatchPolicy, Ppt, PptForm};
pub use wamp_proto::{
    Args, ArgsKwargs, EncodeError, Kwargs, Payload, PayloadError, Serializer, Uri, Value, uri,
};

pub use callee::chunks::Chunks;
pub use callee::failure::Failure;
pub use callee::invocation::{Caller, Invocation};
pub use callee::progress::ProgressSender;
pub use callee::register::{Register, Registration, RegistrationGuard};
pub use callee::stream_procedure::StreamItem;
pub use callee::typed::typed;
pub use caller::call::Call;
pub use caller::duplex::{ChunkSender, DuplexCall};
pub use caller::future::{CallFuture, CallResult};
pub use caller::handle::CallHandle;
pub use caller::replies::CallReplies;
pub use caller::retry::RetriedCall;
pub use caller::stream::{CallStream, ProgressiveCall};
pub use client::{Client, Connect, connect};
pub use connect::error::{ConnectError, ConnectErrorKind};
pub use ended::Ended;
pub use engine::silence::Keepalive;
pub use engine::stats::Stats;
pub use error::{CallError, CancelReason, ChunkError, RequestError, SendError, TooLarge};
pub use link::states::{ConnectionState, ConnectionStates};
pub use meta::{
    ByPolicy, Kill, Killed, Meta, MetaEvents, OnCreate, OnId, OnLeave, PatternInfo, SessionInfo, Sessions,
    TransportInfo,
};
pub use pubsub::publish::{Publish, PublishFuture};
pub use pubsub::subscribe::{Event, EventStream, Subscribe, Subscription, SubscriptionGuard};
pub use pubsub::testament::{Testament, TestamentScope};
pub use reply::Reply;
pub use session::Session;
