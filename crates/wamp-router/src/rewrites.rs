//! Results for callers with another serializer, transcoded ahead: before the realm is locked.
//!
//! Only the realm knows the caller's serializer, and asking takes its lock. Each thread therefore remembers
//! the serializer per call and verifies it under the lock. On a miss, such as a call's first result, the
//! payload is transcoded under the lock.

use std::cell::Cell;
use std::ops::Range;

use wamp_core::router::SessionKey;
use wamp_proto::relay::PlainYield;
use wamp_proto::{RequestId, Serializer};

/// The number of calls that each thread remembers. Two calls may compete for one entry.
const CALLS: usize = 32;

/// After this many transcoded bytes, the rest of a read is not transcoded ahead.
const LOAD: usize = 128 * 1024;

thread_local! {
    /// Kept between two reads; each read is handled by one thread from beginning to end.
    static MEMORY: Cell<Option<Box<Memory>>> = const { Cell::new(None) };
}

/// The memory that is kept from one read to the next.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    /// The serializers of the callers of some calls. Calls of another realm may be among them, which does no
    /// harm.
    calls: [Option<(SessionKey, RequestId, Serializer)>; CALLS],
}

/// The transcoded payloads of one read.
pub(crate) struct Rewrites {
    memory: Box<Memory>,
    /// The end of the payloads that were transcoded ahead.
    end: usize,
    session: SessionKey,
    serializer: Serializer,
}

/// A plain YIELD, and the range of its transcoded payload, if that was made ahead.
pub(crate) struct Plain {
    pub(crate) read: PlainYield,
    ahead: Option<(Serializer, Range<u32>)>,
}

impl Rewrites {
    /// Creates it for the messages of a session with this serializer.
    pub(crate) fn new(session: SessionKey, serializer: Serializer) -> Self {
        let memory = MEMORY.try_with(Cell::take).ok().flatten().unwrap_or_default();
        Self { memory, end: 0, session, serializer }
    }

    /// Transcodes the payload of a frame, if the serializer of its caller is known.
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

    /// Returns the payload of a frame in the serializer that the realm asks for; valid until the next call.
    /// Returns `None` if that serializer cannot express it.
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

    /// Returns the transcoded bytes of a range.
    pub(crate) fn written(&self, payload: Range<usize>) -> &[u8] {
        &self.memory.bytes[payload]
    }

    /// Keeps the memory for the next read, unless it is large.
    pub(crate) fn finish(self) {
        let mut memory = self.memory;
        memory.bytes.clear();
        memory.bytes.shrink_to(2 * LOAD);
        // A thread that is ending keeps nothing.
        let _ = MEMORY.try_with(|kept| kept.set(Some(memory)));
    }

    fn rewrite(&mut self, read: &PlainYield, frame: &[u8], to: Serializer) -> Option<Range<usize>> {
        let bytes = &mut self.memory.bytes;
        let start = bytes.len();
        let length = read.rewrite(frame, self.serializer, to, bytes).ok()?;
        Some(start..start + length)
    }
}

/// Returns the index at which a call is remembered.
fn place(read: &PlainYield) -> usize {
    (read.request.get() % CALLS as u64) as usize
}

#[cfg(all(test, feature = "json", feature = "msgpack", feature = "cbor"))]
mod tests;
