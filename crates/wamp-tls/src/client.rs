//! A client's end of TLS.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig};
use wamp_transport::socket::Socket;

use crate::pem::{self, PemError};
use crate::{TlsSocket, provider};

/// The TLS settings of a client. By default the operating system verifies certificates.
///
/// All clones share the TLS sessions of earlier connections, and resume them.
#[derive(Clone, Debug, Default)]
pub struct Client {
    given: Option<Arc<ClientConfig>>,
    authorities: Option<Vec<u8>>,
    certificate: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
    /// Created when it is first needed.
    made: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Client {
    /// The operating system verifies the server's certificate, and the client shows none.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities with these certificates, in PEM, and no others.
    pub fn authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(pem.into());
        self.changed()
    }

    /// Shows the server this chain of certificates, with its private key; both in PEM.
    pub fn certificate(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificate = Some((chain.into(), key.into()));
        self.changed()
    }

    /// Requires a certificate for this name instead of the name of the host.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Uses this configuration of `rustls`. [`authorities`](Self::authorities) and
    /// [`certificate`](Self::certificate) then have no effect.
    pub fn config(mut self, config: Arc<ClientConfig>) -> Self {
        self.given = Some(config);
        self
    }

    fn changed(mut self) -> Self {
        self.made = Arc::default();
        self
    }

    /// Begins TLS with a host, a name or an IP address, over a stream to it.
    ///
    /// # Errors
    /// A fault of the settings, of the server's certificate or of its answer, described in one sentence.
    pub async fn connect<S: Socket>(&self, host: &str, stream: S) -> Result<TlsSocket<S>, ConnectError> {
        let config = self.made()?;
        let host = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ConnectError::Settings(format!("{host:?} cannot be the name of a server")))?;
        // The transport writes whole batches.
        stream.set_nodelay().map_err(ConnectError::Lost)?;
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(TlsSocket(stream.into())),
            Err(error) => Err(ConnectError::of_handshake(host, error)),
        }
    }

    fn made(&self) -> Result<Arc<ClientConfig>, ConnectError> {
        if let Some(config) = self.given.as_ref().or_else(|| self.made.get()) {
            return Ok(config.clone());
        }
        let config = Arc::new(self.make()?);
        Ok(self.made.get_or_init(|| config).clone())
    }

    fn make(&self) -> Result<ClientConfig, ConnectError> {
        let settings = |error: rustls::Error| ConnectError::Settings(error.to_string());
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(settings)?;
        let builder = match &self.authorities {
            Some(pem) => {
                builder.with_root_certificates(pem::authorities("the authority's certificate", pem)?)
            }
            None => builder.with_platform_verifier().map_err(|error| {
                ConnectError::Settings(format!("the operating system cannot verify certificates: {error}"))
            })?,
        };
        Ok(match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(
                    pem::certificates("the client's chain", chain)?,
                    pem::private_key("the client's key", key)?,
                )
                .map_err(|error| PemError::unusable("the client's certificate and key", error))?,
        })
    }
}

/// The reason why a TLS handshake of a client failed, in one sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The server's certificate is not accepted.
    #[error("{0}")]
    Certificate(String),
    /// The server does not answer with TLS.
    #[error("the server does not speak TLS on this port")]
    NotTls,
    /// The server refused, or the ends have no version or algorithm in common.
    #[error("{0}")]
    Refused(String),
    /// The connection broke.
    #[error("the connection was lost in the TLS handshake: {0}")]
    Lost(#[source] io::Error),
}

impl From<PemError> for ConnectError {
    fn from(error: PemError) -> Self {
        Self::Settings(error.to_string())
    }
}

impl ConnectError {
    fn of_handshake(host: &str, error: io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) else {
            return Self::Lost(error);
        };
        match tls {
            rustls::Error::InvalidCertificate(fault) => Self::Certificate(certificate(host, fault)),
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                Self::Refused("the server requires a client certificate".to_owned())
            }
            error => Self::Refused(format!("no TLS with {host}: {error}")),
        }
    }
}

/// Returns a day as 2026-10-01.
fn date(time: UnixTime) -> String {
    // The last second that can be written.
    const LAST: u64 = 253_402_300_799;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs().min(LAST));
    humantime::format_rfc3339_seconds(time).to_string().chars().take("2026-10-01".len()).collect()
}

/// Returns a sentence about the fault of a host's certificate.
fn certificate(host: &str, fault: &CertificateError) -> String {
    use CertificateError as E;
    match fault {
        E::Expired => format!("the certificate of {host} has expired"),
        E::ExpiredContext { not_after, .. } => {
            format!("the certificate of {host} has expired on {}", date(*not_after))
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet; is the clock right?")
        }
        E::NotValidForNameContext { presented, .. } => {
            let names = presented.iter().map(|name| match name.strip_prefix("DnsName(\"") {
                Some(name) => name.trim_end_matches("\")"),
                None => name.as_str(),
            });
            format!("the certificate is not for {host}, but for {}", names.collect::<Vec<_>>().join(", "))
        }
        E::NotValidForName => format!("the certificate is not for {host}"),
        E::UnknownIssuer => {
            format!("the certificate of {host} is signed by an authority that is not trusted here")
        }
        E::Revoked => format!("the certificate of {host} has been revoked"),
        fault => format!("the certificate of {host} is not accepted: {fault}"),
    }
}
