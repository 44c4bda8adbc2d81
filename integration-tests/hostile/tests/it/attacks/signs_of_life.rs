//! Slow lines, and silent ends.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use wamp_router::{Address, Limits, Router};

use crate::case::{Case, Outcome, When, broken, hold};
use crate::msgpack::{ACKNOWLEDGE, Pack, publish};
use crate::process::{Router as Program, victim};
use crate::wire::{Drain, Peer, message, websocket_joined, ws_frame};

pub const CASES: &[Case] = &[
    Case {
        name: "signs of life/a client notices a silent router",
        run: silent_router,
        when: When::Background,
    },
    Case {
        name: "signs of life/a slow upload, RawSocket",
        run: || slow_upload(Line::RawSocket),
        when: When::Together,
    },
    Case {
        name: "signs of life/a slow upload, WebSocket, one frame",
        run: || slow_upload(Line::Frame),
        when: When::Together,
    },
    Case {
        name: "signs of life/a slow upload, WebSocket, fragments",
        run: || slow_upload(Line::Fragments),
        when: When::Together,
    },
    Case { name: "signs of life/16 MiB at 2.6 Mbit/s", run: long_upload, when: When::Long },
];

/// The client's default, with a margin for the machine.
const NOTICED: Duration = Duration::from_secs(45 + 3);

fn silent_router() -> Outcome {
    let noticed = || -> io::Result<Duration> {
        let router = Program::start()?;
        let mut victim = victim(&router.url())?;
        router.process.freeze();
        let start = Instant::now();
        while victim.is_alive() && start.elapsed() < NOTICED {
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(start.elapsed())
    };
    let noticed = noticed().map_err(broken)?;
    hold(noticed < NOTICED, "the client noticed nothing", format!("{noticed:.1?}"))
}

#[derive(Clone, Copy)]
enum Line {
    RawSocket,
    Frame,
    Fragments,
}

/// A router in this process that closes a link after 1.5 s of silence, and a message that takes 6 s to arrive,
/// never silent for longer than 50 ms.
fn slow_upload(line: Line) -> Outcome {
    let limits = Limits {
        silence: Duration::from_millis(1000),
        pong: Duration::from_millis(500),
        ..Limits::default()
    };
    let runtime = tokio::runtime::Runtime::new().map_err(broken)?;
    let _inside = runtime.enter();
    let router = Router::builder().realm("realm1").limits(limits).build();
    let address = runtime.block_on(router.listen("127.0.0.1:0")).map_err(|error| error.to_string())?;
    let Address::Tcp(address) = address else { return Err("not TCP".to_owned()) };
    upload(address.port(), line, 600_000, Duration::from_secs(6)).map_err(broken)?
}

fn long_upload() -> Outcome {
    let uploaded = || -> io::Result<Outcome> {
        let router = Program::start()?;
        upload(router.port, Line::RawSocket, 16_000_000, Duration::from_secs(50))
    };
    uploaded().map_err(broken)?
}

fn upload(port: u16, line: Line, size: usize, time: Duration) -> io::Result<Outcome> {
    let arguments = Pack::default().raw(b"\x91").bin(&vec![b'x'; size]).0;
    let publish = publish(1, ACKNOWLEDGE, "slow.topic", &arguments);
    let (socket, bytes): (TcpStream, Vec<u8>) = match line {
        Line::RawSocket => (Peer::join(port)?.socket, message(publish)),
        Line::Frame => (websocket_joined(port)?, ws_frame(0x82, &publish)),
        Line::Fragments => {
            let mut pieces = publish.chunks(50_000).enumerate();
            let last = publish.len().div_ceil(50_000) - 1;
            let frames = pieces.by_ref().map(|(index, piece)| {
                let first = if index == 0 { 0x02 } else { 0x00 } | if index == last { 0x80 } else { 0 };
                ws_frame(first, piece)
            });
            (websocket_joined(port)?, frames.collect::<Vec<_>>().concat())
        }
    };
    // No PING is answered: arriving bytes are the sign of life.
    let drain = Drain::new(&socket);
    let before = drain.bytes();
    let steps = (time.as_millis() / 50).max(1) as usize;
    let start = Instant::now();
    for piece in bytes.chunks(bytes.len().div_ceil(steps)) {
        std::thread::sleep(Duration::from_millis(50));
        if drain.is_over() || (&socket).write_all(piece).is_err() {
            return Ok(Err(format!("cut off after {:.1?} of {time:?}", start.elapsed())));
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    let (answered, over) = (drain.bytes() > before, drain.is_over());
    Ok(hold(answered && !over, "the message was not answered", format!("arrived in {:.1?}", start.elapsed())))
}
