//! Models of calls and events: a realm and its clients under every order of events, exhaustively for small
//! worlds (`exhaustive`), at random for larger ones (`random`, `events`).
//!
//! The models (`dealer`, `endpoint`) and the invariants (`ledger`) are written from the specification and
//! know nothing of the crate under test.
//!
//! By default only a part of this runs, for some seconds and silently. `MODEL=full` runs everything, for
//! several minutes, and prints its coverage; `MODEL_RUNS` sets the number of random runs, `MODEL_SEED` the
//! first seed.

#![allow(unreachable_pub, reason = "the modules of a test are public to each other")]

mod account;
mod asking;
mod broker;
mod client;
mod coverage;
mod dealer;
mod deciding;
mod defects;
mod endpoint;
mod events;
mod exhaustive;
mod finish;
mod flow;
mod ledger;
mod ours;
#[path = "../plain/mod.rs"]
mod plain;
mod program;
mod random;
mod raw;
mod setup;
mod shared;
mod small_credit;
mod small_worlds;
mod step;
mod tables;
mod wire_message;
mod world;

/// Returns whether the models run completely.
pub fn is_full() -> bool {
    std::env::var("MODEL").is_ok_and(|value| value == "full")
}

/// Prints a line in a full run, even if the test passes, for the log of CI.
pub fn report(text: &str) {
    use std::io::Write;
    if is_full() {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}
