//! The command line, and the environment.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use wamp_client::{MatchPolicy, Serializer};

use crate::{admin, bench, call, completion, context, kill, man, ping, ps, publish, register, subscribe};

/// The subcommand that is the router. It stands before all options, since it has its own.
pub(crate) const ROUTER: &str = "router";

/// The longest time of an option: 100 years.
const MAX_TIME: Duration = Duration::from_secs(100 * 31_557_600);

/// A WAMP client: call, publish, subscribe and register from the command line.
///
/// Standard output has data only; notes and errors go to standard error.
///
/// Exit codes: 0 done; 1 the peer answered with an error; 2 the command line or the input cannot be used; 3 no session;
/// 4 the session was lost; 5 timeout; 6 canceled by another party; 130 Ctrl-C; 143 SIGTERM;
/// 129 SIGHUP; 131 SIGQUIT.
#[derive(Parser)]
#[command(name = "wamp", version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Call(call::Call),
    Publish(publish::Publish),
    Subscribe(subscribe::Subscribe),
    Register(register::Register),
    Ping(ping::Ping),
    Bench(bench::Bench),
    Top(admin::top::Top),
    Ps(ps::Ps),
    Kill(kill::Kill),
    Context(context::Context),
    Completion(completion::Completion),
    Man(man::Man),
}

/// Returns the command line, with that of the router.
pub(crate) fn command() -> clap::Command {
    let router = wamp_cli::router_command()
        .name(ROUTER)
        .about("Run a router, or check its configuration; as `wamp-router`");
    Options::command().subcommand(router)
}

/// Reads the command line. It does not return for a wrong one, nor for `--help`.
pub(crate) fn parse() -> Options {
    let mut command = command();
    let matches = command.get_matches_mut();
    if matches.subcommand_name() == Some(ROUTER) {
        command
            .error(ErrorKind::ArgumentConflict, "options of `wamp router` stand after the word router")
            .exit();
    }
    Options::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

/// The options of all commands.
#[derive(Args)]
pub(crate) struct Global {
    /// URL of the router: ws, wss, rs, rss or rs+unix. May be given several times; each attempt to connect takes the next
    /// one. By default ws://127.0.0.1:8080/ws.
    #[arg(
        short,
        long,
        env = "WAMP_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true,
        help_heading = "Connection"
    )]
    pub(crate) url: Vec<String>,

    /// Realm to join. By default realm1.
    #[arg(
        short,
        long,
        env = "WAMP_REALM",
        hide_env_values = true,
        value_name = "NAME",
        global = true,
        help_heading = "Connection"
    )]
    pub(crate) realm: Option<String>,

    /// Only serializer to offer. By default all, and MessagePack over RawSocket.
    #[arg(
        long,
        env = "WAMP_SERIALIZER",
        hide_env_values = true,
        value_name = "NAME",
        global = true,
        help_heading = "Connection",
        ignore_case = true
    )]
    pub(crate) serializer: Option<SerializerName>,

    /// Context to take the connection from, instead of the selected one; see `wamp context`. Options and the environment are
    /// stronger.
    #[arg(
        short,
        long,
        env = "WAMP_CONTEXT",
        hide_env_values = true,
        value_name = "NAME",
        global = true,
        help_heading = "Connection"
    )]
    pub(crate) context: Option<String>,

    /// Authentication id.
    #[arg(
        long,
        env = "WAMP_AUTHID",
        hide_env_values = true,
        value_name = "NAME",
        global = true,
        help_heading = "Credentials"
    )]
    pub(crate) authid: Option<String>,

    /// File with a ticket, - to ask for it on the terminal. Or the variable WAMP_TICKET has the ticket.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Credentials")]
    pub(crate) ticket_file: Option<String>,

    /// File with the password of SCRAM and WAMP-CRA, - to ask for it. Or the variable WAMP_SECRET has the password.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Credentials")]
    pub(crate) secret_file: Option<String>,

    /// File with a private key of WAMP-Cryptosign, 64 hexadecimal digits, - to ask for it. Or the variable WAMP_PRIVATE_KEY
    /// has the key.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Credentials")]
    pub(crate) key_file: Option<String>,

    /// File with certificates of authorities, in PEM, to trust instead of those of the system.
    #[arg(long, value_name = "FILE", global = true, help_heading = "TLS")]
    pub(crate) ca: Option<PathBuf>,

    /// File with the certificate to show to the router, in PEM.
    #[arg(long, value_name = "FILE", global = true, requires = "cert_key", help_heading = "TLS")]
    pub(crate) cert: Option<PathBuf>,

    /// File with the private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", global = true, requires = "cert", help_heading = "TLS")]
    pub(crate) cert_key: Option<PathBuf>,

    /// Accept any certificate of the router. The connection can be read by others.
    #[arg(long, global = true, conflicts_with_all = ["ca", "cert"], help_heading = "TLS")]
    pub(crate) insecure: bool,

    /// Proxy: http://, socks5:// or socks5h://, or none. By default ALL_PROXY, HTTPS_PROXY and NO_PROXY say.
    #[arg(long, value_name = "URL", global = true, help_heading = "Connection")]
    pub(crate) proxy: Option<String>,

    /// Time for connecting, and after it for the router's answer.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10s",
        value_parser = time,
        global = true,
        help_heading = "Connection"
    )]
    pub(crate) connect_timeout: Duration,

    /// Wait for the router if it cannot be reached, and connect again when the connection is lost. A call is never made
    /// twice.
    #[arg(long, global = true, help_heading = "Connection", overrides_with = "no_retry")]
    pub(crate) retry: bool,

    /// End when the connection is lost. Otherwise `subscribe` and `register` connect again.
    #[arg(long, global = true, help_heading = "Connection")]
    pub(crate) no_retry: bool,

    /// Print one JSON object per line.
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,

    /// Print no notes on standard error, only errors.
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,

    /// Print a log on standard error: -v what is unusual, -vv all.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Output")]
    pub(crate) verbose: u8,

    /// Colors on standard error. By default on a terminal, unless NO_COLOR is set or TERM is dumb.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        global = true,
        help_heading = "Output"
    )]
    pub(crate) color: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SerializerName {
    Json,
    Msgpack,
    Cbor,
}

impl From<SerializerName> for Serializer {
    fn from(name: SerializerName) -> Self {
        match name {
            SerializerName::Json => Serializer::Json,
            SerializerName::Msgpack => Serializer::MsgPack,
            SerializerName::Cbor => Serializer::Cbor,
        }
    }
}

/// How a URI matches others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Match {
    Exact,
    Prefix,
    Wildcard,
}

impl From<Match> for MatchPolicy {
    fn from(policy: Match) -> Self {
        match policy {
            Match::Exact => MatchPolicy::Exact,
            Match::Prefix => MatchPolicy::Prefix,
            Match::Wildcard => MatchPolicy::Wildcard,
        }
    }
}

/// Reads a time such as `500ms`, `10s` or `2m`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; a time is written as 500ms, 10s or 2m"))?;
    if time > MAX_TIME { Err("more than 100 years".to_owned()) } else { Ok(time) }
}
