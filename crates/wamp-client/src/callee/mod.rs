//! The callee: procedures, and their invocations.

pub(crate) mod chunks;
pub(crate) mod failure;
pub(crate) mod invocation;
pub(crate) mod outcome;
pub(crate) mod progress;
pub(crate) mod register;
pub(crate) mod scratch;
pub(crate) mod stream_procedure;
pub(crate) mod typed;
