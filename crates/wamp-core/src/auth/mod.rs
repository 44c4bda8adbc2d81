//! Authentication methods, one file each. Only `anonymous` is built.

mod anonymous;

use wamp_proto::ByteString;

pub use anonymous::ANONYMOUS;
pub(crate) use anonymous::anonymous;

/// The identity of a session, as the router has established it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The authentication id.
    pub authid: ByteString,
    /// The role.
    pub authrole: ByteString,
    /// The authentication method.
    pub authmethod: ByteString,
    /// The provider that established it.
    pub authprovider: ByteString,
}
