//! Principals: the users, devices and programs that may join a realm.

use sha2::{Digest, Sha256};
use wamp_proto::message::HelloDetails;
use wamp_proto::{ByteString, EncodeError, Extra, SessionId};

use super::cryptosign::PublicKey;
use super::ticket::{NotAHash, Ticket};
use super::{Admission, Denied, Identity, Method, NO_SUCH_ROLE, Secret, scram, ticket, wampcra};

/// A user, device or program that may join a realm: its name, its roles, and its secrets and keys.
///
/// ```
/// use wamp_core::auth::{Method, Principal};
///
/// let joe = Principal::new("joe", "user").role("admin").password("correct horse");
/// assert!(joe.has(Method::Ticket) && joe.has(Method::WampCra) && !joe.has(Method::Cryptosign));
/// ```
#[derive(Clone, Debug)]
pub struct Principal {
    pub(super) authid: ByteString,
    /// The first one is the default.
    pub(super) roles: Vec<ByteString>,
    pub(super) extra: Extra,
    pub(super) ticket: Option<Ticket>,
    pub(super) cra: Option<wampcra::Key>,
    pub(super) keys: Vec<PublicKey>,
    pub(super) wamp_scram: Option<scram::Keys>,
    pub(super) autobahn_scram: Option<scram::Keys>,
    /// The fingerprints of its certificates.
    pub(super) certificates: Vec<[u8; 32]>,
}

impl Principal {
    /// Creates a principal with this authid and role, and without secrets or keys.
    pub fn new(authid: impl Into<ByteString>, role: impl Into<ByteString>) -> Self {
        Self {
            authid: authid.into(),
            roles: vec![role.into()],
            extra: Extra::default(),
            ticket: None,
            cra: None,
            keys: Vec::new(),
            wamp_scram: None,
            autobahn_scram: None,
            certificates: Vec::new(),
        }
    }

    /// Adds a role, which a client gets if `HELLO.Details.authrole` asks for it (behaviour
    /// [211](crate::behaviour#rule-211)).
    #[must_use]
    pub fn role(mut self, role: impl Into<ByteString>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Accepts a password by `ticket` and `wampcra`. [`scram`](Self::scram) needs keys that are derived from it.
    #[must_use]
    pub fn password(self, password: impl Into<Secret>) -> Self {
        let password = password.into();
        self.cra(wampcra::Key::plain(password.clone())).ticket(password)
    }

    /// Accepts a ticket.
    #[must_use]
    pub fn ticket(mut self, ticket: impl Into<Secret>) -> Self {
        self.ticket = Some(Ticket::Plain(ticket.into()));
        self
    }

    /// Accepts a ticket by its [hash](super::ticket::hash). The verification takes tens of milliseconds.
    ///
    /// # Errors
    /// The text is not a hash.
    pub fn ticket_hash(mut self, hash: &str) -> Result<Self, NotAHash> {
        ticket::check(hash)?;
        self.ticket = Some(Ticket::Hashed(hash.to_owned()));
        Ok(self)
    }

    /// Accepts this key by WAMP-CRA.
    #[must_use]
    pub fn cra(mut self, key: wampcra::Key) -> Self {
        self.cra = Some(key);
        self
    }

    /// Accepts signatures with the private key that belongs to this one. There may be several.
    #[must_use]
    pub fn public_key(mut self, key: PublicKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Accepts a password from which these keys were derived, by the method of their dialect. There may be keys of both.
    #[must_use]
    pub fn scram(mut self, keys: scram::Keys) -> Self {
        match keys.dialect {
            scram::Dialect::Wamp => self.wamp_scram = Some(keys),
            scram::Dialect::Autobahn => self.autobahn_scram = Some(keys),
        }
        self
    }

    /// Accepts a TLS connection with the certificate that has this [`fingerprint`]. There may be several. The
    /// router's TLS has to ask clients for certificates, and verifies them.
    #[must_use]
    pub fn certificate(mut self, fingerprint: [u8; 32]) -> Self {
        self.certificates.push(fingerprint);
        self
    }

    /// Adds an entry to `WELCOME.Details.authextra`.
    ///
    /// # Errors
    /// The value cannot be written.
    pub fn authextra<T: serde::Serialize + ?Sized>(
        mut self,
        key: &str,
        value: &T,
    ) -> Result<Self, EncodeError> {
        self.extra.insert(key, value)?;
        Ok(self)
    }

    /// Returns whether a certificate with this fingerprint is its own.
    pub fn has_certificate(&self, fingerprint: &[u8; 32]) -> bool {
        self.certificates.contains(fingerprint)
    }

    /// Returns the authid.
    pub fn authid(&self) -> &ByteString {
        &self.authid
    }

    /// Returns the roles, the default first.
    pub fn roles(&self) -> &[ByteString] {
        &self.roles
    }

    /// Returns whether it has a secret or key for this method.
    pub fn has(&self, method: Method) -> bool {
        match method {
            Method::Anonymous => false,
            Method::Ticket => self.ticket.is_some(),
            Method::WampCra => self.cra.is_some(),
            Method::Cryptosign => !self.keys.is_empty(),
            Method::WampScram => self.wamp_scram.is_some(),
            Method::Scram => self.autobahn_scram.is_some(),
            Method::Tls => !self.certificates.is_empty(),
        }
    }

    /// Returns whether each proof by this method that was right for an earlier version of the principal is right for this
    /// one, too: no secret has changed, and no key is gone.
    ///
    /// ```
    /// use wamp_core::auth::{Method, Principal};
    ///
    /// let before = Principal::new("joe", "user").password("blue");
    /// let now = before.clone().ticket("green");
    /// assert!(now.keeps_proofs_of(&before, Method::WampCra) && !now.keeps_proofs_of(&before, Method::Ticket));
    /// ```
    pub fn keeps_proofs_of(&self, before: &Self, method: Method) -> bool {
        match method {
            Method::Anonymous => false,
            Method::Ticket => self.ticket == before.ticket,
            Method::WampCra => self.cra == before.cra,
            Method::Cryptosign => before.keys.iter().all(|key| self.keys.contains(key)),
            Method::WampScram => self.wamp_scram == before.wamp_scram,
            Method::Scram => self.autobahn_scram == before.autobahn_scram,
            Method::Tls => before.certificates.iter().all(|own| self.certificates.contains(own)),
        }
    }

    /// Admits a client that needs no further proof, if the principal has the role that it wishes.
    ///
    /// # Errors
    /// `wamp.error.no_such_role`.
    pub fn admit(
        &self,
        method: Method,
        details: &HelloDetails,
        provider: ByteString,
        session: Option<SessionId>,
    ) -> Result<Admission, Denied> {
        let role = self.role_for(details.authrole.as_ref()).ok_or(NO_SUCH_ROLE)?;
        let mut identity = Identity::new(self.authid.clone(), role.clone(), method.name());
        identity.authprovider = provider;
        Ok(Admission { identity, authextra: self.extra.clone(), session })
    }

    /// Returns the role for a client that requests this one; `None` if the principal does not have it.
    pub(super) fn role_for(&self, wish: Option<&ByteString>) -> Option<&ByteString> {
        match wish {
            Some(wish) => self.roles.iter().find(|role| *role == wish),
            None => self.roles.first(),
        }
    }
}

/// Returns the fingerprint of a certificate in DER: its SHA-256.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}
