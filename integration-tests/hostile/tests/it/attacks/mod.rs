//! The attacks, one file for each kind.

mod connections;
mod ends;
mod floods;
mod guesses;
mod holders;
mod memory;
mod memory_of_clients;
mod one_batch;
mod poison;
mod signs_of_life;
mod tables;
mod wildcards;

use crate::case::Case;

/// All cases, in the order in which they run.
pub fn all() -> impl Iterator<Item = Case> {
    // Cases that wait for long run first, so that little is left to wait for at the end.
    let together =
        [signs_of_life::CASES, holders::CASES, memory::CASES, memory_of_clients::CASES, poison::CASES];
    let alone = [
        one_batch::CASES,
        tables::CASES,
        wildcards::CASES,
        connections::CASES,
        ends::CASES,
        floods::CASES,
        guesses::CASES,
    ];
    together.into_iter().chain(alone).flatten().copied()
}
