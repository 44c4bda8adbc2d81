//! The command line, and the environment.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use wamp_router::Shutdown;

use crate::config::check_name;
use crate::passwd::Passwd;

/// A WAMP router: RawSocket and WebSocket (JSON, MessagePack, CBOR) on one port.
///
/// With no options it listens on 127.0.0.1:8080 and has the realm realm1, open to anonymous sessions. On SIGHUP it reads its
/// configuration again, and changes nothing if there is a fault in it. On SIGTERM and Ctrl-C it tells all clients and exits.
#[derive(Parser)]
#[command(name = "wamp-router", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve, as without a subcommand.
    Run(Settings),
    /// Check a configuration file and show all its faults. The exit code is 0 if there is none, otherwise 2.
    Check(Check),
    /// Write a configuration file with every setting, its default and a line about it.
    Init(Init),
    /// Convert the configuration of a Crossbar.io node, in JSON, and print it. Comments name the parts that have no
    /// counterpart.
    Convert(Convert),
    /// Read a password and print keys for a principal in the configuration file, which do not reveal the
    /// password. A terminal is prompted for it; otherwise it is the first line of standard input.
    Passwd(Passwd),
}

#[derive(Args)]
pub(crate) struct Check {
    /// Configuration file.
    #[arg(value_name = "FILE", env = "WAMP_ROUTER_CONFIG")]
    pub(crate) file: PathBuf,

    /// Change a setting, as `--set limits.stall=2s`. May be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// Print each fault as a JSON object in a line of its own: file, line, column, level, message.
    #[arg(long)]
    pub(crate) json: bool,

    /// Print all settings, with their defaults.
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Args)]
pub(crate) struct Init {
    /// File to write, which must not exist; standard output by default.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Convert {
    /// Configuration of a node, such as .crossbar/config.json.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// The settings of a router. An option overrides the environment, and the environment overrides the file.
#[derive(Args, Default)]
pub(crate) struct Settings {
    /// Configuration file. `wamp-router init` writes one.
    #[arg(long, value_name = "FILE", env = "WAMP_ROUTER_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Change a setting of the configuration file, as `--set limits.stall=2s`. May be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// Address to listen on: HOST:PORT (port 0: any free port), unix:///path, or systemd for the sockets that systemd has
    /// opened. May be given several times; by default 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS", env = "WAMP_ROUTER_LISTEN", value_delimiter = ',')]
    pub(crate) listen: Vec<String>,

    /// Address of the admin listener, such as 127.0.0.1:9090: metrics for Prometheus, health, tables in JSON, and a page.
    /// By default there is none.
    #[arg(long, value_name = "ADDRESS", env = "WAMP_ROUTER_ADMIN")]
    pub(crate) admin: Option<String>,

    /// Name of a realm, open to anonymous sessions, besides those of the configuration file. May be given several
    /// times; realm1 if there is no other.
    #[arg(long, value_name = "NAME", env = "WAMP_ROUTER_REALM", value_delimiter = ',', value_parser = realm)]
    pub(crate) realm: Vec<String>,

    /// Listen on addresses that other machines can reach, although every client there may join.
    #[arg(long)]
    pub(crate) allow_anonymous_on_public: bool,

    /// Abort a session whose request ids are not 1, 2, 3, and so on. By default this holds only for callers
    /// that make calls in chunks (progressive_call_invocations); others may use any id that is not in use.
    #[arg(long)]
    pub(crate) strict_request_ids: bool,

    /// Message to clients at the end of the router: GOODBYE for all, or, for a router that will be back, WebSocket
    /// close code 1001 for clients that never connect again after a GOODBYE (Autobahn|JS, wampy.js). By default
    /// restart.
    #[arg(long, value_name = "KIND")]
    pub(crate) shutdown: Option<Ending>,

    /// Level of the log on standard error: error, warn, info, debug, trace, or a filter such as wamp_router=debug. By
    /// default warn.
    #[arg(long, value_name = "FILTER", env = "WAMP_ROUTER_LOG")]
    pub(crate) log: Option<String>,

    /// Format of the log: lines of text, or one JSON object per line.
    #[arg(long, value_name = "FORMAT", env = "WAMP_ROUTER_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,

    /// File with the certificate for wss:// and rss://, in PEM, and the certificates that lead to its authority. It is
    /// read again on SIGHUP, like the configuration.
    #[arg(long, value_name = "FILE", env = "WAMP_ROUTER_TLS_CERTIFICATE")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// File with the private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", env = "WAMP_ROUTER_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,

    /// File with certificates of authorities, in PEM. Every client has to show a certificate that one of them has
    /// signed.
    #[arg(long, value_name = "FILE", env = "WAMP_ROUTER_TLS_CLIENT_CA")]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// Serve wss:// and rss:// with a certificate for localhost, 127.0.0.1 and ::1, for the development of clients. It is made
    /// when it is needed, kept below $XDG_STATE_HOME/wamp/tls-dev, and replaced after 23 days. The certificate of the authority,
    /// which clients have to trust, is printed. Only for addresses of this machine.
    #[cfg(feature = "tls-dev")]
    #[arg(long, conflicts_with_all = ["tls_certificate", "tls_key"])]
    pub(crate) tls_dev: bool,

    /// Serve ws:// and rs:// on the same port too. By default clients without TLS are refused, except over Unix sockets.
    #[arg(long)]
    pub(crate) tls_optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
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
    check_name(name).map(|_| name.to_owned())
}
