//! Decisions of a WAMP procedure: the arguments of its call and the verdict in its answer, in the shapes of Crossbar.io's
//! dynamic authorizers (behaviour [266](crate::behaviour#rule-266)).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wamp_proto::{EncodeError, Payload, Serializer, Uri};

use super::config::Disclosure;
use super::waiting::{Question, Verdict};
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
    /// Reads the answer of a procedure: a boolean, or a dict with the boolean `allow`, and perhaps `disclose`.
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
        let (allow, disclose) = match answer {
            Answer::Allow(allow) => (allow, None),
            Answer::Dict(Fields { allow, disclose }) => (allow, disclose),
        };
        let disclosure =
            disclose.map(|disclose| if disclose { Disclosure::Always } else { Disclosure::Never });
        Ok(if allow { Self::Allowed { disclosure } } else { Self::Denied })
    }
}
