//! The needs of clients beyond their announcements, determined by their actual HELLO (behaviour
//! [68](crate::behaviour#rule-68), [73](crate::behaviour#rule-73), [74](crate::behaviour#rule-74)).
//!
//! `tests/hellos` has the HELLO of each known client, as recorded from the client itself. Most of them send no
//! `agent`, so such a client is recognized by the features that its library always announces. An unknown client
//! is treated in a way that is safe for all of them.

use wamp_proto::message::HelloDetails;
use wamp_proto::{Feature, Role};

/// The needs of a client beyond its announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// Progressive RESULTs carry an empty list and an empty dict if they have no arguments. Autobahn|Python
    /// fails without them in a call with `details=True`, and sends no name. Every client gets them unless it
    /// announces [`Feature::BareResults`].
    pub explicit_arguments: bool,
    /// The client answers a PING over RawSocket. Autobahn|Python takes one for the end of the connection, so
    /// only a client that says `_ping: true` is known to answer.
    pub answers_pings: bool,
    /// After GOODBYE the client does not connect again, since its library treats any GOODBYE as requested by
    /// the application. This applies to Autobahn|JS and wampy.js.
    pub goodbye_is_final: bool,
    /// The client fails on UNSUBSCRIBED for a subscription that was revoked, though it announces
    /// `subscription_revocation`. This applies to Autobahn|Python.
    pub fails_on_revocation: bool,
}

impl Quirks {
    /// The quirks of the client that sends this HELLO.
    pub fn of(hello: &HelloDetails) -> Self {
        Self {
            explicit_arguments: !hello.roles.has(Role::Caller, Feature::BareResults),
            answers_pings: hello.ping == Some(true),
            goodbye_is_final: is_wampy(hello) || is_autobahn_js(hello),
            fails_on_revocation: is_autobahn_python(hello),
        }
    }
}

fn is_wampy(hello: &HelloDetails) -> bool {
    hello.agent.as_deref().is_some_and(|agent| agent.starts_with("Wampy.js "))
}

/// Autobahn|Python sends no agent. As a caller it announces payload transparency, which no other client without an agent
/// does.
fn is_autobahn_python(hello: &HelloDetails) -> bool {
    hello.agent.is_none() && hello.roles.has(Role::Caller, Feature::PayloadTransparency)
}

/// Autobahn|JS sends no agent. It announces the features of Autobahn|Python except canceling of the callee and
/// payload transparency.
fn is_autobahn_js(hello: &HelloDetails) -> bool {
    let roles = &hello.roles;
    hello.agent.is_none()
        && roles.has(Role::Caller, Feature::ProgressiveCallResults)
        && roles.has(Role::Callee, Feature::RegistrationRevocation)
        && !roles.has(Role::Callee, Feature::CallCanceling)
        && roles.has(Role::Subscriber, Feature::SubscriptionRevocation)
        && !roles.has(Role::Caller, Feature::PayloadTransparency)
}
