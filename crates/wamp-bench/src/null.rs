//! The speed of this machine without WAMP: a blind relay, in a process of its own, and raw frames through it.
//!
//! The relay takes connections in pairs and copies bytes both ways, 64 KiB at most at a time; it understands
//! nothing. The frames are as long as the messages of the scenario are on RawSocket and carry a number, which
//! is checked. Both ends are threads here, with blocking sockets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use wamp_client::{Payload, Serializer};
use wamp_proto::{Message, RequestId, message};

use crate::Failed;
use crate::numbered::Template;
use crate::order::Order;
use crate::report::{Row, Times, say};
use crate::target::Own;

/// The bytes of one read or write.
const BLOCK: usize = 64 * 1024;

/// Bytes of a frame's number.
const NUMBER: usize = 8;

/// Relays until standard input ends.
pub(crate) fn serve() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    say(&listener.local_addr()?.to_string());
    thread::spawn(move || {
        while let (Ok((one, _)), Ok((other, _))) = (listener.accept(), listener.accept()) {
            let _ = couple(&one, &other);
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn couple(one: &TcpStream, other: &TcpStream) -> io::Result<()> {
    for (mut from, mut to) in [(one.try_clone()?, other.try_clone()?), (other.try_clone()?, one.try_clone()?)]
    {
        to.set_nodelay(true)?;
        thread::spawn(move || {
            let mut block = vec![0; BLOCK];
            while let Ok(bytes @ 1..) = from.read(&mut block) {
                if to.write_all(&block[..bytes]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}

/// The relay, running.
pub(crate) struct Null {
    relay: Own,
}

impl Null {
    pub(crate) async fn start() -> Result<Self, Failed> {
        Ok(Self { relay: Own::start("relay").await? })
    }

    /// Frames of this length at full speed, one way.
    pub(crate) async fn stream(&self, frame: usize, time: Duration) -> Result<Row, Failed> {
        self.run(move |near, far| stream(near, far, frame, time)).await
    }

    /// Sends frames of this length there and back, with this many outstanding.
    pub(crate) async fn calls(
        &self,
        frame: usize,
        outstanding: usize,
        time: Duration,
    ) -> Result<Row, Failed> {
        self.run(move |near, far| calls(near, far, frame, outstanding, time)).await
    }

    /// A frame of this length every millisecond, one way.
    pub(crate) async fn latency(&self, frame: usize, time: Duration) -> Result<Row, Failed> {
        self.run(move |near, far| latency(near, far, frame, time)).await
    }

    /// With both ends of a relayed connection, where blocking is allowed.
    async fn run(
        &self,
        work: impl FnOnce(TcpStream, TcpStream) -> io::Result<Row> + Send + 'static,
    ) -> Result<Row, Failed> {
        let address = self.relay.address.clone();
        let work = move || -> io::Result<Row> {
            let (near, far) = (TcpStream::connect(&address)?, TcpStream::connect(&address)?);
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
            work(near, far)
        };
        Ok(tokio::task::spawn_blocking(work).await??)
    }
}

/// The length of a progressive result with this payload on RawSocket.
pub(crate) fn frame(serializer: Serializer, payload: usize) -> Result<usize, Failed> {
    let details = message::ResultDetails { progress: Some(true), ..message::ResultDetails::default() };
    let payload = Payload::new(serializer, Template::new(payload).with(0))?;
    let request = RequestId::new(1).ok_or("no id")?;
    let result = Message::from(message::Result { request, details, payload });
    Ok(4 + result.encode(serializer)?.len())
}

/// Whole frames, about a block of them.
struct Frames {
    bytes: Vec<u8>,
    length: usize,
}

impl Frames {
    fn new(length: usize, at_most: usize) -> Self {
        let length = length.max(NUMBER);
        Self { bytes: vec![0; (BLOCK / length).clamp(1, at_most) * length], length }
    }

    fn count(&self) -> usize {
        self.bytes.len() / self.length
    }

    /// The first `count` frames, numbered from here on.
    fn numbered(&mut self, first: u64, count: usize) -> &[u8] {
        let frames = self.bytes.chunks_exact_mut(self.length).take(count);
        for (frame, number) in frames.zip(first..) {
            frame[..NUMBER].copy_from_slice(&number.to_le_bytes());
        }
        &self.bytes[..count * self.length]
    }
}

/// Cuts received bytes into frames.
struct Cutter {
    from: TcpStream,
    block: Vec<u8>,
    filled: usize,
    length: usize,
}

impl Cutter {
    fn new(from: TcpStream, length: usize) -> Self {
        let length = length.max(NUMBER);
        Self { from, block: vec![0; BLOCK.max(2 * length)], filled: 0, length }
    }

    /// Shows the numbers of the frames that one read completes; `false` at the end.
    fn read(&mut self, mut see: impl FnMut(u64)) -> io::Result<bool> {
        let bytes = self.from.read(&mut self.block[self.filled..])?;
        self.filled += bytes;
        let whole = self.filled - self.filled % self.length;
        for frame in self.block[..whole].chunks_exact(self.length) {
            see(u64::from_le_bytes(frame[..NUMBER].try_into().unwrap_or_default()));
        }
        self.block.copy_within(whole..self.filled, 0);
        self.filled -= whole;
        Ok(bytes > 0)
    }
}

fn stream(near: TcpStream, far: TcpStream, length: usize, time: Duration) -> io::Result<Row> {
    let start = Instant::now();
    let sender = thread::spawn(move || -> io::Result<u64> {
        let (mut frames, mut sent, mut to) = (Frames::new(length, usize::MAX), 0, near);
        while start.elapsed() < time {
            let count = frames.count();
            to.write_all(frames.numbered(sent, count))?;
            sent += count as u64;
        }
        to.shutdown(Shutdown::Write)?;
        Ok(sent)
    });
    let (mut order, mut cutter) = (Order::default(), Cutter::new(far, length));
    while cutter.read(|number| order.see(number))? {}
    let elapsed = start.elapsed();
    let sent = sender.join().map_err(|_| io::Error::other("the sender panicked"))??;
    let rate = order.seen() as f64 / elapsed.as_secs_f64();
    Ok(Row { rate: Some(rate), wrong: Some(order.wrong_of(sent)), ..Row::default() })
}

fn calls(near: TcpStream, far: TcpStream, length: usize, many: usize, time: Duration) -> io::Result<Row> {
    let echo = thread::spawn(move || -> io::Result<()> {
        let (mut from, mut to, mut block) = (far.try_clone()?, far, vec![0; BLOCK]);
        while let bytes @ 1.. = from.read(&mut block)? {
            to.write_all(&block[..bytes])?;
        }
        to.shutdown(Shutdown::Write)
    });
    let mut frames = Frames::new(length, many);
    let mut cutter = Cutter::new(near.try_clone()?, length);
    let (mut to, mut order, mut times) = (near, Order::default(), Vec::new());
    let start = Instant::now();
    let (mut sent, mut free, mut asked) = (0, frames.count(), Instant::now());
    while start.elapsed() < time {
        if free > 0 {
            asked = Instant::now();
            to.write_all(frames.numbered(sent, free))?;
            sent += free as u64;
            free = 0;
        }
        cutter.read(|number| {
            order.see(number);
            free += 1;
        })?;
        if many == 1 && free == 1 {
            times.push(asked.elapsed());
        }
    }
    let elapsed = start.elapsed();
    to.shutdown(Shutdown::Write)?;
    while cutter.read(|number| order.see(number))? {}
    echo.join().map_err(|_| io::Error::other("the echo panicked"))??;
    let rate = order.seen() as f64 / elapsed.as_secs_f64();
    let wrong = Some(order.wrong_of(sent));
    Ok(Row { rate: Some(rate), times: Times::of(times), wrong, ..Row::default() })
}

fn latency(near: TcpStream, far: TcpStream, length: usize, time: Duration) -> io::Result<Row> {
    let start = Instant::now();
    let sender = thread::spawn(move || -> io::Result<()> {
        let (mut frames, mut to) = (Frames::new(length, 1), near);
        while start.elapsed() < time {
            thread::sleep(Duration::from_millis(1));
            let now = start.elapsed().as_nanos() as u64;
            to.write_all(frames.numbered(now, 1))?;
        }
        to.shutdown(Shutdown::Write)
    });
    let (mut times, mut cutter) = (Vec::new(), Cutter::new(far, length));
    while cutter.read(|sent| {
        times.push(start.elapsed().saturating_sub(Duration::from_nanos(sent)));
    })? {}
    sender.join().map_err(|_| io::Error::other("the sender panicked"))??;
    Ok(Row { times: Times::of(times), ..Row::default() })
}
