//! The caller: calls as futures, as streams, and in chunks.

pub(crate) mod attempts;
pub(crate) mod call;
pub(crate) mod duplex;
pub(crate) mod future;
pub(crate) mod handle;
pub(crate) mod replies;
pub(crate) mod retry;
pub(crate) mod running;
pub(crate) mod stream;
