//! A stream whose WebSocket handshake has no subprotocol for the other end, and one for this end: WebSocket
//! test tools offer none, and our transports require one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const END: &[u8] = b"\r\n\r\n";
const NAME: &str = "sec-websocket-protocol:";

/// The longest head of a request or a response.
const MAX_HEAD: usize = 16 << 10;

pub struct Bare {
    stream: TcpStream,
    /// The head that this end writes, until it is complete; then the rest of it without the line.
    writing: Head,
    /// The head that the other end writes, and the number of its bytes that this end was given.
    reading: Option<Head>,
    protocol: &'static str,
}

#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
    is_complete: bool,
    at: usize,
}

impl Head {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }
}

impl Bare {
    /// The end of a client.
    pub fn client(stream: TcpStream, protocol: &'static str) -> Self {
        Self { stream, writing: Head::default(), reading: Some(Head::default()), protocol }
    }

    /// The end of a server, with the request, in which the client asks for the subprotocol, and everything
    /// behind it.
    pub async fn server(mut stream: TcpStream, protocol: &'static str) -> io::Result<(Self, Vec<u8>)> {
        let mut request = Vec::new();
        while find(&request, END).is_none() {
            if request.len() > MAX_HEAD || stream.read_buf(&mut request).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let request = with_protocol(&request, protocol);
        Ok((Self { stream, writing: Head::default(), reading: None, protocol }, request))
    }

    /// Writes the rest of the head.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.writing.is_complete && !self.writing.rest().is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.writing.rest()))?;
            self.writing.at += written;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Bare {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(head) = &mut this.reading else { return Pin::new(&mut this.stream).poll_read(cx, into) };
        while !head.is_complete {
            let mut bytes = [0; 1024];
            let mut came = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut came))?;
            head.bytes.extend_from_slice(came.filled());
            let is_over = came.filled().is_empty() || head.bytes.len() > MAX_HEAD;
            if find(&head.bytes, END).is_some() || is_over {
                head.bytes = with_protocol(&head.bytes, this.protocol);
                head.is_complete = true;
            }
        }
        let piece = head.rest().len().min(into.remaining());
        into.put_slice(&head.rest()[..piece]);
        head.at += piece;
        if head.rest().is_empty() {
            this.reading = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bare {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.writing.is_complete {
            ready!(this.poll_head(cx))?;
            return Pin::new(&mut this.stream).poll_write(cx, bytes);
        }
        this.writing.bytes.extend_from_slice(bytes);
        if find(&this.writing.bytes, END).is_some() {
            this.writing.bytes = without_protocol(&this.writing.bytes);
            this.writing.is_complete = true;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_head(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_head(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The head with the line behind its first one.
fn with_protocol(head: &[u8], protocol: &str) -> Vec<u8> {
    let Some(first) = find(head, b"\r\n") else { return head.to_vec() };
    let line = format!("Sec-WebSocket-Protocol: {protocol}\r\n");
    [&head[..first + 2], line.as_bytes(), &head[first + 2..]].concat()
}

/// The head without the line; everything behind the head stays.
fn without_protocol(bytes: &[u8]) -> Vec<u8> {
    let end = find(bytes, END).map_or(bytes.len(), |end| end + END.len());
    let (head, behind) = bytes.split_at(end);
    let lines = head.split_inclusive(|byte| *byte == b'\n');
    let others = lines.filter(|line| !String::from_utf8_lossy(line).to_lowercase().starts_with(NAME));
    [others.collect::<Vec<_>>().concat(), behind.to_vec()].concat()
}
