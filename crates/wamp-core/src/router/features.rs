//! What the router announces in WELCOME, and what a client must have announced for it: one table.

use wamp_proto::{Feature, Features, Role, Roles};

/// Each feature that the dealer and the broker have.
const ANNOUNCED: &[(Role, Feature)] = &[
    (Role::Dealer, Feature::ProgressiveCallResults),
    (Role::Dealer, Feature::CallCanceling),
    (Role::Dealer, Feature::CallTimeout),
    (Role::Broker, Feature::PublisherExclusion),
];

/// The roles of WELCOME.
pub(super) fn announced() -> Roles {
    [Role::Broker, Role::Dealer].into_iter().fold(Roles::none(), |roles, role| {
        let features = ANNOUNCED
            .iter()
            .filter(|(of, _)| *of == role)
            .fold(Features::none(), |features, (_, feature)| features.with(*feature));
        roles.with(role, features)
    })
}

/// What counts of a client's announcement when a message of its is handled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    /// The caller takes progressive results.
    pub(super) caller_progress: bool,
    /// The callee takes INTERRUPT.
    pub(super) callee_canceling: bool,
    /// The client fails on a progressive RESULT without explicit arguments.
    pub(super) wants_explicit_arguments: bool,
}

impl Announced {
    pub(super) fn new(roles: &Roles, agent: Option<&str>) -> Self {
        Self {
            caller_progress: roles.has(Role::Caller, Feature::ProgressiveCallResults),
            callee_canceling: roles.has(Role::Callee, Feature::CallCanceling),
            wants_explicit_arguments: agent.is_some_and(|agent| agent.starts_with("AutobahnPython")),
        }
    }
}
