//! Transport of whole messages: the [`Transport`] trait, the [`Batch`] that it writes, the [`Queue`] before
//! it, and an in-memory pair.
//!
//! A transport moves *batches*: all messages of one read, many messages in one flush. It knows nothing of
//! sessions, and the encoding of messages is in `wamp-proto`. For a transport of your own, implement the three
//! traits below and pass it to `wamp_client::Client::over` or `wamp_router::Router::attach`. The feature `testing` has a
//! conformance test for it, `testing::conformance`. A *stream* of your
//! own needs none of them: the transports of this project run over every [`Socket`].

mod batch;
mod error;
pub mod keepalive;
pub mod memory;
mod pool;
mod queue;
mod run;
mod security;
#[cfg(not(target_family = "wasm"))]
pub mod socket;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use wamp_proto::Serializer;

pub use batch::{Batch, COPIED_BELOW, Control, Outgoing, PushError, SharedBatch, SharedMemory};
pub use error::{ReadError, WriteError};
pub use queue::Queue;
pub use run::Run;
pub use security::Security;
#[cfg(not(target_family = "wasm"))]
pub use socket::Socket;

/// An established connection that carries whole messages in one serializer.
pub trait Transport: Send + 'static {
    /// The receiving half.
    type Read: ReadHalf;
    /// The sending half.
    type Write: WriteHalf;

    /// The negotiated serializer of every message.
    fn serializer(&self) -> Serializer;

    /// The longest message that the peer accepts, in bytes, as it announced; `usize::MAX` if it announced no
    /// limit.
    fn max_send(&self) -> usize;

    /// The name of the transport, for the log and for rules about particular peers.
    fn name(&self) -> &'static str {
        "transport"
    }

    /// Returns whether the transport can carry a PING to the peer, and its PONG back. If it cannot, its
    /// batches have no PINGs, and a silent peer is not disconnected.
    fn pings(&self) -> bool {
        true
    }

    /// Returns how the connection is protected against others.
    fn security(&self) -> Security {
        Security::default()
    }

    /// Splits the connection into its halves, for two tasks.
    fn split(self) -> (Self::Read, Self::Write);
}

/// The receiving half of a [`Transport`].
pub trait ReadHalf: Send + 'static {
    /// Refuses messages longer than this many bytes from now on.
    fn set_max_receive(&mut self, len: usize);

    /// Waits until something has arrived and appends all of it, in order. Appends at least one item, or fails;
    /// items before a failure were appended by an earlier call. May be dropped at any time without losing
    /// anything.
    fn read(&mut self, into: &mut Vec<Incoming>) -> impl Future<Output = Result<(), ReadError>> + Send;

    /// Like [`read`](Self::read), but may append messages that arrived together as one [`Incoming::Run`].
    fn read_runs(&mut self, into: &mut Vec<Incoming>) -> impl Future<Output = Result<(), ReadError>> + Send {
        self.read(into)
    }

    /// The number of bytes that the connection has delivered since its start, including those of an unfinished
    /// message; also while a [`read`](Self::read) has not returned. A driver that sees no change for long
    /// enough knows that the peer is silent. A transport that does not know returns 0.
    fn received(&self) -> u64 {
        0
    }

    /// The unfinished message, if there is one and the transport knows.
    fn unfinished(&self) -> Option<Unfinished> {
        None
    }

    /// From now on asks this before memory is allocated for an unfinished message. A transport that does not
    /// ask allocates freely.
    fn set_allowance(&mut self, allowance: Arc<dyn Allowance>) {
        let _ = allowance;
    }

    /// Discards everything received, whether or not reading has failed, until the peer closes the connection.
    /// A socket that is closed with unread bytes may discard the bytes written last.
    fn discard(&mut self) -> impl Future<Output = ()> + Send {
        async {
            let mut came = Vec::new();
            while self.read(&mut came).await.is_ok() {
                came.clear();
            }
        }
    }
}

/// A message that is arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The number of its bytes that have arrived.
    pub bytes: usize,
    /// The least number of bytes that are missing.
    pub missing: usize,
    /// The memory that it holds, in bytes.
    pub memory: usize,
}

/// Decides how much memory a [`ReadHalf`] may take for its unfinished message.
///
/// Up to [`UNCOUNTED`] bytes need no permission. If an unfinished message has more bytes than that, a
/// transport polls [`poll_grow`](Self::poll_grow) before each further read. Without such a message any more,
/// it calls [`release`](Self::release).
pub trait Allowance: Send + Sync + Debug {
    /// Waits until the message may take this many bytes of memory in all.
    fn poll_grow(&self, cx: &mut Context<'_>, message: Unfinished, memory: usize) -> Poll<()>;

    /// The message is whole, or will never be.
    fn release(&self);

    /// Whether memory is scarce: buffers should be no larger than necessary.
    fn is_scarce(&self) -> bool;
}

/// The bytes of an unfinished message that need no permission of an [`Allowance`].
pub const UNCOUNTED: usize = 8 * 1024;

/// An item that a [`ReadHalf`] returns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// A whole message, not yet decoded.
    Message(Bytes),
    /// Several whole messages; from [`ReadHalf::read_runs`] only.
    Run(Run),
    /// The peer wants a PONG with this content. A transport whose library answers by itself returns none.
    Ping(Bytes),
    /// The answer to a PING of this end.
    Pong(Bytes),
}

/// The sending half of a [`Transport`].
pub trait WriteHalf: Send + 'static {
    /// Writes all of the batch and flushes; written bytes are removed from the batch. May be dropped at any
    /// time and called again with the same batch: it goes on where it was.
    fn write(&mut self, batch: &mut Batch) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// The number of bytes that the connection has accepted since its start. A driver that sees no change for
    /// long enough knows that the peer does not read.
    fn accepted(&self) -> u64;

    /// Makes [`close`](Self::close) tell the peer that this end will be back, if the transport can.
    fn set_going_away(&mut self) {}

    /// Ends the connection in the transport's orderly way, after everything that was written.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}
