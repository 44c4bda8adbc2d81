//! A certificate for the development of clients: of an authority of this machine, for localhost.
//!
//! It is kept, so that programs and browsers that trust the authority need it only once. The key of the authority is
//! forgotten as soon as it has signed the certificate, so that nothing else is ever trusted with it.

use std::error::Error;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The certificate is valid for this long.
const VALID: Duration = DAY.saturating_mul(30);

/// A router that starts or reloads after this time makes another one.
const KEPT: Duration = DAY.saturating_mul(23);

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The files of a certificate.
#[derive(Clone, Debug)]
pub(crate) struct DevCertificate {
    /// The certificate and its key.
    pub(crate) server: PathBuf,
    /// The certificate of its authority, for clients.
    pub(crate) authority: PathBuf,
}

impl DevCertificate {
    /// Returns the certificate that an earlier start has made, or makes one.
    pub(crate) fn get() -> Result<Self, Box<dyn Error>> {
        let folder = state_folder()?.join("wamp").join("tls-dev");
        let files = Self { server: folder.join("server.pem"), authority: folder.join("ca.pem") };
        if !files.are_fresh() {
            files.make(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(files)
    }

    fn are_fresh(&self) -> bool {
        let is_fresh = |path: &Path| {
            let made = fs::metadata(path).and_then(|file| file.modified());
            made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < KEPT))
        };
        is_fresh(&self.server) && is_fresh(&self.authority)
    }

    /// Makes both files in a new folder, which then takes the place of the old one: no other start sees a part of them.
    fn make(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let (server, authority) = certificate()?;
        let new = folder.with_extension(std::process::id().to_string());
        let _ = fs::remove_dir_all(&new);
        DirBuilder::new().recursive(true).mode(0o700).create(&new)?;
        let write = |name: &Path, text: &str| {
            let path = new.join(name.file_name().unwrap_or_default());
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
        };
        let written = write(&self.server, &server).and_then(|()| write(&self.authority, &authority));
        let moved = written.and_then(|()| {
            let _ = fs::remove_dir_all(folder);
            fs::rename(&new, folder)
        });
        if moved.is_err() {
            let _ = fs::remove_dir_all(&new);
        }
        // Another start may have been faster.
        if self.are_fresh() { Ok(()) } else { Ok(moved?) }
    }
}

/// Returns a certificate with its key, and the certificate of its authority.
fn certificate() -> Result<(String, String), Box<dyn Error>> {
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "wamp-router --tls-dev");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params.not_before, params.not_after) = ((now - DAY).into(), (now + VALID).into());
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?;
    let issuer = Issuer::from_params(&params, &key);

    let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = ((now - DAY).into(), (now + VALID).into());
    let key = KeyPair::generate()?;
    let server = params.signed_by(&key, &issuer)?;
    Ok((format!("{}{}", server.pem(), key.serialize_pem()), authority.pem()))
}

/// Returns the folder for files of programs that are kept.
fn state_folder() -> Result<PathBuf, &'static str> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("state")));
    own.ok_or("there is no folder for the certificate: set HOME or XDG_STATE_HOME")
}

/// Returns whether only this machine can reach an address.
pub(crate) fn is_local(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_loopback = |ip: std::net::IpAddr| ip.is_loopback();
    address.starts_with("unix://") || host == "localhost" || host.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_local() {
        for address in ["127.0.0.1:0", "[::1]:8080", "localhost:8080", "unix:///run/a.sock", "127.9.9.9:1"] {
            assert!(is_local(address), "{address}");
        }
        for address in ["0.0.0.0:8080", "[::]:8080", "192.168.1.1:80", "example.com:80", "systemd", ":80"] {
            assert!(!is_local(address), "{address}");
        }
    }
}
