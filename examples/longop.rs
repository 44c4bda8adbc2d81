//! The canonical program of progressive results: a router, a callee and a caller in one process, over a real
//! socket on loopback. `longop(n)` sends n partial results, one each second, and then n.

use std::time::Duration;

use clap::Parser;
use wamp_client::{Failure, Invocation, connect};
use wamp_router::Router;

/// Runs com.myapp.longop with an embedded router.
#[derive(Parser)]
struct Options {
    /// Number of partial results.
    #[arg(short, default_value_t = 3)]
    n: u64,
    /// Milliseconds between them.
    #[arg(long, default_value_t = 1000)]
    interval_ms: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let interval = Duration::from_millis(options.interval_ms);

    let router = Router::builder().realm("realm1").build();
    let url = router.listen("127.0.0.1:0").await?.rs_url();

    let callee = connect(&url).realm("realm1").await?;
    callee.register("com.myapp.longop", move |call| longop(call, interval)).await?;

    let caller = connect(&url).realm("realm1").await?;
    let total: u64 = caller
        .call("com.myapp.longop")
        .args((options.n,))
        .on_progress(|i: u64| println!("Progress: {i}"))
        .await?
        .decode()?;
    println!("Final: {total}");

    router.shut_down().await;
    Ok(())
}

async fn longop(call: Invocation, interval: Duration) -> Result<(u64,), Failure> {
    let (n,): (u64,) = call.args()?;
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
