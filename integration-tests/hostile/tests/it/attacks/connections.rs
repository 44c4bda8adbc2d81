//! Many connections: all at once, and ones that send nothing.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::case::{Case, Outcome, When, broken, hold};
use crate::process::Router;
use crate::wire::Peer;

pub const CASES: &[Case] = &[
    Case { name: "connections/5,000 one after the other", run: burst, when: When::Alone },
    Case { name: "connections/400 silent ones where 256 files are", run: || silent(0), when: When::Together },
    Case {
        name: "connections/400 with a handshake where 256 files are",
        run: || silent(4),
        when: When::Together,
    },
    Case {
        name: "connections/400 with half a request where 256 files are",
        run: || silent(60),
        when: When::Together,
    },
];

/// A SYN that finds no room is repeated after a second.
const LOST: Duration = Duration::from_millis(900);

fn burst() -> Outcome {
    let connect = || -> io::Result<(usize, Duration)> {
        let router = Router::start()?;
        let mut sockets = Vec::new();
        let (mut lost, begun) = (0, Instant::now());
        for _ in 0..5000 {
            let start = Instant::now();
            sockets.push(TcpStream::connect(("127.0.0.1", router.port))?);
            lost += usize::from(start.elapsed() > LOST);
        }
        Ok((lost, begun.elapsed()))
    };
    let (lost, took) = connect().map_err(broken)?;
    hold(lost == 0, "connections had to be tried again", format!("{lost} tried again, {took:.2?} in all"))
}

/// Connections that do not join hold places; a newcomer joins all the same.
fn silent(bytes: usize) -> Outcome {
    let join = || -> io::Result<Duration> {
        let router = Router::with_files(256)?;
        let request =
            [&[0x7f, 0xf2, 0, 0], &b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nX: "[..]];
        let request = if bytes <= 4 { &request[0][..bytes] } else { request[1] };
        let mut silent = Vec::new();
        for _ in 0..400 {
            let mut socket = TcpStream::connect(("127.0.0.1", router.port))?;
            io::Write::write_all(&mut socket, request)?;
            silent.push(socket);
        }
        let start = Instant::now();
        // A refused newcomer has not joined: it tries again.
        while Peer::join(router.port).is_err() {
            if start.elapsed() > Duration::from_secs(20) {
                return Err(io::Error::other("no client can join for 20 s"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(start.elapsed())
    };
    let waited = join().map_err(broken)?;
    hold(waited < Duration::from_secs(3), "a newcomer had to wait for a place", format!("{waited:.2?}"))
}
