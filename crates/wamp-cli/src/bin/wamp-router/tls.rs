//! The files of TLS.

use std::error::Error;
use std::path::{Path, PathBuf};

use wamp_tls::{Identity, Server};

use crate::options::Options;

/// Paths of the certificates and the key. The files are read when the router starts, and again on SIGHUP.
pub(crate) struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl TlsFiles {
    pub(crate) fn of(options: &Options) -> Option<Self> {
        let (Some(certificate), Some(key)) = (&options.tls_certificate, &options.tls_key) else {
            return None;
        };
        let client_ca = options.tls_client_ca.clone();
        Some(Self { certificate: certificate.clone(), key: key.clone(), client_ca })
    }

    pub(crate) fn server(&self) -> Result<Server, Box<dyn Error>> {
        Ok(Server::new(&self.read()?)?)
    }

    /// Reads the files again. If one of them cannot be used, nothing changes.
    pub(crate) fn reload(&self, server: &Server) -> Result<(), Box<dyn Error>> {
        Ok(server.replace(&self.read()?)?)
    }

    fn read(&self) -> Result<Identity, Box<dyn Error>> {
        let shown = |path: &Path| path.display().to_string();
        let client_ca = self.client_ca.as_deref().map(shown).unwrap_or_default();
        let identity = Identity::new(read(&self.certificate)?, read(&self.key)?);
        let identity = identity.named(shown(&self.certificate), shown(&self.key), client_ca);
        Ok(match &self.client_ca {
            Some(path) => identity.client_authorities(read(path)?, true),
            None => identity,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}
