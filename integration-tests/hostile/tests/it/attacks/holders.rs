//! Callers that do not read, or read slowly, and their effect on their callee and its other callers.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use crate::case::{Case, Outcome, When, broken, hold, is_long};
use crate::msgpack::{Item, NO_OPTIONS, call, subscribe, yield_of};
use crate::process::Router;
use crate::wire::{Peer, message};

/// The longest that an innocent call may wait in any 10 s, with a margin for the machine.
const LIMIT: Duration = Duration::from_millis(2500 + 500);

pub const CASES: &[Case] = &[
    Case { name: "holders/1 attacker", run: || rotating(1), when: When::Long },
    Case { name: "holders/8 attackers who come back", run: || rotating(8), when: When::Together },
    Case { name: "holders/64 attackers who come back", run: || rotating(64), when: When::Together },
    Case { name: "holders/a reader that is slow, not dead", run: slow_reader, when: When::Together },
];

/// The calls that a callee answers.
const BIG: usize = 1 << 20;

/// A callee answers `held.big` with 1 MiB and `held.quick` at once. Attackers call the first and do not read,
/// so that one after another holds the callee, and come back as new sessions. The figure is the longest wait of
/// an innocent call of the second.
fn rotating(attackers: usize) -> Outcome {
    let time = Duration::from_secs(if is_long() { 40 } else { 13 });
    let longest = || -> io::Result<Duration> {
        let router = Router::start()?;
        let until = Instant::now() + time;
        let mut callee = Peer::join(router.port)?;
        let big = callee.register("held.big")?;
        callee.register("held.quick")?;
        std::thread::scope(|scope| {
            scope.spawn(move || serve(callee, big));
            for _ in 0..attackers {
                let port = router.port;
                scope.spawn(
                    move || while Instant::now() < until && attack(port, until, attackers as u32).is_ok() {},
                );
            }
            let longest = innocent(router.port, until);
            // The callee and the attackers end with the router.
            drop(router);
            longest
        })
    };
    let longest = longest().map_err(broken)?;
    hold(longest <= LIMIT, "an innocent call waited too long", format!("{longest:.1?} of {LIMIT:?}"))
}

/// Answers until the connection ends.
fn serve(mut callee: Peer, big: u64) {
    let _ = callee.socket.set_write_timeout(None);
    let _ = callee.socket.set_read_timeout(None);
    while let Ok(items) = callee.hear() {
        let [Item::Uint(68), Item::Uint(invocation), Item::Uint(registration), ..] = &items[..] else {
            continue;
        };
        let size = if *registration == big { BIG } else { 1 };
        if callee.say(yield_of(*invocation, NO_OPTIONS, size)).is_err() {
            return;
        }
    }
}

/// Eight calls, nothing read, until each of the attackers has had the time to use up its share.
fn attack(port: u16, until: Instant, attackers: u32) -> io::Result<()> {
    let mut peer = Peer::join_deaf(port)?;
    let calls: Vec<u8> = (1..=8).flat_map(|id| message(call(id, NO_OPTIONS, "held.big"))).collect();
    peer.send(&calls)?;
    let share = Duration::from_millis(2200) * attackers;
    std::thread::sleep(share.min(until.saturating_duration_since(Instant::now())));
    Ok(())
}

fn innocent(port: u16, until: Instant) -> io::Result<Duration> {
    let mut peer = Peer::join(port)?;
    peer.socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut longest = Duration::ZERO;
    for id in 1.. {
        let start = Instant::now();
        if start >= until {
            break;
        }
        peer.say(call(id, NO_OPTIONS, "held.quick"))?;
        peer.hear()?;
        longest = longest.max(start.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(longest)
}

/// A caller reads one result of nearly 16 MiB at 300 kB/s. The figure is how long its callee waits for an
/// answer to a request of its own.
fn slow_reader() -> Outcome {
    let waited = || -> io::Result<Duration> {
        let router = Router::start()?;
        let mut callee = Peer::join(router.port)?;
        callee.register("slow.get")?;
        let mut attacker = Peer::join_deaf(router.port)?;
        attacker.say(call(1, NO_OPTIONS, "slow.get"))?;
        let invocation = callee.expect(68)?[1].uint();
        let over = Instant::now() + Duration::from_secs(60);
        std::thread::scope(|scope| {
            let socket = attacker.socket.try_clone()?;
            scope.spawn(move || {
                // A failure ends the attacker, which releases the callee.
                let mut bytes = vec![0; 30_000];
                while Instant::now() < over && (&socket).read_exact(&mut bytes).is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
            callee.say(yield_of(invocation, NO_OPTIONS, (16 << 20) - 200))?;
            let start = Instant::now();
            callee.socket.set_read_timeout(Some(Duration::from_secs(60)))?;
            callee.say(subscribe(2, "something.of.its.own"))?;
            callee.expect(33)?;
            let waited = start.elapsed();
            crate::wire::close(&attacker.socket);
            Ok(waited)
        })
    };
    let waited = waited().map_err(broken)?;
    hold(waited <= LIMIT, "the callee waited too long", format!("{waited:.1?} of {LIMIT:?}"))
}
