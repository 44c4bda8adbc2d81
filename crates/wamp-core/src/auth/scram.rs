//! `wamp-scram` and `scram`: a proof of a password that is neither sent nor kept (Advanced Profile, *Salted Challenge
//! Response Authentication*; RFC 5802, RFC 7677).
//!
//! There are two dialects. [`Dialect::Wamp`] is that of the specification, the method `wamp-scram`.
//! [`Dialect::Autobahn`] is the method `scram` of Autobahn|Python and Crossbar.io, which was made from a draft: the
//! text that is signed has no channel binding and the authid without escapes, a password is not normalized, and the result of
//! Argon2 is used as base64 text.

use std::borrow::Cow;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use wamp_proto::message::{Authenticate, AuthenticateExtra, Challenge, ChallengeExtra};
use wamp_proto::{ByteString, Extra};
use zeroize::Zeroizing;

use super::cryptosign::TLS_EXPORTER;
use super::{Method, Refusal, Secret, base64};

/// The names of Argon2id version 1.3.
const ARGON2: [&str; 2] = ["argon2id13", "argon2id-13"];

/// The name of PBKDF2.
const PBKDF2: &str = "pbkdf2";

/// One of the two dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `wamp-scram`.
    Wamp,
    /// `scram`.
    Autobahn,
}

impl Dialect {
    /// Returns the method.
    pub fn method(self) -> Method {
        match self {
            Self::Wamp => Method::WampScram,
            Self::Autobahn => Method::Scram,
        }
    }

    /// The key in `WELCOME.Details.authextra` of the router's proof.
    pub(super) const fn verifier(self) -> &'static str {
        match self {
            Self::Wamp => "verifier",
            Self::Autobahn => "scram_server_signature",
        }
    }
}

/// The function that derives a key from a password, with its costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kdf {
    /// PBKDF2 with HMAC-SHA256.
    Pbkdf2 {
        /// The number of iterations, at least 4,096.
        iterations: u32,
    },
    /// Argon2id, version 1.3, without parallelism.
    Argon2id {
        /// The number of iterations.
        iterations: u32,
        /// The memory in KiB.
        memory: u32,
    },
}

impl Kdf {
    fn iterations(self) -> u32 {
        match self {
            Self::Pbkdf2 { iterations } | Self::Argon2id { iterations, .. } => iterations,
        }
    }

    /// Reads a CHALLENGE. Its costs must be neither too low, which would give the password away, nor too high for this
    /// end (behaviour [218](crate::behaviour#rule-218)).
    fn read(extra: &ChallengeExtra) -> Result<Self, Refusal> {
        const TOO_LOW: Refusal =
            Refusal("the costs of the key in CHALLENGE are too low to protect the password");
        const TOO_HIGH: Refusal = Refusal("the costs of the key in CHALLENGE are too high");
        let kdf = extra.kdf.as_deref().ok_or(Refusal("CHALLENGE.Extra.kdf is missing"))?;
        let iterations = extra.iterations.ok_or(Refusal("CHALLENGE.Extra.iterations is missing"))?;
        if kdf == PBKDF2 {
            return match iterations {
                ..4096 => Err(TOO_LOW),
                4096..=10_000_000 => Ok(Self::Pbkdf2 { iterations: iterations as u32 }),
                _ => Err(TOO_HIGH),
            };
        }
        if !ARGON2.contains(&kdf) {
            return Err(Refusal("CHALLENGE.Extra.kdf is neither pbkdf2 nor argon2id13"));
        }
        let memory = extra.memory.ok_or(Refusal("CHALLENGE.Extra.memory is missing"))?;
        match (iterations, memory) {
            (0, _) | (_, ..256) => Err(TOO_LOW),
            (_, memory) if memory > 1 << 20 || memory.saturating_mul(iterations) > 16 << 20 => Err(TOO_HIGH),
            _ => Ok(Self::Argon2id { iterations: iterations as u32, memory: memory as u32 }),
        }
    }

    fn derive(self, password: &[u8], salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, Refusal> {
        let mut key = Zeroizing::new([0; 32]);
        match self {
            Self::Pbkdf2 { iterations } => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut *key);
            }
            Self::Argon2id { iterations, memory } => {
                const BAD: Refusal = Refusal("Argon2 does not take this salt or these costs");
                let params = Params::new(memory, iterations, 1, Some(32)).map_err(|_| BAD)?;
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                argon2.hash_password_into(password, salt, &mut *key).map_err(|_| BAD)?;
            }
        }
        Ok(key)
    }
}

/// The keys of a principal, from which the password does not follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub(super) dialect: Dialect,
    pub(super) kdf: Kdf,
    pub(super) salt: Vec<u8>,
    stored: Secret,
    server: Secret,
}

impl Keys {
    /// Derives the keys from a password; the costs determine how long that takes. The salt has at least 8
    /// random bytes.
    ///
    /// ```
    /// use wamp_core::auth::Secret;
    /// use wamp_core::auth::scram::{Dialect, Kdf, Keys};
    ///
    /// let kdf = Kdf::Pbkdf2 { iterations: 4096 };
    /// let keys = Keys::derive(Dialect::Wamp, kdf, &Secret::from("pencil"), b"0123456789abcdef")?;
    /// # Ok::<(), wamp_core::auth::Refusal>(())
    /// ```
    ///
    /// # Errors
    /// The password has characters that SASLprep does not allow, or Argon2 does not take the salt or the costs.
    pub fn derive(dialect: Dialect, kdf: Kdf, password: &Secret, salt: &[u8]) -> Result<Self, Refusal> {
        let salted = salted(dialect, kdf, password, salt)?;
        let stored = Secret::from(&Sha256::digest(hmac(salted.bytes(), "Client Key"))[..]);
        let server = Secret::from(&hmac(salted.bytes(), "Server Key")[..]);
        Ok(Self { dialect, kdf, salt: salt.into(), stored, server })
    }

    /// Keys that were derived before: StoredKey and ServerKey.
    pub fn new(dialect: Dialect, kdf: Kdf, salt: Vec<u8>, stored: [u8; 32], server: [u8; 32]) -> Self {
        let (stored, server) = (Secret::from(&stored[..]), Secret::from(&server[..]));
        Self { dialect, kdf, salt, stored, server }
    }

    /// Returns the function that derived the keys.
    pub fn kdf(&self) -> Kdf {
        self.kdf
    }

    /// Returns the salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Returns StoredKey, against which proofs are verified.
    pub fn stored_key(&self) -> &Secret {
        &self.stored
    }

    /// Returns ServerKey, which signs the proof of the router.
    pub fn server_key(&self) -> &Secret {
        &self.server
    }
}

/// A challenge at the router's end.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) keys: Keys,
    pub(super) authid: ByteString,
    pub(super) client_nonce: String,
    /// The nonces of both ends.
    pub(super) nonce: String,
    /// The channel binding that the client asked for.
    pub(super) channel: Option<[u8; 32]>,
}

impl Asked {
    pub(super) fn challenge(&self) -> Challenge {
        let kdf = match (self.keys.kdf, self.keys.dialect) {
            (Kdf::Pbkdf2 { .. }, _) => PBKDF2,
            (Kdf::Argon2id { .. }, Dialect::Wamp) => ARGON2[0],
            (Kdf::Argon2id { .. }, Dialect::Autobahn) => ARGON2[1],
        };
        // Autobahn|Python fails on any other key.
        let extra = ChallengeExtra {
            nonce: Some(self.nonce.as_str().into()),
            salt: Some(STANDARD.encode(&self.keys.salt).into()),
            kdf: Some(kdf.into()),
            iterations: Some(self.keys.kdf.iterations().into()),
            memory: match self.keys.kdf {
                Kdf::Pbkdf2 { .. } => None,
                Kdf::Argon2id { memory, .. } => Some(memory.into()),
            },
            ..ChallengeExtra::default()
        };
        Challenge { method: self.keys.dialect.method().name(), extra }
    }

    /// Returns whether the proof is right, and the proof of the router.
    pub(super) fn verify(&self, said: &Authenticate) -> (bool, String) {
        let salt = STANDARD.encode(&self.keys.salt);
        let message = Signed {
            dialect: self.keys.dialect,
            authid: &self.authid,
            client_nonce: &self.client_nonce,
            nonce: &self.nonce,
            salt: &salt,
            iterations: self.keys.kdf.iterations(),
            channel: self.channel.as_ref(),
        };
        // An unknown authid takes the same work.
        let text = message.text();
        let is_valid = text.is_ok() && self.repeats(&said.extra);
        let text = text.unwrap_or_default();
        let proof = base64(&said.signature).unwrap_or_default();
        let signature = hmac(self.keys.stored.bytes(), &text);
        let key: Zeroizing<Vec<u8>> =
            Zeroizing::new(proof.iter().zip(signature).map(|(a, b)| a ^ b).collect());
        let is_right: bool = Sha256::digest(&*key).ct_eq(self.keys.stored.bytes()).into();
        let verifier = STANDARD.encode(hmac(self.keys.server.bytes(), &text));
        (is_right & is_valid & (proof.len() == 32), verifier)
    }

    /// Returns whether AUTHENTICATE repeats the nonce and the channel binding, as the specification requires.
    fn repeats(&self, extra: &AuthenticateExtra) -> bool {
        if self.keys.dialect == Dialect::Autobahn {
            return true;
        }
        let channel = match (&self.channel, extra.channel_binding.as_deref(), extra.cbind_data.as_deref()) {
            (None, None, None) => true,
            (Some(ours), Some(TLS_EXPORTER), Some(said)) => base64(said).is_some_and(|said| said == ours),
            _ => false,
        };
        channel && extra.nonce.as_deref() == Some(&*self.nonce)
    }
}

/// The proof that a client expects of the router.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    dialect: Dialect,
    signature: Secret,
}

impl Expected {
    /// Returns whether `WELCOME.Details.authextra` has the proof (behaviour
    /// [225](crate::behaviour#rule-225)).
    pub(crate) fn is_in(&self, extra: Option<&Extra>) -> bool {
        let verifier = extra.and_then(|extra| extra.text(self.dialect.verifier()));
        verifier.is_some_and(|verifier| self.is(&verifier))
    }

    /// Returns whether this base64 text is the proof. Some routers write `v=` before it.
    fn is(&self, verifier: &str) -> bool {
        let said = base64(verifier.strip_prefix("v=").unwrap_or(verifier)).unwrap_or_default();
        self.signature == Secret::from(said)
    }
}

/// Answers a CHALLENGE. The derivation of the key takes time.
pub(super) fn answer(
    dialect: Dialect,
    authid: &str,
    password: &Secret,
    client_nonce: &str,
    channel: Option<&[u8; 32]>,
    extra: &ChallengeExtra,
) -> Result<(Authenticate, Expected), Refusal> {
    let nonce = extra.nonce.as_deref().ok_or(Refusal("CHALLENGE.Extra.nonce is missing"))?;
    if !extends(nonce, client_nonce) {
        return Err(Refusal("CHALLENGE.Extra.nonce does not begin with the nonce of this client"));
    }
    let salt_text = extra.salt.as_deref().ok_or(Refusal("CHALLENGE.Extra.salt is missing"))?;
    let salt = base64(salt_text).ok_or(Refusal("CHALLENGE.Extra.salt is not base64"))?;
    let kdf = Kdf::read(extra)?;
    let (salt_text, iterations) = (salt_text, kdf.iterations());
    let signed = Signed { dialect, authid, client_nonce, nonce, salt: salt_text, iterations, channel };
    let text = signed.text()?;
    let salted = salted(dialect, kdf, password, &salt)?;
    let key = Zeroizing::new(hmac(salted.bytes(), "Client Key"));
    let signature = hmac(&Sha256::digest(*key), &text);
    let proof: Vec<u8> = key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    let server = Zeroizing::new(hmac(salted.bytes(), "Server Key"));
    let expected = Expected { dialect, signature: Secret::from(&hmac(&*server, &text)[..]) };
    let extra = match dialect {
        Dialect::Wamp => AuthenticateExtra {
            nonce: Some(nonce.into()),
            channel_binding: channel.map(|_| TLS_EXPORTER.into()),
            cbind_data: channel.map(|channel| STANDARD.encode(channel).into()),
            ..AuthenticateExtra::default()
        },
        Dialect::Autobahn => AuthenticateExtra::default(),
    };
    Ok((Authenticate { signature: STANDARD.encode(proof).into(), extra }, expected))
}

/// Returns whether a nonce extends that of the client, as text or as bytes.
fn extends(nonce: &str, client: &str) -> bool {
    let is_longer = |nonce: &[u8], client: &[u8]| nonce.len() > client.len() && nonce.starts_with(client);
    let bytes = || Some(is_longer(&base64(nonce)?, &base64(client)?));
    is_longer(nonce.as_bytes(), client.as_bytes()) || bytes().unwrap_or(false)
}

/// The values of AuthMessage in RFC 5802.
struct Signed<'a> {
    dialect: Dialect,
    authid: &'a str,
    client_nonce: &'a str,
    nonce: &'a str,
    salt: &'a str,
    iterations: u32,
    channel: Option<&'a [u8; 32]>,
}

impl Signed<'_> {
    fn text(&self) -> Result<String, Refusal> {
        let Self { client_nonce, nonce, salt, iterations, .. } = self;
        let authid = prepared(self.authid)?;
        let (authid, binding) = match self.dialect {
            Dialect::Autobahn => (authid.into_owned(), String::new()),
            Dialect::Wamp => {
                let mut binding = match self.channel {
                    None => b"n,,".to_vec(),
                    Some(_) => format!("p={TLS_EXPORTER},,").into_bytes(),
                };
                binding.extend(self.channel.into_iter().flatten());
                (authid.replace('=', "=3D").replace(',', "=2C"), STANDARD.encode(binding))
            }
        };
        Ok(format!("n={authid},r={client_nonce},r={nonce},s={salt},i={iterations},c={binding},r={nonce}"))
    }
}

/// SaltedPassword in RFC 5802.
fn salted(dialect: Dialect, kdf: Kdf, password: &Secret, salt: &[u8]) -> Result<Secret, Refusal> {
    match dialect {
        Dialect::Wamp => {
            let text = password.text().ok_or(Refusal("the password is not text in UTF-8"))?;
            let prepared = match prepared(text)? {
                Cow::Borrowed(text) => Secret::from(text),
                Cow::Owned(text) => Secret::from(text),
            };
            Ok(Secret::from(&kdf.derive(prepared.bytes(), salt)?[..]))
        }
        Dialect::Autobahn => {
            let key = kdf.derive(password.bytes(), salt)?;
            Ok(match kdf {
                Kdf::Pbkdf2 { .. } => Secret::from(&key[..]),
                Kdf::Argon2id { .. } => Secret::from(STANDARD_NO_PAD.encode(*key)),
            })
        }
    }
}

/// Normalizes an authid or a password by SASLprep (RFC 4013).
fn prepared(text: &str) -> Result<Cow<'_, str>, Refusal> {
    let refusal = Refusal("the authid or the password has characters that SASLprep does not allow");
    stringprep::saslprep(text).map_err(|_| refusal)
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.chain_update(text).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(dialect: Dialect, kdf: Kdf, password: &str, channel: Option<[u8; 32]>) -> Asked {
        let keys = Keys::derive(dialect, kdf, &Secret::from(password), b"0123456789abcdef").unwrap();
        let (client_nonce, nonce) = ("egVDf3DMJh0=".to_owned(), "egVDf3DMJh0=SBmkFIh7sSo=".to_owned());
        Asked { keys, authid: "jo,e=".into(), client_nonce, nonce, channel }
    }

    // behaviour 221: the example of RFC 7677, 3.
    #[test]
    fn the_vector_of_the_rfc() {
        let salt = base64("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let kdf = Kdf::Pbkdf2 { iterations: 4096 };
        let keys = Keys::derive(Dialect::Wamp, kdf, &Secret::from("pencil"), &salt).unwrap();
        let client_nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        let nonce = format!("{client_nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        let asked = Asked { keys, authid: "user".into(), client_nonce, nonce, channel: None };
        let (said, expected) = answer(
            Dialect::Wamp,
            "user",
            &Secret::from("pencil"),
            &asked.client_nonce,
            None,
            &asked.challenge().extra,
        )
        .unwrap();
        assert_eq!(said.signature, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let (is_right, verifier) = asked.verify(&said);
        assert!(is_right);
        assert_eq!(verifier, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert!(expected.is(&verifier) && expected.is(&format!("v={verifier}")));
        assert!(!expected.is("") && !expected.is("7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    // behaviour 222, behaviour 223
    #[test]
    fn both_dialects_with_both_functions_and_with_a_channel() {
        let kdfs = [Kdf::Pbkdf2 { iterations: 4096 }, Kdf::Argon2id { iterations: 1, memory: 256 }];
        for (dialect, channel) in
            [(Dialect::Wamp, None), (Dialect::Wamp, Some([7; 32])), (Dialect::Autobahn, None)]
        {
            for kdf in kdfs {
                let asked = asked(dialect, kdf, "p\u{e4}ssword", channel);
                let extra = asked.challenge().extra;
                let try_with = |authid, password: &str, channel: Option<[u8; 32]>| {
                    let password = Secret::from(password);
                    let client = &asked.client_nonce;
                    answer(dialect, authid, &password, client, channel.as_ref(), &extra).unwrap()
                };
                let (said, expected) = try_with("jo,e=", "p\u{e4}ssword", channel);
                let (is_right, verifier) = asked.verify(&said);
                assert!(is_right && expected.is(&verifier), "{dialect:?} {kdf:?}");
                assert!(!asked.verify(&try_with("jo,e=", "password", channel).0).0);
                assert!(!asked.verify(&try_with("joe", "p\u{e4}ssword", channel).0).0);
                if dialect == Dialect::Wamp {
                    assert!(!asked.verify(&try_with("jo,e=", "p\u{e4}ssword", Some([8; 32])).0).0);
                    let silent = Authenticate { extra: AuthenticateExtra::default(), ..said.clone() };
                    assert!(!asked.verify(&silent).0, "the nonce must be repeated");
                }
                for garbage in ["", "=", "AAAA", "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="] {
                    assert!(!asked.verify(&Authenticate { signature: garbage.into(), ..said.clone() }).0);
                }
            }
        }
    }

    // behaviour 218
    #[test]
    fn a_client_takes_no_costs_that_are_too_low_or_too_high() {
        let extra = |kdf: &'static str, iterations, memory| ChallengeExtra {
            kdf: Some(kdf.into()),
            iterations: Some(iterations),
            memory,
            ..ChallengeExtra::default()
        };
        for (kdf, iterations, memory) in
            [("pbkdf2", 4096, None), ("argon2id13", 4096, Some(512)), ("argon2id-13", 1, Some(256))]
        {
            assert!(Kdf::read(&extra(kdf, iterations, memory)).is_ok(), "{kdf} {iterations}");
        }
        let bad = [
            ("pbkdf2", 4095, None),
            ("pbkdf2", 10_000_001, None),
            ("argon2id13", 1, None),
            ("argon2id13", 1, Some(255)),
            ("argon2id13", 0, Some(4096)),
            ("argon2id13", 1, Some((1 << 20) + 1)),
            ("argon2id13", 17, Some(1 << 20)),
            ("argon2id13", u64::MAX, Some(1 << 20)),
            ("scrypt", 4096, None),
        ];
        for (kdf, iterations, memory) in bad {
            assert!(Kdf::read(&extra(kdf, iterations, memory)).is_err(), "{kdf} {iterations} {memory:?}");
        }
    }

    // behaviour 221
    #[test]
    fn the_nonce_of_the_router_goes_on_from_that_of_the_client() {
        assert!(extends("egVDf3DMJh0=SBmkFIh7sSo=", "egVDf3DMJh0="), "as text");
        let (client, both) =
            ("egVDf3DMJh0=", STANDARD.encode([base64("egVDf3DMJh0=").unwrap(), vec![1; 8]].concat()));
        assert!(extends(&both, client), "as bytes");
        for nonce in ["", client, "fgVDf3DMJh0=SBmkFIh7sSo=", "egVDf3DM"] {
            assert!(!extends(nonce, client), "{nonce}");
        }
    }
}
