//! The router's side: a link until WELCOME, and a realm with all its sessions.
//!
//! [`Accept`] reads HELLO and returns the realm that it asks for. [`Realm`] is everything after WELCOME: the
//! sessions, a dealer and a broker. Neither knows links or queues: messages arrive with the key of their
//! session, and are sent with one.

mod accept;
mod authorizer_procedure;
mod authorizing;
mod backpressure;
mod broker;
mod chance;
mod config;
mod context;
mod dealer;
mod departure;
mod drain;
mod event;
mod faults;
mod features;
mod figures;
mod join;
mod meta;
mod meta_event;
mod opaque;
mod outbox;
mod pace;
mod patterns;
mod quirks;
mod realm;
mod reconfigure;
mod refused;
mod relay;
mod roles;
mod router_call;
mod session_key;
mod sessions;
mod snapshot;
mod stats;
mod verdicts;
mod waiting;
mod welcome;

pub use accept::{Accept, AcceptEvent};
pub use chance::Seeds;
pub use config::{Config, Credit, Disclosure, History, Limits, Meta, Retention, Testaments};
pub use dealer::Watch;
pub use event::{Closing, Event};
pub use figures::{Histogram, Joins, Timings};
pub use join::{Join, Protocol, Transport};
pub use outbox::{FrameInfo, Transmission};
pub use pace::Feed;
pub use quirks::Quirks;
pub use realm::Realm;
#[doc(hidden)]
pub use relay::Relayed;
pub use roles::{Actions, Pattern, Role, Roles, Rule};
pub use router_call::{RouterCall, RouterCallId};
pub use session_key::SessionKey;
pub use snapshot::{
    CallId, CallInfo, CallState, NotACallId, Party, Portion, RegistrationInfo, SessionInfo, SubscriptionInfo,
};
pub use stats::{Sizes, Stats};
pub use verdicts::Verdict;
pub use waiting::{Question, Ticket};
