//! `wampcra`: HMAC-SHA256 of a text, with a shared secret or a key derived from it (Advanced Profile,
//! *Challenge Response Authentication*).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wamp_proto::ByteString;
use wamp_proto::message::{Challenge, ChallengeExtra};
use zeroize::Zeroizing;

use super::{Method, Refusal, Secret, base64};

/// The most iterations that a client accepts (behaviour [218](crate::behaviour#rule-218)).
const MAX_ITERATIONS: u64 = 10_000_000;

/// The longest derived key that a client accepts, in bytes.
const MAX_KEY: u64 = 64;

/// The derivation of a key from a password: PBKDF2 with HMAC-SHA256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salting {
    /// The salt, a text.
    pub salt: ByteString,
    /// The number of iterations.
    pub iterations: u32,
    /// The length of the key before it is written in base64, in bytes; from 1 to 64.
    pub keylen: u8,
}

/// The key of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub(super) key: Secret,
    pub(super) salting: Option<Salting>,
}

impl Key {
    /// A secret that client and router share.
    pub fn plain(secret: impl Into<Secret>) -> Self {
        Self { key: secret.into(), salting: None }
    }

    /// A key derived from a password, which is not kept. This takes time in proportion to the iterations.
    pub fn salted(password: &Secret, salting: Salting) -> Self {
        Self { key: derive(password, &salting), salting: Some(salting) }
    }

    /// A key that was derived before: the base64 text of the result of PBKDF2.
    pub fn derived(key: impl Into<Secret>, salting: Salting) -> Self {
        Self { key: key.into(), salting: Some(salting) }
    }

    /// Returns the CHALLENGE with this text.
    pub(super) fn challenge(&self, text: &str) -> Challenge {
        let mut extra = ChallengeExtra { challenge: Some(text.into()), ..ChallengeExtra::default() };
        if let Some(salting) = &self.salting {
            extra.salt = Some(salting.salt.clone());
            extra.iterations = Some(salting.iterations.into());
            extra.keylen = Some(salting.keylen.into());
        }
        Challenge { method: Method::WampCra.name(), extra }
    }

    /// Returns whether this signature is that of the text, in constant time.
    pub(super) fn verify(&self, text: &str, signature: &str) -> bool {
        // A signature that is not base64 takes the same work.
        let said = base64(signature).unwrap_or_default();
        hmac(&self.key, text).verify_slice(&said).is_ok()
    }
}

/// Derives the key of salted WAMP-CRA. The key is the *base64 text* of PBKDF2's result, as all implementations have it.
///
/// ```
/// use wamp_core::auth::Secret;
/// use wamp_core::auth::wampcra::{Salting, derive};
///
/// let salting = Salting { salt: "salt123".into(), iterations: 1000, keylen: 32 };
/// let key = derive(&Secret::from("secret2"), &salting);
/// assert_eq!(key.text(), Some("nythvFZ7EuM5sPCQrrgnz1oJiZXUNcZZFlDIdGSiNUs="));
/// ```
pub fn derive(password: &Secret, salting: &Salting) -> Secret {
    let mut key = Zeroizing::new(vec![0; usize::from(salting.keylen)]);
    pbkdf2::pbkdf2_hmac::<Sha256>(password.bytes(), salting.salt.as_bytes(), salting.iterations, &mut key);
    Secret::from(STANDARD.encode(&*key))
}

/// Returns the signature of a text, in base64.
pub fn sign(key: &Secret, text: &str) -> String {
    STANDARD.encode(hmac(key, text).finalize().into_bytes())
}

/// Returns the signature with which a client answers a CHALLENGE. A derivation of the key takes time.
///
/// # Errors
/// The CHALLENGE has no text, or its derivation would take too long (behaviour [218](crate::behaviour#rule-218)).
pub fn answer(secret: &Secret, extra: &ChallengeExtra) -> Result<String, Refusal> {
    let text = extra.challenge.as_deref().ok_or(Refusal("CHALLENGE.Extra.challenge is missing"))?;
    let Some(salt) = extra.salt.clone().filter(|salt| !salt.is_empty()) else {
        return Ok(sign(secret, text));
    };
    let iterations = extra.iterations.unwrap_or(1000);
    let keylen = extra.keylen.unwrap_or(32);
    if !(1..=MAX_ITERATIONS).contains(&iterations) {
        return Err(Refusal("CHALLENGE.Extra.iterations must be from 1 to 10,000,000"));
    }
    if !(1..=MAX_KEY).contains(&keylen) {
        return Err(Refusal("CHALLENGE.Extra.keylen must be from 1 to 64"));
    }
    let salting = Salting { salt, iterations: iterations as u32, keylen: keylen as u8 };
    Ok(sign(&derive(secret, &salting), text))
}

fn hmac(key: &Secret, text: &str) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes keys of every length").chain_update(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"authid":"peter","nonce":"LHRTC9zeOIrt_9U3"}"#;

    fn extra(salt: Option<&'static str>, iterations: Option<u64>, keylen: Option<u64>) -> ChallengeExtra {
        let (challenge, salt) = (Some(TEXT.into()), salt.map(ByteString::from));
        ChallengeExtra { challenge, salt, iterations, keylen, ..ChallengeExtra::default() }
    }

    // behaviour 216
    #[test]
    fn a_router_accepts_signatures_of_a_client_plain_and_salted() {
        let secret = Secret::from("pässword");
        let salting = Salting { salt: "salt123".into(), iterations: 100, keylen: 32 };
        for key in [Key::plain(secret.clone()), Key::salted(&secret, salting)] {
            let signature = answer(&secret, &key.challenge(TEXT).extra).unwrap();
            assert!(key.verify(TEXT, &signature));
            assert!(key.verify(TEXT, signature.trim_end_matches('=')), "padding is optional");
            let other = answer(&Secret::from("password"), &key.challenge(TEXT).extra).unwrap();
            for wrong in [&other, "", "=", "\u{20ac}", &signature[..20]] {
                assert!(!key.verify(TEXT, wrong), "{wrong:?}");
            }
            assert!(!key.verify("another text", &signature));
        }
    }

    // behaviour 216: RFC 4231, test case 2.
    #[test]
    fn the_signature_is_hmac_sha256_in_base64() {
        let signature = sign(&Secret::from("Jefe"), "what do ya want for nothing?");
        assert_eq!(signature, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
    }

    // behaviour 218
    #[test]
    fn a_client_does_not_work_for_a_router_that_asks_too_much() {
        let secret = Secret::from("secret");
        assert!(answer(&secret, &extra(Some("s"), None, None)).is_ok(), "1,000 iterations and 32 bytes");
        let too_much = [(Some(0), None), (Some(10_000_001), None), (None, Some(0)), (None, Some(65))];
        for (iterations, keylen) in too_much {
            assert!(answer(&secret, &extra(Some("s"), iterations, keylen)).is_err());
        }
        assert!(answer(&secret, &ChallengeExtra::default()).is_err());
    }
}
