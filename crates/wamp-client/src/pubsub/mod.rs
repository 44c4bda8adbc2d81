//! Publisher and subscriber.

pub(crate) mod publish;
pub(crate) mod subscribe;
