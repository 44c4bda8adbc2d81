//! The TLS files.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use wamp_tls::{Identity, Server};

/// The router's end of TLS, and the files of its certificates and key.
#[derive(Debug)]
pub(crate) struct TlsFiles {
    paths: Paths,
    pub(crate) server: Server,
}

#[derive(Debug)]
struct Paths {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl TlsFiles {
    pub(crate) fn load(
        certificate: PathBuf,
        key: PathBuf,
        client_ca: Option<PathBuf>,
    ) -> Result<Self, Box<dyn Error>> {
        let paths = Paths { certificate, key, client_ca };
        let server = Server::new(&paths.read()?)?;
        Ok(Self { paths, server })
    }
}

impl Paths {
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
        let Paths { certificate, key, client_ca } = &self.paths;
        line("certificate", certificate)?;
        line("key", key)?;
        client_ca.as_deref().map_or(Ok(()), |path| line("client_ca", path))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}
