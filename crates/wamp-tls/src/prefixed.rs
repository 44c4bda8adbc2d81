//! A stream whose first bytes have been read already.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};
use wamp_transport::Security;
use wamp_transport::socket::{Peer, Probe, Socket};

/// A stream, and the bytes already read from it to detect its protocol. They are read first.
#[derive(Debug)]
pub struct Prefixed<S> {
    /// `None` after it has been read.
    first: Option<Box<[u8]>>,
    at: usize,
    stream: S,
}

impl<S> Prefixed<S> {
    pub(crate) fn new(first: &[u8], stream: S) -> Self {
        Self { first: (!first.is_empty()).then(|| first.into()), at: 0, stream }
    }
}

impl<S: Socket> Socket for Prefixed<S> {
    type Read = ReadHalf<Self>;
    type Write = WriteHalf<Self>;

    fn into_halves(self) -> (Self::Read, Self::Write) {
        split(self)
    }

    fn set_nodelay(&self) -> io::Result<()> {
        self.stream.set_nodelay()
    }

    fn set_probe(&self, probe: &Probe) -> io::Result<()> {
        self.stream.set_probe(probe)
    }

    fn peer(&self) -> Peer {
        self.stream.peer()
    }

    fn security(&self) -> Security {
        self.stream.security()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(first) = &this.first else { return Pin::new(&mut this.stream).poll_read(cx, into) };
        let rest = &first[this.at..];
        let count = rest.len().min(into.remaining());
        into.put_slice(&rest[..count]);
        this.at += count;
        if this.at == first.len() {
            this.first = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn bytes_read_already_are_read_first() {
        let (mut theirs, ours) = tokio::io::duplex(64);
        theirs.write_all(b"cd").await.unwrap();
        drop(theirs);
        let mut stream = Prefixed::new(b"ab", ours);
        assert_eq!(stream.read_u8().await.unwrap(), b'a');
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "bcd");
    }
}
