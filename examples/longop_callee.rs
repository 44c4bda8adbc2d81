//! Offers `com.myapp.longop(n)`: n partial results, one in each interval, and then n. Exits on SIGTERM and
//! Ctrl-C.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use wamp_client::{Failure, Invocation};

#[path = "longop_options.rs"]
mod longop_options;
use longop_options::Options;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // It ends with its connection, so that the program that has started it notices.
    let connect = options.connect().no_reconnect();
    let session = connect.await.map_err(|error| format!("{}: {error}", error.kind()))?;

    let interval = Duration::from_millis(options.interval_ms);
    let handler = move |call| longop(call, options.n, interval);
    session.register(options.procedure.as_str(), handler).await?;
    println!("Registered {}", options.procedure);

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        closed = session.closed() => return Err(format!("the session is over: {closed}").into()),
    }
    session.leave().await;
    Ok(())
}

async fn longop(call: Invocation, default: u64, interval: Duration) -> Result<(u64,), Failure> {
    let (n,): (Option<u64>,) = call.args()?;
    let n = n.unwrap_or(default);
    let progress = call.progress(); // only there if the caller asked for it
    for i in 0..n {
        if let Some(progress) = &progress {
            progress.send((i,)).await?;
        }
        // A sleep of zero takes a tick of the timer.
        if !interval.is_zero() {
            tokio::time::sleep(interval).await;
        }
    }
    Ok((n,))
}
