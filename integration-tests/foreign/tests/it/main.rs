//! Our router, callers, callees and programs with those of Autobahn|Python, Autobahn|JS, wampy.js and Crossbar.io.
//!
//! `cargo test -p wamp-foreign-tests [-- part of a row …]` installs the foreign software if need be, runs the
//! rows of `rows.rs`, the payloads of `poison.rs`, the events of `events.rs` and the cases of `conformance.rs`, and prints a table. A
//! missing tool is a failure.

#![allow(unreachable_pub, reason = "what the modules share is public among them")]

mod bare;
mod callee;
mod caller;
mod conformance;
mod events;
mod hellos;
mod killed;
mod log;
mod logins;
mod page;
mod peer;
mod plots;
mod poison;
mod process;
mod program;
mod report;
mod returning;
mod routers;
mod rows;
mod run;
mod tap;
mod tls;
mod tools;

use std::process::ExitCode;
use std::time::Instant;

#[tokio::main]
async fn main() -> ExitCode {
    // Options are for the usual harness and mean nothing here.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let started = Instant::now();
    let tools = match tools::prepare().await {
        Ok(tools) => tools,
        Err(why) => return report::could_not_start(&why),
    };
    let mut chapters = run::sections(tools.clone(), &wanted).await;
    chapters.extend(killed::chapter(&tools, &wanted).await);
    chapters.extend(poison::chapter(&tools, &wanted).await);
    chapters.extend(logins::chapters(&tools, &wanted).await);
    chapters.extend(program::chapter(&tools, &wanted).await);
    chapters.extend(page::chapter(&tools, &wanted).await);
    chapters.extend(events::chapter(&tools, &wanted).await);
    chapters.extend(conformance::chapter(&wanted).await);
    report::print(&chapters, started)
}
