//! Patterns and URIs that are costly to keep, or to look up.

use std::io;
use std::time::{Duration, Instant};

use crate::case::{Case, Outcome, When, broken, hold, is_long};
use crate::flood::{Flood, Keep};
use crate::msgpack::{ACKNOWLEDGE, Item, NO_OPTIONS, PREFIX, WILDCARD, call, publish, register, subscribe};
use crate::process::Router;
use crate::wire::{MAX, Peer, close, message, send};

pub const CASES: &[Case] = &[
    Case {
        name: "wildcards/calls over 16,384 that cross",
        run: || {
            Flood {
                time: time(),
                ..Flood::new(|port, until, _| calls(port, until, 14)).scene(|port| crossing(port, 14)).once()
            }
            .run()
        },
        when: When::Alone,
    },
    Case {
        name: "wildcards/calls over 65,536 that cross",
        run: || {
            Flood {
                time: time(),
                ..Flood::new(|port, until, _| calls(port, until, 16)).scene(|port| crossing(port, 16)).once()
            }
            .run()
        },
        when: When::LongAlone,
    },
    Case { name: "wildcards/URIs of 1 MiB and of 16 MiB", run: giants, when: When::Alone },
];

fn time() -> Duration {
    Duration::from_millis(if is_long() { 8000 } else { 1000 })
}

/// Registers all patterns with this many components, each `a` or a gap, and one more component that no call
/// has. The router refuses some of them.
fn crossing(port: u16, components: u32) -> io::Result<Keep> {
    let mut peer = Peer::join(port)?;
    let drain = peer.drain();
    let pattern = |number: u32| -> String {
        (0..components).map(|bit| if number >> bit & 1 == 1 { "a." } else { "." }).collect::<String>() + "x"
    };
    for first in (0..1u32 << components).step_by(512) {
        let burst = (first..first + 512)
            .flat_map(|number| message(register(u64::from(number) + 1, WILDCARD, &pattern(number))));
        peer.send(&burst.collect::<Vec<u8>>())?;
    }
    // When nothing more arrives, everything has been answered.
    let (mut before, mut quiet) = (0, 0);
    while quiet < 3 {
        std::thread::sleep(Duration::from_millis(50));
        quiet = if drain.bytes() == before && before > 0 { quiet + 1 } else { 0 };
        before = drain.bytes();
    }
    Ok(Box::new(peer))
}

/// 200 calls in one write that match no pattern, the slowest case of a search.
fn calls(port: u16, until: Instant, components: usize) -> io::Result<()> {
    let uri = "a.".repeat(components) + "y";
    let peer = Peer::join(port)?;
    let drain = peer.drain();
    let mut ids = 1..;
    while Instant::now() < until {
        let burst: Vec<u8> =
            ids.by_ref().take(200).flat_map(|id| message(call(id, NO_OPTIONS, &uri))).collect();
        send(&peer.socket, &burst)?;
        let answered = drain.bytes() + 200 * 20;
        while drain.bytes() < answered && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    close(&peer.socket);
    Ok(())
}

/// URIs longer than any real one, in every request: each is refused, and costs neither memory nor time of
/// others.
fn giants() -> Outcome {
    giants_io().map_err(broken)?
}

fn giants_io() -> io::Result<Outcome> {
    let mut figures = Vec::new();
    for len in [1 << 20, MAX - 200] {
        let dots = ".".repeat(len);
        let dotted = "a.".repeat(len / 2) + "a";
        let plain = "a".repeat(len);
        let signs = "\u{200b}".repeat(len / 3);
        let requests: [(&str, Vec<u8>); 9] = [
            ("REGISTER, dots", register(1, WILDCARD, &dots)),
            ("REGISTER, components", register(1, WILDCARD, &dotted)),
            ("REGISTER, prefix", register(1, PREFIX, &plain)),
            ("REGISTER, exact", register(1, NO_OPTIONS, &plain)),
            ("SUBSCRIBE", subscribe(1, &plain)),
            ("CALL", call(1, NO_OPTIONS, &plain)),
            ("CALL, signs", call(1, NO_OPTIONS, &signs)),
            ("CALL, components", call(1, NO_OPTIONS, &dotted)),
            ("PUBLISH", publish(1, ACKNOWLEDGE, &plain, b"\x90")),
        ];
        for (what, request) in requests {
            let router = Router::start()?;
            let mut peer = Peer::join(router.port)?;
            let before = router.process.rss();
            peer.say(request)?;
            let answer = peer.hear()?;
            let refused = answer.contains(&Item::Text("wamp.error.invalid_uri".to_owned()));
            drop(peer);
            let kept = router.process.rss_falls_to(before + 24.0, Duration::from_secs(5)) - before;
            if !refused || kept > 32.0 {
                return Ok(Err(format!(
                    "{what} with {len} bytes: answered with {answer:?}, {kept:.0} MiB stay"
                )));
            }
            figures.push(kept);
        }
    }
    let most = figures.iter().fold(0.0, |most: f64, kept| most.max(*kept));
    Ok(hold(true, "", format!("{} requests refused, at most {most:.0} MiB stay", figures.len())))
}
