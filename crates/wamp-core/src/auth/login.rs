//! The client's end: the details of HELLO, and the answer to CHALLENGE.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use wamp_proto::message::{Authenticate, AuthenticateExtra, Challenge, HelloDetails};
use wamp_proto::{ByteString, EncodeError, Extra};

use super::cryptosign::{PrivateKey, TLS_EXPORTER};
use super::scram::{Dialect, Expected};
use super::{Method, Refusal, Secret, scram, ticket, wampcra};

/// A proof of a client's identity.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// No proof.
    Anonymous,
    /// The certificate that the client shows in TLS.
    Certificate {
        /// The authid, if it does not follow from the certificate.
        authid: Option<ByteString>,
    },
    /// A ticket, which is sent to the router.
    Ticket {
        /// The authid.
        authid: ByteString,
        /// The ticket.
        ticket: Secret,
        /// Whether it may be sent over a connection that others can read.
        insecure: bool,
    },
    /// The secret of WAMP-CRA.
    WampCra {
        /// The authid.
        authid: ByteString,
        /// The secret, or the password from which its key is derived.
        secret: Secret,
    },
    /// The key of WAMP-Cryptosign.
    Cryptosign {
        /// The authid, if it does not follow from the key.
        authid: Option<ByteString>,
        /// The private key.
        key: PrivateKey,
        /// Whether the proof must be bound to the TLS connection.
        bound: bool,
    },
    /// The password of SCRAM.
    Scram {
        /// The authid.
        authid: ByteString,
        /// The password.
        password: Secret,
        /// The method.
        dialect: Dialect,
        /// Whether the proof must be bound to the TLS connection.
        bound: bool,
    },
}

impl Credential {
    /// A ticket.
    pub fn ticket(authid: impl Into<ByteString>, ticket: impl Into<Secret>) -> Self {
        Self::Ticket { authid: authid.into(), ticket: ticket.into(), insecure: false }
    }

    /// A ticket that may be sent over a connection that others can read.
    pub fn insecure_ticket(authid: impl Into<ByteString>, ticket: impl Into<Secret>) -> Self {
        Self::Ticket { authid: authid.into(), ticket: ticket.into(), insecure: true }
    }

    /// The certificate that the client shows in TLS.
    pub fn certificate() -> Self {
        Self::Certificate { authid: None }
    }

    /// The secret of WAMP-CRA, or the password from which its key is derived.
    pub fn wampcra(authid: impl Into<ByteString>, secret: impl Into<Secret>) -> Self {
        Self::WampCra { authid: authid.into(), secret: secret.into() }
    }

    /// A private key of Ed25519, from whose public key the authid follows.
    pub fn cryptosign(key: PrivateKey) -> Self {
        Self::Cryptosign { authid: None, key, bound: false }
    }

    /// A password for `wamp-scram`. The router has to prove that it knows the password, too.
    pub fn scram(authid: impl Into<ByteString>, password: impl Into<Secret>) -> Self {
        let (authid, password) = (authid.into(), password.into());
        Self::Scram { authid, password, dialect: Dialect::Wamp, bound: false }
    }

    /// A password for the method `scram` of Autobahn|Python and Crossbar.io.
    pub fn autobahn_scram(authid: impl Into<ByteString>, password: impl Into<Secret>) -> Self {
        let (authid, password) = (authid.into(), password.into());
        Self::Scram { authid, password, dialect: Dialect::Autobahn, bound: false }
    }

    /// Sets the authid, where it does not follow from a key or a certificate.
    #[must_use]
    pub fn with_authid(mut self, name: impl Into<ByteString>) -> Self {
        match &mut self {
            Self::Anonymous => {}
            Self::Ticket { authid, .. } | Self::WampCra { authid, .. } | Self::Scram { authid, .. } => {
                *authid = name.into();
            }
            Self::Cryptosign { authid, .. } | Self::Certificate { authid } => *authid = Some(name.into()),
        }
        self
    }

    /// Binds the proof of a private key, or that of `wamp-scram`, to the TLS connection, so that a router in between
    /// cannot use it.
    #[must_use]
    pub fn bound(mut self) -> Self {
        if let Self::Cryptosign { bound, .. } | Self::Scram { bound, dialect: Dialect::Wamp, .. } = &mut self
        {
            *bound = true;
        }
        self
    }

    fn is_bound(&self) -> bool {
        matches!(self, Self::Cryptosign { bound: true, .. } | Self::Scram { bound: true, .. })
    }

    /// Returns its method.
    pub fn method(&self) -> Method {
        match self {
            Self::Anonymous => Method::Anonymous,
            Self::Certificate { .. } => Method::Tls,
            Self::Ticket { .. } => Method::Ticket,
            Self::WampCra { .. } => Method::WampCra,
            Self::Cryptosign { .. } => Method::Cryptosign,
            Self::Scram { dialect, .. } => dialect.method(),
        }
    }

    /// Returns its authid.
    pub fn authid(&self) -> Option<&ByteString> {
        match self {
            Self::Anonymous => None,
            Self::Ticket { authid, .. } | Self::WampCra { authid, .. } | Self::Scram { authid, .. } => {
                Some(authid)
            }
            Self::Cryptosign { authid, .. } | Self::Certificate { authid } => authid.as_ref(),
        }
    }
}

/// The credentials of a client for one connection, in the order in which they are offered.
#[derive(Clone, Debug, Default)]
pub struct Login {
    credentials: Vec<Credential>,
    channel: Option<[u8; 32]>,
    /// The nonce of SCRAM.
    nonce: String,
}

/// The properties of a connection that a login needs, and a random number.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The `tls-exporter` channel binding.
    pub channel: Option<[u8; 32]>,
    /// Whether only the two ends can read the traffic.
    pub is_confidential: bool,
    /// Bytes of a cryptographic generator, for this connection only.
    pub random: [u8; 18],
}

/// The answer to a CHALLENGE.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The message.
    pub authenticate: Authenticate,
    /// The proof that WELCOME must have.
    pub(crate) expected: Option<Expected>,
}

impl Login {
    /// Creates a login over this connection.
    ///
    /// # Errors
    /// The credentials do not fit together, or cannot be used over this connection.
    pub fn new(credentials: Vec<Credential>, connection: &Connection) -> Result<Self, Refusal> {
        let Connection { channel, is_confidential, random } = connection;
        let mut authids = credentials.iter().filter_map(Credential::authid);
        if let Some(first) = authids.next()
            && authids.any(|other| other != first)
        {
            return Err(Refusal("all credentials of a session must have the same authid"));
        }
        if channel.is_none() && credentials.iter().any(Credential::is_bound) {
            return Err(Refusal("there is no TLS 1.3 connection to which the proof could be bound"));
        }
        let is_exposed = |it: &Credential| matches!(it, Credential::Ticket { insecure: false, .. });
        if !is_confidential && credentials.iter().any(is_exposed) {
            return Err(Refusal(
                "a ticket is not sent over a connection that others can read: use wss:// or rss://, or a credential \
                 of `insecure_ticket`",
            ));
        }
        Ok(Self { credentials, channel: *channel, nonce: STANDARD.encode(random) })
    }

    /// Completes `HELLO.Details`.
    ///
    /// # Errors
    /// A value cannot be written.
    pub fn complete(&self, details: &mut HelloDetails) -> Result<(), EncodeError> {
        let methods = self.credentials.iter().map(|credential| credential.method().name());
        details.authmethods = Some(methods.collect()).filter(|methods: &Vec<_>| !methods.is_empty());
        if let Some(authid) = self.credentials.iter().find_map(Credential::authid) {
            details.authid = Some(authid.clone());
        }
        let mut extra = Extra::default();
        for credential in &self.credentials {
            match credential {
                Credential::Cryptosign { key, .. } => {
                    extra.insert("pubkey", key.public().to_string().as_str())?;
                }
                Credential::Scram { .. } => extra.insert("nonce", self.nonce.as_str())?,
                Credential::Anonymous
                | Credential::Certificate { .. }
                | Credential::Ticket { .. }
                | Credential::WampCra { .. } => {}
            }
            if credential.is_bound() {
                extra.insert("channel_binding", TLS_EXPORTER)?;
            }
        }
        if !extra.is_empty() {
            details.authextra = Some(extra);
        }
        Ok(())
    }

    /// Returns whether all of the credentials require a proof of the router.
    pub(crate) fn is_mutual(&self) -> bool {
        let is_mutual = |credential: &Credential| matches!(credential, Credential::Scram { .. });
        !self.credentials.is_empty() && self.credentials.iter().all(is_mutual)
    }

    /// Returns whether the answer takes too long to be computed on a thread with other tasks.
    pub fn is_slow(&self, challenge: &Challenge) -> bool {
        challenge.extra.iterations.is_some()
    }

    /// Answers a CHALLENGE. The derivation of a key may take seconds.
    ///
    /// # Errors
    /// The CHALLENGE cannot be read, or asks for too much.
    pub fn answer(&self, challenge: &Challenge) -> Result<Answer, Refusal> {
        let method = &challenge.method;
        let credential = self.credentials.iter().find(|credential| credential.method().name() == *method);
        let credential = credential.ok_or(Refusal("the router asks for a method that was not offered"))?;
        let signature: ByteString = match credential {
            Credential::Anonymous | Credential::Certificate { .. } => {
                return Err(Refusal("this method has no CHALLENGE"));
            }
            Credential::Ticket { ticket, .. } => {
                let authenticate =
                    ticket::answer(ticket).ok_or(Refusal("the ticket is not text in UTF-8"))?;
                return Ok(Answer { authenticate, expected: None });
            }
            Credential::WampCra { secret, .. } => wampcra::answer(secret, &challenge.extra)?.into(),
            Credential::Cryptosign { key, bound, .. } => {
                let channel = self.channel.as_ref().filter(|_| *bound);
                super::cryptosign::answer(key, &challenge.extra, channel)?.into()
            }
            Credential::Scram { authid, password, dialect, bound } => {
                let channel = self.channel.as_ref().filter(|_| *bound);
                let (nonce, extra) = (&self.nonce, &challenge.extra);
                let (authenticate, expected) =
                    scram::answer(*dialect, authid, password, nonce, channel, extra)?;
                return Ok(Answer { authenticate, expected: Some(expected) });
            }
        };
        let authenticate = Authenticate { signature, extra: AuthenticateExtra::default() };
        Ok(Answer { authenticate, expected: None })
    }
}
