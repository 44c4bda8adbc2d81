//! `cryptosign`: an Ed25519 signature of 32 random bytes (Advanced Profile, *Cryptosign-based Authentication*).

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use subtle::ConstantTimeEq;
use wamp_proto::message::{Challenge, ChallengeExtra};
use zeroize::Zeroizing;

use super::{Method, Refusal};

/// The name of the channel binding that is supported.
pub const TLS_EXPORTER: &str = "tls-exporter";

/// The length of a signature with the text that it signs, in bytes.
const SIGNED: usize = 96;

/// A text that is not a key: 32 bytes in hexadecimal digits are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key must have 64 hexadecimal digits (32 bytes) and be a key of Ed25519")]
pub struct NotAKey;

/// A public key of Ed25519.
///
/// ```
/// use wamp_core::auth::cryptosign::PrivateKey;
///
/// let key = PrivateKey::from_hex("4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510")?;
/// let public = key.public();
/// assert_eq!(wamp_core::auth::cryptosign::PublicKey::from_hex(&public.to_string())?, public);
/// # Ok::<(), wamp_core::auth::cryptosign::NotAKey>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// A key from its 64 hexadecimal digits, in either case.
    ///
    /// # Errors
    /// The text is not a key.
    pub fn from_hex(text: &str) -> Result<Self, NotAKey> {
        let key = VerifyingKey::from_bytes(&bytes(text).ok_or(NotAKey)?).map_err(|_| NotAKey)?;
        // Every signature of a weak key is valid for many texts.
        if key.is_weak() { Err(NotAKey) } else { Ok(Self(key)) }
    }

    /// Returns the 32 bytes of the key.
    pub fn bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    fn verifies(&self, text: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(text, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(self.bytes()))
    }
}

/// A private key of Ed25519, wiped when it is dropped.
#[derive(Clone)]
pub struct PrivateKey(Box<SigningKey>);

impl PrivateKey {
    /// A key from the 64 hexadecimal digits of its seed, in either case.
    ///
    /// # Errors
    /// The text is not a key.
    pub fn from_hex(text: &str) -> Result<Self, NotAKey> {
        Ok(Self::from_bytes(&Zeroizing::new(bytes(text).ok_or(NotAKey)?)))
    }

    /// A key from its seed. A new key needs 32 bytes of a cryptographic generator.
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(Box::new(SigningKey::from_bytes(seed)))
    }

    /// Returns its public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs 32 bytes, combined with the channel binding if there is one. Returns the signature and the
    /// signed bytes in hexadecimal.
    ///
    /// ```
    /// use wamp_core::auth::cryptosign::PrivateKey;
    ///
    /// let key = PrivateKey::from_hex("4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510")?;
    /// let signature = key.sign(&[0xff; 32], None);
    /// assert!(signature.starts_with("b32675b221f08593213737bef8240e7c15228b07028e1959"));
    /// # Ok::<(), wamp_core::auth::cryptosign::NotAKey>(())
    /// ```
    pub fn sign(&self, challenge: &[u8; 32], channel: Option<&[u8; 32]>) -> String {
        let text = bound(challenge, channel);
        let signature = self.0.sign(&text).to_bytes();
        base16ct::lower::encode_string(&[&signature[..], &text].concat())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Returns the CHALLENGE with these 32 random bytes.
pub(super) fn challenge(random: &[u8; 32], is_bound: bool) -> Challenge {
    let extra = ChallengeExtra {
        challenge: Some(base16ct::lower::encode_string(random).into()),
        channel_binding: is_bound.then(|| TLS_EXPORTER.into()),
        ..ChallengeExtra::default()
    };
    Challenge { method: Method::Cryptosign.name(), extra }
}

/// Returns whether this is a signature by the key of exactly these 32 bytes (behaviour
/// [219](crate::behaviour#rule-219)).
pub fn verify(key: &PublicKey, challenge: &[u8; 32], channel: Option<&[u8; 32]>, signature: &str) -> bool {
    let mut said = [0; SIGNED];
    // An unreadable signature takes the same work.
    let is_read = base16ct::mixed::decode(signature, &mut said).is_ok_and(|read| read.len() == SIGNED);
    let (signature, text) = said.split_first_chunk::<64>().expect("96 bytes are more than 64");
    let is_ours: bool = text.ct_eq(&bound(challenge, channel)).into();
    key.verifies(text, signature) & is_ours & is_read
}

/// Returns the signature with which a client answers a CHALLENGE.
///
/// # Errors
/// The CHALLENGE cannot be read, or the router does not bind the channel although the client asked for that.
pub fn answer(
    key: &PrivateKey,
    extra: &ChallengeExtra,
    channel: Option<&[u8; 32]>,
) -> Result<String, Refusal> {
    let challenge = extra.challenge.as_deref().and_then(bytes);
    let challenge = challenge.ok_or(Refusal("CHALLENGE.Extra.challenge must have 64 hexadecimal digits"))?;
    match (channel, extra.channel_binding.as_deref()) {
        (None, None) | (Some(_), Some(TLS_EXPORTER)) => Ok(key.sign(&challenge, channel)),
        (Some(_), _) => Err(Refusal("the router does not bind the TLS channel, as this client asked")),
        (None, Some(_)) => Err(Refusal("the router binds a TLS channel, which this client did not ask for")),
    }
}

/// Returns the 32 bytes of this many hexadecimal digits.
pub(super) fn bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    base16ct::mixed::decode(text, &mut bytes).is_ok_and(|read| read.len() == 32).then_some(bytes)
}

fn bound(challenge: &[u8; 32], channel: Option<&[u8; 32]>) -> [u8; 32] {
    let mut text = *challenge;
    for (byte, other) in text.iter_mut().zip(channel.unwrap_or(&[0; 32])) {
        *byte ^= other;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the specification: private key, challenge, whether with the channel id, and the signature.
    const CHANNEL: &str = "62e935ae755f3d48f80d4d59f6121358c435722a67e859cc0caa8b539027f2ff";
    const VECTORS: [(&str, &str, bool, &str); 6] = [
        (
            "4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            false,
            "b32675b221f08593213737bef8240e7c15228b07028e19595294678c90d11c0cae80a357331bfc5cc9fb71081464e6e75013517c2cf067ad566a6b7b728e5d03ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ),
        (
            "d511fe78e23934b3dadb52fcd022974b80bd92bccc7c5cf404e46cc0a8a2f5cd",
            "b26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d",
            false,
            "d4209ad10d5aff6bfbc009d7e924795de138a63515efc7afc6b01b7fe5201372190374886a70207b042294af5bd64ce725cd8dceb344e6d11c09d1aaaf4d660fb26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d",
        ),
        (
            "6e1fde9cf9e2359a87420b65a87dc0c66136e66945196ba2475990d8a0c3a25b",
            "b05e6b8ad4d69abf74aa3be3c0ee40ae07d66e1895b9ab09285a2f1192d562d2",
            false,
            "7beb282184baadd08f166f16dd683b39cab53816ed81e6955def951cb2ddad1ec184e206746fd82bda075af03711d3d5658fc84a76196b0fa8d1ebc92ef9f30bb05e6b8ad4d69abf74aa3be3c0ee40ae07d66e1895b9ab09285a2f1192d562d2",
        ),
        (
            "4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            true,
            "9b6f41540c9b95b4b7b281c3042fa9c54cef43c842d62ea3fd6030fcb66e70b3e80d49d44c29d1635da9348d02ec93f3ed1ef227dfb59a07b580095c2b82f80f9d16ca518aa0c2b707f2b2a609edeca73bca8dd59817a633f35574ac6fd80d00",
        ),
        (
            "d511fe78e23934b3dadb52fcd022974b80bd92bccc7c5cf404e46cc0a8a2f5cd",
            "b26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d",
            true,
            "305aaa3ac25e98f651427688b3fc43fe7d8a68a7ec1d7d61c61517c519bd4a427c3015599d83ca28b4c652333920223844ef0725eb5dc2febfd6af7677b73f01d0852a29b460fc92ec943242ac638a053bbacc200512b18b30d15083cbdc9282",
        ),
        (
            "6e1fde9cf9e2359a87420b65a87dc0c66136e66945196ba2475990d8a0c3a25b",
            "b05e6b8ad4d69abf74aa3be3c0ee40ae07d66e1895b9ab09285a2f1192d562d2",
            true,
            "ee3c7644fd8070532bc1fde3d70d742267da545d8c8f03e63bda63f1ad4214f4d2c4bfdb4eb9526def42deeb7e31602a6ff99eba893e0a4ad4d45892ca75e608d2b75e24a189a7f78ca776ba36fc53f6c3e31c32f251f2c524f0a44202f2902d",
        ),
    ];

    // behaviour 219
    #[test]
    fn the_vectors_of_the_specification() {
        let channel = bytes(CHANNEL).unwrap();
        for (key, challenge, is_bound, signature) in VECTORS {
            let (key, challenge) = (PrivateKey::from_hex(key).unwrap(), bytes(challenge).unwrap());
            let channel = is_bound.then_some(&channel);
            assert_eq!(key.sign(&challenge, channel), signature);
            assert!(verify(&key.public(), &challenge, channel, signature));
            assert!(verify(&key.public(), &challenge, channel, &signature.to_uppercase()));
        }
    }

    // behaviour 219
    #[test]
    fn only_the_signature_of_this_challenge_by_this_key_is_one() {
        let key = PrivateKey::from_bytes(&[1; 32]);
        let other = PrivateKey::from_bytes(&[2; 32]);
        let (challenge, channel) = ([3; 32], [4; 32]);
        let good = key.sign(&challenge, None);
        assert!(verify(&key.public(), &challenge, None, &good));
        // A recorded signature is valid for its own text only.
        let wrong =
            [key.sign(&[5; 32], None), other.sign(&challenge, None), key.sign(&challenge, Some(&channel))];
        for wrong in wrong {
            assert!(!verify(&key.public(), &challenge, None, &wrong));
        }
        for garbage in ["", "zz", &good[..190], &format!("{good}00"), &"\u{20ac}".repeat(64)] {
            assert!(!verify(&key.public(), &challenge, None, garbage), "{garbage}");
        }
        assert!(!verify(&key.public(), &challenge, Some(&channel), &good));
    }

    // behaviour 224
    #[test]
    fn a_client_answers_only_with_the_binding_that_it_asked_for() {
        let (key, channel) = (PrivateKey::from_bytes(&[1; 32]), [4; 32]);
        let extra = |is_bound| challenge(&[3; 32], is_bound).extra;
        assert!(answer(&key, &extra(false), None).is_ok());
        assert!(answer(&key, &extra(true), Some(&channel)).is_ok());
        assert!(answer(&key, &extra(false), Some(&channel)).is_err());
        assert!(answer(&key, &extra(true), None).is_err());
        assert!(answer(&key, &ChallengeExtra::default(), None).is_err());
    }

    #[test]
    fn a_text_that_is_no_key_is_refused_and_a_private_key_is_not_shown() {
        for text in ["", "00", &"zz".repeat(32), &"00".repeat(33)] {
            assert_eq!(PrivateKey::from_hex(text).unwrap_err(), NotAKey);
            assert_eq!(PublicKey::from_hex(text).unwrap_err(), NotAKey);
        }
        assert_eq!(PublicKey::from_hex(&format!("01{}", "00".repeat(31))), Err(NotAKey), "of small order");
        let key = PrivateKey::from_bytes(&[1; 32]);
        assert_eq!(format!("{key:?}"), "…");
        assert_eq!(PublicKey::from_hex(&key.public().to_string()), Ok(key.public()));
    }
}
