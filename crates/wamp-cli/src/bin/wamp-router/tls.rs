//! The files of TLS.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use wamp_tls::{Identity, Server};

/// Paths of the certificates and the key. The files are read when the router starts, and again on SIGHUP.
#[derive(Debug)]
pub(crate) struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl TlsFiles {
    pub(crate) fn new(certificate: PathBuf, key: PathBuf, client_ca: Option<PathBuf>) -> Self {
        Self { certificate, key, client_ca }
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

impl fmt::Display for TlsFiles {
    /// The lines of a configuration file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, path: &Path| writeln!(f, "{key} = {:?}", path.display().to_string());
        line("certificate", &self.certificate)?;
        line("key", &self.key)?;
        self.client_ca.as_deref().map_or(Ok(()), |path| line("client_ca", path))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}
