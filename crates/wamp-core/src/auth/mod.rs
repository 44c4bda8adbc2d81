//! Authentication: the proofs of each method, and which principals a realm admits.
//!
//! | method | the client proves that it knows | file |
//! |---|---|---|
//! | `anonymous` | nothing | |
//! | `ticket` | a secret, which it sends | [`ticket`] |
//! | `wampcra` | a secret or a key derived from it | [`wampcra`] |
//! | `cryptosign` | a private key of Ed25519 | [`cryptosign`] |
//! | `tls` | the private key of a certificate, in the TLS handshake | |
//! | `wamp-scram`, `scram` | a password, which the router does not keep | [`scram`] |
//!
//! A router selects a method and a [`Principal`] when HELLO arrives ([`Principals::begin`]), sends the CHALLENGE of an
//! [`Exchange`], and verifies the AUTHENTICATE that answers it. A client makes a [`Login`] from its credentials, which
//! completes HELLO and answers CHALLENGE. All of this is computation: random numbers, the time and the binding of the
//! TLS channel are arguments.

pub mod cryptosign;
mod exchange;
mod login;
mod method;
mod principal;
mod principals;
pub mod procedure;
pub mod scram;
mod secret;
pub mod ticket;
pub mod wampcra;

use ::base64::Engine;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use wamp_proto::{ByteString, Extra, SessionId, Uri, uri};

pub use exchange::{Exchange, Offer};
pub use login::{Answer, Connection, Credential, Login};
pub use method::Method;
pub use principal::{Principal, fingerprint};
pub use principals::{Begun, Principals, fitting};
pub(crate) use scram::Expected;
pub use secret::Secret;

/// The identity of a session, as the router has established it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The authentication id.
    pub authid: ByteString,
    /// The role.
    pub authrole: ByteString,
    /// The authentication method.
    pub authmethod: ByteString,
    /// The provider that established it.
    pub authprovider: ByteString,
}

impl Identity {
    /// An identity with the provider `static`.
    pub fn new(
        authid: impl Into<ByteString>,
        authrole: impl Into<ByteString>,
        authmethod: impl Into<ByteString>,
    ) -> Self {
        Self {
            authid: authid.into(),
            authrole: authrole.into(),
            authmethod: authmethod.into(),
            authprovider: STATIC,
        }
    }

    /// The identity of an anonymous session with this role, named by a random number.
    pub fn anonymous(role: impl Into<ByteString>, random: u64) -> Self {
        Self::new(format!("anonymous-{random:013x}"), role, Method::Anonymous.name())
    }
}

/// A client that may join: its identity, and further details of WELCOME.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The identity of the session.
    pub identity: Identity,
    /// `WELCOME.Details.authextra`, such as the proof of the router.
    pub authextra: Extra,
    /// The id of the session, if a CHALLENGE contained it.
    pub session: Option<SessionId>,
}

impl From<Identity> for Admission {
    fn from(identity: Identity) -> Self {
        Self { identity, authextra: Extra::default(), session: None }
    }
}

/// A refusal of a client: the URI of the ABORT, and its text, which reveals no more than the URI (behaviour
/// [205](crate::behaviour#rule-205)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The URI.
    pub reason: Uri,
    /// The text.
    pub text: &'static str,
}

/// Returns the refusal after a right proof.
const NO_SUCH_ROLE: Denied = Denied { reason: uri::NO_SUCH_ROLE, text: "the client does not have this role" };

/// Returns the refusal of a wrong proof.
pub(crate) const DENIED: Denied =
    Denied { reason: uri::AUTHENTICATION_DENIED, text: "the proof is not accepted" };

/// The reason why a client does not answer a CHALLENGE, as a sentence without a full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub &'static str);

/// The provider of identities that are in the configuration.
const STATIC: ByteString = ByteString::from_static("static");

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the bytes of a text in base64.
fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}
