//! The details of sessions, registrations and subscriptions in the meta API.

use std::fmt;

use serde::Deserialize;
use wamp_proto::message::{InvocationPolicy, MatchPolicy};
use wamp_proto::{Payload, PayloadError, SessionId, Uri};

use super::read::{self, Id, Leading, Read};

/// A session, as the meta API shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The session.
    pub session: SessionId,
    /// Its authid.
    pub authid: Option<String>,
    /// Its role.
    pub authrole: Option<String>,
    /// Its authentication method.
    pub authmethod: Option<String>,
    /// The provider of its authentication.
    pub authprovider: Option<String>,
    /// Its link.
    pub transport: Option<TransportInfo>,
    payload: Payload,
}

/// The link of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct TransportInfo {
    /// The kind of the link, such as `websocket`.
    #[serde(default)]
    pub protocol: Option<String>,
    /// The serializer.
    #[serde(default)]
    pub serializer: Option<String>,
    /// The address of the other end, if the router shows it to this session.
    #[serde(default)]
    pub peer: Option<String>,
}

#[derive(Deserialize)]
struct SessionDict {
    #[serde(deserialize_with = "read::id")]
    session: SessionId,
    #[serde(default)]
    authid: Option<String>,
    #[serde(default)]
    authrole: Option<String>,
    #[serde(default)]
    authmethod: Option<String>,
    #[serde(default)]
    authprovider: Option<String>,
    #[serde(default)]
    transport: Option<TransportInfo>,
}

impl SessionInfo {
    pub(super) fn read(payload: &Payload) -> Result<Self, PayloadError> {
        let Leading(dict, ..) = read::first::<SessionDict>(payload)?;
        let SessionDict { session, authid, authrole, authmethod, authprovider, transport } = dict;
        let payload = payload.clone().detached();
        Ok(Self { session, authid, authrole, authmethod, authprovider, transport, payload })
    }

    /// Decodes all details that the router returned for the session, for keys beyond those here.
    ///
    /// # Errors
    /// The key that does not fit.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, PayloadError> {
        let Leading(dict, ..) = read::first(&self.payload)?;
        Ok(dict)
    }
}

/// A registration or subscription, as the meta API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PatternInfo<Id> {
    /// The registration or subscription.
    pub id: Id,
    /// When it was created, as the router writes it (ISO 8601).
    pub created: Option<String>,
    /// Its URI.
    pub uri: Uri,
    /// The match policy of the URI.
    pub policy: MatchPolicy,
    /// Which callee is invoked; `None` for a subscription.
    pub invoke: Option<InvocationPolicy>,
}

#[derive(Deserialize)]
struct PatternDict {
    id: u64,
    #[serde(default)]
    created: Option<String>,
    uri: String,
    #[serde(default)]
    r#match: Option<String>,
    #[serde(default)]
    invoke: Option<String>,
}

impl<'de, T: Id> Deserialize<'de> for Read<PatternInfo<T>> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let PatternDict { id, created, uri, r#match, invoke } = PatternDict::deserialize(deserializer)?;
        let invalid = |what: &dyn fmt::Display| serde::de::Error::custom(what);
        let id = T::new(id).ok_or_else(|| invalid(&"the id is not between 1 and 2^53"))?;
        let policy = match r#match.as_deref() {
            None | Some("exact") => MatchPolicy::Exact,
            Some("prefix") => MatchPolicy::Prefix,
            Some("wildcard") => MatchPolicy::Wildcard,
            Some(_) => return Err(invalid(&"\"match\" is not one of exact, prefix, wildcard")),
        };
        let invoke = invoke.as_deref().and_then(invocation_policy);
        Ok(Read(PatternInfo { id, created, uri: uri.into(), policy, invoke }))
    }
}

/// The policy with this name; `None` for one that is unknown here.
fn invocation_policy(name: &str) -> Option<InvocationPolicy> {
    let known = [
        InvocationPolicy::Single,
        InvocationPolicy::First,
        InvocationPolicy::Last,
        InvocationPolicy::RoundRobin,
        InvocationPolicy::Random,
        InvocationPolicy::LeastLoaded,
    ];
    known.into_iter().find(|policy| policy.as_str() == name)
}

/// Ids by match policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByPolicy<Id> {
    /// Those that match exactly.
    pub exact: Vec<Id>,
    /// Those that match as prefixes.
    pub prefix: Vec<Id>,
    /// Those that match component by component.
    pub wildcard: Vec<Id>,
}

impl<Id> ByPolicy<Id> {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Id> {
        self.exact.iter().chain(&self.prefix).chain(&self.wildcard)
    }
}

/// The three lists in the first argument.
pub(super) fn by_policy<T: Id>(payload: &Payload) -> Result<ByPolicy<T>, PayloadError> {
    #[derive(Deserialize)]
    #[serde(bound(deserialize = "T: Id"))]
    struct Lists<T> {
        #[serde(default)]
        exact: Option<Vec<Read<T>>>,
        #[serde(default)]
        prefix: Option<Vec<Read<T>>>,
        #[serde(default)]
        wildcard: Option<Vec<Read<T>>>,
    }

    let Leading(lists, ..) = read::first::<Lists<T>>(payload)?;
    let ids = |list: Option<Vec<Read<T>>>| list.into_iter().flatten().map(|Read(id)| id).collect();
    Ok(ByPolicy { exact: ids(lists.exact), prefix: ids(lists.prefix), wildcard: ids(lists.wildcard) })
}
