//! The engine of a session: its machine behind a lock, the tasks that read and write, and the tables of running
//! requests. It does not know the API above it in `caller`, `callee` and `pubsub`.

pub(crate) mod budget;
pub(crate) mod cancel;
pub(crate) mod events;
pub(crate) mod feed;
pub(crate) mod handlers;
pub(crate) mod inbound;
pub(crate) mod inbox;
pub(crate) mod invocations;
pub(crate) mod procedure;
pub(crate) mod reader;
pub(crate) mod shared;
pub(crate) mod silence;
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod writer;
