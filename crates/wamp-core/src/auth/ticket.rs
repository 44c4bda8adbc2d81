//! `ticket`: the client sends a secret, which the router compares with its own, or with a hash of it (Advanced Profile,
//! *Ticket-based Authentication*).

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use wamp_proto::message::{Authenticate, AuthenticateExtra, Challenge, ChallengeExtra};

use super::{Method, Secret};

/// A ticket in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ticket {
    Plain(Secret),
    /// Its hash by Argon2, in PHC format.
    Hashed(String),
}

impl Ticket {
    /// Returns whether the ticket in an AUTHENTICATE is this one.
    pub(super) fn verify(&self, said: &Authenticate) -> bool {
        match self {
            Self::Plain(ticket) => *ticket == Secret::from(&*said.signature),
            Self::Hashed(hash) => {
                Argon2::default().verify_password(said.signature.as_bytes(), hash.as_str()).is_ok()
            }
        }
    }
}

/// A text that is not a hash by Argon2 in PHC format, such as `$argon2id$v=19$m=19456,t=2,p=1$…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hash of a ticket must begin with $argon2id$ and be in PHC format")]
pub struct NotAHash;

/// Returns the hash of a ticket by Argon2id with its usual costs, in PHC format. The salt has 16 random bytes.
///
/// ```
/// use wamp_core::auth::{Principal, Secret, ticket};
///
/// let hash = ticket::hash(&Secret::from("correct horse"), b"0123456789abcdef");
/// assert!(hash.starts_with("$argon2id$v=19$"));
/// let joe = Principal::new("joe", "user").ticket_hash(&hash)?;
/// # Ok::<(), wamp_core::auth::ticket::NotAHash>(())
/// ```
pub fn hash(ticket: &Secret, salt: &[u8; 16]) -> String {
    let hashed = Argon2::default().hash_password_with_salt(ticket.bytes(), salt);
    hashed.expect("Argon2 takes its own costs and a salt of 16 bytes").to_string()
}

/// Checks a hash in PHC format.
pub(super) fn check(hash: &str) -> Result<(), NotAHash> {
    match PasswordHash::new(hash) {
        Ok(read) if hash.starts_with("$argon2id$") && read.hash.is_some() => Ok(()),
        _ => Err(NotAHash),
    }
}

/// Returns the CHALLENGE.
pub fn challenge() -> Challenge {
    Challenge { method: Method::Ticket.name(), extra: ChallengeExtra::default() }
}

/// Returns the answer of a client; `None` if the ticket is not UTF-8.
pub fn answer(ticket: &Secret) -> Option<Authenticate> {
    Some(Authenticate { signature: ticket.text()?.into(), extra: AuthenticateExtra::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    // behaviour 215
    #[test]
    fn a_ticket_is_verified_as_it_is_and_by_its_hash() {
        let secret = Secret::from("correct horse");
        let hashed = Ticket::Hashed(hash(&secret, b"0123456789abcdef"));
        for kept in [Ticket::Plain(secret.clone()), hashed.clone()] {
            assert!(kept.verify(&answer(&secret).unwrap()));
            for wrong in ["", "correct hors", "correct horse battery"] {
                assert!(!kept.verify(&answer(&Secret::from(wrong)).unwrap()), "{wrong}");
            }
        }
        let Ticket::Hashed(text) = hashed else { panic!("it is a hash") };
        assert_eq!(check(&text), Ok(()));
        for text in
            ["", "correct horse", "$argon2id$", "$2b$12$abc", "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OQ"]
        {
            assert_eq!(check(text), Err(NotAHash), "{text}");
        }
    }
}
