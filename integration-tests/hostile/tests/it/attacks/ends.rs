//! A router that is told to end while it is attacked.

use std::io;
use std::time::{Duration, Instant};

use crate::case::{Case, Outcome, When, broken, hold};
use crate::msgpack::{NO_OPTIONS, call};
use crate::process::Router;
use crate::wire::{Peer, message, send};

pub const CASES: &[Case] =
    &[Case { name: "ends/SIGTERM in a flood, with sessions that are stuck", run: ends, when: When::Alone }];

/// The router's default for a shutdown, and the time of a link for its last messages, with a margin.
const LIMIT: Duration = Duration::from_secs(5 + 2 + 3);

/// Sessions that do not read and have calls open, and four that call what is not there without a pause.
fn ends() -> Outcome {
    let ended = || -> io::Result<Option<Duration>> {
        let mut router = Router::start()?;
        let mut callee = Peer::join(router.port)?;
        callee.register("ends.silent")?;
        let mut stuck = Vec::new();
        for _ in 0..200 {
            let mut peer = Peer::join_deaf(router.port)?;
            let calls = (1..=100).flat_map(|id| message(call(id, NO_OPTIONS, "ends.silent")));
            peer.send(&calls.collect::<Vec<u8>>())?;
            stuck.push(peer);
        }
        let until = Instant::now() + LIMIT;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let peer = Peer::join(router.port)?;
                scope.spawn(move || {
                    crate::process::be_nice();
                    peer.drain();
                    let mut ids = 1..;
                    let mut calls = || -> Vec<u8> {
                        ids.by_ref()
                            .take(500)
                            .flat_map(|id| message(call(id, NO_OPTIONS, "no.such")))
                            .collect()
                    };
                    // Until the router closes the connection.
                    while Instant::now() < until && send(&peer.socket, &calls()).is_ok() {}
                    crate::wire::close(&peer.socket);
                });
            }
            std::thread::sleep(Duration::from_millis(200));
            router.process.terminate(LIMIT)
        })
    };
    let ended = ended().map_err(broken)?;
    hold(ended.is_some(), "the router has not ended", format!("{ended:.1?} of {LIMIT:?}"))
}
