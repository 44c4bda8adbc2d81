//! Results for callers with another serializer, rewritten ahead: before the realm is locked.
//!
//! What the caller speaks only the realm knows, and asking it costs its lock. But all results of a call go to
//! the same caller. So this is remembered, and under the lock compared with what the realm says; a result of
//! which it was not known, as the first one, is rewritten there.

use std::cell::Cell;
use std::ops::Range;

use wamp_core::router::SessionKey;
use wamp_proto::relay::PlainYield;
use wamp_proto::{RequestId, Serializer};

/// So many calls are remembered for each thread. Two of them may get in each other's way.
const CALLS: usize = 32;

/// When what one read brought has become so many bytes, no more of it is rewritten ahead.
const LOAD: usize = 128 * 1024;

thread_local! {
    /// Between two reads; each is handled by one thread from beginning to end.
    static MEMORY: Cell<Option<Box<Memory>>> = const { Cell::new(None) };
}

/// What is kept from one read to the next.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    /// What the callers of some calls speak. Those of another realm may be among them, which does no harm.
    calls: [Option<(SessionKey, RequestId, Serializer)>; CALLS],
}

/// What is rewritten of one read.
pub(crate) struct Rewrites {
    memory: Box<Memory>,
    /// The end of all that was rewritten ahead.
    end: usize,
    session: SessionKey,
    serializer: Serializer,
}

/// A plain YIELD, and where its payload stands in another serializer, if that was made.
pub(crate) struct Plain {
    pub(crate) read: PlainYield,
    ahead: Option<(Serializer, Range<u32>)>,
}

impl Rewrites {
    /// For what has come from a session that speaks this.
    pub(crate) fn new(session: SessionKey, serializer: Serializer) -> Self {
        let memory = MEMORY.try_with(Cell::take).ok().flatten().unwrap_or_default();
        Self { memory, end: 0, session, serializer }
    }

    /// Rewrites the payload that stands in this frame, if it is known in what.
    pub(crate) fn prepare(&mut self, read: PlainYield, frame: &[u8]) -> Plain {
        let mut plain = Plain { read, ahead: None };
        if let Some((session, request, to)) = self.memory.calls[place(&read)]
            && (session, request) == (self.session, read.request)
            && read.has_payload()
            && self.end < LOAD
            && let Some(made) = self.rewrite(&read, frame, to)
        {
            self.end = made.end;
            plain.ahead = Some((to, made.start as u32..made.end as u32));
        }
        plain
    }

    /// Where the payload that stands in this frame stands in the serializer that the realm asks for, until the
    /// next call; `None` if it cannot be written in it.
    pub(crate) fn payload(&mut self, plain: &Plain, frame: &[u8], to: Serializer) -> Option<Range<usize>> {
        if let Some((made, range)) = &plain.ahead
            && *made == to
        {
            return Some(range.start as usize..range.end as usize);
        }
        if plain.read.progress {
            self.memory.calls[place(&plain.read)] = Some((self.session, plain.read.request, to));
        }
        self.memory.bytes.truncate(self.end);
        self.rewrite(&plain.read, frame, to)
    }

    /// What was rewritten and stands there.
    pub(crate) fn written(&self, payload: Range<usize>) -> &[u8] {
        &self.memory.bytes[payload]
    }

    /// Keeps the memory for the next read, unless it is much.
    pub(crate) fn finish(self) {
        let mut memory = self.memory;
        memory.bytes.clear();
        memory.bytes.shrink_to(2 * LOAD);
        // A thread that ends keeps nothing.
        let _ = MEMORY.try_with(|kept| kept.set(Some(memory)));
    }

    fn rewrite(&mut self, read: &PlainYield, frame: &[u8], to: Serializer) -> Option<Range<usize>> {
        let bytes = &mut self.memory.bytes;
        let start = bytes.len();
        let length = read.rewrite(frame, self.serializer, to, bytes).ok()?;
        Some(start..start + length)
    }
}

/// Where a call is remembered.
fn place(read: &PlainYield) -> usize {
    (read.request.get() % CALLS as u64) as usize
}

#[cfg(all(test, feature = "json", feature = "msgpack", feature = "cbor"))]
mod tests;
