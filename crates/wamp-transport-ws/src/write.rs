//! Writing batches to a connection.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use wamp_transport::{Batch, Control, Socket, WriteError, WriteHalf};

use crate::close;
use crate::frame::Opcode;
use crate::write_buffer::WriteBuffer;
use crate::write_side::{Task, WriteSide};

/// A longer message is sent in fragments of at most this many bytes, the longest for a 16-bit length.
const MAX_FRAME: usize = 0xffff;

/// Once this much is in the write buffer no further message is added; a long message is added piece by piece,
const STAGED: usize = 64 * 1024;

/// and only when no more than this is left in the buffer.
const REFILL: usize = 8 * 1024;

/// The sending half of a [`WebSocket`](crate::WebSocket).
///
/// A PING or PONG of a batch is cut to 125 bytes, the limit of WebSocket.
#[derive(Debug)]
pub struct Writer<S: Socket> {
    shared: Arc<WriteSide<S::Write>>,
    /// Whether messages are text.
    kind: Opcode,
    /// The number of bytes of the front message that are in the write buffer.
    begun: usize,
}

impl<S: Socket> Writer<S> {
    pub(crate) fn new(shared: Arc<WriteSide<S::Write>>, text: bool) -> Self {
        let kind = if text { Opcode::Text } else { Opcode::Binary };
        Self { shared, kind, begun: 0 }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<Result<(), WriteError>> {
        let mut out = self.shared.enter(Task::Writer, cx.waker());
        loop {
            if out.closed {
                // Answers the peer's Close frame, if there is room.
                let _ = out.poll_flush();
                return Poll::Ready(Err(WriteError::Closed));
            }
            if out.staged.len() <= REFILL {
                stage(&mut out.staged, batch, self.kind, &mut self.begun);
            }
            if batch.is_empty() {
                return out.poll_flush().map_err(WriteError::Io);
            }
            ready!(out.poll_send())?;
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut out = self.shared.enter(Task::Writer, cx.waker());
        let code = out.code;
        out.close(code);
        // On a broken connection it makes no difference.
        let _ = ready!(out.poll_flush());
        out.poll_shutdown().map(|_| ())
    }
}

/// Moves frames from the batch into the write buffer: PINGs and PONGs, also between the fragments of a message,
/// then messages. `begun` bytes of the message at the front have been moved before.
fn stage(staged: &mut WriteBuffer, batch: &mut Batch, kind: Opcode, begun: &mut usize) {
    while let Some(control) = batch.pop_control() {
        match control {
            Control::Ping(payload) => staged.control(Opcode::Ping, &payload),
            Control::Pong(payload) => staged.control(Opcode::Pong, &payload),
        }
    }
    if batch.front().is_some_and(|message| message.payload.is_empty()) {
        staged.reserve(batch.len().min(STAGED / 16), batch.encoded_len().min(STAGED));
    }
    while staged.len() < STAGED {
        let Some(message) = batch.front() else { break };
        let len = message.encoded_len();
        let opcode = if *begun == 0 { kind } else { Opcode::Continue };
        let end = len.min(*begun + MAX_FRAME);
        staged.data(opcode, end == len, &message, *begun..end);
        *begun = end;
        if end == len {
            batch.pop_front();
            *begun = 0;
        }
    }
}

impl<S: Socket> WriteHalf for Writer<S> {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        poll_fn(|cx| self.poll_write(cx, batch)).await
    }

    fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }

    fn set_going_away(&mut self) {
        self.shared.lock().code = Some(close::GOING_AWAY);
    }

    /// Sends the Close frame, or the answer to that of the peer, and closes the sending side. The reading half
    /// gets the peer's own Close frame; go on reading until it reports that the connection is closed, or for a
    /// while.
    async fn close(&mut self) {
        poll_fn(|cx| self.poll_close(cx)).await;
    }
}

#[cfg(test)]
mod tests;
