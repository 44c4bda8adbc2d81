//! One write of about 31 KiB, whose cost for the router grows with the number of subscribers.

use std::io;
use std::time::{Duration, Instant};

use crate::case::{Case, When};
use crate::crowd::Crowd;
use crate::flood::{Flood, Keep};
use crate::msgpack::{NO_OPTIONS, Pack, publish, subscribe};
use crate::wire::{JSON, MESSAGE, Peer, close, frame, message, send};

pub const CASES: &[Case] = &[
    Case {
        name: "one batch/2,000 PUBLISHes to 1,000 subscribers",
        run: || Flood::new(batch).scene(|port| subscribers(port, 1000)).once().run(),
        when: When::Alone,
    },
    Case {
        name: "one batch/2,000 PUBLISHes to 4,000 subscribers",
        run: || Flood::new(batch).scene(|port| subscribers(port, 4000)).once().run(),
        when: When::LongAlone,
    },
    Case {
        name: "one batch/4,000 integers for 1,000 subscribers with another serializer",
        run: || Flood::new(integers).scene(json_subscribers).once().run(),
        when: When::Alone,
    },
];

/// Every 50 ms one PUBLISH of 4,003 bytes, too short to be transcoded before the lock is taken.
fn integers(port: u16, until: Instant, _: usize) -> io::Result<()> {
    let peer = Peer::join(port)?;
    peer.drain();
    let arguments = Pack::default().raw(b"\x91").list(4000).raw(&[7; 4000]).0;
    for id in 1.. {
        if Instant::now() >= until {
            break;
        }
        send(&peer.socket, &message(publish(id, NO_OPTIONS, "integers.topic", &arguments)))?;
        std::thread::sleep(Duration::from_millis(50));
    }
    close(&peer.socket);
    Ok(())
}

fn json_subscribers(port: u16) -> io::Result<Keep> {
    let hello = br#"[1,"realm1",{"roles":{"subscriber":{}}}]"#;
    let subscriber = |_| {
        let mut peer = Peer::join_with(port, JSON, hello)?;
        peer.send(&frame(MESSAGE, br#"[32,1,{},"integers.topic"]"#))?;
        peer.frame()?;
        Ok(peer.socket)
    };
    Ok(Box::new(Crowd::reading((0..1000).map(subscriber).collect::<io::Result<_>>()?)?))
}

/// One write, and then nothing until all of it has been handled.
fn batch(port: u16, until: Instant, _: usize) -> io::Result<()> {
    let mut peer = Peer::join(port)?;
    let batch: Vec<u8> =
        (1..=2000).flat_map(|id| message(publish(id, NO_OPTIONS, "batch.topic", b"\x91\x01"))).collect();
    peer.send(&batch)?;
    peer.say(subscribe(2001, "batch.end"))?;
    peer.hear()?;
    // The crowd is still busy with its events.
    std::thread::sleep(until.saturating_duration_since(Instant::now()).max(Duration::from_millis(100)));
    Ok(())
}

fn subscribers(port: u16, count: usize) -> io::Result<Keep> {
    Ok(Box::new(Crowd::of_subscribers(port, count, "batch.topic")?))
}
