//! The publisher and the subscriber.

pub(crate) mod publish;
pub(crate) mod subscribe;
pub(crate) mod testament;
