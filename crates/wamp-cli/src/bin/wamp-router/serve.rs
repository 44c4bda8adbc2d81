//! Serving: the router, its log, and its signals.

use std::error::Error;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wamp_router::Router;

use crate::commands::load;
use crate::config::Config;
use crate::options::{LogFormat, Settings};
use crate::terminal::{complain, has_colors, say};
use crate::tls::TlsFiles;

/// Serves until SIGTERM or Ctrl-C.
#[tokio::main]
pub(crate) async fn run(settings: &Settings) -> ExitCode {
    let config = match load(settings) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match serve(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("Error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let log =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&config.log)).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => log.with_ansi(has_colors()).init(),
        LogFormat::Json => log.json().init(),
    }
    // The handlers are installed before the router announces itself.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (mut hang_up, mut show) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?);

    let router = start(&config).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => match config.tls.as_ref().map(TlsFiles::reload) {
                Some(Ok(())) => tracing::info!("read the files of TLS again; new connections use them"),
                Some(Err(error)) => tracing::error!("the files of TLS are used as they were: {error}"),
                None => tracing::info!("there is nothing to read again"),
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

/// Starts the router and announces its addresses.
async fn start(config: &Config) -> Result<Router, Box<dyn Error>> {
    let mut builder = Router::builder()
        .limits(config.limits)
        .allow_anonymous_on_public(config.allow_anonymous_on_public)
        .shutdown(config.shutdown.into());
    if let Some(files) = &config.tls {
        builder = builder.tls(files.server.clone(), config.tls_mode);
    }
    let router = config.realms.iter().cloned().fold(builder, wamp_router::Builder::realm_with).build();
    let mut addresses = Vec::new();
    for address in &config.listen {
        addresses.push(router.listen(address).await?);
    }
    // None is announced before all are there.
    for address in &addresses {
        say(&format!("Listening on {address}"));
    }
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let realms: Vec<_> = config.realms.iter().map(|realm| realm.name.as_str()).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        addresses = shown.join(", "),
        realms = realms.join(", "),
        connections = config.limits.connections,
        "started; the limit of connections comes from that of file descriptors"
    );
    Ok(router)
}
