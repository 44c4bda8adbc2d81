//! A transport with one defect.

use tokio::task::yield_now;
use wamp_proto::Serializer;
use wamp_transport::memory::{Memory, MemoryReader, MemoryWriter};
use wamp_transport::{Batch, Control, Incoming, ReadError, ReadHalf, Transport, WriteError, WriteHalf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    LosesADroppedWrite,
    LosesADroppedRead,
    ReadsNothing,
    Unbounded,
    HasNoLimit,
    SwallowsPings,
    LosesLastWords,
    ForgetsTheBatch,
    DoesNotCount,
    Reorders,
    GoesOnAfterAnError,
}

pub(crate) struct Broken {
    inner: Memory,
    defect: Defect,
}

pub(crate) struct BrokenReader {
    inner: MemoryReader,
    defect: Defect,
    failed: bool,
}

pub(crate) struct BrokenWriter {
    inner: MemoryWriter,
    defect: Defect,
    /// Messages that have left their batch but not this end.
    waiting: Batch,
}

impl Broken {
    pub(crate) fn new(inner: Memory, defect: Defect) -> Self {
        Self { inner, defect }
    }
}

impl Transport for Broken {
    type Read = BrokenReader;
    type Write = BrokenWriter;

    fn serializer(&self) -> Serializer {
        self.inner.serializer()
    }

    fn max_send(&self) -> usize {
        self.inner.max_send()
    }

    fn split(self) -> (BrokenReader, BrokenWriter) {
        let (read, write) = self.inner.split();
        (
            BrokenReader { inner: read, defect: self.defect, failed: false },
            BrokenWriter { inner: write, defect: self.defect, waiting: Batch::new() },
        )
    }
}

impl ReadHalf for BrokenReader {
    fn set_max_receive(&mut self, bytes: usize) {
        if self.defect != Defect::HasNoLimit {
            self.inner.set_max_receive(bytes);
        }
    }

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        match self.defect {
            Defect::ReadsNothing if !std::mem::replace(&mut self.failed, true) => return Ok(()),
            Defect::GoesOnAfterAnError if self.failed => {
                into.push(Incoming::Message(b"[]"[..].into()));
                return Ok(());
            }
            _ => {}
        }
        let mut items = Vec::new();
        let end = loop {
            let end = self.inner.read(&mut items).await;
            if self.defect == Defect::SwallowsPings {
                items.retain(|item| matches!(item, Incoming::Message(_)));
            }
            if end.is_err() || !items.is_empty() {
                break end;
            }
        };
        self.failed |= end.is_err();
        if self.defect == Defect::LosesADroppedRead {
            yield_now().await;
        }
        if self.defect == Defect::Reorders && items.len() > 2 {
            items.swap(0, 1);
        }
        into.append(&mut items);
        end
    }
}

impl WriteHalf for BrokenWriter {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        match self.defect {
            Defect::LosesADroppedWrite => {
                let mut own = std::mem::take(batch);
                self.inner.write(&mut own).await
            }
            // Keeps 1 MiB or the last message, and never sends it.
            Defect::Unbounded | Defect::LosesLastWords => {
                move_controls(batch, &mut self.waiting);
                while batch.len() > usize::from(self.defect == Defect::LosesLastWords) {
                    move_front(batch, &mut self.waiting);
                    batch.pop_front();
                }
                if self.waiting.encoded_len() > 1 << 20 {
                    return Ok(());
                }
                self.inner.write(&mut self.waiting).await?;
                if batch.encoded_len() != 3 {
                    return self.inner.write(batch).await;
                }
                batch.pop_front();
                Ok(())
            }
            Defect::ForgetsTheBatch => {
                let mut own = Batch::new();
                move_controls(batch, &mut own);
                move_front(batch, &mut own);
                self.inner.write(&mut own).await
            }
            _ => self.inner.write(batch).await,
        }
    }

    fn accepted(&self) -> u64 {
        match self.defect {
            Defect::DoesNotCount => 0,
            Defect::Unbounded | Defect::LosesLastWords => {
                self.inner.accepted() + self.waiting.encoded_len() as u64
            }
            _ => self.inner.accepted(),
        }
    }

    async fn close(&mut self) {
        self.inner.close().await;
    }
}

fn move_controls(from: &mut Batch, to: &mut Batch) {
    while let Some(control) = from.pop_control() {
        match control {
            Control::Ping(payload) => to.ping(payload),
            Control::Pong(payload) => to.pong(payload),
        }
    }
}

fn move_front(from: &mut Batch, to: &mut Batch) {
    if let Some(message) = from.front() {
        let mut bytes = Vec::new();
        message.copy_to(&mut bytes);
        to.push_bytes(&bytes);
    }
}
