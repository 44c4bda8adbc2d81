//! A CHALLENGE, and the verification of its answer, at the router's end.

use std::time::Duration;

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use wamp_proto::message::{Authenticate, Challenge, HelloDetails};
use wamp_proto::{ByteString, Extra, SessionId, uri};

use super::cryptosign::{PrivateKey, PublicKey, TLS_EXPORTER};
use super::principals::{authid, nonce, presented};
use super::scram::{Asked, Dialect, Kdf, Keys};
use super::ticket::Ticket;
use super::wampcra::{Key, Salting};
use super::{
    Admission, DENIED, Denied, Identity, Method, NO_SUCH_ROLE, Principal, STATIC, Secret, cryptosign, ticket,
};
use crate::timestamp::rfc_3339;

/// The arguments of an exchange: random numbers, the time, and the link of the client.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Bytes of a cryptographic generator, for this exchange only.
    pub random: Secret,
    /// A secret of the router that stays the same as long as the router runs, of 32 bytes.
    pub shadows: Secret,
    /// The id that the session will have.
    pub session: SessionId,
    /// The time since 1970-01-01T00:00:00Z.
    pub now: Duration,
    /// The `tls-exporter` channel binding of the link.
    pub channel: Option<[u8; 32]>,
    /// The fingerprint of the verified certificate of the client.
    pub certificate: Option<[u8; 32]>,
    /// `WELCOME.Details.authprovider`.
    pub provider: ByteString,
}

/// The length of [`Offer::random`], in bytes.
const RANDOM: usize = 72;

impl Offer {
    /// An offer with the provider `static`. `random` is 72 bytes of a cryptographic generator.
    pub fn new(random: &[u8; RANDOM], shadows: Secret, session: SessionId, now: Duration) -> Self {
        let (random, provider) = (Secret::from(&random[..]), STATIC);
        Self { random, shadows, session, now, channel: None, certificate: None, provider }
    }

    /// A random number from 0 to 2^53 - 1.
    pub(super) fn number(&self) -> u64 {
        let tail = self.random.bytes().last_chunk::<8>().copied().unwrap_or_default();
        u64::from_le_bytes(tail) >> 11
    }

    fn challenge(&self) -> [u8; 32] {
        self.random.bytes().first_chunk::<32>().copied().unwrap_or_default()
    }

    /// A key that no proof fits.
    fn unmatched(&self) -> Secret {
        Secret::from(self.random.bytes().get(32..64).unwrap_or_default())
    }
}

/// The costs of SCRAM if no principal has SCRAM keys.
const USUAL: Kdf = Kdf::Argon2id { iterations: 3, memory: 65_536 };

/// A challenge that waits for its answer.
#[derive(Debug)]
pub struct Exchange {
    identity: Identity,
    extra: Extra,
    session: SessionId,
    /// The client is a principal that has this method. Otherwise the exchange is like any other until its proof, which
    /// is wrong in any case.
    is_real: bool,
    /// The principal has the role that the client asks for.
    has_role: bool,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Ticket(Ticket),
    WampCra { key: Key, text: String },
    Cryptosign { keys: Vec<PublicKey>, challenge: [u8; 32], channel: Option<[u8; 32]> },
    Scram(Asked),
}

/// The text that is signed in WAMP-CRA.
#[derive(Serialize)]
struct Signed<'a> {
    authid: &'a str,
    authrole: &'a str,
    authmethod: &'a str,
    authprovider: &'a str,
    nonce: String,
    timestamp: String,
    session: u64,
}

impl Exchange {
    /// Begins an exchange by this method, with the principal that the client claims to be. If there is no
    /// such principal, `principal` is its shadow, if any (behaviour [204](crate::behaviour#rule-204)).
    ///
    /// # Errors
    /// `wamp.error.authentication_failed` if the connection lacks the channel binding that the client asks
    /// for.
    pub fn begin(
        method: Method,
        principal: Result<&Principal, Option<&Principal>>,
        details: &HelloDetails,
        offer: &Offer,
    ) -> Result<Self, Denied> {
        let binding = || details.authextra.as_ref().and_then(|extra| extra.text("channel_binding"));
        if method == Method::WampScram
            && binding().is_some_and(|binding| binding != TLS_EXPORTER || offer.channel.is_none())
        {
            let text = "the connection does not have the channel binding that the client asks for";
            return Err(Denied { reason: uri::AUTHENTICATION_FAILED, text });
        }
        Ok(Self::new(method, principal, details, offer))
    }

    fn new(
        method: Method,
        principal: Result<&Principal, Option<&Principal>>,
        details: &HelloDetails,
        offer: &Offer,
    ) -> Self {
        let (like, is_real) = match principal {
            Ok(principal) => (Some(principal), principal.has(method)),
            Err(shadow) => (shadow, false),
        };
        let wish = details.authrole.as_ref();
        let role = like.and_then(|like| like.role_for(wish));
        let authid = match principal {
            Ok(principal) => principal.authid.clone(),
            Err(_) => authid(details).cloned().unwrap_or_default(),
        };
        let default = like.and_then(|like| like.roles.first());
        let identity = Identity {
            authid,
            authrole: role.or(default).cloned().unwrap_or_default(),
            authmethod: method.name(),
            authprovider: offer.provider.clone(),
        };
        let kept = like.filter(|_| is_real);
        let proof = match method {
            Method::WampCra => {
                // Made in either case, so that both take the same time.
                let unmatched = unmatched_key(like, &identity.authid, offer);
                let key = like.and_then(|like| like.cra.clone());
                let key = key.filter(|_| is_real).unwrap_or(unmatched);
                let text = text(&identity, offer);
                Proof::WampCra { key, text }
            }
            Method::Cryptosign => Proof::Cryptosign {
                keys: match (presented(details), like) {
                    (Some(key), _) => vec![key],
                    (None, Some(like)) if !like.keys.is_empty() => like.keys.clone(),
                    (None, _) => vec![PrivateKey::from_bytes(&offer.challenge()).public()],
                },
                challenge: offer.challenge(),
                channel: offer.channel.filter(|_| asks_for_binding(details)),
            },
            Method::WampScram => Proof::Scram(asked(Dialect::Wamp, like, is_real, &identity, details, offer)),
            Method::Scram => Proof::Scram(asked(Dialect::Autobahn, like, is_real, &identity, details, offer)),
            // `anonymous` and `tls` have no exchange.
            Method::Ticket | Method::Anonymous | Method::Tls => {
                // For an unknown client this is the hash of its shadow, since a hash takes time.
                let ticket = like.and_then(|like| like.ticket.clone());
                Proof::Ticket(ticket.unwrap_or_else(|| Ticket::Plain(offer.unmatched())))
            }
        };
        let is_real = is_real
            && match (&proof, kept) {
                (Proof::Cryptosign { keys, .. }, Some(kept)) => {
                    keys.iter().all(|key| kept.keys.contains(key))
                }
                _ => true,
            };
        let extra = kept.map(|kept| kept.extra.clone()).unwrap_or_default();
        Self { identity, extra, session: offer.session, is_real, has_role: role.is_some(), proof }
    }

    /// Returns the CHALLENGE.
    pub fn challenge(&self) -> Challenge {
        match &self.proof {
            Proof::Ticket(_) => ticket::challenge(),
            Proof::WampCra { key, text } => key.challenge(text),
            Proof::Scram(asked) => asked.challenge(),
            Proof::Cryptosign { challenge, channel, .. } => {
                cryptosign::challenge(challenge, channel.is_some())
            }
        }
    }

    /// Returns whether [`verify`](Self::verify) takes so long that it must not run on a thread with other tasks.
    pub fn is_slow(&self) -> bool {
        matches!(self.proof, Proof::Ticket(Ticket::Hashed(_)))
    }

    /// Returns the authid that the client must prove.
    pub fn authid(&self) -> &ByteString {
        &self.identity.authid
    }

    /// Verifies the answer. A wrong proof takes the same time and gets the same result as an unknown principal.
    ///
    /// # Errors
    /// `wamp.error.authentication_denied`, and after a right proof `wamp.error.no_such_role`.
    pub fn verify(mut self, said: &Authenticate) -> Result<Admission, Denied> {
        let is_right = match &self.proof {
            Proof::Scram(asked) => {
                let (is_right, verifier) = asked.verify(said);
                // A text can be written in each serializer.
                is_right & self.extra.insert(asked.keys.dialect.verifier(), verifier.as_str()).is_ok()
            }
            Proof::Ticket(ticket) => ticket.verify(said),
            Proof::WampCra { key, text } => key.verify(text, &said.signature),
            Proof::Cryptosign { keys, challenge, channel } => {
                let verify = |key| cryptosign::verify(key, challenge, channel.as_ref(), &said.signature);
                keys.iter().map(verify).fold(false, |any, this| any | this)
            }
        };
        if !(is_right & self.is_real) {
            return Err(DENIED);
        }
        if !self.has_role {
            return Err(NO_SUCH_ROLE);
        }
        Ok(Admission { identity: self.identity, authextra: self.extra, session: Some(self.session) })
    }
}

/// Returns the challenge of SCRAM. For an unknown client it has the costs of its shadow, and a salt that
/// depends only on the authid.
fn asked(
    dialect: Dialect,
    like: Option<&Principal>,
    is_real: bool,
    identity: &Identity,
    details: &HelloDetails,
    offer: &Offer,
) -> Asked {
    let keys_of = |principal: &Principal| match dialect {
        Dialect::Wamp => principal.wamp_scram.clone(),
        Dialect::Autobahn => principal.autobahn_scram.clone(),
    };
    // For a principal, `like` is the principal. The unmatched keys are made in either case, so that both take the same
    // time.
    let like = like.and_then(keys_of);
    let (kdf, len) = like.as_ref().map_or((USUAL, 16), |like| (like.kdf, like.salt.len()));
    let salt = salt(&offer.shadows, &identity.authid, len);
    let unmatched = offer.unmatched();
    let key = unmatched.bytes().first_chunk::<32>().copied().unwrap_or_default();
    let unmatched = Keys::new(dialect, kdf, salt, key, key);
    let keys = like.filter(|_| is_real).unwrap_or(unmatched);
    let client_nonce = nonce(details).unwrap_or_default();
    let nonce = format!("{client_nonce}{}", STANDARD.encode(&offer.challenge()[..18]));
    let channel = offer.channel.filter(|_| dialect == Dialect::Wamp && asks_for_binding(details));
    Asked { keys, authid: identity.authid.clone(), client_nonce, nonce, channel }
}

/// Returns the key for an unknown client: salted like that of its shadow, with a salt that depends only on
/// the authid.
fn unmatched_key(shadow: Option<&Principal>, authid: &str, offer: &Offer) -> Key {
    let like = shadow.and_then(|shadow| shadow.cra.as_ref()).and_then(|key| key.salting.as_ref());
    match like {
        None => Key::plain(offer.unmatched()),
        Some(like) => {
            let salt = text_like(&like.salt, &salt(&offer.shadows, authid, like.salt.len()));
            Key::derived(offer.unmatched(), Salting { salt: salt.into(), ..like.clone() })
        }
    }
}

/// Returns bytes of this length that depend only on the authid.
fn salt(shadows: &Secret, authid: &str, len: usize) -> Vec<u8> {
    let mut salt = Vec::new();
    for count in 0_u32.. {
        if salt.len() >= len {
            break;
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(shadows.bytes()).expect("HMAC takes any key");
        mac.update(b"salt");
        mac.update(&count.to_le_bytes());
        mac.update(authid.as_bytes());
        salt.extend_from_slice(&mac.finalize().into_bytes());
    }
    salt.truncate(len);
    salt
}

/// Returns a text with the length and the alphabet of another one: hexadecimal, or else base64.
fn text_like(like: &str, bytes: &[u8]) -> String {
    const HEX: &[u8] = b"0123456789abcdef";
    const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = if like.bytes().all(|digit| HEX.contains(&digit)) { HEX } else { BASE64 };
    bytes.iter().map(|byte| char::from(digits[usize::from(*byte) % digits.len()])).collect()
}

fn text(identity: &Identity, offer: &Offer) -> String {
    let signed = Signed {
        authid: &identity.authid,
        authrole: &identity.authrole,
        authmethod: &identity.authmethod,
        authprovider: &identity.authprovider,
        nonce: STANDARD.encode(offer.challenge()),
        timestamp: rfc_3339(offer.now),
        session: offer.session.get(),
    };
    serde_json::to_string(&signed).expect("strings and a number are JSON")
}

fn asks_for_binding(details: &HelloDetails) -> bool {
    let extra = details.authextra.as_ref();
    extra.and_then(|extra| extra.text("channel_binding")).as_deref() == Some(TLS_EXPORTER)
}
