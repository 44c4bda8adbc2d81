//! A callee, subscriber and caller of the client library, in a process of its own so that its memory can be measured.
//!
//! `victim URL` registers `victim.big` (a text of n bytes), `victim.stream` (k texts of n bytes) and
//! `victim.take` (accepts anything), and subscribes to `victim.topic` with a handler that takes a second for
//! each event. It prints `ready`, and how its session ended.

use std::io::Write;
use std::time::Duration;

use wamp_client::{Invocation, connect};

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: victim URL")?;
    let session = connect(url).no_reconnect().await?;
    session
        .register("victim.big", |call: Invocation| async move {
            let (size,): (usize,) = call.args()?;
            Ok(("x".repeat(size),))
        })
        .await?;
    session
        .register("victim.stream", |call: Invocation| async move {
            let (size, count): (usize, usize) = call.args()?;
            if let Some(progress) = call.progress() {
                for _ in 0..count {
                    progress.send(("x".repeat(size),)).await?;
                }
            }
            Ok(())
        })
        .await?;
    session.register("victim.take", |_: Invocation| async move { Ok(()) }).await?;
    session.subscribe("victim.topic", |_| async { tokio::time::sleep(Duration::from_secs(1)).await }).await?;
    say("ready");
    say(&session.closed().await.to_string());
    Ok(())
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
