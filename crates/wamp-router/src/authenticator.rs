//! Authenticators of the program: principals that are not in the configuration.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use wamp_core::auth::cryptosign::PublicKey;
use wamp_core::auth::{Method, Principal, Secret};
use wamp_core::router::Protocol;
use wamp_proto::{ByteString, Extra, SessionId, Uri};

/// A source of principals beside the configuration: a database, a directory, or any other service.
///
/// It is asked once for a client whose authid is not configured, outside of all locks, and has 5 s to answer.
///
/// ```
/// use wamp_router::auth::{Method, Principal};
/// use wamp_router::{Applicant, Authenticator, RealmConfig, Rejection, Router, async_trait};
///
/// struct Users;
///
/// #[async_trait]
/// impl Authenticator for Users {
///     fn methods(&self) -> Vec<Method> {
///         vec![Method::WampCra]
///     }
///
///     async fn principal(&self, applicant: &Applicant) -> Result<Principal, Rejection> {
///         match applicant.authid.as_deref() {
///             Some("joe") => Ok(Principal::new("joe", "user").password("correct horse")),
///             _ => Err(Rejection::Unknown),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let router = Router::builder().realm_with(RealmConfig::new("shop").authenticator(Users)).build();
/// # }
/// ```
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Returns the methods for which it has principals. It is called once, when the router is built.
    fn methods(&self) -> Vec<Method>;

    /// Returns `WELCOME.Details.authprovider`.
    fn provider(&self) -> ByteString {
        ByteString::from_static("dynamic")
    }

    /// Returns the principal that the applicant claims to be, with the secret or the keys for the applicant's
    /// method. The router verifies the proof.
    ///
    /// For `ticket` it is called with [`Applicant::ticket`], after the client has sent it, and verifies it itself: its
    /// principal joins. For `tls` the principal has to have the [`certificate`](Principal::certificate) of the client.
    ///
    /// A principal that is unknown to the authenticator is challenged with usual costs and without a salt. So clients can
    /// tell unknown authids from those of principals with other costs.
    ///
    /// # Errors
    /// There is no such principal, or the lookup is not possible now.
    async fn principal(&self, applicant: &Applicant) -> Result<Principal, Rejection>;
}

/// A client that wants to join, as an [`Authenticator`] sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Applicant {
    /// The realm.
    pub realm: Uri,
    /// The authid that the client claims; `None` if it shows only a key or a certificate.
    pub authid: Option<ByteString>,
    /// The role that it asks for.
    pub authrole: Option<ByteString>,
    /// `HELLO.Details.authextra`.
    pub authextra: Extra,
    /// The method by which it will prove its identity.
    pub method: Method,
    /// The public key that it shows for `cryptosign`.
    pub public_key: Option<PublicKey>,
    /// The ticket, for `ticket`.
    pub ticket: Option<Secret>,
    /// The id that the session will have.
    pub session: SessionId,
    /// The kind of its link.
    pub protocol: Protocol,
    /// The address at the other end of its link.
    pub peer: Option<String>,
    /// Whether only the two ends can read the traffic.
    pub is_confidential: bool,
    /// The verified certificate of its TLS connection, in DER.
    pub certificate: Option<Bytes>,
}

/// The reason why an [`Authenticator`] has no principal for an applicant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// There is none. The client does not learn this: its proof is refused as wrong.
    Unknown,
    /// The lookup is not possible now, for this reason, which is logged. The client may try again.
    Failed(String),
}

impl fmt::Debug for dyn Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("methods", &self.methods()).finish_non_exhaustive()
    }
}
