//! Floods: small messages and frames without pause, from four connections at once.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::case::{Case, When};
use crate::crowd::Crowd;
use crate::flood::Flood;
use crate::msgpack::{
    KILL_NO_WAIT, NO_OPTIONS, Pack, TIMEOUT_1_MS, call, call_with, goodbye, hello, publish, register,
    subscribe,
};
use crate::wire::{
    Drain, MSGPACK, PING, PONG, Peer, close, frame, message, send, websocket, websocket_joined, ws_frame,
};

pub const CASES: &[Case] = &[
    flood("floods/HELLO and GOODBYE", || Flood::new(hello_goodbye).run()),
    flood("floods/HELLO and GOODBYE, WebSocket", || Flood::new(hello_goodbye_ws).run()),
    flood("floods/HELLO and ABORT", || Flood::new(hello_abort).run()),
    flood("floods/connect, join, call, close", || Flood::new(lives).run()),
    flood("floods/RawSocket PING before HELLO", || Flood::new(|p, u, _| rs_pings(p, u, false, PING)).run()),
    flood("floods/RawSocket PING", || Flood::new(|p, u, _| rs_pings(p, u, true, PING)).run()),
    long("floods/RawSocket PONG", || Flood::new(|p, u, _| rs_pings(p, u, true, PONG)).run()),
    flood("floods/WebSocket PING before HELLO", || {
        Flood::new(|p, u, _| ws_frames(p, u, false, &[0x89])).run()
    }),
    flood("floods/WebSocket PING", || Flood::new(|p, u, _| ws_frames(p, u, true, &[0x89])).run()),
    long("floods/WebSocket PONG", || Flood::new(|p, u, _| ws_frames(p, u, true, &[0x8a])).run()),
    flood("floods/empty continuations before HELLO", || {
        Flood::new(|p, u, _| ws_frames(p, u, false, &[0x02, 0x00])).run()
    }),
    flood("floods/empty continuations", || Flood::new(|p, u, _| ws_frames(p, u, true, &[0x02, 0x00])).run()),
    flood("floods/PUBLISH to 1,000 subscribers", || {
        Flood::new(publishes).scene(|port| subscribers(port, 1000)).run()
    }),
    long("floods/PUBLISH to 4,000 subscribers", || {
        Flood::new(publishes).scene(|port| subscribers(port, 4000)).run()
    }),
    flood("floods/PUBLISH to 1,000 subscribers that do not read", || {
        Flood::new(large_publishes).scene(deaf_subscribers).run()
    }),
    long("floods/PUBLISH to 1,000 subscribers, 10 bystanders", || {
        Flood::new(publishes).scene(|port| subscribers(port, 1000)).beside(10).run()
    }),
    long("floods/PUBLISH to 1,000 subscribers, 100 bystanders", || {
        Flood::new(publishes).scene(|port| subscribers(port, 1000)).beside(100).run()
    }),
    flood("floods/PUBLISH to nobody", || {
        Flood::new(|p, u, _| requests(p, u, |id| publish(id, NO_OPTIONS, "no.body", b"\x90"))).run()
    }),
    flood("floods/timeouts that pass together", || {
        Flood::new(|p, u, _| requests(p, u, |id| call(id, TIMEOUT_1_MS, "flood.silent")))
            .scene(silent_callee)
            .run()
    }),
    flood("floods/CALL of nothing", || {
        Flood::new(|p, u, _| requests(p, u, |id| call(id, NO_OPTIONS, "no.such"))).run()
    }),
    long("floods/CALL of nothing, 10 bystanders", || {
        Flood::new(|p, u, _| requests(p, u, |id| call(id, NO_OPTIONS, "no.such"))).beside(10).run()
    }),
    flood("floods/CALL of nothing, 100 bystanders", || {
        Flood::new(|p, u, _| requests(p, u, |id| call(id, NO_OPTIONS, "no.such"))).beside(100).run()
    }),
    flood("floods/CALL of nothing, answers not read", || Flood::new(calls_unread).run()),
    flood("floods/CALL and CANCEL", || Flood::new(call_and_cancel).scene(silent_callee).run()),
    long("floods/CANCEL of nothing", || {
        Flood::new(|p, u, _| requests(p, u, |id| Pack::array(3).uint(49).uint(id).raw(NO_OPTIONS).0)).run()
    }),
    flood("floods/SUBSCRIBE to new topics", || {
        Flood::new(|p, u, _| requests(p, u, |id| subscribe(id, &format!("new.topic.{id}")))).run()
    }),
    long("floods/SUBSCRIBE to one topic", || {
        Flood::new(|p, u, _| requests(p, u, |id| subscribe(id, "one.topic"))).run()
    }),
    flood("floods/UNSUBSCRIBE of nothing", || {
        Flood::new(|p, u, _| requests(p, u, |id| Pack::array(3).uint(34).uint(id).uint(77).0)).run()
    }),
    flood("floods/REGISTER of new procedures", || {
        Flood::new(|p, u, _| requests(p, u, |id| register(id, NO_OPTIONS, &format!("new.procedure.{id}"))))
            .run()
    }),
    long("floods/REGISTER of one procedure", || {
        Flood::new(|p, u, _| requests(p, u, |id| register(id, NO_OPTIONS, "one.procedure"))).run()
    }),
    long("floods/UNREGISTER of nothing", || {
        Flood::new(|p, u, _| requests(p, u, |id| Pack::array(3).uint(66).uint(id).uint(77).0)).run()
    }),
    flood("floods/YIELD of nothing", || {
        Flood::new(|p, u, _| requests(p, u, |_| Pack::array(3).uint(70).uint(1).raw(NO_OPTIONS).0)).run()
    }),
    long("floods/CREDIT of nothing", || {
        Flood::new(|p, u, _| requests(p, u, |id| Pack::array(4).uint(256).uint(id).raw(NO_OPTIONS).uint(1).0))
            .run()
    }),
    flood("floods/CALL of a session's own procedure", || Flood::new(own_procedure).run()),
];

const fn flood(name: &'static str, run: fn() -> crate::case::Outcome) -> Case {
    Case { name, run, when: When::Alone }
}

const fn long(name: &'static str, run: fn() -> crate::case::Outcome) -> Case {
    Case { name, run, when: When::LongAlone }
}

/// The longest wait for a router that does not read.
const BLOCKED: Duration = Duration::from_millis(500);

/// Sends one burst after another, and reads the answers.
fn pour(
    socket: &TcpStream,
    until: Instant,
    reads: bool,
    mut burst: impl FnMut() -> Vec<u8>,
) -> io::Result<()> {
    socket.set_write_timeout(Some(BLOCKED))?;
    if reads {
        Drain::new(socket);
    }
    let mut poured = Ok(());
    while Instant::now() < until && poured.is_ok() {
        poured = send(socket, &burst());
    }
    close(socket);
    poured
}

fn hello_goodbye(port: u16, until: Instant, _: usize) -> io::Result<()> {
    let pair = [message(hello()), message(goodbye())].concat().repeat(200);
    pour(&Peer::connect(port, MSGPACK)?.socket, until, true, || pair.clone())
}

fn hello_goodbye_ws(port: u16, until: Instant, _: usize) -> io::Result<()> {
    let pair = [ws_frame(0x82, &hello()), ws_frame(0x82, &goodbye())].concat().repeat(200);
    pour(&websocket(port)?, until, true, || pair.clone())
}

/// A connection for each, since ABORT ends it.
fn hello_abort(port: u16, until: Instant, _: usize) -> io::Result<()> {
    let abort = Pack::array(3).uint(3).raw(NO_OPTIONS).str("wamp.close.normal").0;
    let both = [message(hello()), message(abort)].concat();
    while Instant::now() < until {
        let mut peer = Peer::connect(port, MSGPACK)?;
        peer.send(&both)?;
        peer.frame()?;
    }
    Ok(())
}

fn lives(port: u16, until: Instant, _: usize) -> io::Result<()> {
    while Instant::now() < until {
        let mut peer = Peer::join(port)?;
        peer.say(call(1, NO_OPTIONS, "no.such"))?;
        peer.hear()?;
    }
    Ok(())
}

fn rs_pings(port: u16, until: Instant, joined: bool, kind: u8) -> io::Result<()> {
    let pings = frame(kind, b"").repeat(4096);
    let peer = if joined { Peer::join(port)? } else { Peer::connect(port, MSGPACK)? };
    pour(&peer.socket, until, true, || pings.clone())
}

/// Frames without bytes: the first once, the last again and again.
fn ws_frames(port: u16, until: Instant, joined: bool, kinds: &[u8]) -> io::Result<()> {
    let socket = if joined { websocket_joined(port)? } else { websocket(port)? };
    send(&socket, &ws_frame(kinds[0], b""))?;
    let frames = ws_frame(kinds[kinds.len() - 1], b"").repeat(4096);
    pour(&socket, until, true, || frames.clone())
}

fn requests(port: u16, until: Instant, make: fn(u64) -> Vec<u8>) -> io::Result<()> {
    let peer = Peer::join(port)?;
    let mut ids = 1..;
    pour(&peer.socket, until, true, || ids.by_ref().take(500).flat_map(|id| message(make(id))).collect())
}

fn calls_unread(port: u16, until: Instant, _: usize) -> io::Result<()> {
    let peer = Peer::join(port)?;
    let mut ids = 1..;
    let burst = || ids.by_ref().take(500).flat_map(|id| message(call(id, NO_OPTIONS, "no.such"))).collect();
    pour(&peer.socket, until, false, burst)
}

fn call_and_cancel(port: u16, until: Instant, _: usize) -> io::Result<()> {
    let peer = Peer::join(port)?;
    let mut ids = 1..;
    let pair = |id| {
        let cancel = Pack::array(3).uint(49).uint(id).raw(KILL_NO_WAIT).0;
        [message(call(id, NO_OPTIONS, "flood.silent")), message(cancel)].concat()
    };
    pour(&peer.socket, until, true, || ids.by_ref().take(250).flat_map(pair).collect())
}

fn own_procedure(port: u16, until: Instant, attacker: usize) -> io::Result<()> {
    let mut peer = Peer::join(port)?;
    let procedure = format!("own.{attacker}");
    peer.register(&procedure)?;
    let mut ids = 2..;
    let burst = || {
        ids.by_ref()
            .take(200)
            .flat_map(|id| message(call_with(id, NO_OPTIONS, &procedure, b"\x91\x01")))
            .collect()
    };
    pour(&peer.socket, until, true, burst)
}

fn publishes(port: u16, until: Instant, _: usize) -> io::Result<()> {
    let arguments = Pack::default().raw(b"\x91").str(&"x".repeat(100)).0;
    let peer = Peer::join(port)?;
    let mut ids = 1..;
    let burst = || {
        ids.by_ref()
            .take(20)
            .flat_map(|id| message(publish(id, NO_OPTIONS, "flood.topic", &arguments)))
            .collect()
    };
    pour(&peer.socket, until, true, burst)
}

/// Events of 1 KiB, whether they are read or not.
fn large_publishes(port: u16, until: Instant, _: usize) -> io::Result<()> {
    let arguments = Pack::default().raw(b"\x91").bin(&[b'x'; 1000]).0;
    let peer = Peer::join(port)?;
    let mut ids = 1..;
    let burst = || {
        ids.by_ref()
            .take(10)
            .flat_map(|id| message(publish(id, NO_OPTIONS, "deaf.topic", &arguments)))
            .collect()
    };
    pour(&peer.socket, until, true, burst)
}

fn deaf_subscribers(port: u16) -> io::Result<crate::flood::Keep> {
    let subscriber = |_| {
        let mut peer = Peer::join_deaf(port)?;
        peer.subscribe("deaf.topic")?;
        Ok(peer)
    };
    Ok(Box::new((0..1000).map(subscriber).collect::<io::Result<Vec<_>>>()?))
}

fn subscribers(port: u16, count: usize) -> io::Result<crate::flood::Keep> {
    Ok(Box::new(Crowd::of_subscribers(port, count, "flood.topic")?))
}

/// A callee that never answers.
fn silent_callee(port: u16) -> io::Result<crate::flood::Keep> {
    let mut peer = Peer::join(port)?;
    peer.register("flood.silent")?;
    peer.drain();
    Ok(Box::new(peer))
}
