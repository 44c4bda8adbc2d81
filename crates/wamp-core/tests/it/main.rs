//! The rules of the protocol, one behaviour a module. No socket, no clock, no sleeping.

#![allow(unreachable_pub, reason = "the modules of a test are public to each other")]

mod authentication;
mod authorization;
mod authorizers;
mod broker;
mod call_queue;
mod calls;
mod concurrency;
mod contested;
mod credit;
mod dead_holders;
mod decisions;
mod error_uris;
mod faults;
mod held_publishers;
mod history;
mod join;
mod matching;
mod max_send;
mod meta;
mod meta_events;
mod meta_kill;
mod net;
mod pattern_subscriptions;
#[path = "../plain/mod.rs"]
mod plain;
mod plain_results;
mod portions;
mod progressive_invocations;
mod progressive_results;
mod publishers;
mod quirks;
mod receivers;
mod reconfigured;
mod registrations;
mod request_ids;
mod rerouting;
mod retention;
mod revoked_subscriptions;
mod slow;
mod snapshot;
mod tables;
mod take_over;
mod testaments;
mod transparency;
mod trust_levels;
mod unknown_authids;
mod uris;
mod violations;
mod waiting_calls;

/// Returns the largest number of milliseconds, of a history with one entry each, for which something was held in any
/// window of this length.
fn most_within(window: usize, held: &[bool]) -> usize {
    let mut sum = held.iter().take(window).filter(|held| **held).count();
    let mut most = sum;
    for at in window..held.len() {
        sum = sum + usize::from(held[at]) - usize::from(held[at - window]);
        most = most.max(sum);
    }
    most
}
