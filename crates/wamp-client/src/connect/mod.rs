//! Getting a connection and joining over it. The session and its handle are built on this.

pub(crate) mod dialer;
pub(crate) mod error;
pub(crate) mod join;
mod open;
pub(crate) mod settings;
#[cfg(feature = "tls")]
#[cfg_attr(not(any(feature = "ws", feature = "rawsocket")), allow(dead_code))]
mod tls;
