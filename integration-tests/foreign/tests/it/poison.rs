//! Payloads on which some decoder raises an exception: Autobahn|Python survives everything that is published
//! and called through our router.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use wamp_client::{Session, connect};

use crate::log::Log;
use crate::peer::{Peer, Transport};
use crate::process::{Lines, Process};
use crate::routers::{Running, Which};
use crate::run::{Chapter, Outcome};
use crate::tools::Tools;

/// The readers, for each serializer of an attacker.
const READERS: [&str; 4] = ["py/ws/json", "py/ws/msgpack", "py/ws/cbor", "py/rs/msgpack"];

/// The beginning, in each serializer, of a PUBLISH to `poison.topic` and of a CALL of `poison.0`, `poison.1`,
/// …; the last byte, if the format has one, follows the payload.
struct Attacker {
    row: &'static str,
    /// The number of the serializer in a RawSocket handshake.
    number: u8,
    hello: &'static [u8],
    publish: fn(&[u8]) -> Vec<u8>,
    call: fn(u8, &[u8]) -> Vec<u8>,
    payloads: &'static [&'static [u8]],
}

const ATTACKERS: [Attacker; 3] = [
    Attacker {
        row: "poison in MessagePack",
        number: 2,
        hello: b"\x93\x01\xa6realm1\x81\xa5roles\x82\xa6caller\x80\xa9publisher\x80",
        publish: |payload| [&b"\x95\x10\x01\x80\xacpoison.topic"[..], payload].concat(),
        call: |reader, payload| [&b"\x95\x30\x02\x80\xa8poison."[..], &[b'0' + reader], payload].concat(),
        payloads: &[
            b"\x91\xa2\xff\xfe",
            b"\x91\xa3\xed\xa0\x80",
            b"\x91\x81\x01\x02",
            b"\x91\x81\x91\x01\x02",
            b"\x91\x81\xa1\xff\x02",
            b"\x91\x81\xc0\x02",
            b"\x91\xc7\x05\xff12345",
            b"\x91\xd6\xff\xff\xff\xff\xff",
            b"\x91\xd4\x05\x00",
            b"\x91\xc1",
        ],
    },
    Attacker {
        row: "poison in CBOR",
        number: 3,
        hello: b"\x83\x01\x66realm1\xa1\x65roles\xa2\x66caller\xa0\x69publisher\xa0",
        publish: |payload| [&b"\x85\x10\x01\xa0\x6cpoison.topic"[..], payload].concat(),
        call: |reader, payload| [&b"\x85\x18\x30\x02\xa0\x68poison."[..], &[b'0' + reader], payload].concat(),
        payloads: &[
            b"\x81\x62\xff\xfe",
            b"\x81\x7f\x61a\x61\xff\xff",
            b"\x81\xa1\x01\x02",
            b"\x81\xa1\x81\x01\x02",
            b"\x81\xc0\x61x",
            b"\x81\xc1\x61x",
            b"\x81\xc2\x81\x01",
            b"\x81\xd8\x23\x61(",
            b"\x81\xd8\x25\x41x",
            b"\x81\xd8\x1d\x05",
            b"\x81\xf0",
            b"\x81\xf7",
        ],
    },
    Attacker {
        row: "poison in JSON",
        number: 1,
        hello: br#"[1,"realm1",{"roles":{"caller":{},"publisher":{}}}]"#,
        publish: |payload| [&br#"[16,1,{},"poison.topic","#[..], payload, b"]"].concat(),
        call: |reader, payload| {
            [&br#"[48,2,{},"poison."#[..], &[b'0' + reader], b"\",", payload, b"]"].concat()
        },
        payloads: &[
            br#"["\ud800"]"#,
            br#"["\u0000not base64!"]"#,
            br#"[1e400]"#,
            br#"[NaN]"#,
            b"[\"\xff\"]",
            br#"[123456789012345678901234567890]"#,
            &DIGITS,
        ],
    },
];

/// A list of an integer of 5,000 digits.
const DIGITS: [u8; 5002] = {
    let mut digits = [b'9'; 5002];
    (digits[0], digits[5001]) = (b'[', b']');
    digits
};

/// Runs the rows that have one of the words in them, or all.
pub async fn chapter(tools: &Tools, wanted: &[String]) -> Option<Chapter> {
    let mut outcomes = Vec::new();
    for attacker in ATTACKERS {
        let row = attacker.row;
        if !wanted.is_empty() && !wanted.iter().any(|word| row.contains(&**word)) {
            continue;
        }
        let started = Instant::now();
        let result = match timeout(Duration::from_secs(120), play(tools, &attacker)).await {
            Ok(result) => result,
            Err(_) => Err("it hangs".to_owned()),
        };
        outcomes.push(Outcome { row, took: started.elapsed(), result });
    }
    (!outcomes.is_empty())
        .then_some(Chapter { title: "L: Autobahn|Python is not poisoned, our router", outcomes })
}

async fn play(tools: &Tools, attacker: &Attacker) -> Result<(), String> {
    let router = Running::start(Which::Embedded, tools).await?;
    let url = router.url(Transport::RawSocket);
    let publisher = connect(&url).await.map_err(|error| error.to_string())?;
    let log = Log::default();
    let mut readers = Vec::new();
    for (number, reader) in READERS.iter().enumerate() {
        readers.push((*reader, Reader::start(tools, &router, reader, number, &log).await?));
    }
    let mut failed = Vec::new();
    for (index, payload) in attacker.payloads.iter().enumerate() {
        attack(&url, attacker, payload).await.map_err(|error| format!("no attack: {error}"))?;
        // A reader that is lost cannot report on the next ones: it is replaced.
        for (number, reader) in lost(&publisher, &mut readers, index + 1).await? {
            failed.push(format!(
                "{} is lost to {}",
                READERS[number],
                String::from_utf8_lossy(&payload[..payload.len().min(40)]).escape_debug()
            ));
            readers[number].1 = Reader::start(tools, &router, reader, number, &log).await?;
        }
    }
    drop(readers);
    publisher.leave().await;
    router.stop().await?;
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// A program that subscribes and registers.
struct Reader {
    _process: Process,
    lines: Lines,
}

impl Reader {
    async fn start(
        tools: &Tools,
        router: &Running,
        peer: &'static str,
        number: usize,
        log: &Log,
    ) -> Result<Self, String> {
        let peer = Peer::read(peer).ok_or("no peer can be read from this")?;
        let mut command = tools.peer(peer, "reader");
        command.args(["--url", &router.url(peer.transport), "--procedure", &format!("poison.{number}")]);
        command.args(["--serializer", peer.serializer.name()]);
        let (process, mut lines) = Process::start("the reader", command, log)?;
        lines.expect("Ready").await?;
        Ok(Self { _process: process, lines })
    }
}

/// Publishes a number, and returns which readers do not print it.
async fn lost(
    publisher: &Session,
    readers: &mut [(&'static str, Reader)],
    number: usize,
) -> Result<Vec<(usize, &'static str)>, String> {
    publisher.publish("poison.topic").args((number,)).await.map_err(|error| error.to_string())?;
    let (wanted, mut lost) = (format!("Event: {number}"), Vec::new());
    for (index, (peer, reader)) in readers.iter_mut().enumerate() {
        loop {
            match reader.lines.next_within(Duration::from_secs(10)).await {
                Ok(Some(line)) if line == wanted => break,
                // A poisoned event that it has survived.
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    lost.push((index, *peer));
                    break;
                }
            }
        }
    }
    Ok(lost)
}

/// Joins, publishes and calls each reader. The router's answers are not read.
async fn attack(url: &str, attacker: &Attacker, payload: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(url.trim_start_matches("rs://")).await?;
    stream.write_all(&[0x7f, 0xf0 | attacker.number, 0, 0]).await?;
    stream.write_all(&frame(attacker.hello)).await?;
    // The answer to the handshake, and WELCOME.
    stream.read_exact(&mut [0; 12]).await?;
    stream.write_all(&frame(&(attacker.publish)(payload))).await?;
    for reader in 0..READERS.len() as u8 {
        // The ids of the calls are the next ones that the router expects.
        let mut call = (attacker.call)(reader, payload);
        let at = if attacker.number == 3 { 3 } else { 2 };
        match attacker.number {
            1 => call[4] += reader,
            _ => call[at] += reader,
        }
        stream.write_all(&frame(&call)).await?;
    }
    // Everything sent is handled before the connection ends.
    sleep(Duration::from_millis(200)).await;
    Ok(())
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}
