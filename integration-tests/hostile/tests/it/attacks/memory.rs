//! The memory that peers can make the router hold: at the peak, and after they have left.
//!
//! The router has a budget of memory for its peers; resident memory may exceed it by half.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::case::{Case, Outcome, When, broken, is_long};
use crate::msgpack::{
    ACKNOWLEDGE, NO_OPTIONS, PROGRESS, Pack, RECEIVE_PROGRESS, call, publish, subscribe, yield_of,
};
use crate::process::{BUDGET, Router};
use crate::wire::{MAX, MSGPACK, PING, Peer, close, frame, message};

/// The greatest growth of resident memory, in MiB.
const PEAK: f64 = 1.5 * BUDGET;

/// The memory that may stay after all peers have left, in MiB.
const STAYS: f64 = 32.0;

pub const CASES: &[Case] = &[
    case("memory/40 unfinished messages of 16 MiB", || measure(|port| unfinished(port, 40))),
    Case {
        name: "memory/200 unfinished messages of 16 MiB",
        run: || measure(|port| unfinished(port, 200)),
        when: When::Long,
    },
    case("memory/unfinished fragments of 16 MiB, WebSocket", || measure(fragments)),
    case("memory/PINGs of 16 MiB, PONGs not read", || measure(pings)),
    Case {
        name: "memory/last results for stalled callers",
        run: || measure(stalled_callers),
        when: When::Background,
    },
    case("memory/1,000 subscribers that do not read", || measure(|port| slow_subscribers(port, 1000))),
    case("memory/small results that pin large buffers", || measure(pinned_results)),
    case("memory/lists of 16 million texts in options", || measure(lists)),
    case("memory/a list of 16 million methods in HELLO", || measure(methods)),
    case("memory/long topics and procedures", || measure(long_names)),
    case("memory/calls with 1 MiB each to a callee that does not read", || measure(calls_unread)),
    case("memory/answers that are not read", || measure(answers_unread)),
];

const fn case(name: &'static str, run: fn() -> Outcome) -> Case {
    Case { name, run, when: When::Together }
}

/// Connections of attackers, held until the peak is measured.
type Held = Vec<TcpStream>;

fn measure(attack: fn(u16) -> io::Result<Held>) -> Outcome {
    let measured = || -> io::Result<Outcome> {
        let router = Router::start()?;
        // The first allocations of a router for peers do not count as growth.
        drop((0..20).map(|_| Peer::join(router.port)).collect::<io::Result<Vec<_>>>()?);
        let before = router.process.rss();
        router.process.reset_peak();
        let held = attack(router.port)?;
        std::thread::sleep(Duration::from_millis(300));
        let peak = router.process.peak().max(before) - before;
        held.iter().for_each(close);
        drop(held);
        let patience = Duration::from_secs(if is_long() { 60 } else { 15 });
        let stays = router.process.rss_falls_to(before + STAYS, patience) - before;
        let figures = format!("at most +{peak:.0} MiB, +{stays:.0} MiB stay");
        Ok(match (peak <= PEAK, stays <= STAYS) {
            (true, true) => Ok(figures),
            (false, _) => Err(format!("more than {PEAK:.0} MiB: {figures}")),
            (_, false) => Err(format!("more than {STAYS:.0} MiB stay: {figures}")),
        })
    };
    measured().map_err(broken)?
}

/// The longest wait of an attacker for a router that does not read.
const BLOCKED: Duration = Duration::from_millis(150);

/// Sends this and returns whether the router read it. A router that does not read has defended itself.
fn offer(mut socket: &TcpStream, bytes: &[u8]) -> io::Result<bool> {
    socket.set_write_timeout(Some(BLOCKED))?;
    match socket.write_all(bytes) {
        Ok(()) => Ok(true),
        // Refused, closed, or not read: each is a defence.
        Err(error) => {
            let defences = [
                io::ErrorKind::WouldBlock,
                io::ErrorKind::TimedOut,
                io::ErrorKind::BrokenPipe,
                io::ErrorKind::ConnectionReset,
            ];
            if defences.contains(&error.kind()) { Ok(false) } else { Err(error) }
        }
    }
}

/// All but the last bytes of a PUBLISH.
fn unfinished(port: u16, count: usize) -> io::Result<Held> {
    let message = publish(1, NO_OPTIONS, "a.b", &Pack::default().raw(b"\x91").bin(&vec![b'x'; MAX - 200]).0);
    let bytes = frame(0, &message);
    let mut held = Vec::new();
    for _ in 0..count {
        let peer = Peer::join(port)?;
        offer(&peer.socket, &bytes[..bytes.len() - 100])?;
        held.push(peer.socket);
    }
    Ok(held)
}

fn fragments(port: u16) -> io::Result<Held> {
    let piece = crate::wire::ws_frame(0x00, &vec![b'x'; 60_000]);
    let mut held = Vec::new();
    for _ in 0..40 {
        let socket = crate::wire::websocket_joined(port)?;
        offer(&socket, &crate::wire::ws_frame(0x02, b"\x95\x10\x01\x80\xa3a.b\x91\xc6\x00\xff\xff\x00"))?;
        offer(&socket, &piece.repeat(270))?;
        held.push(socket);
    }
    Ok(held)
}

fn pings(port: u16) -> io::Result<Held> {
    let ping = frame(PING, &vec![b'x'; MAX - 1000]);
    let mut held = Vec::new();
    for _ in 0..20 {
        let peer = Peer::join_deaf(port)?;
        for bytes in [&ping[..], &ping, &ping, &ping[..MAX / 2]] {
            if !offer(&peer.socket, bytes)? {
                break;
            }
        }
        held.push(peer.socket);
    }
    Ok(held)
}

/// A callee with this procedure.
fn callee(port: u16, procedure: &str) -> io::Result<Peer> {
    let mut peer = Peer::join(port)?;
    peer.register(procedure)?;
    Ok(peer)
}

/// A callee that streams without end.
struct Stream {
    peer: Peer,
    invocation: u64,
    /// The rest of a message.
    pending: Vec<u8>,
}

impl Stream {
    /// Sends as long as the router reads, a few MiB at most: results of a call that has ended are always
    /// read.
    fn go_on(&mut self) {
        let _ = self.peer.socket.set_write_timeout(Some(Duration::from_millis(10)));
        for _ in 0..64 {
            if self.pending.is_empty() {
                self.pending = message(yield_of(self.invocation, PROGRESS, 60_000));
            }
            match (&self.peer.socket).write(&self.pending) {
                Ok(sent) => drop(self.pending.drain(..sent)),
                Err(_) => return,
            }
        }
    }
}

/// Each caller is stalled by a callee of its own, which streams. Another callee of all of them then has a long
/// last result for each of their calls.
fn stalled_callers(port: u16) -> io::Result<Held> {
    const CALLERS: usize = 20;
    const RESULTS: usize = 40;
    let mut shared = callee(port, "shared.get")?;
    let (mut callers, mut streams) = (Vec::new(), Vec::new());
    for number in 0..CALLERS {
        let procedure = format!("stream.{number}");
        let mut streaming = callee(port, &procedure)?;
        let mut caller = Peer::join_deaf(port)?;
        let mut calls = message(call(1, RECEIVE_PROGRESS, &procedure));
        calls.extend((2..2 + RESULTS as u64).flat_map(|id| message(call(id, NO_OPTIONS, "shared.get"))));
        caller.send(&calls)?;
        let invocation = streaming.expect(68)?[1].uint();
        streams.push(Stream { peer: streaming, invocation, pending: Vec::new() });
        callers.push(caller);
    }
    let mut invocations = Vec::new();
    for _ in 0..CALLERS * RESULTS {
        invocations.push(shared.expect(68)?[1].uint());
    }
    // Longer than the stall limit.
    let until = Instant::now() + Duration::from_millis(6500);
    while Instant::now() < until {
        streams.iter_mut().for_each(Stream::go_on);
        std::thread::sleep(Duration::from_millis(50));
    }
    let start = Instant::now();
    for invocation in invocations {
        let taken = offer(&shared.socket, &message(yield_of(invocation, NO_OPTIONS, 1 << 20)))?;
        if !taken || start.elapsed() > Duration::from_secs(3) {
            break;
        }
    }
    let streams = streams.into_iter().map(|stream| stream.peer);
    Ok(callers.into_iter().chain(streams).chain([shared]).map(|peer| peer.socket).collect())
}

fn slow_subscribers(port: u16, count: usize) -> io::Result<Held> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut peer = Peer::join_deaf(port)?;
        peer.subscribe("slow.topic")?;
        held.push(peer.socket);
    }
    let publisher = Peer::join(port)?;
    let arguments = Pack::default().raw(b"\x91").bin(&[b'x'; 1000]).0;
    let mut ids = 1..;
    let until = Instant::now() + Duration::from_secs(4);
    let mut taken = true;
    while taken && Instant::now() < until {
        let burst =
            ids.by_ref().take(10).flat_map(|id| message(publish(id, NO_OPTIONS, "slow.topic", &arguments)));
        taken = offer(&publisher.socket, &burst.collect::<Vec<u8>>())?;
    }
    held.push(publisher.socket);
    Ok(held)
}

/// Each result arrived in one read with 59 KB of something that is ignored.
fn pinned_results(port: u16) -> io::Result<Held> {
    let mut victim = callee(port, "pin.get")?;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut caller = Peer::join_deaf(port)?;
        let calls: Vec<u8> = (1..=2000).flat_map(|id| message(call(id, NO_OPTIONS, "pin.get"))).collect();
        caller.send(&calls)?;
        held.push(caller.socket);
    }
    let filler = Pack::default().raw(b"\x91").bin(&vec![b'p'; 59_000]).0;
    let start = Instant::now();
    for _ in 0..16_000 {
        let (invocation, id) = (victim.expect(68)?[1].uint(), victim.id());
        let both = [
            message(yield_of(invocation, NO_OPTIONS, 4200)),
            message(publish(id, NO_OPTIONS, "no.where", &filler)),
        ];
        if !offer(&victim.socket, &both.concat())? || start.elapsed() > Duration::from_secs(6) {
            break;
        }
    }
    held.push(victim.socket);
    Ok(held)
}

/// `{key: ["", "", …]}`, as long as a message may be.
fn option_list(key: &str, element: u8) -> Vec<u8> {
    const COUNT: usize = MAX - 1000;
    Pack::default().raw(b"\x81").str(key).list(COUNT).raw(&vec![element; COUNT]).0
}

fn lists(port: u16) -> io::Result<Held> {
    let mut held = Vec::new();
    let keys = [("exclude_authid", 0xa0), ("eligible_authrole", 0xa0), ("exclude", 0x01), ("eligible", 0x01)];
    for (key, element) in keys {
        let mut peer = Peer::join(port)?;
        offer(
            &peer.socket,
            &message(Pack::array(4).uint(16).uint(1).raw(&option_list(key, element)).str("a.b").0),
        )?;
        offer(&peer.socket, &message(subscribe(2, "a.b")))?;
        // An answer, or an end: it was read.
        let _ = peer.frame();
        held.push(peer.socket);
    }
    Ok(held)
}

fn methods(port: u16) -> io::Result<Held> {
    const COUNT: usize = MAX - 1000;
    let roles = b"\x82\xa5roles\x81\xa6caller\x80\xabauthmethods";
    let hello = Pack::array(3).uint(1).str("realm1").raw(roles).list(COUNT).raw(&vec![0xa0; COUNT]).0;
    let mut held = Vec::new();
    for joined in [true, true, false] {
        let mut peer = if joined { Peer::join(port)? } else { Peer::connect(port, MSGPACK)? };
        offer(&peer.socket, &message(hello.clone()))?;
        let _ = peer.frame();
        held.push(peer.socket);
    }
    Ok(held)
}

/// As many subscriptions and registrations as a session may have, with names of nearly 1 KiB.
fn long_names(port: u16) -> io::Result<Held> {
    let name = "n".repeat(1000);
    let mut held = Vec::new();
    for code in [32, 64] {
        let peer = Peer::join(port)?;
        peer.drain();
        for first in (1..=65_536u64).step_by(256) {
            let burst = (first..first + 256).flat_map(|id| {
                message(crate::msgpack::request(code, id, NO_OPTIONS, &format!("{name}.{id}")))
            });
            if !offer(&peer.socket, &burst.collect::<Vec<u8>>())? {
                break;
            }
        }
        held.push(peer.socket);
    }
    std::thread::sleep(Duration::from_secs(1));
    Ok(held)
}

fn calls_unread(port: u16) -> io::Result<Held> {
    let deaf = callee(port, "deaf.get")?;
    let mut held = vec![deaf.socket];
    let arguments = Pack::default().raw(b"\x91").bin(&vec![b'x'; 1 << 20]).0;
    for _ in 0..4 {
        let peer = Peer::join(port)?;
        for id in 1..=64 {
            if !offer(
                &peer.socket,
                &message(crate::msgpack::call_with(id, NO_OPTIONS, "deaf.get", &arguments)),
            )? {
                break;
            }
        }
        held.push(peer.socket);
    }
    Ok(held)
}

/// Requests whose answers are never read.
fn answers_unread(port: u16) -> io::Result<Held> {
    let mut held = Vec::new();
    for _ in 0..200 {
        let peer = Peer::join_deaf(port)?;
        let burst: Vec<u8> =
            (1..=20_000).flat_map(|id| message(publish(id, ACKNOWLEDGE, "no.body", b"\x90"))).collect();
        offer(&peer.socket, &burst)?;
        held.push(peer.socket);
    }
    Ok(held)
}
