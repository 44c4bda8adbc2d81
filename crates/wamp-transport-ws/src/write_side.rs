//! The outgoing side of the connection, shared by the two halves.
//!
//! The reader uses it only to answer a PING, which has to be possible while nothing is written and in the
//! middle of a long message; so the writer's lock is hardly ever contended. A half that adds a frame writes
//! everything in the buffer. A stream remembers one waker for writing, so both tasks are registered behind it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::frame::{MAX_CONTROL, Opcode};
use crate::write_buffer::WriteBuffer;
use crate::{Role, close};

/// The largest number of slices of one write.
const SLICES: usize = 64;

/// When this many bytes of answers to PINGs are in the buffer, only the latest PING is still to be answered
/// (RFC 6455, 5.5.3).
const MAX_ANSWERS: usize = 4 * 1024;

/// The outgoing side, behind a lock that is never held across a wait.
#[derive(Debug)]
pub(crate) struct WriteSide<W> {
    out: Mutex<Out<W>>,
    waiting: Arc<Wakers>,
}

/// The outgoing side.
#[derive(Debug)]
pub(crate) struct Out<W> {
    stream: W,
    pub(crate) staged: WriteBuffer,
    /// The number of bytes that the stream has accepted.
    pub(crate) accepted: u64,
    /// Something was written and has not been flushed.
    dirty: bool,
    /// The code for closing; `None` for the answer to an empty Close frame.
    pub(crate) code: Option<u16>,
    /// Nothing may be added any more.
    pub(crate) closed: bool,
    /// The bytes of answers to PINGs since the buffer was empty.
    answers: usize,
    /// The latest PING, if it is not answered.
    unanswered: Option<Bytes>,
    /// Wakes the waiting tasks.
    waker: Waker,
}

/// The tasks that wait for room to write.
#[derive(Debug, Default)]
struct Wakers {
    tasks: Mutex<[Option<Waker>; 2]>,
}

/// A task that writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Reader,
    Writer,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.into_iter().flatten().for_each(Waker::wake);
    }
}

impl<W: AsyncWrite + Unpin> WriteSide<W> {
    pub(crate) fn new(stream: W, role: Role) -> Self {
        let waiting = Arc::<Wakers>::default();
        let out = Out {
            staged: WriteBuffer::new(role, stream.is_write_vectored()),
            stream,
            accepted: 0,
            dirty: false,
            code: Some(close::NORMAL),
            closed: false,
            answers: 0,
            unanswered: None,
            waker: waiting.clone().into(),
        };
        Self { out: Mutex::new(out), waiting }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Out<W>> {
        // After a panic the stream is broken at worst, which is an error later.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock for a task, which is woken when it can go on.
    pub(crate) fn enter(&self, task: Task, waker: &Waker) -> MutexGuard<'_, Out<W>> {
        // Nothing here panics, so the two slots are consistent.
        let mut tasks = self.waiting.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut tasks[task as usize] {
            Some(known) => known.clone_from(waker),
            slot => *slot = Some(waker.clone()),
        }
        drop(tasks);
        self.lock()
    }
}

impl<W: AsyncWrite + Unpin> Out<W> {
    /// Answers a PING.
    pub(crate) fn pong(&mut self, payload: &[u8]) {
        if self.closed {
            return;
        }
        if self.answers > MAX_ANSWERS {
            self.unanswered = Some(Bytes::copy_from_slice(&payload[..payload.len().min(MAX_CONTROL)]));
        } else {
            let before = self.staged.len();
            self.staged.control(Opcode::Pong, payload);
            self.answers += self.staged.len() - before;
        }
    }

    /// Sends the Close frame, unless that was done. Nothing is added from now on.
    pub(crate) fn close(&mut self, code: Option<u16>) {
        if !std::mem::replace(&mut self.closed, true) {
            let code = code.map(u16::to_be_bytes);
            self.staged.control(Opcode::Close, code.as_ref().map_or(&[], |code| &code[..]));
        }
    }

    /// Writes the buffer.
    pub(crate) fn poll_send(&mut self) -> Poll<io::Result<()>> {
        loop {
            while self.staged.len() > 0 {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let filled = self.staged.slices(&mut slices);
                let (stream, mut cx) = (Pin::new(&mut self.stream), Context::from_waker(&self.waker));
                match ready!(stream.poll_write_vectored(&mut cx, &slices[..filled]))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    len => {
                        self.staged.advance(len);
                        self.accepted += len as u64;
                        self.dirty = true;
                    }
                }
            }
            self.answers = 0;
            match self.unanswered.take() {
                Some(payload) => self.pong(&payload),
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Writes the buffer and flushes the stream.
    pub(crate) fn poll_flush(&mut self) -> Poll<io::Result<()>> {
        ready!(self.poll_send())?;
        self.staged.rest();
        if self.dirty {
            let mut cx = Context::from_waker(&self.waker);
            ready!(Pin::new(&mut self.stream).poll_flush(&mut cx))?;
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Closes the sending side.
    pub(crate) fn poll_shutdown(&mut self) -> Poll<io::Result<()>> {
        let mut cx = Context::from_waker(&self.waker);
        Pin::new(&mut self.stream).poll_shutdown(&mut cx)
    }
}
