//! What the two halves share: the outgoing side of the connection.
//!
//! The reader comes here only to answer a PING, which has to be possible while nobody writes and
//! in the middle of a long message; so the writer's lock is hardly ever contended. Whoever has something
//! staged sends all that is staged. A stream remembers one waker for writing, so both tasks stand behind it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::frame::{MAX_CONTROL, Opcode};
use crate::write_buffer::WriteBuffer;
use crate::{Role, close};

/// How many pieces one write hands over at most.
const SLICES: usize = 64;

/// When so many octets of answers to PINGs are staged, only the last PING that came is still to be answered
/// (RFC 6455, 5.5.3).
const MAX_ANSWERS: usize = 4 * 1024;

/// The outgoing side, behind a lock that nobody holds while waiting.
#[derive(Debug)]
pub(crate) struct WriteSide<W> {
    out: Mutex<Out<W>>,
    waiting: Arc<Waiting>,
}

/// The outgoing side.
#[derive(Debug)]
pub(crate) struct Out<W> {
    stream: W,
    pub(crate) staged: WriteBuffer,
    /// How many octets the stream has taken.
    pub(crate) accepted: u64,
    /// Something was written and has not been flushed.
    dirty: bool,
    /// What to say when closing; nothing, as the answer to a closing frame that says nothing.
    pub(crate) code: Option<u16>,
    /// Nothing may be staged any more.
    pub(crate) closed: bool,
    /// Octets of answers to PINGs since nothing was staged.
    answers: usize,
    /// The last PING, if it is not answered.
    unanswered: Option<Bytes>,
    /// Wakes whoever is waiting.
    waker: Waker,
}

/// Who waits for room to write.
#[derive(Debug, Default)]
struct Waiting {
    tasks: Mutex<[Option<Waker>; 2]>,
}

/// A task that writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Reader,
    Writer,
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.into_iter().flatten().for_each(Waker::wake);
    }
}

impl<W: AsyncWrite + Unpin> WriteSide<W> {
    pub(crate) fn new(stream: W, role: Role) -> Self {
        let waiting = Arc::<Waiting>::default();
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
        // Were a stream to panic, it would be broken at worst; that is an error later on.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock for a task, which is woken when what it polls can go on.
    pub(crate) fn enter(&self, task: Task, waker: &Waker) -> MutexGuard<'_, Out<W>> {
        // Nothing here panics, so the two slots are what they are.
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
            let before = self.staged.octets();
            self.staged.control(Opcode::Pong, payload);
            self.answers += self.staged.octets() - before;
        }
    }

    /// Says goodbye, unless that has been said. Nothing is staged from now on.
    pub(crate) fn close(&mut self, code: Option<u16>) {
        if !std::mem::replace(&mut self.closed, true) {
            let code = code.map(u16::to_be_bytes);
            self.staged.control(Opcode::Close, code.as_ref().map_or(&[], |code| &code[..]));
        }
    }

    /// Sends what is staged.
    pub(crate) fn poll_send(&mut self) -> Poll<io::Result<()>> {
        loop {
            while self.staged.octets() > 0 {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let filled = self.staged.slices(&mut slices);
                let (stream, mut cx) = (Pin::new(&mut self.stream), Context::from_waker(&self.waker));
                match ready!(stream.poll_write_vectored(&mut cx, &slices[..filled]))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    octets => {
                        self.staged.advance(octets);
                        self.accepted += octets as u64;
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

    /// Sends what is staged, all the way to the peer.
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

    /// Says that nothing more comes.
    pub(crate) fn poll_shutdown(&mut self) -> Poll<io::Result<()>> {
        let mut cx = Context::from_waker(&self.waker);
        Pin::new(&mut self.stream).poll_shutdown(&mut cx)
    }
}
