//! Principals from a WAMP procedure: the arguments of its call and the principal in its answer, in the shapes of
//! Crossbar.io's dynamic authenticators (behaviour [227](crate::behaviour#rule-227),
//! [228](crate::behaviour#rule-228)).
//!
//! The procedure is called with `(realm, authid, details)`. Its result is the name of a role, or a dict:
//!
//! | key | | for |
//! |---|---|---|
//! | `role` | the role; has to be there | all methods |
//! | `authid` | the authid, if it is not that of HELLO | all methods |
//! | `extra` | a dict for `WELCOME.Details.authextra` | all methods |
//! | `realm` | the realm; no other than that of HELLO | all methods |
//! | `secret` | the secret, or with the three below the key derived from it, or that secret | `wampcra` |
//! | `salt`, `iterations`, `keylen` | how the key is derived | `wampcra` |
//! | `pubkey` | a public key in hexadecimal digits, or a list of them | `cryptosign` |
//! | `kdf`, `salt`, `iterations`, `memory`, `stored-key`, `server-key` | keys; the three texts in hexadecimal digits | `wamp-scram`, `scram` |
//!
//! For `ticket` the procedure verifies the ticket, which is in `details`: its principal joins.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wamp_proto::{EncodeError, Extra, Payload, Serializer, SessionId, Uri, uri};

use super::cryptosign::PublicKey;
use super::scram::{Dialect, Kdf, Keys};
use super::wampcra::{Key, Salting};
use super::{Method, Principal, Secret, base64};
use crate::Failure;
use crate::router::Protocol;

/// A question to a procedure about a client that wants to join.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The realm in HELLO.
    pub realm: &'a Uri,
    /// The authid in HELLO.
    pub authid: Option<&'a str>,
    /// The role in HELLO.
    pub authrole: Option<&'a str>,
    /// `HELLO.Details.authextra`.
    pub authextra: &'a Extra,
    /// The method of the client.
    pub method: Method,
    /// The ticket, for `ticket`.
    pub ticket: Option<&'a Secret>,
    /// The id that the session will have.
    pub session: SessionId,
    /// The kind of the link.
    pub protocol: Protocol,
    /// The address at the other end of the link.
    pub peer: Option<&'a str>,
    /// Whether nothing but the two ends can read what is sent.
    pub is_confidential: bool,
}

/// Why an answer does not name a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPrincipal {
    /// There is none.
    Unknown,
    /// It is not known now, for this reason.
    Failed(String),
}

/// A principal in an answer.
#[derive(Debug)]
pub struct Found {
    principal: Principal,
    /// A secret from which the key of WAMP-CRA is still to be derived.
    derives: Option<(Secret, Salting)>,
}

#[derive(Serialize)]
struct Details<'a> {
    session: u64,
    authmethod: String,
    authid: Option<&'a str>,
    authrole: Option<&'a str>,
    authextra: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<&'a str>,
    transport: Transport<'a>,
}

#[derive(Serialize)]
struct Transport<'a> {
    r#type: &'static str,
    peer: Option<&'a str>,
    is_secure: bool,
}

#[derive(Deserialize)]
struct Fields {
    role: Option<String>,
    authid: Option<String>,
    realm: Option<String>,
    #[serde(default)]
    extra: Option<Map<String, Value>>,
    secret: Option<String>,
    salt: Option<String>,
    iterations: Option<u32>,
    keylen: Option<u8>,
    pubkey: Option<Value>,
    kdf: Option<String>,
    memory: Option<u32>,
    #[serde(rename = "stored-key")]
    stored_key: Option<String>,
    #[serde(rename = "server-key")]
    server_key: Option<String>,
}

impl Question<'_> {
    /// Returns the arguments of the call.
    ///
    /// # Errors
    /// The serializer cannot express them.
    pub fn arguments(&self, serializer: Serializer) -> Result<Payload, EncodeError> {
        let Self { authid, authrole, peer, .. } = *self;
        let details = Details {
            session: self.session.get(),
            authmethod: self.method.to_string(),
            authid,
            authrole,
            authextra: values(self.authextra),
            ticket: self.ticket.and_then(Secret::text),
            transport: Transport { r#type: self.protocol.name(), peer, is_secure: self.is_confidential },
        };
        Payload::new(serializer, &(self.realm.as_str(), authid, details))
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// It names no principal.
    pub fn read(&self, answer: Result<Payload, Failure>) -> Result<Found, NoPrincipal> {
        let payload = answer.map_err(refusal)?;
        let answer = payload
            .decode::<Value>()
            .map_err(|error| failed(format!("its result cannot be read: {error}")))?;
        let fields = match answer {
            Value::String(role) => Map::from_iter([("role".to_owned(), Value::String(role))]),
            Value::Object(fields) => fields,
            _ => return Err(failed("its result is neither the name of a role nor a dict")),
        };
        let fields: Fields = serde_json::from_value(Value::Object(fields))
            .map_err(|error| failed(format!("its result cannot be read: {error}")))?;
        self.found(fields)
    }

    fn found(&self, fields: Fields) -> Result<Found, NoPrincipal> {
        if fields.realm.as_deref().is_some_and(|realm| realm != self.realm.as_str()) {
            return Err(failed("its result names another realm than HELLO"));
        }
        let missing = |key: &str| failed(format!("its result has no \"{key}\""));
        let role = fields.role.clone().ok_or_else(|| missing("role"))?;
        let authid = fields.authid.clone().or_else(|| self.authid.map(str::to_owned));
        let mut principal = Principal::new(authid.ok_or_else(|| missing("authid"))?, role);
        for (key, value) in fields.extra.iter().flatten() {
            principal = principal
                .authextra(key, value)
                .map_err(|error| failed(format!("its \"extra\" cannot be written: {error}")))?;
        }
        let mut derives = None;
        match self.method {
            Method::WampCra => {
                let secret = Secret::from(fields.secret.clone().ok_or_else(|| missing("secret"))?);
                match salting(&fields) {
                    None => principal = principal.cra(Key::plain(secret)),
                    Some(salting) if !is_in_range(&salting) => {
                        return Err(failed("its \"iterations\" or \"keylen\" is out of range"));
                    }
                    Some(salting) if is_derived(&secret, &salting) => {
                        principal = principal.cra(Key::derived(secret, salting));
                    }
                    Some(salting) => derives = Some((secret, salting)),
                }
            }
            Method::Cryptosign => {
                let keys = match fields.pubkey {
                    Some(Value::Array(keys)) => keys,
                    Some(key) => vec![key],
                    None => return Err(missing("pubkey")),
                };
                for key in keys {
                    let key = key.as_str().and_then(|key| PublicKey::from_hex(key).ok());
                    principal = principal.public_key(key.ok_or_else(|| failed("its \"pubkey\" is no key"))?);
                }
            }
            Method::WampScram => principal = principal.scram(keys(Dialect::Wamp, &fields)?),
            Method::Scram => principal = principal.scram(keys(Dialect::Autobahn, &fields)?),
            Method::Ticket => {}
            Method::Anonymous | Method::Tls => return Err(failed("it has no principals for this method")),
        }
        Ok(Found { principal, derives })
    }
}

impl Found {
    /// Returns whether [`principal`](Self::principal) takes so long that it must not run on a thread with other tasks.
    pub fn is_slow(&self) -> bool {
        self.derives.is_some()
    }

    /// Returns the principal.
    pub fn principal(self) -> Principal {
        match self.derives {
            Some((secret, salting)) => self.principal.cra(Key::salted(&secret, salting)),
            None => self.principal,
        }
    }
}

/// The keys and values of a dict. Values that JSON does not have are null.
fn values(extra: &Extra) -> Map<String, Value> {
    let value = |key: String| {
        let value = extra.get::<Value>(&key).and_then(Result::ok).unwrap_or_default();
        (key, value)
    };
    extra.keys().into_iter().map(value).collect()
}

/// What an ERROR means: a technical reason, or that there is no such principal.
fn refusal(failure: Failure) -> NoPrincipal {
    let technical = [
        uri::NO_SUCH_PROCEDURE,
        uri::CANCELED,
        uri::CANCELLED,
        uri::TIMEOUT,
        uri::UNAVAILABLE,
        uri::NO_AVAILABLE_CALLEE,
        uri::RUNTIME_ERROR,
        uri::INVALID_ARGUMENT,
        uri::PAYLOAD_SIZE_EXCEEDED,
        uri::FEATURE_NOT_SUPPORTED,
    ];
    if technical.contains(&failure.error) {
        return failed(format!("it ended with {}", failure.error));
    }
    NoPrincipal::Unknown
}

fn failed(reason: impl Into<String>) -> NoPrincipal {
    NoPrincipal::Failed(reason.into())
}

/// How the key is derived; `None` for one that is not.
fn salting(fields: &Fields) -> Option<Salting> {
    let salt = fields.salt.clone().filter(|salt| !salt.is_empty())?;
    let (iterations, keylen) = (fields.iterations.unwrap_or(1000), fields.keylen.unwrap_or(32));
    Some(Salting { salt: salt.into(), iterations, keylen })
}

fn is_in_range(salting: &Salting) -> bool {
    (1..=10_000_000).contains(&salting.iterations) && (1..=64).contains(&salting.keylen)
}

/// Whether a secret is the key already: base64 of just as many bytes. Crossbar.io took the derived key at first, and takes the
/// secret itself now.
fn is_derived(secret: &Secret, salting: &Salting) -> bool {
    secret.text().and_then(base64).is_some_and(|key| key.len() == usize::from(salting.keylen))
}

fn keys(dialect: Dialect, fields: &Fields) -> Result<Keys, NoPrincipal> {
    let missing = |key: &str| failed(format!("its result has no \"{key}\", or not in hexadecimal digits"));
    let bytes = |text: &Option<String>| base16ct::mixed::decode_vec(text.as_ref()?).ok();
    let key = |text| bytes(text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let iterations = fields.iterations.ok_or_else(|| missing("iterations"))?;
    let kdf = match (fields.kdf.as_deref(), fields.memory) {
        (Some("pbkdf2"), _) => Kdf::Pbkdf2 { iterations },
        (Some("argon2id13" | "argon2id-13"), Some(memory)) => Kdf::Argon2id { iterations, memory },
        _ => return Err(failed("its \"kdf\" is neither pbkdf2 nor argon2id-13 with \"memory\"")),
    };
    let salt = bytes(&fields.salt).ok_or_else(|| missing("salt"))?;
    let stored = key(&fields.stored_key).ok_or_else(|| missing("stored-key"))?;
    let server = key(&fields.server_key).ok_or_else(|| missing("server-key"))?;
    Ok(Keys::new(dialect, kdf, salt, stored, server))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question(method: Method) -> Question<'static> {
        static REALM: Uri = Uri::from_static("shop");
        static EXTRA: std::sync::OnceLock<Extra> = std::sync::OnceLock::new();
        let authextra = EXTRA.get_or_init(|| {
            let mut extra = Extra::default();
            extra.insert("x-device", &7).unwrap();
            extra
        });
        Question {
            realm: &REALM,
            authid: Some("joe"),
            authrole: None,
            authextra,
            method,
            ticket: None,
            session: SessionId::new(5).unwrap(),
            protocol: Protocol::WebSocket,
            peer: Some("127.0.0.1:5"),
            is_confidential: true,
        }
    }

    fn read(method: Method, answer: &Value) -> Result<Principal, NoPrincipal> {
        let payload = Payload::new(Serializer::ALL[0], &(answer,)).unwrap();
        question(method).read(Ok(payload)).map(Found::principal)
    }

    // behaviour 227
    #[test]
    fn a_procedure_gets_realm_authid_and_details() {
        let ticket = Secret::from("s3cret");
        let question = Question { ticket: Some(&ticket), ..question(Method::Ticket) };
        for serializer in Serializer::ALL {
            let payload = question.arguments(*serializer).unwrap();
            let arguments: Value = payload.args::<Vec<Value>>().unwrap().into();
            let details = json!({
                "session": 5, "authmethod": "ticket", "authid": "joe", "authrole": null,
                "authextra": {"x-device": 7}, "ticket": "s3cret",
                "transport": {"type": "websocket", "peer": "127.0.0.1:5", "is_secure": true},
            });
            assert_eq!(arguments, json!(["shop", "joe", details]));
        }
    }

    // behaviour 227
    #[test]
    fn an_answer_is_a_role_or_a_dict_with_what_the_method_needs() {
        let role = read(Method::Ticket, &json!("user")).unwrap();
        assert_eq!((role.authid().as_ref() as &str, role.roles()[0].as_ref() as &str), ("joe", "user"));
        let other =
            read(Method::Ticket, &json!({"role": "user", "authid": "jim", "extra": {"a": [1]}})).unwrap();
        assert_eq!(other.authid().as_ref() as &str, "jim");

        let plain = json!({"role": "user", "secret": "s3cret", "realm": "shop"});
        assert!(read(Method::WampCra, &plain).unwrap().has(Method::WampCra));
        // The derived key, and the secret that it is derived from.
        for secret in ["prq7+YkJ1/KlW1X0YczMHw==", "s3cret"] {
            let salted =
                json!({"role": "u", "secret": secret, "salt": "salt123", "iterations": 100, "keylen": 16});
            assert!(read(Method::WampCra, &salted).unwrap().has(Method::WampCra));
        }
        let key = "545efb0a2192db8d43f118e9bf9aee081466e1ef36c708b96ee6f62dddad9122";
        for pubkey in [json!(key), json!([key])] {
            let answer = json!({"role": "user", "pubkey": pubkey});
            assert!(read(Method::Cryptosign, &answer).unwrap().has(Method::Cryptosign));
        }
        let scram = json!({"role": "user", "kdf": "argon2id-13", "salt": "00ff", "iterations": 4, "memory": 512,
            "stored-key": "11".repeat(32), "server-key": "22".repeat(32)});
        assert!(read(Method::Scram, &scram).unwrap().has(Method::Scram));
        assert!(read(Method::WampScram, &scram).unwrap().has(Method::WampScram));
    }

    // behaviour 228
    #[test]
    fn an_answer_that_cannot_be_read_is_a_failure_and_names_nobody() {
        let answers = [
            (Method::Ticket, json!(null)),
            (Method::Ticket, json!(true)),
            (Method::Ticket, json!({})),
            (Method::Ticket, json!({"role": 5})),
            (Method::Ticket, json!({"role": "user", "realm": "other"})),
            (Method::WampCra, json!("user")),
            (Method::WampCra, json!({"role": "u", "secret": "s", "salt": "s", "iterations": 0})),
            (
                Method::WampCra,
                json!({"role": "u", "secret": "s", "salt": "s", "iterations": 4_000_000_000_u32}),
            ),
            (Method::WampCra, json!({"role": "u", "secret": "s", "salt": "s", "keylen": 65})),
            (Method::Cryptosign, json!({"role": "user", "pubkey": "00"})),
            (Method::Cryptosign, json!({"role": "user"})),
            (Method::Scram, json!({"role": "user", "kdf": "md5", "iterations": 4})),
            (Method::Tls, json!("user")),
        ];
        for (method, answer) in answers {
            let read = read(method, &answer);
            assert!(matches!(read, Err(NoPrincipal::Failed(_))), "{answer}: {read:?}");
        }
        let cryptosign = Question { authid: None, ..question(Method::Ticket) };
        let role = Payload::new(Serializer::ALL[0], "user").unwrap();
        assert!(matches!(cryptosign.read(Ok(role)), Err(NoPrincipal::Failed(_))), "an authid is missing");
    }

    // behaviour 228
    #[test]
    fn an_error_of_the_application_is_a_refusal_and_a_technical_one_is_not() {
        let read =
            |error: &'static str| question(Method::Ticket).read(Err(Failure::new(error.into()))).unwrap_err();
        for unknown in ["com.example.no_such_user", "wamp.error.not_authorized"] {
            assert_eq!(read(unknown), NoPrincipal::Unknown);
        }
        for technical in [
            "no_such_procedure",
            "canceled",
            "timeout",
            "unavailable",
            "no_available_callee",
            "runtime_error",
            "invalid_argument",
        ] {
            let error: &'static str = format!("wamp.error.{technical}").leak();
            assert!(matches!(read(error), NoPrincipal::Failed(_)), "{error}");
        }
    }
}
