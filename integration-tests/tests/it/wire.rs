//! Connections of which a test writes each byte.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{House, within};

/// A WebSocket handshake for JSON.
pub const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n";

/// The RawSocket handshake for JSON, with messages of up to 16 MiB.
pub const HANDSHAKE: [u8; 4] = [0x7f, 0xf1, 0, 0];

pub struct Wire<S> {
    pub stream: S,
}

impl Wire<TcpStream> {
    pub async fn connect(house: &House) -> Self {
        let stream = within(TcpStream::connect(&house.tcp)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub async fn write(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Writes byte by byte.
    pub async fn dribble(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write(&[*byte]).await;
            tokio::task::yield_now().await;
        }
    }

    pub async fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        within(self.stream.read_exact(&mut read)).await.unwrap();
        read
    }

    /// Everything until the end of the connection, which must be orderly.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        within(self.stream.read_to_end(&mut read)).await.unwrap();
        read
    }

    /// Everything until the end of the connection, of any kind.
    pub async fn end(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        let _ = within(self.stream.read_to_end(&mut read)).await;
        read
    }

    /// An HTTP response up to its empty line.
    pub async fn response(&mut self) -> String {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.extend(self.read(1).await);
        }
        String::from_utf8(read).unwrap()
    }

    /// A RawSocket frame: its type, and its content.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let prefix = self.read(4).await;
        let length = u32::from_be_bytes([0, prefix[1], prefix[2], prefix[3]]);
        (prefix[0], self.read(length as usize).await)
    }

    /// The text of a RawSocket message.
    pub async fn text(&mut self) -> String {
        let (kind, bytes) = self.frame().await;
        assert_eq!(kind, 0, "a message");
        String::from_utf8(bytes).unwrap()
    }

    /// A WebSocket frame: its first byte, and its content.
    pub async fn ws_frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.read(2).await;
        let length = match head[1] {
            126 => self.read(2).await,
            127 => self.read(8).await,
            length => vec![length],
        };
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        (head[0], self.read(length).await)
    }

    /// Joins over RawSocket, from the first byte on.
    pub async fn join_rawsocket(&mut self, hello: &str) {
        self.write(&HANDSHAKE).await;
        assert_eq!(self.read(4).await, HANDSHAKE);
        self.write(&frame(hello)).await;
        assert!(self.text().await.starts_with("[2,"));
    }

    /// Joins over WebSocket, from the first byte on.
    pub async fn join_ws(&mut self, hello: &str) {
        self.write(UPGRADE.as_bytes()).await;
        assert!(self.response().await.starts_with("HTTP/1.1 101 "));
        self.write(&ws_frame(0x81, hello.as_bytes())).await;
        assert!(self.ws_frame().await.1.starts_with(b"[2,"));
    }
}

/// A RawSocket message.
pub fn frame(text: &str) -> Vec<u8> {
    frame_of(0, text.as_bytes())
}

/// A RawSocket frame of this type.
pub fn frame_of(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
    frame[0] = kind;
    frame.extend_from_slice(bytes);
    frame
}

/// A WebSocket frame as a client sends it, with a mask that masks nothing.
pub fn ws_frame(first: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match bytes.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(bytes);
    frame
}
