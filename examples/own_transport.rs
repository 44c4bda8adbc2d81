//! A transport of your own: implement three traits, and client and router use it.
//!
//! This one wraps the in-memory pair and counts the messages; yours may use a serial line, a message broker or
//! a simulated network.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wamp_client::{Client, Failure, Invocation, Serializer};
use wamp_router::Router;
use wamp_transport::memory::{self, Memory};
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, Transport, Unfinished, WriteError, WriteHalf};

struct Counting {
    inner: Memory,
    messages: Arc<AtomicUsize>,
}

struct CountingRead {
    inner: <Memory as Transport>::Read,
    messages: Arc<AtomicUsize>,
}

struct CountingWrite {
    inner: <Memory as Transport>::Write,
    messages: Arc<AtomicUsize>,
}

impl Transport for Counting {
    type Read = CountingRead;
    type Write = CountingWrite;

    fn serializer(&self) -> Serializer {
        self.inner.serializer()
    }

    fn max_send(&self) -> usize {
        self.inner.max_send()
    }

    fn split(self) -> (CountingRead, CountingWrite) {
        let (read, write) = self.inner.split();
        let messages = self.messages;
        (CountingRead { inner: read, messages: messages.clone() }, CountingWrite { inner: write, messages })
    }
}

impl ReadHalf for CountingRead {
    fn set_max_receive(&mut self, len: usize) {
        self.inner.set_max_receive(len);
    }

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        let before = into.len();
        self.inner.read(into).await?;
        self.messages.fetch_add(into.len() - before, Ordering::Relaxed);
        Ok(())
    }

    fn received(&self) -> u64 {
        self.inner.received()
    }

    fn unfinished(&self) -> Option<Unfinished> {
        self.inner.unfinished()
    }
}

impl WriteHalf for CountingWrite {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        let messages = batch.len();
        self.inner.write(batch).await?;
        self.messages.fetch_add(messages, Ordering::Relaxed);
        Ok(())
    }

    fn accepted(&self) -> u64 {
        self.inner.accepted()
    }

    async fn close(&mut self) {
        self.inner.close().await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::default();
    let messages = Arc::new(AtomicUsize::new(0));

    let (ours, theirs) = memory::pair(Serializer::Cbor);
    router.attach(theirs);
    let session = Client::over(Counting { inner: ours, messages: messages.clone() }).await?;

    session.register("com.example.add", add).await?;
    let sum: i64 = session.call("com.example.add").args((40, 2)).await?.decode()?;
    session.leave().await;

    println!("{sum}, in {} messages", messages.load(Ordering::Relaxed));
    Ok(())
}

async fn add(call: Invocation) -> Result<i64, Failure> {
    let (a, b): (i64, i64) = call.args()?;
    Ok(a + b)
}
