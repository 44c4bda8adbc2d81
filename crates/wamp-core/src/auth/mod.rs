//! Who somebody is: authentication methods, one a file.

mod anonymous;

use wamp_proto::ByteString;

pub use anonymous::ANONYMOUS;
pub(crate) use anonymous::anonymous;

/// What the router knows about who a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The name.
    pub authid: ByteString,
    /// What it may do.
    pub authrole: ByteString,
    /// How it was found out.
    pub authmethod: ByteString,
    /// By whom it was found out.
    pub authprovider: ByteString,
}
