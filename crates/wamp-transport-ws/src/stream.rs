//! The socket as `tungstenite` wants it: blocking calls that never block.
//!
//! Two tasks poll one socket. The one that reads may also have to write, a PONG; so what waits for room to
//! write is up to two tasks, and both are woken. Only one task ever waits for something to read.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket, and whom to wake.
#[derive(Debug)]
pub(crate) struct Polled<S> {
    stream: S,
    /// What has been read from the stream already.
    first: BytesMut,
    reader: Waker,
    writers: Arc<Writers>,
    /// Wakes `writers`.
    writer: Waker,
    /// Reads bring nothing, as if nothing had come.
    pub(crate) paused: bool,
    accepted: Arc<AtomicU64>,
}

/// Who waits for room to write.
#[derive(Debug, Default)]
struct Writers {
    waiting: Mutex<[Option<Waker>; 2]>,
}

/// A task that polls the socket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Reader,
    Writer,
}

impl Writers {
    fn register(&self, task: Task, waker: &Waker) {
        // Nothing in here panics, so the two slots are what they are.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut waiting[task as usize] {
            Some(known) => known.clone_from(waker),
            slot => *slot = Some(waker.clone()),
        }
    }
}

impl Wake for Writers {
    fn wake(self: Arc<Self>) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}

impl<S> Polled<S> {
    pub(crate) fn new(stream: S, first: BytesMut, accepted: Arc<AtomicU64>) -> Self {
        let writers = Arc::<Writers>::default();
        let writer = Waker::from(writers.clone());
        Self { stream, first, reader: Waker::noop().clone(), writers, writer, paused: false, accepted }
    }

    /// Says which task makes the calls that follow.
    pub(crate) fn enter(&mut self, task: Task, waker: &Waker) {
        if let Task::Reader = task {
            self.reader.clone_from(waker);
        }
        self.writers.register(task, waker);
    }
}

impl<S: AsyncWrite + Unpin> Polled<S> {
    /// Says that nothing more will be written.
    pub(crate) fn shutdown(&mut self) -> io::Result<()> {
        let mut cx = Context::from_waker(&self.writer);
        blocking(Pin::new(&mut self.stream).poll_shutdown(&mut cx))
    }
}

impl<S: AsyncRead + Unpin> io::Read for Polled<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.paused {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !self.first.is_empty() {
            let length = self.first.len().min(buffer.len());
            self.first.copy_to_slice(&mut buffer[..length]);
            return Ok(length);
        }
        let mut buffer = ReadBuf::new(buffer);
        let mut cx = Context::from_waker(&self.reader);
        blocking(Pin::new(&mut self.stream).poll_read(&mut cx, &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

impl<S: AsyncWrite + Unpin> io::Write for Polled<S> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut cx = Context::from_waker(&self.writer);
        let written = blocking(Pin::new(&mut self.stream).poll_write(&mut cx, octets))?;
        self.accepted.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut cx = Context::from_waker(&self.writer);
        blocking(Pin::new(&mut self.stream).poll_flush(&mut cx))
    }
}

fn blocking<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Whether it would have to wait, and for nothing else.
pub(crate) fn would_block(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(e) if e.kind() == io::ErrorKind::WouldBlock)
}
