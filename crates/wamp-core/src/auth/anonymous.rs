//! Anonymous authentication: every client may join, under a name that the router chooses (behaviour
//! [202](crate::behaviour#rule-202)).

use wamp_proto::ByteString;
use wamp_proto::message::HelloDetails;

use super::Identity;

/// The method's name in `authmethods`.
pub const ANONYMOUS: ByteString = ByteString::from_static("anonymous");

/// The identity of an anonymous session, named by a random number; `None` if the client offers methods and this is not
/// one of them.
pub(crate) fn anonymous(details: &HelloDetails, chance: u64) -> Option<Identity> {
    let offered = details.authmethods.as_deref().unwrap_or_default();
    if !offered.is_empty() && !offered.contains(&ANONYMOUS) {
        return None;
    }
    Some(Identity {
        authid: format!("anonymous-{:013x}", chance).into(),
        authrole: ANONYMOUS,
        authmethod: ANONYMOUS,
        authprovider: ByteString::from_static("static"),
    })
}
