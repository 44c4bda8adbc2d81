//! How whole messages travel: the [`Transport`] trait, the [`Batch`] it writes, the [`Queue`] in front of
//! it, and an in-memory pair.
//!
//! A transport moves *batches*: all messages that one read brought, many messages in one flush. It knows
//! nothing of sessions; the octets of a message are `wamp-proto`'s business. To bring a transport of your
//! own, implement the three traits below and hand it to `wamp_client::Client::over` or
//! `wamp_router::Router::attach`. A *stream* of your own needs none of them: the transports that the project has
//! run over every [`Socket`].

mod batch;
mod error;
pub mod keepalive;
pub mod memory;
mod pool;
mod queue;
mod run;
#[cfg(not(target_family = "wasm"))]
pub mod socket;

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use wamp_proto::Serializer;

pub use batch::{Batch, COPIED_BELOW, Control, Outgoing, PushError, SharedBatch};
pub use error::{ReadError, WriteError};
pub use queue::Queue;
pub use run::Run;
#[cfg(not(target_family = "wasm"))]
pub use socket::Socket;

/// An established connection that carries whole messages in one serializer.
pub trait Transport: Send + 'static {
    /// The half that receives.
    type Read: ReadHalf;
    /// The half that sends.
    type Write: WriteHalf;

    /// What was negotiated; every message of the connection is written in it.
    fn serializer(&self) -> Serializer;

    /// The greatest message that the peer said it takes, in octets; `usize::MAX` where it said nothing.
    fn max_send(&self) -> usize;

    /// What it is called, for the log and for what is known of peers that use it.
    fn name(&self) -> &'static str {
        "transport"
    }

    /// The two halves, to be used by two tasks.
    fn split(self) -> (Self::Read, Self::Write);
}

/// The receiving half of a [`Transport`].
pub trait ReadHalf: Send + 'static {
    /// Refuses messages longer than this many octets from now on.
    fn set_max_receive(&mut self, octets: usize);

    /// Waits until something has come and appends all of it, in order. Appends at least one item, or fails;
    /// what came before a failure is appended by an earlier call. May be dropped at any time without
    /// losing anything.
    fn read(&mut self, into: &mut Vec<Incoming>) -> impl Future<Output = Result<(), ReadError>> + Send;

    /// Like [`read`](Self::read), but of messages that came together it may make one [`Incoming::Run`].
    fn read_runs(&mut self, into: &mut Vec<Incoming>) -> impl Future<Output = Result<(), ReadError>> + Send {
        self.read(into)
    }

    /// How many bytes the connection has brought since its start, those of an unfinished message among them; also
    /// while a [`read`](Self::read) has not returned. A driver that sees no change for long enough knows that the
    /// peer says nothing. A transport that does not know says 0.
    fn received(&self) -> u64 {
        0
    }

    /// The message that has begun to arrive and is not whole yet, where there is one and the transport knows.
    fn unfinished(&self) -> Option<Unfinished> {
        None
    }

    /// From now on asks this before memory is taken for an unfinished message. A transport that does not ask takes
    /// what it needs.
    fn set_allowance(&mut self, allowance: Arc<dyn Allowance>) {
        let _ = allowance;
    }

    /// Throws away whatever still comes, whether or not reading has failed, until the peer closes the
    /// connection. A socket that is closed with something left to read may take back what was written last.
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
    /// How many bytes of it have come.
    pub bytes: usize,
    /// How many are missing at least.
    pub missing: usize,
    /// The memory that it holds, in bytes.
    pub memory: usize,
}

/// Decides how much memory a [`ReadHalf`] may take for its unfinished message.
///
/// Up to [`UNCOUNTED`] bytes need no permission. Before it reads more of a message of which it has more than that,
/// a transport polls [`poll_grow`](Self::poll_grow); when it has no such message any more, it says so by
/// [`release`](Self::release).
pub trait Allowance: Send + Sync + Debug {
    /// Waits until the message may take so many bytes of memory in all.
    fn poll_grow(&self, cx: &mut Context<'_>, message: Unfinished, memory: usize) -> Poll<()>;

    /// The message is whole, or will never be.
    fn release(&self);

    /// Memory is scarce: buffers should be no larger than they have to be.
    fn is_scarce(&self) -> bool;
}

/// So many bytes of an unfinished message may be kept without asking an [`Allowance`].
pub const UNCOUNTED: usize = 8 * 1024;

/// What a [`ReadHalf`] brings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// A whole message, not yet decoded.
    Message(Bytes),
    /// Several whole messages; from [`ReadHalf::read_runs`] only.
    Run(Run),
    /// The peer wants a PONG with these octets. A transport whose library answers by itself brings none.
    Ping(Bytes),
    /// The answer to a PING of ours.
    Pong(Bytes),
}

/// The sending half of a [`Transport`].
pub trait WriteHalf: Send + 'static {
    /// Writes all of the batch and flushes; what has been handed over is gone from the batch. May be dropped
    /// at any time and called again with the same batch: it goes on where it was.
    fn write(&mut self, batch: &mut Batch) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// How many octets the connection has accepted since its start. A driver that sees no change for long
    /// enough knows that the peer does not read.
    fn accepted(&self) -> u64;

    /// Has [`close`](Self::close) tell the peer that this end will be back, where the transport has a way to say so.
    fn set_going_away(&mut self) {}

    /// Ends the connection in the transport's own polite way, after everything that was written.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}
