//! Decisions of a WAMP procedure: the arguments of its call and the verdict in its answer, in the shapes of Crossbar.io's
//! dynamic authorizers (behaviour [266](crate::behaviour#rule-266)).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wamp_proto::{EncodeError, Payload, Serializer, Uri};

use super::config::Disclosure;
use super::verdicts::Verdict;
use super::waiting::Question;
use crate::Failure;

#[derive(Serialize)]
struct Details<'a> {
    realm: &'a str,
    session: u64,
    authid: &'a str,
    authrole: &'a str,
    authmethod: &'a str,
    authprovider: &'a str,
    transport: Transport<'a>,
}

#[derive(Serialize)]
struct Transport<'a> {
    r#type: &'static str,
    peer: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Allow(bool),
    Dict(Fields),
}

#[derive(Deserialize)]
struct Fields {
    allow: bool,
    #[serde(default)]
    disclose: Option<bool>,
    #[serde(default)]
    cache: Option<Cache>,
}

/// For how long the answer holds: as long as possible, or some seconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Cache {
    Longest(bool),
    Seconds(f64),
}

impl Cache {
    fn lifetime(self) -> Duration {
        match self {
            Self::Longest(false) => Duration::ZERO,
            Self::Longest(true) => Duration::MAX,
            Self::Seconds(seconds) => Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX),
        }
    }
}

impl Question {
    /// Returns the arguments with which a procedure is asked: details of the session, the URI, `call`, `register`,
    /// `publish` or `subscribe`, and the options of the request.
    ///
    /// # Errors
    /// The serializer cannot express them.
    pub fn arguments(&self, realm: &Uri, serializer: Serializer) -> Result<Payload, EncodeError> {
        let Self { identity, transport, .. } = self;
        let details = Details {
            realm: realm.as_str(),
            session: self.session.id().get(),
            authid: &identity.authid,
            authrole: &identity.authrole,
            authmethod: &identity.authmethod,
            authprovider: &identity.authprovider,
            transport: Transport { r#type: transport.protocol.name(), peer: transport.peer.as_deref() },
        };
        let options = self.request.options::<Map<String, Value>>().unwrap_or_default();
        Payload::new(serializer, &(details, self.uri.as_str(), self.action.name(), options))
    }
}

impl Verdict {
    /// Reads the answer of a procedure: a boolean, or a dict with the boolean `allow`, and perhaps `disclose` and `cache`.
    /// `cache` is a boolean, or a number of seconds: how long the answer [holds](Self::valid_for).
    ///
    /// # Errors
    /// It does not decide, for this reason.
    pub fn read(answer: Result<Payload, Failure>) -> Result<Self, String> {
        let payload = answer.map_err(|failure| format!("it ended with {}", failure.error))?;
        let answer =
            payload.decode::<Value>().map_err(|error| format!("its result cannot be read: {error}"))?;
        let answer: Answer = serde_json::from_value(answer).map_err(|_| {
            "its result is neither a boolean nor a dict with the boolean \"allow\"".to_owned()
        })?;
        let Fields { allow, disclose, cache } = match answer {
            Answer::Allow(allow) => Fields { allow, disclose: None, cache: None },
            Answer::Dict(fields) => fields,
        };
        let mut verdict = if allow { Self::ALLOWED } else { Self::DENIED };
        if let Some(disclose) = disclose {
            let disclosure = if disclose { Disclosure::Always } else { Disclosure::Never };
            verdict = verdict.with_disclosure(disclosure);
        }
        Ok(verdict.valid_for(cache.map_or(Duration::ZERO, Cache::lifetime)))
    }
}
