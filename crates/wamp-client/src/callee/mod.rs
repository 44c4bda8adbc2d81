//! The callee: procedures, and what their handlers see of a call.

pub(crate) mod chunks;
pub(crate) mod failure;
pub(crate) mod invocation;
pub(crate) mod outcome;
pub(crate) mod progress;
pub(crate) mod register;
pub(crate) mod scratch;
pub(crate) mod stream_procedure;
