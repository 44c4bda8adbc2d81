//! A WAMP router to embed in a program or a test.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let router = wamp_router::Router::builder().realm("realm1").build();
//! let address = router.listen("127.0.0.1:8080").await?;
//! println!("Listening on {address}");
//! # let until_it_is_over = async {};
//! until_it_is_over.await;
//! router.shut_down().await;
//! # Ok(())
//! # }
//! ```
//!
//! No socket is needed: [`Router::attach`] serves any transport, such as one end of an in-memory pair. The
//! rules of the protocol are in `wamp-core`; this crate moves messages between links and a realm's machine,
//! and limits the memory that peers can make it hold.

mod attempts;
mod authentication;
mod authenticator;
mod authenticator_procedure;
mod authorizer;
mod budget;
mod config;
mod connections;
mod greet;
mod held;
mod inbound;
mod keepalive;
mod lanes;
mod link;
mod links;
mod listen;
mod listeners;
mod lock;
#[cfg(feature = "lock-times")]
mod lock_times;
mod outbound;
mod own_calls;
mod pending;
mod proxies;
mod realm;
mod realm_config;
mod realms;
mod receiving;
mod refusals;
mod relief;
mod reload;
mod rests;
mod rewrites;
mod router;
mod serve;
mod settings;
mod snapshot;
mod stats;
#[cfg(feature = "tls")]
mod tls;
mod turn;
mod wakes;
mod writer;

pub use async_trait::async_trait;
pub use authenticator::{Applicant, Authenticator, Rejection};
pub use authorizer::Authorizer;
pub use config::{Builder, Limits, Shutdown};
pub use listen::{Address, ListenError};
#[cfg(feature = "lock-times")]
pub use lock_times::{LockTimes, TimesTaken};
pub use own_calls::Procedure;
pub use proxies::{ClientAddress, NotAnAddress, Proxies};
pub use realm_config::RealmConfig;
pub use reload::Reloaded;
pub use router::Router;
pub use snapshot::{Listed, Order, Query, RealmFigures, Row, SessionRow, Traffic};
pub use stats::{Memory, RouterStats};
#[cfg(feature = "tls")]
pub use tls::TlsMode;
pub use wamp_core::auth;
pub use wamp_core::router::{
    Actions, CallId, CallInfo, CallState, Credit, Disclosure, Histogram, History, Joins,
    Limits as SessionLimits, Meta, NotACallId, Party, Pattern, Protocol, Question, RegistrationInfo,
    Retention, Role, Rule, SessionInfo, SessionKey, Sizes, Stats, SubscriptionInfo, Testaments, Timings,
    Verdict,
};
pub use wamp_transport_ws::{NotAnOrigin, Origins};
