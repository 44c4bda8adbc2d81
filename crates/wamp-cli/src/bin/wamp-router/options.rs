//! The command line, and the environment.

use std::path::PathBuf;

use clap::Parser;
use wamp_proto::Uri;
use wamp_proto::uri::{UriKind, UriRules};
use wamp_router::Shutdown;

/// A WAMP router: RawSocket and WebSocket (JSON, MessagePack, CBOR) on one port.
///
/// With no options it listens on 127.0.0.1:8080 and has the realm realm1, open to anonymous sessions. On
/// SIGTERM and Ctrl-C it tells all clients and exits.
#[derive(Parser)]
#[command(name = "wamp-router", version)]
pub(crate) struct Options {
    /// Address to listen on: HOST:PORT (port 0: any free port) or unix:///path. May be given several times.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", env = "WAMP_ROUTER_LISTEN")]
    #[arg(value_delimiter = ',')]
    pub(crate) listen: Vec<String>,

    /// Name of a realm. May be given several times.
    #[arg(long, value_name = "NAME", default_value = "realm1", env = "WAMP_ROUTER_REALM", value_parser = realm)]
    #[arg(value_delimiter = ',')]
    pub(crate) realm: Vec<String>,

    /// Listen on addresses that other machines can reach, although every client there may join.
    #[arg(long)]
    pub(crate) allow_anonymous_on_public: bool,

    /// Abort a session whose request ids are not 1, 2, 3, and so on. By default this holds only for callers
    /// that make calls in chunks (progressive_call_invocations); others may use any id that is not in use.
    #[arg(long)]
    pub(crate) strict_request_ids: bool,

    /// Message to clients at the end of the router: GOODBYE for all, or, for a router that will be back, WebSocket
    /// close code 1001 for clients that never connect again after a GOODBYE (Autobahn|JS, wampy.js).
    #[arg(long, value_name = "KIND", default_value = "restart")]
    pub(crate) shutdown: Ending,

    /// Level of the log on standard error: error, warn, info, debug, trace, or a filter such as wamp_router=debug.
    #[arg(long, value_name = "FILTER", default_value = "warn", env = "WAMP_ROUTER_LOG")]
    pub(crate) log: String,

    /// Format of the log: lines of text, or one JSON object per line.
    #[arg(long, value_name = "FORMAT", default_value = "text", env = "WAMP_ROUTER_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,

    /// File with the certificate for wss:// and rss://, in PEM, and the certificates that lead to its authority. It is
    /// read again on SIGHUP, like the other files of TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "WAMP_ROUTER_TLS_CERTIFICATE")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// File with the private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate", env = "WAMP_ROUTER_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,

    /// File with certificates of authorities, in PEM. Every client has to show a certificate that one of them has
    /// signed.
    #[arg(long, value_name = "FILE", requires = "tls_certificate", env = "WAMP_ROUTER_TLS_CLIENT_CA")]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// Serve ws:// and rs:// on the same port too. By default clients without TLS are refused, except over Unix sockets.
    #[arg(long, requires = "tls_certificate")]
    pub(crate) tls_optional: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Ending {
    Goodbye,
    Restart,
}

impl From<Ending> for Shutdown {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Goodbye => Shutdown::Goodbye,
            Ending::Restart => Shutdown::Restart,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Checks the name of a realm.
fn realm(name: &str) -> Result<String, String> {
    let uri = Uri::from(name);
    uri.check(UriRules::Loose, UriKind::Exact).map_err(|error| error.to_string())?;
    match uri.is_reserved() {
        true => Err("names that begin with wamp. are reserved".to_owned()),
        false => Ok(name.to_owned()),
    }
}
