//! From HELLO to WELCOME.

use std::time::Duration;

use wamp_proto::message::{Hello, HelloDetails, Welcome};
use wamp_proto::{ByteString, EncodeError, Extra, Feature, Features, Role, Roles, Uri};

use super::{Credit, Joined, MaxSend};
use crate::auth::{Login, Method};

/// The realm of a session, and the settings for joining it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The realm.
    pub realm: Uri,
    /// The name of this end's software.
    pub agent: ByteString,
    /// The roles and features that this end announces.
    pub roles: Roles,
    /// The windows of incoming results and chunks; `None`, the default, for a driver without credit.
    pub credit: Option<Credit>,
    /// The longest message that the router accepts; `None`, the default, for no limit.
    pub max_send: Option<MaxSend>,
    /// The authentication id to ask for.
    pub authid: Option<ByteString>,
    /// The role to ask for.
    pub authrole: Option<ByteString>,
    /// The authentication methods to offer, in this order; `anonymous` by default.
    pub authmethods: Vec<ByteString>,
    /// Values of the authentication methods for HELLO.
    pub authextra: Option<Extra>,
    /// The session is not joined before the router has proved itself, by an answer of
    /// [`authenticate`](super::Session::authenticate).
    pub is_mutual: bool,
    /// Whether the driver answers PINGs of the transport, which HELLO then announces; `false` by default.
    pub answers_pings: bool,
    /// The time in which the router must answer HELLO; 10 s by default.
    pub join_timeout: Duration,
    /// The time in which the router must answer GOODBYE; 5 s by default.
    pub leave_timeout: Duration,
}

impl Config {
    /// Joins this realm in all four roles, with the features of this crate.
    pub fn new(realm: impl Into<Uri>) -> Self {
        let caller = Features::none()
            .with(Feature::ProgressiveCallResults)
            .with(Feature::ProgressiveCallInvocations)
            .with(Feature::CallCanceling)
            .with(Feature::CallTimeout)
            .with(Feature::CallerIdentification)
            .with(Feature::PayloadPassthruMode)
            .with(Feature::PayloadTransparency);
        let callee = caller
            .clone()
            .with(Feature::PatternBasedRegistration)
            .with(Feature::SharedRegistration)
            .with(Feature::RegistrationRevocation)
            .with(Feature::CallReroute)
            .with(Feature::CallTrustlevels);
        let publisher = Features::none()
            .with(Feature::PublisherExclusion)
            .with(Feature::PublisherIdentification)
            .with(Feature::SubscriberBlackwhiteListing)
            .with(Feature::PayloadPassthruMode)
            .with(Feature::PayloadTransparency);
        let subscriber = Features::none()
            .with(Feature::PatternBasedSubscription)
            .with(Feature::PublisherIdentification)
            .with(Feature::PublicationTrustlevels)
            .with(Feature::SubscriptionRevocation)
            .with(Feature::PayloadPassthruMode)
            .with(Feature::PayloadTransparency);
        Self {
            realm: realm.into(),
            agent: ByteString::from_static(concat!("wamp-rs/", env!("CARGO_PKG_VERSION"))),
            roles: Roles::none()
                .with(Role::Caller, caller.with(Feature::BareResults))
                .with(Role::Callee, callee)
                .with(Role::Publisher, publisher)
                .with(Role::Subscriber, subscriber),
            credit: None,
            max_send: None,
            authid: None,
            authrole: None,
            authmethods: vec![Method::Anonymous.name()],
            authextra: None,
            is_mutual: false,
            answers_pings: false,
            join_timeout: Duration::from_secs(10),
            leave_timeout: Duration::from_secs(5),
        }
    }

    /// Offers the credentials of a login.
    ///
    /// # Errors
    /// A value cannot be written.
    pub fn set_login(&mut self, login: &Login) -> Result<(), EncodeError> {
        let mut details = HelloDetails::default();
        login.complete(&mut details)?;
        self.authmethods = details.authmethods.unwrap_or_default();
        self.authextra = details.authextra;
        self.is_mutual = login.is_mutual();
        if details.authid.is_some() {
            self.authid = details.authid;
        }
        Ok(())
    }

    pub(super) fn hello(&self) -> Hello {
        let mut details = HelloDetails { roles: self.roles.clone(), ..HelloDetails::default() };
        if let Some(credit) = self.credit {
            for role in [Role::Caller, Role::Callee] {
                if let Some(features) = self.roles.get(role) {
                    details.roles = details.roles.with(role, features.clone().with_credit(credit.window));
                }
            }
        }
        details.agent = Some(self.agent.clone());
        details.authmethods = Some(self.authmethods.clone());
        details.authid = self.authid.clone();
        details.authrole = self.authrole.clone();
        details.authextra = self.authextra.clone();
        details.ping = self.answers_pings.then_some(true);
        Hello { realm: self.realm.clone(), details }
    }
}

impl From<Welcome> for Joined {
    fn from(welcome: Welcome) -> Self {
        let details = welcome.details;
        Self {
            session: welcome.session,
            roles: details.roles,
            agent: details.agent,
            authid: details.authid,
            authrole: details.authrole,
            authmethod: details.authmethod,
            authprovider: details.authprovider,
            authextra: details.authextra.unwrap_or_default(),
        }
    }
}
