//! A WAMP client: a call is a future or a stream, a procedure is an async closure.
//!
//! ```
//! # async fn connect() -> wamp_client::Session { unimplemented!() }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let session = wamp_client::connect("ws://127.0.0.1:8080/ws").realm("realm1").await?;
//!
//! let sum: i64 = session.call("com.example.sum").args((1, 2)).await?.decode()?;
//! # Ok(())
//! # }
//! ```

mod body;
mod call;
mod connect;
mod driver;
mod ending;
mod error;
mod failure;
mod inbox;
mod invocation;
mod items;
mod procedure;
mod publish;
mod serving;
mod session;
mod stream;
mod subscribe;
mod waiters;

pub use wamp_core::session::{Closed, Joined};
pub use wamp_proto::message::CancelMode;
pub use wamp_proto::{Args, ArgsKwargs, Kwargs, Payload, PayloadError, Serializer, Uri, Value};

pub use call::{Call, CallFuture, CallHandle, CallResult};
pub use connect::{Client, Connect, ConnectError, ConnectErrorKind, connect};
pub use ending::CancelReason;
pub use error::{CallError, RequestError, TooLarge};
pub use failure::Failure;
pub use invocation::{Invocation, ProgressSender, SendError};
pub use items::{Reply, StreamItem};
pub use procedure::{Register, Registration, RegistrationGuard};
pub use publish::Publish;
pub use session::{Session, Stats};
pub use stream::{CallStream, ProgressiveCall};
pub use subscribe::{Event, EventStream, Subscribe, Subscription, SubscriptionGuard};
