//! Full tables, and an owner that leaves.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::case::{Case, Outcome, When};
use crate::flood::{Flood, Keep};
use crate::msgpack::{NO_OPTIONS, PREFIX, TIMEOUT_1_H, WILDCARD, call, register, subscribe};
use crate::wire::{Peer, message};

/// The limit of a session, and of a table of a session.
const ENTRIES: u64 = 65_536;

pub const CASES: &[Case] = &[
    table("tables/65,536 subscriptions", || {
        run(|port, until, _| fill(port, until, |id| subscribe(id, &format!("table.topic.{id}"))))
    }),
    table("tables/65,536 registrations", || {
        run(|port, until, _| {
            fill(port, until, |id| register(id, NO_OPTIONS, &format!("table.procedure.{id}")))
        })
    }),
    table("tables/65,536 prefix registrations", || {
        run(|port, until, _| {
            fill(port, until, |id| {
                register(id, PREFIX, &format!("table.{}.{id}", "x".repeat(id as usize % 500)))
            })
        })
    }),
    table("tables/65,536 wildcard registrations", || {
        run(|port, until, _| fill(port, until, |id| register(id, WILDCARD, &format!("table..{id}"))))
    }),
    table("tables/65,536 calls", || {
        Flood {
            time: time(),
            ..Flood::new(|port, until, _| {
                fill(port, until, |id| call(id, NO_OPTIONS, &format!("table.callee.{}", id % 4)))
            })
            .scene(callees)
            .once()
        }
        .run()
    }),
    table("tables/65,536 calls with timeouts", || {
        Flood {
            time: time(),
            ..Flood::new(|port, until, _| {
                fill(port, until, |id| call(id, TIMEOUT_1_H, &format!("table.callee.{}", id % 4)))
            })
            .scene(callees)
            .once()
        }
        .run()
    }),
    table("tables/65,536 calls of a callee that leaves", || {
        Flood { time: time(), ..Flood::new(callee_leaves).scene(|_| Ok(Box::new(()))).once() }.run()
    }),
];

const fn table(name: &'static str, run: fn() -> Outcome) -> Case {
    Case { name, run, when: When::Alone }
}

/// Enough to fill a table and to empty it.
fn time() -> Duration {
    Duration::from_millis(if crate::case::is_long() { 6000 } else { 1000 })
}

fn run(attack: fn(u16, Instant, usize) -> io::Result<()>) -> Outcome {
    Flood { time: time(), ..Flood::new(attack).once() }.run()
}

/// Makes as many requests as fit, reads the answers, and closes the connection.
fn fill(port: u16, until: Instant, make: fn(u64) -> Vec<u8>) -> io::Result<()> {
    let mut peer = Peer::join(port)?;
    peer.drain();
    for first in (1..=ENTRIES).step_by(512) {
        peer.send(&(first..first + 512).flat_map(|id| message(make(id))).collect::<Vec<u8>>())?;
    }
    settle(until);
    crate::wire::close(&peer.socket);
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    Ok(())
}

/// Waits until the sent messages are handled; the rest of the time is for the end.
fn settle(until: Instant) {
    std::thread::sleep(until.saturating_duration_since(Instant::now()) / 2);
}

fn callees(port: u16) -> io::Result<Keep> {
    let mut callees = Vec::new();
    for number in 0..4 {
        let mut peer = Peer::join(port)?;
        peer.register(&format!("table.callee.{number}"))?;
        peer.drain();
        callees.push(peer);
    }
    Ok(Box::new(callees))
}

/// Four callers with as many calls as one callee may have; it leaves, and each call ends.
fn callee_leaves(port: u16, until: Instant, _: usize) -> io::Result<()> {
    let mut callee = Peer::join(port)?;
    callee.register("table.leaver")?;
    callee.drain();
    let mut callers = Vec::new();
    for _ in 0..4 {
        let caller = Peer::join(port)?;
        caller.drain();
        for first in (1..=ENTRIES / 4).step_by(512) {
            let calls: Vec<u8> =
                (first..first + 512).flat_map(|id| message(call(id, NO_OPTIONS, "table.leaver"))).collect();
            (&caller.socket).write_all(&calls)?;
        }
        callers.push(caller);
    }
    settle(until);
    crate::wire::close(&callee.socket);
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    callers.iter().for_each(|caller| crate::wire::close(&caller.socket));
    Ok(())
}
