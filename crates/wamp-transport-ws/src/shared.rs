//! The connection that the two halves share.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use crate::stream::{Polled, Task};

/// The connection, behind a lock that nobody holds while waiting.
#[derive(Debug)]
pub(crate) struct Shared<S> {
    socket: Arc<Mutex<Socket<S>>>,
    /// How many octets the stream has taken.
    pub(crate) accepted: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct Socket<S> {
    pub(crate) ws: WebSocket<Polled<S>>,
    /// What to say when closing.
    pub(crate) code: CloseCode,
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self { socket: self.socket.clone(), accepted: self.accepted.clone() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Shared<S> {
    pub(crate) fn new(stream: S, read: BytesMut, role: Role, limits: WebSocketConfig) -> Self {
        let accepted = Arc::<AtomicU64>::default();
        let stream = Polled::new(stream, read, accepted.clone());
        // Not `from_partially_read`, whose buffer would forget how large it is meant to be.
        let ws = WebSocket::from_raw_socket(stream, role, Some(limits));
        Self { socket: Arc::new(Mutex::new(Socket { ws, code: CloseCode::Normal })), accepted }
    }

    /// Takes the lock for calls of a task, which is woken when they can go on.
    pub(crate) fn enter(&self, task: Task, waker: &Waker) -> MutexGuard<'_, Socket<S>> {
        let mut socket = self.lock();
        socket.ws.get_mut().enter(task, waker);
        socket
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Socket<S>> {
        // Were tungstenite to panic, the stream would be broken at worst; that is an error later on.
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of the connection, if this error is no more than that.
pub(crate) fn io_error(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(e) => e,
        e => io::Error::other(e),
    }
}
