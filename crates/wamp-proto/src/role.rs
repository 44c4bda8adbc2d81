//! Roles and features, as announced in HELLO and WELCOME.

use crate::error::{EncodeError, Fault};
use crate::id::MAX_ID;
use crate::message::extra::Keeper;
use crate::message::wire::{Field, Source, Wire, write_key};
use crate::message::{Extra, Total};
use crate::serializer::{Format, Reader, Token};

/// A role of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Calls procedures.
    Caller,
    /// Registers procedures and answers invocations.
    Callee,
    /// Publishes to topics.
    Publisher,
    /// Subscribes to topics.
    Subscriber,
    /// The router's role between caller and callee.
    Dealer,
    /// The router's role between publisher and subscriber.
    Broker,
}

impl Role {
    const ALL: [(Role, &'static str); 6] = [
        (Role::Caller, "caller"),
        (Role::Callee, "callee"),
        (Role::Publisher, "publisher"),
        (Role::Subscriber, "subscriber"),
        (Role::Dealer, "dealer"),
        (Role::Broker, "broker"),
    ];

    /// Returns the role's key in `Details.roles`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// A feature of the Advanced Profile, announced for a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// A call may answer with progressive results before the last one.
    ProgressiveCallResults,
    /// A call may be made in chunks.
    ProgressiveCallInvocations,
    /// CANCEL and INTERRUPT.
    CallCanceling,
    /// `CALL.Options.timeout`.
    CallTimeout,
    /// `disclose_me` of a call.
    CallerIdentification,
    /// Trust levels of calls.
    CallTrustlevels,
    /// `match` of a registration.
    PatternBasedRegistration,
    /// `invoke` of a registration.
    SharedRegistration,
    /// The router may revoke a registration.
    RegistrationRevocation,
    /// A callee may answer `wamp.error.unavailable`, and the call goes to another.
    CallReroute,
    /// `ppt_*`.
    PayloadPassthruMode,
    /// `enc_*`, the older form of it.
    PayloadTransparency,
    /// `disclose_me` of a publication.
    PublisherIdentification,
    /// `exclude_me`.
    PublisherExclusion,
    /// `exclude…` and `eligible…`.
    SubscriberBlackwhiteListing,
    /// `match` of a subscription.
    PatternBasedSubscription,
    /// The router may revoke a subscription.
    SubscriptionRevocation,
    /// Trust levels of publications.
    PublicationTrustlevels,
    /// `retain` and `get_retained`.
    EventRetention,
    /// `wamp.subscription.get_events`.
    EventHistory,
    /// `wamp.session.*`.
    SessionMetaApi,
    /// `wamp.registration.*`.
    RegistrationMetaApi,
    /// `wamp.subscription.*`.
    SubscriptionMetaApi,
    /// `wamp.session.add_testament`.
    TestamentMetaApi,
    /// An extension for callers: progressive RESULTs may lack arguments. For a caller that does not announce
    /// it, a router writes an empty list and an empty dict, since some clients fail without them.
    BareResults,
}

impl Feature {
    const ALL: [(Feature, &'static str); 25] = [
        (Feature::ProgressiveCallResults, "progressive_call_results"),
        (Feature::ProgressiveCallInvocations, "progressive_call_invocations"),
        (Feature::CallCanceling, "call_canceling"),
        (Feature::CallTimeout, "call_timeout"),
        (Feature::CallerIdentification, "caller_identification"),
        (Feature::CallTrustlevels, "call_trustlevels"),
        (Feature::PatternBasedRegistration, "pattern_based_registration"),
        (Feature::SharedRegistration, "shared_registration"),
        (Feature::RegistrationRevocation, "registration_revocation"),
        (Feature::CallReroute, "call_reroute"),
        (Feature::PayloadPassthruMode, "payload_passthru_mode"),
        (Feature::PayloadTransparency, "payload_transparency"),
        (Feature::PublisherIdentification, "publisher_identification"),
        (Feature::PublisherExclusion, "publisher_exclusion"),
        (Feature::SubscriberBlackwhiteListing, "subscriber_blackwhite_listing"),
        (Feature::PatternBasedSubscription, "pattern_based_subscription"),
        (Feature::SubscriptionRevocation, "subscription_revocation"),
        (Feature::PublicationTrustlevels, "publication_trustlevels"),
        (Feature::EventRetention, "event_retention"),
        (Feature::EventHistory, "event_history"),
        (Feature::SessionMetaApi, "session_meta_api"),
        (Feature::RegistrationMetaApi, "registration_meta_api"),
        (Feature::SubscriptionMetaApi, "subscription_meta_api"),
        (Feature::TestamentMetaApi, "testament_meta_api"),
        (Feature::BareResults, "_bare_results"),
    ];

    /// Returns the feature's key in `Details.roles.<role>.features`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn from_name(name: &str) -> Option<Self> {
        // Some sections of the specification, and some peers, use the other spelling.
        let name = if name == "call_cancelling" { "call_canceling" } else { name };
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(feature, _)| *feature)
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The key of [`Features::credit`].
const CREDIT: &str = "_progress_credit";

/// The features of a role. A feature whose value is not a boolean counts as not announced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    announced: u32,
    denied: u32,
    /// The bytes that this peer grants at once to every stream that it receives in this role: results for a
    /// caller, chunks for a callee, both for a dealer. A peer that announces it knows
    /// [CREDIT](crate::message::Credit). It is `_progress_credit` in HELLO and WELCOME; a value other than an
    /// integer from 0 to 2^53 counts as not announced.
    pub credit: Option<u64>,
    /// Unknown keys.
    pub extra: Extra,
    /// Other keys than `features` in the role's dict.
    pub role_extra: Extra,
}

impl Features {
    /// No features.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a feature.
    #[must_use]
    pub fn with(mut self, feature: Feature) -> Self {
        self.announced |= feature.bit();
        self.denied &= !feature.bit();
        self
    }

    /// Returns whether the feature is announced.
    pub fn has(&self, feature: Feature) -> bool {
        self.announced & feature.bit() != 0
    }

    /// Adds credit of this many bytes for each stream.
    #[must_use]
    pub fn with_credit(mut self, bytes: u64) -> Self {
        self.credit = Some(bytes.min(MAX_ID));
        self
    }

    fn given(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        let given = self.announced | self.denied;
        Feature::ALL.iter().filter(move |(f, _)| given & f.bit() != 0).map(|(f, name)| (*name, self.has(*f)))
    }

    fn read_flags<'de, R: Reader<'de>>(&mut self, source: &mut Source<'de, R>) -> Result<(), Fault> {
        let mut extra = Keeper::begin(source);
        let Token::Dict(mut dict) = source.reader.value()? else { return Ok(()) };
        while source.reader.entry(&mut dict)? {
            let key = source.key()?;
            if &*key == CREDIT {
                self.credit = Total::read(source)?.0;
                if self.credit.is_none() {
                    extra.keep();
                }
                extra.next();
                continue;
            }
            let feature = Feature::from_name(&key);
            match (feature, source.try_bool()?) {
                (Some(feature), Some(true)) => self.announced |= feature.bit(),
                (Some(feature), Some(false)) => self.denied |= feature.bit(),
                _ => extra.keep(),
            }
            extra.next();
        }
        self.denied &= !self.announced;
        self.extra = extra.finish(source);
        Ok(())
    }
}

impl Features {
    fn read_role<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        let mut features = Features::default();
        let mut extra = Keeper::begin(source);
        let mut dict = source.dict()?;
        while source.reader.entry(&mut dict)? {
            if &*source.key()? != "features" {
                extra.keep();
                source.reader.skip()?;
            } else if matches!(source.peek(), Ok(Token::Dict(_))) {
                features.read_flags(source)?;
            } else {
                source.reader.skip()?;
            }
            extra.next();
        }
        features.role_extra = extra.finish(source);
        Ok(features)
    }

    fn write_role<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let flags = self.given().count() + usize::from(self.credit.is_some()) + self.extra.len();
        let mut role = F::begin_dict(out, Some(usize::from(flags > 0) + self.role_extra.len()));
        if flags > 0 {
            write_key::<F>(out, &mut role, "features")?;
            let mut dict = F::begin_dict(out, Some(flags));
            for (name, value) in self.given() {
                write_key::<F>(out, &mut dict, name)?;
                F::bool(out, value);
            }
            if let Some(bytes) = self.credit {
                write_key::<F>(out, &mut dict, CREDIT)?;
                F::unsigned(out, bytes);
            }
            self.extra.write::<F>(out, &mut dict)?;
            F::end_dict(out, dict);
        }
        self.role_extra.write::<F>(out, &mut role)?;
        F::end_dict(out, role);
        Ok(())
    }
}

/// `Details.roles`: the roles of a peer and their features.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roles {
    /// Boxed, since a message would be five times as large with them.
    roles: Box<[Option<Features>; 6]>,
    /// Unknown roles.
    pub extra: Extra,
}

impl Roles {
    /// No roles.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a role.
    #[must_use]
    pub fn with(mut self, role: Role, features: Features) -> Self {
        self.roles[role as usize] = Some(features);
        self
    }

    /// Returns the features of a role; `None` if the role is not announced.
    pub fn get(&self, role: Role) -> Option<&Features> {
        self.roles[role as usize].as_ref()
    }

    /// Returns whether the role is announced, with this feature.
    pub fn has(&self, role: Role, feature: Feature) -> bool {
        self.get(role).is_some_and(|features| features.has(feature))
    }

    /// Returns whether no known role is announced.
    pub fn is_empty(&self) -> bool {
        self.roles.iter().all(Option::is_none)
    }
}

impl Field for Roles {
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        let mut roles = Roles::default();
        let mut extra = Keeper::begin(source);
        let mut dict = source.dict()?;
        while source.reader.entry(&mut dict)? {
            let key = source.key()?;
            match Role::ALL.iter().find(|(_, name)| *name == &*key) {
                Some((role, _)) => roles.roles[*role as usize] = Some(Features::read_role(source)?),
                None => {
                    extra.keep();
                    source.reader.skip()?;
                }
            }
            extra.next();
        }
        roles.extra = extra.finish(source);
        Ok(roles)
    }

    fn is_absent(&self) -> bool {
        self.is_empty() && self.extra.is_empty()
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let known = Role::ALL.iter().filter_map(|(role, name)| Some((*name, self.get(*role)?)));
        let mut dict = F::begin_dict(out, Some(known.clone().count() + self.extra.len()));
        for (name, features) in known {
            write_key::<F>(out, &mut dict, name)?;
            features.write_role::<F>(out)?;
        }
        self.extra.write::<F>(out, &mut dict)?;
        F::end_dict(out, dict);
        Ok(())
    }
}
