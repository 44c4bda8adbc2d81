//! Writing batches to a stream.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use wamp_transport::{Batch, Control, WriteError, WriteHalf};

use crate::frame::{self, Kind};

/// The largest number of slices of one write.
const SLICES: usize = 64;

/// The sending half of a [`RawSocket`](crate::RawSocket).
#[derive(Debug)]
pub struct Writer<W> {
    stream: W,
    max_send: usize,
    /// PINGs and PONGs being written, between two messages.
    controls: BytesMut,
    accepted: u64,
}

impl<W> Writer<W> {
    pub(crate) fn new(stream: W, max_send: usize) -> Self {
        Self { stream, max_send, controls: BytesMut::new(), accepted: 0 }
    }

    /// Frames the batch's PINGs and PONGs.
    fn stage(&mut self, batch: &mut Batch) {
        while let Some(control) = batch.pop_control() {
            let (kind, payload) = match control {
                Control::Ping(payload) => (Kind::Ping, payload),
                Control::Pong(payload) => (Kind::Pong, payload),
            };
            // Longer PINGs are refused on arrival, and none of ours is longer.
            if let Some(prefix) = frame::prefix(kind, payload.len()) {
                self.controls.put_slice(&prefix);
                self.controls.put_slice(&payload);
            }
        }
    }

    /// Accounts for bytes that the stream has accepted.
    fn consumed(&mut self, len: usize, batch: &mut Batch) {
        self.accepted += len as u64;
        let controls = len.min(self.controls.len());
        self.controls.advance(controls);
        if self.controls.is_empty() {
            self.controls = BytesMut::new();
        }
        batch.advance(len - controls);
    }
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes the whole batch. The slices live no longer than a call, since a waiting link would hold them in
    /// its task.
    fn poll_write(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        loop {
            if !batch.in_message() {
                self.stage(batch);
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            slices[0] = IoSlice::new(&self.controls);
            let filled = usize::from(!self.controls.is_empty());
            let filled = filled + batch.slices(&mut slices[filled..]);
            if filled == 0 {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..filled]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.consumed(len, batch),
            }
        }
    }
}

impl<W: AsyncWrite + Send + Unpin + 'static> WriteHalf for Writer<W> {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        if batch.longest() > self.max_send {
            let what =
                format!("a message of {} bytes to a peer that accepts {}", batch.longest(), self.max_send);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what).into());
        }
        poll_fn(|cx| self.poll_write(cx, batch)).await?;
        Ok(self.stream.flush().await?)
    }

    fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Closes the sending side. A socket that is dropped while it has unread bytes may discard the bytes
    /// written last; so go on reading until the peer closes as well, or for a while.
    async fn close(&mut self) {
        // On a broken connection it makes no difference.
        let _ = self.stream.shutdown().await;
    }
}
