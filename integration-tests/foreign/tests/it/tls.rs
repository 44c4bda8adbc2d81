//! A certificate for the routers of these tests, and its authority, which all peers trust.

use std::io;
use std::path::PathBuf;
use std::sync::LazyLock;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use wamp_client::Connect;
use wamp_tls::{Identity, Server};

static TLS: LazyLock<Tls> = LazyLock::new(|| Tls::new().expect("a certificate can be made"));

/// The files are removed with the folder, when the process ends in an orderly way.
struct Tls {
    authority: String,
    chain: String,
    key: String,
    folder: TempDir,
}

impl Tls {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let own = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "foreign tests");
        let authority = params.self_signed(&own)?.pem();
        let issuer = Issuer::new(params, own);
        let key = KeyPair::generate()?;
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let chain = CertificateParams::new(names)?.signed_by(&key, &issuer)?.pem();
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("authority.pem"), &authority)?;
        Ok(Self { authority, chain, key: key.serialize_pem(), folder })
    }
}

/// The file that foreign peers get.
pub fn authority() -> PathBuf {
    TLS.folder.path().join("authority.pem")
}

/// Connects a client of ours, over TLS or not.
pub fn connect(url: &str) -> Connect {
    let connect = wamp_client::connect(url);
    if url.starts_with("wss") || url.starts_with("rss") {
        connect.ca(TLS.authority.as_bytes())
    } else {
        connect
    }
}

/// The router's end, for our router.
pub fn server() -> Result<Server, String> {
    Server::new(&Identity::new(TLS.chain.as_bytes(), TLS.key.as_bytes())).map_err(|error| error.to_string())
}

/// Writes the router's certificate and key into a folder, for Crossbar.io.
pub fn write(folder: &std::path::Path) -> io::Result<()> {
    std::fs::write(folder.join("chain.pem"), &TLS.chain)?;
    std::fs::write(folder.join("key.pem"), &TLS.key)
}
