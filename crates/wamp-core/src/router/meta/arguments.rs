//! The arguments of meta procedures. Surplus ones, and unknown keywords, are ignored (behaviour
//! [171](crate::behaviour#rule-171)).

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use wamp_proto::message::MatchPolicy;
use wamp_proto::uri::{UriKind, UriLimits, UriRules};
use wamp_proto::{SessionId, Uri, uri};

use super::Request;
use crate::router::context::{Context, Refused};
use crate::router::realm::Realm;
use crate::router::sessions::SessionKey;

impl Request<'_> {
    /// The first argument.
    pub(super) fn argument<'de, A: Deserialize<'de>>(&'de self) -> Result<A, Refused> {
        self.arguments::<A, Option<IgnoredAny>>().map(|(first, _)| first)
    }

    /// The first two arguments. An `Option` may be absent or null.
    pub(super) fn arguments<'de, A, B>(&'de self) -> Result<(A, B), Refused>
    where
        A: Deserialize<'de>,
        B: Deserialize<'de>,
    {
        match self.payload.args::<First<A, B>>() {
            Ok(First(first, second)) => Ok((first, second)),
            Err(error) => Err((uri::INVALID_ARGUMENT, error.to_string())),
        }
    }

    /// The keywords.
    pub(super) fn keywords<'de, K: Deserialize<'de>>(&'de self) -> Result<K, Refused> {
        self.payload.kwargs().map_err(|error| (uri::INVALID_ARGUMENT, error.to_string()))
    }
}

/// A session of the realm by its id.
pub(super) fn session(realm: &Realm, id: u64) -> Result<SessionKey, Refused> {
    let key = SessionId::new(id).and_then(|id| realm.cx.sessions.key(id));
    key.ok_or_else(|| (uri::NO_SUCH_SESSION, format!("no session has the id {id}")))
}

/// Returns the session that the first argument names, if it is present.
pub(super) fn optional_session(realm: &Realm, request: &Request<'_>) -> Result<Option<SessionKey>, Refused> {
    request.argument::<Option<u64>>()?.map(|id| session(realm, id)).transpose()
}

/// The ids of sessions, in order.
pub(super) fn ids(sessions: Vec<SessionKey>) -> Vec<u64> {
    sessions.into_iter().map(|session| session.id().get()).collect()
}

/// The second argument of `lookup`.
#[derive(Deserialize)]
pub(super) struct MatchOptions {
    #[serde(default)]
    r#match: Option<String>,
}

/// The URI and the match policy of a look-up.
pub(super) fn pattern(
    cx: &Context,
    uri: String,
    options: Option<MatchOptions>,
) -> Result<(Uri, MatchPolicy), Refused> {
    let policy = match options.and_then(|options| options.r#match).as_deref() {
        None | Some("exact") => MatchPolicy::Exact,
        Some("prefix") => MatchPolicy::Prefix,
        Some("wildcard") => MatchPolicy::Wildcard,
        Some(_) => {
            let text = "\"match\" must be one of exact, prefix, wildcard";
            return Err((uri::INVALID_ARGUMENT, text.to_owned()));
        }
    };
    let uri = Uri::from(uri);
    cx.config.check_uri(&uri, policy.into())?;
    Ok((uri, policy))
}

/// The keywords of a revocation.
#[derive(Deserialize)]
pub(super) struct ReasonOptions {
    #[serde(default)]
    pub(super) reason: Option<String>,
}

/// The `reason` of a kill or a revocation, which must be a URI.
pub(super) fn reason(reason: Option<String>) -> Result<Option<Uri>, Refused> {
    let Some(text) = reason else { return Ok(None) };
    let reason = Uri::from(text);
    let checked =
        reason.check_size(UriLimits::default()).and_then(|()| reason.check(UriRules::Loose, UriKind::Exact));
    checked.map(|()| Some(reason)).map_err(|error| (uri::INVALID_URI, format!("\"reason\": {error}")))
}

/// The first two of a list of arguments.
struct First<A, B>(A, B);

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>> Deserialize<'de> for First<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstVisitor<A, B>(PhantomData<(A, B)>);

        impl<'de, A: Deserialize<'de>, B: Deserialize<'de>> Visitor<'de> for FirstVisitor<A, B> {
            type Value = First<A, B>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of arguments")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let missing = || serde::de::Error::invalid_length(0, &self);
                let first = seq.next_element()?.ok_or_else(missing)?;
                let second = seq.next_element()?.ok_or_else(missing)?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first, second))
            }
        }

        deserializer.deserialize_tuple(2, FirstVisitor(PhantomData))
    }
}
