//! The rules of WAMP: who may say what, and when.
//!
//! This crate has the state machines of a client's [`session`] and of a [`router`]'s realm. They do no I/O,
//! know no clock, start no thread and draw no random number but from a seed: messages and the [`Time`] go in,
//! messages, events and deadlines come out. So they run anywhere, under any runtime, and a test of the
//! protocol needs no socket and never sleeps.
//!
//! All machines have the same shape: `handle_*` for what happens to them, verbs for what a program wants of
//! them, and then, until they return `None`, `poll_transmit`, `poll_timeout` and `poll_event`, in this order.
//!
//! ```
//! use wamp_core::{Reply, Time, router, session};
//! use wamp_proto::{Payload, Serializer, message::CallOptions};
//!
//! // A realm, and two clients that join it.
//! let now = Time::ORIGIN;
//! let mut net = wamp_core::testing::Net::new();
//! let callee = net.join("callee");
//! let caller = net.join("caller");
//!
//! net.session(callee).register(now, Default::default(), "com.myapp.longop".into())?;
//! net.run(now);
//!
//! let mut options = CallOptions::default();
//! options.receive_progress = Some(true);
//! let call = net.session(caller).call(now, options, "com.myapp.longop".into(), Payload::empty())?;
//! net.run(now);
//!
//! let invocation = net.invocations(callee).remove(0);
//! for i in 0..2 {
//!     let chunk = Payload::new(Serializer::MsgPack, &(i,))?;
//!     net.session(callee).reply(now, invocation.request, Reply::Progress(chunk))?;
//! }
//! net.session(callee).reply(now, invocation.request, Reply::Result(Payload::empty()))?;
//! net.run(now);
//!
//! let replies = net.replies(caller, call);
//! assert_eq!(replies.len(), 3);
//! assert!(matches!(replies[2], Reply::Result(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod auth;
mod deadlines;
mod error;
mod map;
pub mod progress;
mod reply;
mod request_ids;
pub mod router;
pub mod session;
mod time;

pub use error::{Misuse, ReplyError};
pub use reply::{Failure, Reply};
pub use time::Time;
