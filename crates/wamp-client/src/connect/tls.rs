//! TLS below a transport: `wss://` and `rss://`.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};
use wamp_transport::socket::AnyStream;

use super::error::{ConnectError, ConnectErrorKind};

/// What is wanted of TLS. It is checked when it is needed.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    pub(crate) config: Option<Arc<ClientConfig>>,
    /// Certificates of authorities, in PEM.
    pub(crate) ca: Option<Vec<u8>>,
    /// The client's chain of certificates and its key, in PEM.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) server_name: Option<String>,
}

impl Tls {
    /// Begins TLS over a stream to this host.
    pub(super) async fn over(
        &self,
        url: &str,
        host: &str,
        stream: TcpStream,
    ) -> Result<AnyStream<TlsStream<TcpStream>>, ConnectError> {
        let failed = |cause: String| ConnectError::new(url, ConnectErrorKind::Tls, cause);
        let config = self.config().map_err(failed)?;
        let host = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failed(format!("{host:?} cannot be the name of a server")))?;
        // The transport writes whole batches.
        stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(AnyStream(stream)),
            Err(error) => Err(refused(url, host, &error)),
        }
    }

    fn config(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = &self.config {
            return Ok(config.clone());
        }
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(self.roots()?);
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(certificates("the client's chain", chain)?, private_key(key)?)
                .map_err(|error| format!("the client's certificate and key cannot be used: {error}"))?,
        };
        Ok(Arc::new(config))
    }

    /// The authorities that are trusted: those given, else those of the operating system.
    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(pem) => {
                for certificate in certificates("the authority's certificate", pem)? {
                    roots
                        .add(certificate)
                        .map_err(|error| format!("the authority's certificate: {error}"))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err("the operating system has no certificates of authorities".to_owned());
                }
            }
        }
        Ok(roots)
    }
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("{what} is not PEM, or has no certificate"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("{what} cannot be read: {error}")),
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let is_encrypted = String::from_utf8_lossy(pem).contains("ENCRYPTED");
        match is_encrypted {
            true => "the client's key is encrypted; decrypt it first".to_owned(),
            false => format!("the client's key cannot be read: {error}"),
        }
    })
}

/// One sentence about a handshake that has failed.
fn refused(url: &str, host: &str, error: &io::Error) -> ConnectError {
    use CertificateError as E;
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) else {
        let cause = format!("the connection was lost in the handshake of TLS: {error}");
        return ConnectError::new(url, ConnectErrorKind::Lost, cause);
    };
    let cause = match error {
        rustls::Error::InvalidCertificate(E::Expired | E::ExpiredContext { .. }) => {
            format!("the certificate of {host} has expired")
        }
        rustls::Error::InvalidCertificate(E::NotValidForNameContext { presented, .. }) => {
            let names = presented.iter().map(|name| match name.strip_prefix("DnsName(\"") {
                Some(name) => name.trim_end_matches("\")"),
                None => name.as_str(),
            });
            format!("the certificate is not for {host}, but for {}", names.collect::<Vec<_>>().join(", "))
        }
        rustls::Error::InvalidCertificate(E::NotValidForName) => {
            format!("the certificate is not for {host}")
        }
        rustls::Error::InvalidCertificate(E::UnknownIssuer) => {
            format!("the certificate of {host} is signed by an authority that is not trusted here")
        }
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS".to_owned(),
        error => error.to_string(),
    };
    ConnectError::new(url, ConnectErrorKind::Tls, cause)
}

/// The host and the port of a URL, of which this is what follows `://`.
pub(super) fn host_and_port(
    url: &str,
    rest: &str,
    default: Option<u16>,
) -> Result<(String, u16), ConnectError> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, default),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match port {
        Some(port) if !host.is_empty() => Ok((host.to_owned(), port)),
        _ => Err(ConnectError::bad_url(
            url,
            "it must name a host and a port, as wss://host/path or rss://host:port",
        )),
    }
}
