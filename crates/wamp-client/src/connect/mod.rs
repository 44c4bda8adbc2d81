//! Connecting to a router, and joining a realm over the connection.

pub(crate) mod dialer;
pub(crate) mod error;
pub(crate) mod join;
#[cfg(feature = "dial")]
mod open;
#[cfg(feature = "dial")]
mod router_url;
pub(crate) mod settings;
#[cfg(feature = "dial")]
pub(crate) mod tcp;
