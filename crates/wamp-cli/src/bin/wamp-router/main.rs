//! The program `wamp-router`: a WAMP router for clients in any language.

mod options;
mod tls;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wamp_router::{Limits, Router, TlsMode};

use crate::options::{LogFormat, Options};
use crate::tls::TlsFiles;

/// Returns memory to the operating system soon after it was freed.
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => log.with_ansi(colours).init(),
        LogFormat::Json => log.json().init(),
    }
    // The handlers are installed before the router announces itself.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (mut hang_up, mut show) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?);

    let limits = Limits::default();
    let mut builder = Router::builder()
        .limits(limits)
        .allow_anonymous_on_public(options.allow_anonymous_on_public)
        .strict_request_ids(options.strict_request_ids)
        .shutdown(options.shutdown.into());
    let tls = TlsFiles::of(&options);
    let server = tls.as_ref().map(TlsFiles::server).transpose()?;
    if let Some(server) = &server {
        let mode = if options.tls_optional { TlsMode::Optional } else { TlsMode::Required };
        builder = builder.tls(server.clone(), mode);
    }
    let router = options.realm.iter().cloned().fold(builder, wamp_router::Builder::realm).build();
    let mut addresses = Vec::new();
    for address in &options.listen {
        addresses.push(router.listen(address).await?);
    }
    // None is announced before all are there.
    for address in &addresses {
        say(&format!("Listening on {address}"));
    }
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        addresses = shown.join(", "),
        realms = options.realm.join(", "),
        connections = limits.connections,
        "started; the limit of connections comes from that of file descriptors"
    );
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => match (&tls, &server) {
                (Some(files), Some(server)) => match files.reload(server) {
                    Ok(()) => tracing::info!("read the files of TLS again; new connections use them"),
                    Err(error) => tracing::error!("the files of TLS are used as they were: {error}"),
                },
                _ => tracing::info!("there is nothing to read again"),
            },
            _ = show.recv() => {
                let stats = router.stats();
                tracing::warn!(
                    sessions = stats.now.sessions,
                    connections = stats.connections,
                    refused = stats.refusals,
                    queued = stats.bytes_queued,
                    results = stats.total.results,
                    "statistics, since SIGUSR1 asked for them"
                );
            }
        }
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
