//! The admin listener of `wamp-router` with the software that people use for it: its page in Chromium, and its metrics at
//! Prometheus. Screenshots are below the folder `target/page`.

mod browser;
mod http;
mod rows;
mod scrape;
mod service;

use std::time::Instant;

use tokio::process::Command;
use tokio::time::timeout;

use crate::log::Log;
use crate::process::PATIENCE;
use crate::report::say;
use crate::run::{Chapter, Outcome, with_log};
use crate::tools::{Tools, here};

const TITLE: &str = "A: the admin listener, its page in Chromium, its metrics at Prometheus";

const ROWS: [&str; 9] = [
    "page: three streams show their rates",
    "page: a held link turns red",
    "page: a hostile authid stays text",
    "page: a call is canceled with the token only",
    "page: 10,000 calls keep a frame under 50 ms",
    "page: axe-core finds nothing, dark, light, 360 px",
    "page: keyboard, filter and tabs",
    "page: faults are shown after a restart of the router",
    "metrics: Prometheus scrapes and has the sums",
];

/// Runs the rows that have one of the words in them, or all. Without the software they are skipped.
pub async fn chapter(tools: &Tools, wanted: &[String]) -> Option<Chapter> {
    let is_wanted = |row: &&&str| wanted.is_empty() || wanted.iter().any(|word| row.contains(&**word));
    let rows: Vec<&'static str> = ROWS.iter().filter(is_wanted).copied().collect();
    if rows.is_empty() {
        return None;
    }
    let installed = Command::new(here("install-browser.sh")).output().await;
    match installed {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            say(&format!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim()));
            return None;
        }
        Err(error) => {
            say(&format!("skipped: install-browser.sh: {error}"));
            return None;
        }
    }
    let mut outcomes = Vec::new();
    for row in rows {
        let (started, log) = (Instant::now(), Log::default());
        let played = timeout(PATIENCE * 3, rows::play(row, tools, &log)).await;
        let result = played.unwrap_or_else(|_| Err("it hangs".to_owned()));
        let result = result.map_err(|why| with_log(why, &log));
        outcomes.push(Outcome { row, took: started.elapsed(), result });
    }
    Some(Chapter { title: TITLE, outcomes })
}
