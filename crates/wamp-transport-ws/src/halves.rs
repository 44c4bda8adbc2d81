//! The two halves of a stream. A socket can be read and written at once; for any other stream `tokio` has a
//! lock.

use std::any::Any;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, tcp};
#[cfg(unix)]
use tokio::net::{UnixStream, unix};

/// What can be read.
#[derive(Debug)]
pub(crate) enum ReadSide<S> {
    Tcp(tcp::OwnedReadHalf),
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
    Joint(tokio::io::ReadHalf<S>),
}

/// What can be written.
#[derive(Debug)]
pub(crate) enum WriteSide<S> {
    Tcp(tcp::OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
    Joint(tokio::io::WriteHalf<S>),
}

pub(crate) fn split<S: AsyncRead + AsyncWrite + 'static>(stream: S) -> (ReadSide<S>, WriteSide<S>) {
    let stream = match own::<S, TcpStream>(stream) {
        Ok(tcp) => {
            let (read, write) = tcp.into_split();
            return (ReadSide::Tcp(read), WriteSide::Tcp(write));
        }
        Err(stream) => stream,
    };
    #[cfg(unix)]
    let stream = match own::<S, UnixStream>(stream) {
        Ok(unix) => {
            let (read, write) = unix.into_split();
            return (ReadSide::Unix(read), WriteSide::Unix(write));
        }
        Err(stream) => stream,
    };
    let (read, write) = tokio::io::split(stream);
    (ReadSide::Joint(read), WriteSide::Joint(write))
}

/// The stream as what it is, if it is that.
fn own<S: 'static, T: 'static>(stream: S) -> Result<T, S> {
    let mut stream = Some(stream);
    let known = (&mut stream as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take);
    match (known, stream) {
        (Some(known), _) => Ok(known),
        (None, Some(stream)) => Err(stream),
        (None, None) => unreachable!("it is taken only if it is known"),
    }
}

impl<S: AsyncRead + Unpin> ReadSide<S> {
    fn stream(&mut self) -> Pin<&mut (dyn AsyncRead + Unpin + '_)> {
        match self {
            ReadSide::Tcp(stream) => Pin::new(stream),
            #[cfg(unix)]
            ReadSide::Unix(stream) => Pin::new(stream),
            ReadSide::Joint(stream) => Pin::new(stream),
        }
    }
}

impl<S: AsyncWrite + Unpin> WriteSide<S> {
    fn stream(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin + '_)> {
        match self {
            WriteSide::Tcp(stream) => Pin::new(stream),
            #[cfg(unix)]
            WriteSide::Unix(stream) => Pin::new(stream),
            WriteSide::Joint(stream) => Pin::new(stream),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadSide<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteSide<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            WriteSide::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            WriteSide::Unix(stream) => stream.is_write_vectored(),
            WriteSide::Joint(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_split_without_a_lock() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(matches!(split(tcp), (ReadSide::Tcp(_), WriteSide::Tcp(_))));
        #[cfg(unix)]
        {
            let (unix, _) = UnixStream::pair().unwrap();
            assert!(matches!(split(unix), (ReadSide::Unix(_), WriteSide::Unix(_))));
        }
        let (other, _) = tokio::io::duplex(1);
        assert!(matches!(split(other), (ReadSide::Joint(_), WriteSide::Joint(_))));
    }
}
