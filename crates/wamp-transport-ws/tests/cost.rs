//! What a connection costs: CPU per message, and memory while nothing happens. Not for every run, and one at a
//! time, as memory that one has given back is there for the other:
//!
//! ```text
//! cargo test --release -p wamp-transport-ws --test cost -- --ignored --nocapture cpu_per_message
//! ```
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)]

use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wamp_proto::Serializer;
use wamp_transport::{Batch, ReadHalf, Transport, WriteHalf};
use wamp_transport_ws::{Config, accept, accept_tcp};

/// Plays a request and then the same frames again and again; takes whatever is written.
struct Tape {
    front: Bytes,
    frames: Bytes,
    repeats: usize,
    written: usize,
}

impl AsyncRead for Tape {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.front.is_empty() && self.repeats > 0 {
            self.repeats -= 1;
            self.front = self.frames.clone();
        }
        let octets = self.front.len().min(into.remaining());
        into.put_slice(&self.front[..octets]);
        self.front.advance(octets);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tape {
    fn poll_write(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.written += octets.len();
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let octets = slices.iter().map(|slice| slice.len()).sum();
        self.written += octets;
        Poll::Ready(Ok(octets))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn request(serializer: Serializer) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {}\r\n\r\n",
        serializer.subprotocol()
    )
}

/// A client's binary or text frame.
fn frame(first: u8, octets: usize) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match octets {
        n @ 0..=125 => frame.push(0x80 | n as u8),
        n => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(n as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend((0..octets).map(|i| b'x' ^ mask[i % 4]));
    frame
}

/// Seconds of CPU that this thread has had.
fn cpu() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    schedstat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

const MESSAGES: usize = 1_000_000;
const BATCH: usize = 500;

#[tokio::test]
#[ignore = "a measurement"]
async fn cpu_per_message() {
    for (serializer, first) in [(Serializer::MsgPack, 0x82), (Serializer::Json, 0x81)] {
        for octets in [16, 1024] {
            let tape = || Tape {
                front: Bytes::from(request(serializer)),
                frames: Bytes::from(frame(first, octets).repeat(BATCH)),
                repeats: MESSAGES / BATCH,
                written: 0,
            };
            let (mut bare, mut buffer, start) = (tape(), vec![0; 64 * 1024], cpu());
            while tokio::io::AsyncReadExt::read(&mut bare, &mut buffer).await.unwrap() > 0 {}
            let playing = cpu() - start;
            let (mut read, mut write) = accept(tape(), &Config::default()).await.unwrap().split();
            let start = cpu();
            let (mut came, mut into) = (0, Vec::new());
            while read.read(&mut into).await.is_ok() {
                came += into.len();
                into.clear();
            }
            assert_eq!(came, MESSAGES);
            let reading = cpu() - start - playing;
            // A writer of its own: the tape has ended for this one.
            drop(read);
            write.close().await;
            let tape = Tape {
                front: Bytes::from(request(serializer)),
                frames: Bytes::new(),
                repeats: 0,
                written: 0,
            };
            let (_read, mut write) = accept(tape, &Config::default()).await.unwrap().split();
            let (message, mut batch) = (vec![b'x'; octets], Batch::new());
            let before = write.accepted();
            let start = cpu();
            for _ in 0..MESSAGES / BATCH {
                batch.clear();
                (0..BATCH).for_each(|_| batch.push_octets(&message));
            }
            let filling = cpu() - start;
            let start = cpu();
            for _ in 0..MESSAGES / BATCH {
                batch.clear();
                (0..BATCH).for_each(|_| batch.push_octets(&message));
                write.write(&mut batch).await.unwrap();
            }
            let writing = cpu() - start - filling;
            assert!(write.accepted() - before > (MESSAGES * octets) as u64);
            println!(
                "{serializer:?}, {octets} octets, CPU s per million: reading {reading:.3}, writing {writing:.3}"
            );
        }
    }
}

/// Resident octets of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
#[ignore = "a measurement"]
async fn memory_per_idle_connection() {
    const CONNECTIONS: usize = 400;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut kept = Vec::with_capacity(CONNECTIONS);
    let mut before = 0;
    for n in 0..CONNECTIONS + 100 {
        if n == 100 {
            before = resident();
        }
        let mut client = std::net::TcpStream::connect(address).unwrap();
        client.write_all(request(Serializer::MsgPack).as_bytes()).unwrap();
        let stream = listener.accept().await.unwrap().0;
        let (mut read, mut write) = accept_tcp(stream, &Config::default()).await.unwrap().split();
        client.write_all(&frame(0x82, 100)).unwrap();
        let mut came = Vec::new();
        read.read(&mut came).await.unwrap();
        let mut batch = Batch::new();
        batch.push_octets(&[1; 100]);
        write.write(&mut batch).await.unwrap();
        let mut octets = [0; 1024];
        assert!(client.read(&mut octets).unwrap() > 0);
        // Now it waits.
        let wait = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(wait, read.read(&mut came)).await.is_err());
        kept.push((client, read, write));
    }
    println!("{} octets per idle connection", (resident() - before) / CONNECTIONS);
}
