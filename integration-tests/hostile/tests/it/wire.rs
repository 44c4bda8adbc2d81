//! Connections of which an attacker writes each byte: RawSocket and WebSocket frames, on blocking sockets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::msgpack::{self, Item};

/// RawSocket frames.
pub const MESSAGE: u8 = 0;
pub const PING: u8 = 1;
pub const PONG: u8 = 2;

/// The serializers in a RawSocket handshake.
pub const JSON: u8 = 1;
pub const MSGPACK: u8 = 2;
pub const CBOR: u8 = 3;

/// The longest message of RawSocket.
pub const MAX: usize = 1 << 24;

/// A WebSocket request for MessagePack.
pub const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: wamp.2.msgpack\r\n\r\n";

/// The bytes that all attackers have sent.
pub static SENT: AtomicU64 = AtomicU64::new(0);

/// Sends all of this.
pub fn send(mut socket: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    socket.write_all(bytes)?;
    SENT.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(())
}

/// A RawSocket frame of this kind.
pub fn frame(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len() as u32;
    let mut frame = Vec::with_capacity(4 + bytes.len());
    frame.extend((len & 0xff_ffff | u32::from(kind | if len >> 24 > 0 { 8 } else { 0 }) << 24).to_be_bytes());
    frame.extend(bytes);
    frame
}

/// A RawSocket frame with a message.
pub fn message(bytes: Vec<u8>) -> Vec<u8> {
    frame(MESSAGE, &bytes)
}

/// A WebSocket frame of a client, with a mask of zeros.
pub fn ws_frame(first: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match bytes.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..65536 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(bytes);
    frame
}

/// A connection over RawSocket.
#[derive(Debug)]
pub struct Peer {
    pub socket: TcpStream,
    came: Vec<u8>,
    at: usize,
    next: u64,
}

impl Peer {
    /// After the handshake, without a session.
    pub fn connect(port: u16, serializer: u8) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.set_write_timeout(Some(Duration::from_secs(30)))?;
        let mut peer = Self { socket, came: Vec::new(), at: 0, next: 0 };
        peer.send(&[0x7f, 0xf0 | serializer, 0, 0])?;
        let answer = peer.bytes(4)?;
        if answer[1] >> 4 == 0 || answer[1] & 15 != serializer {
            return Err(io::Error::other(format!("the handshake was answered with {answer:?}")));
        }
        Ok(peer)
    }

    /// The other end: a router that a client has connected to, after the handshake.
    pub fn accepted(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let mut peer = Self { socket, came: Vec::new(), at: 0, next: 0 };
        let request = peer.bytes(4)?;
        peer.send(&request)?;
        Ok(peer)
    }

    /// With a session, in MessagePack.
    pub fn join(port: u16) -> io::Result<Self> {
        let mut peer = Self::connect(port, MSGPACK)?;
        peer.say(msgpack::hello())?;
        peer.expect(2)?;
        Ok(peer)
    }

    /// With a session, and small kernel buffers for unread bytes.
    pub fn join_deaf(port: u16) -> io::Result<Self> {
        let peer = Self::join(port)?;
        rustix::net::sockopt::set_socket_recv_buffer_size(&peer.socket, 4096)?;
        Ok(peer)
    }

    /// With a session, in any serializer.
    pub fn join_with(port: u16, serializer: u8, hello: &[u8]) -> io::Result<Self> {
        let mut peer = Self::connect(port, serializer)?;
        peer.send(&frame(MESSAGE, hello))?;
        peer.frame()?;
        Ok(peer)
    }

    /// The next request id.
    pub fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        send(&self.socket, bytes)
    }

    /// Sends a message.
    pub fn say(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.send(&message(bytes))
    }

    fn bytes(&mut self, len: usize) -> io::Result<Vec<u8>> {
        while self.came.len() - self.at < len {
            let mut bytes = vec![0; 1 << 16];
            let read = self.socket.read(&mut bytes)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if self.at > 1 << 16 {
                self.came.drain(..self.at);
                self.at = 0;
            }
            self.came.extend(&bytes[..read]);
        }
        self.at += len;
        Ok(self.came[self.at - len..self.at].to_vec())
    }

    /// The next frame: its kind and its content.
    pub fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let head = self.bytes(4)?;
        let len = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize | (head[0] as usize & 8) << 21;
        Ok((head[0] & 7, self.bytes(len)?))
    }

    /// The next message; PINGs are answered.
    pub fn hear(&mut self) -> io::Result<Vec<Item>> {
        loop {
            match self.frame()? {
                (MESSAGE, bytes) => return Ok(msgpack::read(&bytes)),
                (PING, bytes) => self.send(&frame(PONG, &bytes))?,
                _ => {}
            }
        }
    }

    /// The next message, which has to be of this kind.
    pub fn expect(&mut self, code: u64) -> io::Result<Vec<Item>> {
        let items = self.hear()?;
        match items.first() {
            Some(Item::Uint(came)) if *came == code => Ok(items),
            _ => Err(io::Error::other(format!("{items:?} came instead of a message of kind {code}"))),
        }
    }

    /// Registers a procedure and returns the id of the registration.
    pub fn register(&mut self, procedure: &str) -> io::Result<u64> {
        let id = self.id();
        self.say(msgpack::register(id, msgpack::NO_OPTIONS, procedure))?;
        Ok(self.expect(65)?[2].uint())
    }

    pub fn subscribe(&mut self, topic: &str) -> io::Result<()> {
        let id = self.id();
        self.say(msgpack::subscribe(id, topic))?;
        self.expect(33).map(drop)
    }

    /// Reads and discards everything from now on, in a thread.
    pub fn drain(&self) -> Drain {
        Drain::new(&self.socket)
    }
}

/// A WebSocket connection after its handshake, without a session.
pub fn websocket(port: u16) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    socket.set_write_timeout(Some(Duration::from_secs(30)))?;
    socket.write_all(UPGRADE)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(socket)
}

/// The same with a session.
pub fn websocket_joined(port: u16) -> io::Result<TcpStream> {
    let mut socket = websocket(port)?;
    socket.write_all(&ws_frame(0x82, &msgpack::hello()))?;
    socket.read_exact(&mut [0; 32])?;
    Ok(socket)
}

/// A thread's record of the discarded input of a connection.
#[derive(Clone, Debug)]
pub struct Drain {
    bytes: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Drain {
    pub fn new(socket: &TcpStream) -> Self {
        let drain = Self { bytes: Arc::default(), over: Arc::default() };
        let Ok(mut socket) = socket.try_clone() else { return drain };
        let _ = socket.set_read_timeout(None);
        let thread = drain.clone();
        std::thread::spawn(move || {
            crate::process::be_nice();
            let mut bytes = vec![0; 1 << 18];
            while let Ok(read @ 1..) = socket.read(&mut bytes) {
                thread.bytes.fetch_add(read as u64, Ordering::Relaxed);
            }
            thread.over.store(true, Ordering::Release);
        });
        drain
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the connection has ended.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// Closes a connection so that a thread that drains it ends.
pub fn close(socket: &TcpStream) {
    let _ = socket.shutdown(Shutdown::Both);
}
