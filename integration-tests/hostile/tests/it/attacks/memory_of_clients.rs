//! The memory that callers, publishers and routers can make a program with our client hold.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::case::{Case, Outcome, When, broken};
use crate::msgpack::{Item, NO_OPTIONS, Pack, RECEIVE_PROGRESS, call_with};
use crate::process::{Process, Router, victim};
use crate::wire::{MAX, PING, Peer, frame, message};

/// The most memory that a program with our client may hold, in MiB.
const MOST: f64 = 300.0;

pub const CASES: &[Case] = &[
    case("memory of clients/4,000 large results, caller does not read", || by_caller(large_results)),
    case("memory of clients/2,000 streams without credit", || by_caller(streams)),
    case("memory of clients/3,000 calls of 1 MiB", || by_caller(large_calls)),
    case("memory of clients/a router that calls and does not read", || by_router(invocations)),
    case("memory of clients/a router that calls what is not there", || by_router(unknown)),
    case("memory of clients/a router that sends events of 4 KiB", || by_router(events)),
    case("memory of clients/a router that sends large PINGs", || by_router(pings)),
];

const fn case(name: &'static str, run: fn() -> Outcome) -> Case {
    Case { name, run, when: When::Together }
}

/// Sends, until nothing more is accepted for a while.
const TIME: Duration = Duration::from_secs(6);

fn judge(mut victim: Process) -> Outcome {
    let (peak, alive) = (victim.peak(), victim.is_alive());
    let figures = format!("at most {peak:.0} MiB, {}", if alive { "goes on" } else { "has ended" });
    if peak <= MOST { Ok(figures) } else { Err(format!("more than {MOST:.0} MiB: {figures}")) }
}

fn by_caller(attack: fn(&mut Peer) -> io::Result<()>) -> Outcome {
    let measured = || -> io::Result<Outcome> {
        let router = Router::start()?;
        let victim = victim(&router.url())?;
        let mut caller = Peer::join_deaf(router.port)?;
        caller.socket.set_write_timeout(Some(Duration::from_secs(2)))?;
        // A victim that does not read defends itself.
        let _ = attack(&mut caller);
        std::thread::sleep(TIME);
        Ok(judge(victim))
    };
    measured().map_err(broken)?
}

fn large_results(caller: &mut Peer) -> io::Result<()> {
    let size = Pack::default().raw(b"\x91").uint(1 << 20).0;
    caller.send(
        &(1..=4000)
            .flat_map(|id| message(call_with(id, NO_OPTIONS, "victim.big", &size)))
            .collect::<Vec<u8>>(),
    )
}

fn streams(caller: &mut Peer) -> io::Result<()> {
    let arguments = Pack::default().raw(b"\x92").uint(60_000).uint(1000).0;
    let calls =
        (1..=2000).flat_map(|id| message(call_with(id, RECEIVE_PROGRESS, "victim.stream", &arguments)));
    caller.send(&calls.collect::<Vec<u8>>())
}

fn large_calls(caller: &mut Peer) -> io::Result<()> {
    let arguments = Pack::default().raw(b"\x91").bin(&vec![b'x'; 1 << 20]).0;
    (1..=3000).try_for_each(|id| caller.say(call_with(id, NO_OPTIONS, "victim.take", &arguments)))
}

/// A router that attacks a victim that has joined it.
fn by_router(attack: fn(&mut Evil) -> io::Result<()>) -> Outcome {
    let measured = || -> io::Result<Outcome> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("rs://{}", listener.local_addr()?);
        let joining = std::thread::spawn(move || victim(&url));
        let mut evil = Evil::accept(listener.accept()?.0)?;
        let victim = joining.join().map_err(|_| io::Error::other("no victim"))??;
        evil.peer.socket.set_write_timeout(Some(Duration::from_secs(2)))?;
        // A victim that stops reading, or leaves, has defended itself.
        let _ = attack(&mut evil);
        std::thread::sleep(Duration::from_secs(1));
        Ok(judge(victim))
    };
    measured().map_err(broken)?
}

struct Evil {
    peer: Peer,
    /// The first is `victim.big`, in the order of registering.
    registrations: u64,
    subscription: u64,
}

impl Evil {
    /// Accepts a client and answers its first requests.
    fn accept(socket: TcpStream) -> io::Result<Self> {
        let mut peer = Peer::accepted(socket)?;
        peer.hear()?;
        let roles = b"\x81\xa5roles\x82\xa6dealer\x80\xa6broker\x80";
        peer.say(Pack::array(3).uint(2).uint(1).raw(roles).0)?;
        let mut registrations = 0;
        loop {
            let items = peer.hear()?;
            let (Some(Item::Uint(code)), Some(Item::Uint(request))) = (items.first(), items.get(1)) else {
                return Err(io::Error::other(format!("the victim says {items:?}")));
            };
            if *code == 64 {
                registrations += 1;
                peer.say(Pack::array(3).uint(65).uint(*request).uint(registrations).0)?;
            } else {
                peer.say(Pack::array(3).uint(33).uint(*request).uint(1).0)?;
                return Ok(Self { peer, registrations, subscription: 1 });
            }
        }
    }

    fn flood(&mut self, mut make: impl FnMut(u64) -> Vec<u8>) -> io::Result<()> {
        let until = Instant::now() + TIME;
        for id in 1.. {
            if Instant::now() > until {
                break;
            }
            self.peer.send(&make(id))?;
        }
        Ok(())
    }
}

fn invocations(evil: &mut Evil) -> io::Result<()> {
    let size = Pack::default().raw(b"\x91").uint(1 << 20).0;
    evil.flood(|id| message(Pack::array(5).uint(68).uint(id).uint(1).raw(NO_OPTIONS).raw(&size).0))
}

fn unknown(evil: &mut Evil) -> io::Result<()> {
    let registration = evil.registrations + 100;
    let mut ids = 0;
    evil.flood(|_| {
        (0..100)
            .flat_map(|_| {
                ids += 1;
                message(Pack::array(4).uint(68).uint(ids).uint(registration).raw(NO_OPTIONS).0)
            })
            .collect()
    })
}

fn events(evil: &mut Evil) -> io::Result<()> {
    let subscription = evil.subscription;
    let arguments = Pack::default().raw(b"\x91").bin(&vec![b'x'; 4200]).0;
    // Each event arrives in one read with many other bytes.
    let other = frame(PING, &vec![b'p'; 4000]);
    evil.flood(|id| {
        let event = Pack::array(5).uint(36).uint(subscription).uint(id).raw(NO_OPTIONS).raw(&arguments).0;
        [message(event), other.repeat(14)].concat()
    })
}

fn pings(evil: &mut Evil) -> io::Result<()> {
    let ping = frame(PING, &vec![b'p'; MAX - 1000]);
    evil.flood(|_| ping.clone())
}
