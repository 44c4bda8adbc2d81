//! Back-pressure: which sessions are paused because of a link that is full, for how long, and how that ends.

mod events;
mod holds;
mod session;
mod share;

pub use holds::Feed;
pub(super) use holds::Holds;
pub(super) use session::{SessionPart, Side};
