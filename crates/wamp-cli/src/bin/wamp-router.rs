//! The program `wamp-router`: a WAMP router for clients in any language.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wamp_router::{Router, Shutdown};

/// Returns memory to the operating system soon after it was freed.
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
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

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(feature = "jemalloc")))]
    set_up_allocator();
    serve()
}

/// Keeps the limits of the C library's allocator where they are.
///
/// It has memory of 128 KiB and more from the system, and returns it to the system at once. But with each such piece that
/// is freed it raises this limit, up to 32 MiB, and memory below it stays with the program: 50 to 90 MiB after a few
/// messages of 16 MiB. Fixed limits do not rise. The allocator reads them from the environment when a program starts, so
/// this program starts once more, as the same process, unless they are set. With the limits of 128 KiB
/// every buffer of a busy connection would come from the system; 1 MiB costs nothing that can be measured.
#[cfg(all(target_os = "linux", target_env = "gnu", not(feature = "jemalloc")))]
fn set_up_allocator() {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    const LIMITS: [(&str, &str); 2] =
        [("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "2097152")];
    if LIMITS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let mut arguments = std::env::args_os();
    if let (Some(name), Ok(program)) = (arguments.next(), std::env::current_exe()) {
        // It returns only if that fails, and then the router serves without them.
        let _error = Command::new(program).arg0(name).args(arguments).envs(LIMITS).exec();
    }
}

#[tokio::main]
async fn serve() -> ExitCode {
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
