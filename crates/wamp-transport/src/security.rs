//! The protection of a connection, as far as authentication needs it.

use std::fmt;

use bytes::Bytes;

/// The protection of a connection against others. By default nothing is known.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Security {
    /// Whether only the two ends can read the traffic: with TLS, or on one machine.
    pub is_confidential: bool,
    /// The `tls-exporter` channel binding (RFC 9266): 32 bytes that both ends know and no other connection has.
    pub channel_binding: Option<[u8; 32]>,
    /// The certificate of the peer in DER, if it has shown one and this end has verified it.
    pub certificate: Option<Bytes>,
}

impl Security {
    /// The protection of a connection that does not leave the machine.
    pub fn local() -> Self {
        Self { is_confidential: true, ..Self::default() }
    }

    /// The protection of TLS.
    pub fn tls(channel_binding: Option<[u8; 32]>, certificate: Option<Bytes>) -> Self {
        Self { is_confidential: true, channel_binding, certificate }
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security")
            .field("is_confidential", &self.is_confidential)
            .field("is_bound", &self.channel_binding.is_some())
            .field("has_certificate", &self.certificate.is_some())
            .finish()
    }
}
