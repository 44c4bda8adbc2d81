//! The program `wamp-bench`: measures a router with our own client library, and the cost of a slow peer for
//! the others.
//!
//! Caller and callee are in this process. The router is another one: unless `--router` names one, this program
//! runs itself once more with the hidden scenario `router`. The README beside it explains each figure.

mod callee;
mod fast;
mod locks;
mod null;
mod numbered;
mod options;
mod order;
#[cfg(feature = "peers")]
mod peers;
mod pings;
mod process;
mod report;
mod serve;
mod slow;
mod target;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use options::{Options, Scenario};

/// An error that ends the scenario. Its text is printed; its type does not matter.
type Failed = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.scenarios.first() {
        Some(Scenario::Relay) => null::serve().map(|()| true),
        #[cfg(feature = "peers")]
        Some(Scenario::GrpcRelay) => on_tokio(peers::relay()).map(|()| true),
        Some(Scenario::Router) => on_tokio(serve::router()).map(|()| true),
        _ => on_tokio(run(options)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::complain(&format!("Error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn on_tokio<T>(work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// Returns whether everything passed.
async fn run(options: Options) -> Result<bool, Failed> {
    let (slow, fast): (Vec<_>, Vec<_>) = options.scenarios.iter().copied().partition(Scenario::is_slow);
    let mut passed = true;
    #[cfg(feature = "peers")]
    let (peers, fast): (Vec<_>, Vec<_>) = fast.into_iter().partition(|scenario| *scenario == Scenario::Peers);
    #[cfg(feature = "peers")]
    if !peers.is_empty() {
        passed &= peers::run(&options).await?;
    }
    if !fast.is_empty() || options.scenarios.is_empty() {
        passed &= fast::run(&options, &fast).await?;
    }
    if !slow.is_empty() {
        passed &= slow::run(&options, &slow).await?;
    }
    Ok(passed)
}
