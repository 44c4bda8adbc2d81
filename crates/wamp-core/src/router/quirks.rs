//! What clients need beyond what they announce, decided by the HELLO that they really send.
//!
//! `tests/hellos` has the HELLO of each client that is known here, as recorded from the client itself. Most of them
//! send no `agent`, so a client without one is recognized by the set of features that its library always
//! announces. What an unknown client gets is safe for all of them.

use wamp_proto::message::HelloDetails;
use wamp_proto::{Feature, Role};

/// What a client needs beyond what it announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// Progressive RESULTs carry an empty list and an empty dict where they have no arguments. Autobahn|Python
    /// fails without them in a call with `details=True`, and sends no name. All clients get them but those that
    /// announce [`Feature::BareResults`].
    pub explicit_arguments: bool,
    /// The client answers a PING over RawSocket. Autobahn|Python takes one for the end of the connection, so only
    /// a client that says `_ping: true` is known to.
    pub answers_pings: bool,
    /// After GOODBYE the client does not connect again: to its library a GOODBYE of any reason is what the
    /// application wanted. So do Autobahn|JS and wampy.js.
    pub goodbye_is_final: bool,
}

impl Quirks {
    /// The quirks of the client that says this in HELLO.
    pub fn of(hello: &HelloDetails) -> Self {
        Self {
            explicit_arguments: !hello.roles.has(Role::Caller, Feature::BareResults),
            answers_pings: hello.ping == Some(true),
            goodbye_is_final: is_wampy(hello) || is_autobahn_js(hello),
        }
    }
}

fn is_wampy(hello: &HelloDetails) -> bool {
    hello.agent.as_deref().is_some_and(|agent| agent.starts_with("Wampy.js "))
}

/// Autobahn|JS sends no agent. Its features are those of Autobahn|Python but for canceling of the callee and for
/// payload transparency.
fn is_autobahn_js(hello: &HelloDetails) -> bool {
    let roles = &hello.roles;
    let has = |role, name| roles.get(role).is_some_and(|features| features.extra.contains(name));
    hello.agent.is_none()
        && roles.has(Role::Caller, Feature::ProgressiveCallResults)
        && roles.has(Role::Callee, Feature::RegistrationRevocation)
        && !roles.has(Role::Callee, Feature::CallCanceling)
        && has(Role::Subscriber, "subscription_revocation")
        && !has(Role::Caller, "payload_transparency")
}
