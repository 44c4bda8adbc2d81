//! A connection in memory that records its messages and can be cut.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wamp_proto::Serializer;
use wamp_transport::memory::{Memory, MemoryReader, MemoryWriter};
use wamp_transport::{Batch, Control, Incoming, ReadError, ReadHalf, Transport, WriteError, WriteHalf};

use crate::Inner;
use crate::transcript::session_of;

/// The client's end.
pub(crate) struct Tap {
    inner: Memory,
    ends: Ends,
    reading: TaskTrackerToken,
}

/// The state of both halves.
#[derive(Clone)]
struct Ends {
    name: Arc<str>,
    net: Arc<Inner>,
    number: u64,
    cut: CancellationToken,
}

pub(crate) struct TapReader {
    /// `None`, if the connection is cut.
    inner: Option<MemoryReader>,
    received: u64,
    ends: Ends,
    /// Dropped with this half, after the session has noticed the end.
    _reading: TaskTrackerToken,
}

pub(crate) struct TapWriter {
    inner: Option<MemoryWriter>,
    accepted: u64,
    /// Recorded messages.
    waiting: Batch,
    ends: Ends,
}

impl Tap {
    pub(crate) fn new(
        inner: Memory,
        name: Arc<str>,
        net: Arc<Inner>,
        number: u64,
        cut: CancellationToken,
        reading: TaskTrackerToken,
    ) -> Self {
        Self { inner, ends: Ends { name, net, number, cut }, reading }
    }
}

impl Transport for Tap {
    type Read = TapReader;
    type Write = TapWriter;

    fn serializer(&self) -> Serializer {
        self.inner.serializer()
    }

    fn max_send(&self) -> usize {
        self.inner.max_send()
    }

    fn split(self) -> (TapReader, TapWriter) {
        let (read, write) = self.inner.split();
        (
            TapReader { inner: Some(read), received: 0, ends: self.ends.clone(), _reading: self.reading },
            TapWriter { inner: Some(write), accepted: 0, waiting: Batch::new(), ends: self.ends },
        )
    }
}

impl ReadHalf for TapReader {
    fn set_max_receive(&mut self, bytes: usize) {
        if let Some(inner) = &mut self.inner {
            inner.set_max_receive(bytes);
        }
    }

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        let Some(inner) = &mut self.inner else { return Err(ReadError::Closed) };
        let before = into.len();
        tokio::select! {
            biased;
            () = self.ends.cut.cancelled() => {
                // The router notices it, too.
                self.inner = None;
                return Err(ReadError::Closed);
            }
            read = inner.read(into) => read?,
        }
        self.received = inner.received();
        for item in &into[before..] {
            let Incoming::Message(message) = item else { continue };
            self.ends.net.transcript.record(&self.ends.name, "<-", message);
            if let Some(session) = session_of(message) {
                self.ends.net.joined(self.ends.number, session);
            }
        }
        Ok(())
    }

    fn received(&self) -> u64 {
        self.received
    }
}

impl WriteHalf for TapWriter {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        let Some(inner) = &mut self.inner else { return Err(WriteError::Closed) };
        while let Some(control) = batch.pop_control() {
            match control {
                Control::Ping(payload) => self.waiting.ping(payload),
                Control::Pong(payload) => self.waiting.pong(payload),
            }
        }
        while let Some(message) = batch.front() {
            let mut bytes = Vec::new();
            message.copy_to(&mut bytes);
            self.ends.net.transcript.record(&self.ends.name, "->", &bytes);
            self.waiting.push_bytes(&bytes);
            batch.pop_front();
        }
        tokio::select! {
            biased;
            () = self.ends.cut.cancelled() => {
                self.inner = None;
                return Err(WriteError::Closed);
            }
            written = inner.write(&mut self.waiting) => written?,
        }
        self.accepted = inner.accepted();
        self.waiting.clear();
        Ok(())
    }

    fn accepted(&self) -> u64 {
        self.inner.as_ref().map_or(self.accepted, MemoryWriter::accepted)
    }

    async fn close(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.close().await;
        }
    }
}
