//! Serving: the router and its signals.

use std::error::Error;
use std::future::pending;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use wamp_router::Router;

use crate::commands::load;
use crate::config::Config;
use crate::log::Log;
use crate::options::Settings;
use crate::running::Running;
use crate::systemd;
use crate::terminal::complain;

/// Serves until SIGTERM or Ctrl-C.
#[tokio::main]
pub(crate) async fn run(settings: &Settings) -> ExitCode {
    let config = match load(settings) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match serve(settings, config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("Error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: &Settings, config: Config) -> Result<(), Box<dyn Error>> {
    let log = Log::start(&config);
    // The handlers are installed before the router announces itself.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (mut hang_up, mut show) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?);

    let mut running = Running::start(config, log).await?;
    systemd::ready(&running.router);
    // In a task of its own, since a reload or a log that is not read does not mean that the router is stuck.
    let watchdog = tokio::spawn(watchdog(running.router.clone()));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                systemd::reloading();
                running.reload(settings).await;
                systemd::ready(&running.router);
            }
            _ = show.recv() => show_statistics(&running.router),
        }
    }
    systemd::stopping(running.shutdown_time());
    tokio::select! {
        () = running.router.shut_down() => {}
        // A second signal ends it at once.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    watchdog.abort();
    Ok(())
}

/// Tells systemd again and again that the router is alive, if it wants to know.
async fn watchdog(router: Router) {
    let Some(wait) = systemd::watchdog() else { return pending().await };
    let mut ticks = interval(wait.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        systemd::alive(&router);
    }
}

fn show_statistics(router: &Router) {
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
