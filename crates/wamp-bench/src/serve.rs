//! The router to be measured: our own, in a process of its own.
//!
//! It prints its address, answers each line `stats` of its input with a line of JSON, and ends with its
//! input.

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use wamp_router::Router;

use crate::Failed;
use crate::report::say;

/// The realm of our own router.
pub(crate) const REALM: &str = "realm1";

/// Serves until standard input ends.
pub(crate) async fn router() -> Result<(), Failed> {
    let router = Router::builder().realm(REALM).build();
    say(&router.listen("127.0.0.1:0").await?.to_string());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        #[cfg(feature = "lock-times")]
        if line == "locks" {
            let times = router.lock_times(REALM).ok_or("there is no such realm")?;
            let part = |times: &wamp_router::TimesTaken| json!({ "counts": times.counts, "nanos": times.total.as_nanos() as u64 });
            say(&json!({ "waited": part(&times.waited), "held": part(&times.held) }).to_string());
        }
        if line == "stats" {
            let (_, sizes) = router.realm_stats(REALM).ok_or("there is no such realm")?;
            say(&json!({
                "sessions": sizes.sessions,
                "calls": sizes.calls,
                "registrations": sizes.registrations,
                "deadlines": sizes.deadlines,
            })
            .to_string());
        }
    }
    router.shut_down().await;
    Ok(())
}
