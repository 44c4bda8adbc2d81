//! One write of about 31 KiB, whose cost for the router grows with the number of subscribers.

use std::io;
use std::time::{Duration, Instant};

use crate::case::{Case, When};
use crate::crowd::Crowd;
use crate::flood::{Flood, Keep};
use crate::msgpack::{NO_OPTIONS, publish, subscribe};
use crate::wire::{Peer, message};

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
];

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
