//! Sessions that come back: the rules of the link one by one (`link`), and a model of a client that loses its sessions
//! (`world`), in small worlds exhaustively and in larger ones at random.
//!
//! The model runs the link with real sessions against real realms. By default only a part of it runs, for some seconds;
//! `MODEL=full` runs all of it. `MODEL_RUNS` sets the number of random runs, `MODEL_SEED` the first seed.

#![allow(unreachable_pub, reason = "the modules of a test are public to each other")]

mod ends;
mod events;
mod exhaustive;
mod ledger;
mod link;
mod random;
mod step;
mod world;

/// Returns whether the model runs completely.
fn is_full() -> bool {
    std::env::var("MODEL").is_ok_and(|value| value == "full")
}
