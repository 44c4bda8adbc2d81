//! The features that the router announces in WELCOME, and those of clients that it consults (behaviour
//! [281](crate::behaviour#rule-281)).

use wamp_proto::message::{self, HelloDetails};
use wamp_proto::{Feature, Features, Role, Roles};

use super::config::Config;
use super::opaque::Forms;
use super::quirks::Quirks;
use super::refused::Violation;
use super::roles::Actions;

/// The features of the dealer and the broker in every realm.
const ANNOUNCED: &[(Role, Feature)] = &[
    (Role::Dealer, Feature::ProgressiveCallResults),
    (Role::Dealer, Feature::ProgressiveCallInvocations),
    (Role::Dealer, Feature::CallCanceling),
    (Role::Dealer, Feature::CallTimeout),
    (Role::Dealer, Feature::CallerIdentification),
    (Role::Dealer, Feature::PatternBasedRegistration),
    (Role::Dealer, Feature::SharedRegistration),
    (Role::Dealer, Feature::RegistrationRevocation),
    (Role::Dealer, Feature::CallReroute),
    (Role::Dealer, Feature::PayloadPassthruMode),
    (Role::Dealer, Feature::PayloadTransparency),
    (Role::Dealer, Feature::SessionMetaApi),
    (Role::Dealer, Feature::RegistrationMetaApi),
    (Role::Dealer, Feature::TestamentMetaApi),
    (Role::Broker, Feature::PublisherExclusion),
    (Role::Broker, Feature::PublisherIdentification),
    (Role::Broker, Feature::SubscriberBlackwhiteListing),
    (Role::Broker, Feature::PatternBasedSubscription),
    (Role::Broker, Feature::EventRetention),
    (Role::Broker, Feature::SubscriptionRevocation),
    (Role::Broker, Feature::PayloadPassthruMode),
    (Role::Broker, Feature::PayloadTransparency),
    (Role::Broker, Feature::SessionMetaApi),
    (Role::Broker, Feature::SubscriptionMetaApi),
];

/// The features that a realm has only if it is configured.
fn configured(config: &Config) -> impl Iterator<Item = (Role, Feature)> {
    let features = [
        (config.roles.have_trustlevels(Actions::CALL), Role::Dealer, Feature::CallTrustlevels),
        (config.roles.have_trustlevels(Actions::PUBLISH), Role::Broker, Feature::PublicationTrustlevels),
        (!config.history.is_empty(), Role::Broker, Feature::EventHistory),
    ];
    features.into_iter().filter(|(is_there, ..)| *is_there).map(|(_, role, feature)| (role, feature))
}

/// The roles of WELCOME, with credit for a client that announced it.
pub(super) fn announced(config: &Config, credit: Option<u64>) -> Roles {
    [Role::Broker, Role::Dealer].into_iter().fold(Roles::none(), |roles, role| {
        let features = ANNOUNCED
            .iter()
            .copied()
            .chain(configured(config))
            .filter(|(of, _)| *of == role)
            .fold(Features::none(), |features, (_, feature)| features.with(feature));
        let features = match credit {
            Some(bytes) if role == Role::Dealer => features.with_credit(bytes),
            _ => features,
        };
        roles.with(role, features)
    })
}

/// The announced features that the router consults while it handles messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    /// The caller takes progressive results.
    pub(super) caller_progress: bool,
    /// The caller sends calls in chunks.
    pub(super) caller_chunks: bool,
    /// The callee sends progressive results.
    pub(super) callee_progress: bool,
    /// The callee takes calls in chunks.
    pub(super) callee_chunks: bool,
    /// The callee takes INTERRUPT.
    pub(super) callee_canceling: bool,
    /// The callee watches timeouts.
    pub(super) callee_timeout: bool,
    /// The callee takes UNREGISTERED for a registration that is revoked.
    pub(super) callee_revocation: bool,
    /// The callee refuses calls that then go to another.
    pub(super) callee_reroute: bool,
    /// What the caller grants to each stream of results, if it announced credit.
    pub(super) caller_credit: Option<u64>,
    /// The bytes that the callee grants to each stream of chunks, if it announced credit.
    pub(super) callee_credit: Option<u64>,
    /// Opaque payloads, by role.
    pub(super) caller_ppt: Forms,
    pub(super) callee_ppt: Forms,
    pub(super) publisher_ppt: Forms,
    pub(super) subscriber_ppt: Forms,
    /// The subscriber takes UNSUBSCRIBED for a subscription that was revoked.
    pub(super) subscription_revocation: bool,
    /// The needs of the client beyond its announcement.
    pub(super) quirks: Quirks,
}

impl Announced {
    /// Whether the client announced credit, in any of its roles.
    pub(super) fn knows_credit(&self) -> bool {
        self.caller_credit.is_some() || self.callee_credit.is_some()
    }

    /// Checks that a new call uses only features that its caller announced.
    pub(super) fn check_call(&self, call: &message::Call) -> Result<(), Violation> {
        if call.options.progress == Some(true) && !self.caller_chunks {
            let text = "CALL with progress by a caller that did not announce progressive_call_invocations";
            return Err(text.into());
        }
        if let Some(ppt) = &call.options.ppt
            && self.caller_ppt.forbid(ppt)
        {
            let text = "CALL with ppt_scheme by a caller that did not announce payload_passthru_mode";
            return Err(text.into());
        }
        Ok(())
    }

    pub(super) fn new(details: &HelloDetails) -> Self {
        let roles = &details.roles;
        let quirks = Quirks::of(details);
        Self {
            caller_progress: roles.has(Role::Caller, Feature::ProgressiveCallResults),
            caller_chunks: roles.has(Role::Caller, Feature::ProgressiveCallInvocations),
            callee_progress: roles.has(Role::Callee, Feature::ProgressiveCallResults),
            callee_chunks: roles.has(Role::Callee, Feature::ProgressiveCallInvocations),
            callee_canceling: roles.has(Role::Callee, Feature::CallCanceling),
            callee_timeout: roles.has(Role::Callee, Feature::CallTimeout),
            callee_revocation: roles.has(Role::Callee, Feature::RegistrationRevocation),
            callee_reroute: roles.has(Role::Callee, Feature::CallReroute),
            caller_credit: roles.get(Role::Caller).and_then(|features| features.credit),
            callee_credit: roles.get(Role::Callee).and_then(|features| features.credit),
            caller_ppt: Forms::of(roles, Role::Caller),
            callee_ppt: Forms::of(roles, Role::Callee),
            publisher_ppt: Forms::of(roles, Role::Publisher),
            subscriber_ppt: Forms::of(roles, Role::Subscriber),
            subscription_revocation: roles.has(Role::Subscriber, Feature::SubscriptionRevocation)
                && !quirks.fails_on_revocation,
            quirks,
        }
    }
}
