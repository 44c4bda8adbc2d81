//! A router's end of TLS.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::Ticketer;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, ServerConfig};
use wamp_transport::socket::Socket;

use crate::pem::{self, PemError};
use crate::prefixed::Prefixed;
use crate::{TlsSocket, provider};

/// The certificate and the TLS settings of a router. [`replace`](Self::replace) changes all clones.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (chain, key) = (std::fs::read("fullchain.pem")?, std::fs::read("privkey.pem")?);
/// let server = wamp_tls::Server::new(&wamp_tls::Identity::new(chain, key))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Server {
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// The certificates of a router, its key, and the authorities of its clients: texts in PEM.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<u8>,
    key: Vec<u8>,
    clients: Option<(Vec<u8>, bool)>,
    names: Names,
}

/// The names of the texts in errors.
#[derive(Clone)]
struct Names {
    chain: String,
    key: String,
    clients: String,
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// A chain of certificates, the router's own first, and its private key.
    pub fn new(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let names = Names {
            chain: "the certificate".to_owned(),
            key: "the key".to_owned(),
            clients: "the certificate of the clients' authority".to_owned(),
        };
        Self { chain: chain.into(), key: key.into(), clients: None, names }
    }

    /// Asks clients for a certificate that one of these authorities has signed; those without one are refused if it is
    /// required.
    pub fn client_authorities(mut self, pem: impl Into<Vec<u8>>, required: bool) -> Self {
        self.clients = Some((pem.into(), required));
        self
    }

    /// Sets the names of the texts in errors, for example those of their files.
    pub fn named(
        mut self,
        chain: impl Into<String>,
        key: impl Into<String>,
        client_authorities: impl Into<String>,
    ) -> Self {
        self.names = Names { chain: chain.into(), key: key.into(), clients: client_authorities.into() };
        self
    }

    fn config(&self) -> Result<ServerConfig, PemError> {
        let Names { chain, key, clients } = &self.names;
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| PemError::unusable(chain, error))?;
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some((pem, required)) => {
                let roots = Arc::new(pem::authorities(clients, pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = if *required { verifier } else { verifier.allow_unauthenticated() };
                let verifier = verifier.build().map_err(|error| PemError::unusable(clients, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(pem::certificates(chain, &self.chain)?, pem::private_key(key, &self.key)?)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    PemError::unusable(&format!("{chain} with {key}"), "they do not belong together")
                }
                error => PemError::unusable(&format!("{chain} with {key}"), error),
            })?;
        // HTTP clients ask for this protocol; clients of RawSocket ask for none.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // The client keeps the state of its session. The keys change with the certificate, so no session
        // outlives the authority that its client was accepted with.
        config.ticketer = Ticketer::new().map_err(|error| PemError::unusable(key, error))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        Ok(config)
    }
}

impl Server {
    /// Checks certificates and key.
    ///
    /// # Errors
    /// One of them cannot be read, or they do not fit each other.
    pub fn new(identity: &Identity) -> Result<Self, PemError> {
        Ok(Self::with_config(identity.config()?))
    }

    /// Uses this configuration of `rustls`.
    pub fn with_config(config: impl Into<Arc<ServerConfig>>) -> Self {
        Self { config: Arc::new(RwLock::new(config.into())) }
    }

    /// Uses another certificate from the next handshake on. Connections stay.
    ///
    /// # Errors
    /// As for [`new`](Self::new). The old certificate then stays in use.
    pub fn replace(&self, identity: &Identity) -> Result<(), PemError> {
        let config = Arc::new(identity.config()?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Does the handshake over a stream whose first bytes, given here, have been read already.
    ///
    /// # Errors
    /// The client does not speak TLS, or was refused with an alert. The stream below is returned.
    pub async fn accept<S: Socket>(
        &self,
        first: &[u8],
        stream: S,
    ) -> Result<TlsSocket<Prefixed<S>>, (io::Error, Prefixed<S>)> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        let stream = Prefixed::new(first, stream);
        let accept = TlsAcceptor::from(config).accept(stream);
        accept.into_fallible().await.map(|stream| TlsSocket(stream.into()))
    }
}
