//! The authentication methods.

use std::fmt;

use wamp_proto::ByteString;

/// An authentication method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// No proof.
    Anonymous,
    /// A secret that is sent.
    Ticket,
    /// HMAC-SHA256 with a shared secret.
    WampCra,
    /// A signature with a private key of Ed25519.
    Cryptosign,
    /// A proof of a password, as the specification has it.
    WampScram,
    /// A proof of a password, as Autobahn|Python and Crossbar.io have it.
    Scram,
    /// The certificate of the client in TLS.
    Tls,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 7] = [
        Self::Anonymous,
        Self::Ticket,
        Self::WampCra,
        Self::Cryptosign,
        Self::WampScram,
        Self::Scram,
        Self::Tls,
    ];

    /// The method with this name in `HELLO.Details.authmethods`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// Returns the name in `HELLO.Details.authmethods`.
    pub const fn name(self) -> ByteString {
        ByteString::from_static(self.as_str())
    }

    /// The same.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Ticket => "ticket",
            Self::WampCra => "wampcra",
            Self::Cryptosign => "cryptosign",
            Self::WampScram => "wamp-scram",
            Self::Scram => "scram",
            Self::Tls => "tls",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}
