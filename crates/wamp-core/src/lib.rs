//! The rules of WAMP: the messages that each peer may send in each state.
//!
//! This crate has the state machines of a client's [`session`] and of a [`router`]'s realm. They do no I/O, read no clock,
//! start no thread, and take their random numbers from a seed. Messages and the [`Time`] go in; messages, events and
//! deadlines come out. So they run under any runtime, and a test of the protocol needs no socket and never sleeps.
//!
//! All machines have the same shape: `handle_*` for input, verbs for commands, and then `poll_transmit`, `poll_timeout`
//! and `poll_event`, in this order, until they return `None`.
//!
//! [`behaviour`] has the rules of the machines where the specification leaves a choice. Their one extension
//! of WAMP is in [`credit_extension`].
//!
//! ```
//! use wamp_core::router::{self, Join, Realm};
//! use wamp_core::session::{self, Event, Session};
//! use wamp_core::Time;
//! use wamp_proto::{Message, Serializer};
//!
//! let now = Time::ORIGIN;
//! let mut realm = Realm::new(router::Config::new("realm1"), 42);
//! let mut session = Session::new(now, session::Config::new("realm1"), 42);
//!
//! // The driver carries messages; here it is this test.
//! let Some(Message::Hello(hello)) = session.poll_transmit() else { panic!("a session begins with HELLO") };
//! let details = hello.details;
//! let join = Join { details, serializer: Serializer::MsgPack, max_message: 1 << 24, transport: Default::default() };
//! let key = realm.join(now, join).expect("the realm is open");
//! let (to, welcome) = realm.poll_transmit().expect("WELCOME");
//! assert_eq!(to, key);
//! session.handle_message(now, welcome);
//! assert!(matches!(session.poll_event(), Some(Event::Joined(joined)) if joined.session == key.id()));
//!
//! session.register(now, Default::default(), "com.myapp.longop".into())?;
//! while let Some(message) = session.poll_transmit() {
//!     realm.handle_message(now, key, message);
//! }
//! let (_, registered) = realm.poll_transmit().expect("an answer");
//! session.handle_message(now, registered);
//! assert!(matches!(session.poll_event(), Some(Event::Registered { .. })));
//! # Ok::<(), wamp_core::Misuse>(())
//! ```

pub mod auth;
#[doc = include_str!("behaviour.md")]
pub mod behaviour {}
pub mod credit;
#[doc = include_str!("credit_extension.md")]
pub mod credit_extension {}
mod deadlines;
mod error;
mod map;
pub mod progress;
pub mod reconnect;
mod reply;
mod request_ids;
pub mod router;
pub mod session;
mod slots;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod timestamp;

pub use error::{Misuse, ReplyError};
pub use reply::{Failure, Reply};
pub use time::Time;
