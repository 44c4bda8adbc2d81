//! The program `wamp-router`: a WAMP router for clients in any language.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wamp_router::{Router, Shutdown};

/// Returns memory to the operating system soon after it was freed.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A WAMP router: RawSocket and WebSocket (JSON, MessagePack, CBOR) on one port.
///
/// With no options it listens on 127.0.0.1:8080 and has the realm realm1, open to anonymous sessions. On
/// SIGTERM and Ctrl-C it tells all clients and exits.
#[derive(Parser)]
#[command(name = "wamp-router", version)]
struct Options {
    /// Address to listen on: HOST:PORT (port 0: any free port) or unix:///path. May be given several times.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: Vec<String>,

    /// Name of a realm. May be given several times.
    #[arg(long, value_name = "NAME", default_value = "realm1")]
    realm: Vec<String>,

    /// Listen on addresses that other machines can reach, although every client there may join.
    #[arg(long)]
    allow_anonymous_on_public: bool,

    /// Abort a session whose request ids are not 1, 2, 3, and so on. By default this holds only for callers
    /// that make calls in chunks (progressive_call_invocations); others may use any id that is not in use.
    #[arg(long)]
    strict_request_ids: bool,

    /// How to tell clients that the router ends: GOODBYE for all, or, for a router that will be back, WebSocket
    /// close code 1001 for clients that never connect again after a GOODBYE (Autobahn|JS, wampy.js).
    #[arg(long, value_name = "KIND", default_value = "restart")]
    shutdown: Ending,

    /// What to log to standard error: error, warn, info, debug, trace, or a filter such as wamp_router=debug.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Ending {
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

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("Error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let filter =
        EnvFilter::try_new(&options.log).map_err(|error| format!("--log {:?}: {error}", options.log))?;
    // Colors only for a terminal, and not with NO_COLOR (no-color.org).
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = std::io::stderr().is_terminal() && !no_color;
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    // The handlers are installed before the router announces itself.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);

    let builder = Router::builder()
        .allow_anonymous_on_public(options.allow_anonymous_on_public)
        .strict_request_ids(options.strict_request_ids)
        .shutdown(options.shutdown.into());
    let router = options.realm.into_iter().fold(builder, wamp_router::Builder::realm).build();
    for address in &options.listen {
        let address = router.listen(address).await?;
        say(&format!("Listening on {address}"));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    router.shut_down().await;
    Ok(())
}

/// A closed standard output does not stop the router.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
