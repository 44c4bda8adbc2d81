//! `[admin]`.

use std::net::{IpAddr, SocketAddr};

use wamp_router::auth::Secret;

use super::document::Table;
use super::faults::{Faults, Place};
use super::fields::{At, Fields};
use super::secrets::Confidential;
use super::settings::{self, Row, Value, row};

/// The shortest token, in bytes.
const TOKEN: usize = 16;

/// The configuration of the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdminConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) token: Option<Secret>,
    /// Names of this machine in requests, besides its addresses and `localhost`.
    pub(crate) hosts: Vec<String>,
    /// Whether it has TLS, with the certificate of `[tls]`.
    pub(crate) tls: bool,
    pub(crate) allow_plain: bool,
}

impl AdminConfig {
    fn new(listen: SocketAddr) -> Self {
        Self { listen, token: None, hosts: Vec::new(), tls: false, allow_plain: false }
    }

    fn rows(&mut self) -> Vec<Row<'_>> {
        vec![
            row("tls", Value::Boolean(&mut self.tls), "Serve https with the certificate of [tls]."),
            row(
                "allow_plain",
                Value::Boolean(&mut self.allow_plain),
                "Serve http without TLS on an address that other machines can reach. They can read the token then.",
            ),
        ]
    }
}

/// Reads the table. `has_tls` tells that there is a certificate.
pub(super) fn read(table: Table, has_tls: bool, faults: &mut Faults) -> Option<AdminConfig> {
    let mut fields = Fields::new(table, "[admin]", faults);
    let listen = fields.require::<String>("listen");
    let token = fields.read_at::<Confidential>("token");
    let hosts = fields.read::<Vec<At<String>>>("hosts").unwrap_or_default();
    let address = listen.as_ref().and_then(|at| address(at, fields.faults));
    let mut config = AdminConfig::new(address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))));
    let places = settings::read(&mut fields, config.rows());
    let place = fields.place();
    fields.finish();
    config.hosts = hosts.into_iter().filter_map(|at| host(&at, faults)).collect();
    if let Some(At { value: Confidential(token), place }) = token {
        if token.bytes().len() < TOKEN {
            faults.error(&place, format!("the token is shorter than {TOKEN} bytes"));
        }
        if !token.bytes().iter().all(u8::is_ascii_graphic) {
            faults.error(
                &place,
                "the token has characters that HTTP headers cannot have: use letters and digits",
            );
        }
        config.token = Some(token);
    }
    if config.tls && !has_tls {
        faults.error(places.first(&["tls"]).unwrap_or(&place), "`tls` needs a certificate: write [tls]");
    }
    check_public(&config, listen.map_or(place, |at| at.place), faults);
    address.map(|_| config)
}

/// Returns a host as requests name it, without port and brackets.
fn host(At { value, place }: &At<String>, faults: &mut Faults) -> Option<String> {
    let bare = value.trim_start_matches('[').trim_end_matches(']');
    let is_host = bare.parse::<IpAddr>().is_ok() || !bare.is_empty() && !bare.contains([':', '/', '@', ' ']);
    if !is_host {
        let message = format!("{value:?} is no host: write the name alone, such as \"router.example\"");
        faults.error(place, message);
    }
    is_host.then(|| bare.to_lowercase())
}

fn address(at: &At<String>, faults: &mut Faults) -> Option<SocketAddr> {
    let text = at.value.replace("localhost:", "127.0.0.1:");
    let address = text.parse().ok();
    if address.is_none() {
        let message = format!("{:?} is not an address: write \"127.0.0.1:9090\"", at.value);
        faults.error(&at.place, message);
    }
    if cfg!(not(feature = "admin")) {
        faults.error(&at.place, "this program was built without the feature \"admin\"");
    }
    address
}

fn check_public(config: &AdminConfig, place: Place, faults: &mut Faults) {
    if config.listen.ip().is_loopback() {
        return;
    }
    let address = config.listen;
    if config.token.is_none() {
        faults.error(&place, format!("other machines can reach {address}: set `token` in [admin]"));
    }
    if !config.tls && !config.allow_plain {
        let message = format!("other machines can reach {address}: set `tls` or `allow_plain` in [admin]");
        faults.error(&place, message);
    }
}

/// Writes the table. If it is `explained`, each setting is a comment below a line about it.
pub(super) fn write(out: &mut String, config: Option<&AdminConfig>, explained: bool) {
    use std::fmt::Write;

    if config.is_none() && !explained {
        return;
    }
    let mut config =
        config.cloned().unwrap_or_else(|| AdminConfig::new(SocketAddr::from(([127, 0, 0, 1], 9090))));
    let mark = if explained { "#" } else { "" };
    let about = |out: &mut String, line: &str| {
        let _ = if explained { writeln!(out, "# {line}") } else { Ok(()) };
    };
    out.push('\n');
    about(
        out,
        "The admin listener: /metrics for Prometheus, /healthz, /readyz, tables in JSON, and a page at /. Off without",
    );
    about(
        out,
        "this table. An address that other machines can reach needs a token, and TLS or `allow_plain`.",
    );
    let _ = writeln!(out, "{mark}[admin]\n{mark}listen = \"{}\"", config.listen);
    about(
        out,
        "At least 16 characters. With a token every request but the empty page, /healthz and /readyz needs it, as a bearer",
    );
    about(out, "token; only with a token a call can be canceled or a session ended.");
    if explained {
        let _ = writeln!(out, "#token = {{ file = \"admin.token\" }}");
    } else if config.token.is_some() {
        let _ = writeln!(out, "#token = \"…\"");
    }
    about(out, "Names of this machine in URLs of the listener, besides its addresses and \"localhost\".");
    let _ = writeln!(out, "{mark}hosts = {:?}", config.hosts);
    settings::write(out, config.rows(), explained);
}
