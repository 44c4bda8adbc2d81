//! Certificates and keys, read from PEM.

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, RootCertStore};

/// The reason why certificates or a key cannot be used. `what` names the text, for example by its file.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// There is no certificate in it.
    #[error("{what} is not PEM, or has no certificate")]
    NoCertificate {
        /// The text.
        what: String,
    },
    /// A part of the PEM text cannot be read.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// The text.
        what: String,
        /// The fault.
        why: String,
    },
    /// There is no private key in it.
    #[error("{what} is not PEM, or has no private key")]
    NoKey {
        /// The text.
        what: String,
    },
    /// The key needs a password.
    #[error("{what} is encrypted; decrypt it first")]
    Encrypted {
        /// The text.
        what: String,
    },
    /// The certificate and the key do not fit each other, or cannot be used.
    #[error("{what} cannot be used: {why}")]
    Unusable {
        /// The text.
        what: String,
        /// The fault.
        why: String,
    },
}

impl PemError {
    pub(crate) fn unusable(what: &str, error: impl ToString) -> Self {
        Self::Unusable { what: what.to_owned(), why: error.to_string() }
    }
}

/// Reads all certificates of a text.
pub(crate) fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(PemError::NoCertificate { what: what.to_owned() }),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(PemError::Unreadable { what: what.to_owned(), why: error.to_string() }),
    }
}

/// Reads the private key of a text.
pub(crate) fn private_key(what: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    use tokio_rustls::rustls::pki_types::pem::Error;
    let what = || what.to_owned();
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        _ if String::from_utf8_lossy(pem).contains("ENCRYPTED") => PemError::Encrypted { what: what() },
        Error::NoItemsFound => PemError::NoKey { what: what() },
        error => PemError::Unreadable { what: what(), why: error.to_string() },
    })
}

/// Reads the certificates of authorities.
pub(crate) fn authorities(what: &str, pem: &[u8]) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(what, pem)? {
        roots.add(certificate).map_err(|error: rustls::Error| PemError::unusable(what, error))?;
    }
    Ok(roots)
}
