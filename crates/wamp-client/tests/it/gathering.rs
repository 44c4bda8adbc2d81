//! Messages that are written together, and the turns of handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use wamp_client::{Failure, Invocation, Serializer};
use wamp_transport::memory::{self, Memory};
use wamp_transport::{Batch, Transport, WriteError, WriteHalf};

use crate::peer::{Peer, join, joined};

/// A transport that counts its writes.
struct Counting(Memory, Arc<AtomicUsize>);

struct CountingWrite(<Memory as Transport>::Write, Arc<AtomicUsize>);

impl Transport for Counting {
    type Read = <Memory as Transport>::Read;
    type Write = CountingWrite;

    fn serializer(&self) -> Serializer {
        self.0.serializer()
    }

    fn max_send(&self) -> usize {
        self.0.max_send()
    }

    fn split(self) -> (Self::Read, Self::Write) {
        let (read, write) = self.0.split();
        (read, CountingWrite(write, self.1))
    }
}

impl WriteHalf for CountingWrite {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.write(batch).await
    }

    fn accepted(&self) -> u64 {
        self.0.accepted()
    }

    async fn close(&mut self) {
        self.0.close().await;
    }
}

// One worker, and the test on a thread of its own: a task that is woken runs before those that were ready earlier.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn answers_of_handlers_that_are_ready_together_are_written_together() {
    let writes = Arc::new(AtomicUsize::new(0));
    let (ours, theirs) = memory::pair(Serializer::Json);
    let (session, mut peer) = join(Counting(ours, writes.clone()), Peer::new(theirs)).await;
    peer.register(session.register("a", |call: Invocation| async move { Ok(call.payload().clone()) })).await;
    let before = writes.load(Ordering::Relaxed);
    let invocations: Vec<_> = (1..=40).map(|i| json!([68, i, 7, {}, [i]])).collect();
    peer.send_all(&invocations).await;
    for _ in 1..=40 {
        assert_eq!(peer.next().await[0], 70, "YIELD");
    }
    let writes = writes.load(Ordering::Relaxed) - before;
    assert!(writes <= 8, "{writes} writes of 40 answers");
}

#[tokio::test]
async fn many_streams_have_short_turns() {
    const STREAMS: usize = 8;
    const RESULTS: usize = 2000;
    let (session, mut peer) = joined().await;
    let flood = |call: Invocation| async move {
        let stream: usize = call.decode()?;
        let progress = call.progress().ok_or_else(|| Failure::new("test.error.unwilling"))?;
        for _ in 0..RESULTS {
            progress.send(stream).await?;
        }
        Ok(())
    };
    peer.register(session.register("flood", flood)).await;
    let invocations: Vec<_> =
        (1..=STREAMS).map(|i| json!([68, i, 7, {"receive_progress": true}, [i]])).collect();
    peer.send_all(&invocations).await;
    let (mut last, mut turn, mut longest, mut ended) = (0, 0, 0, 0);
    while ended < STREAMS {
        let message = peer.next().await;
        ended += usize::from(message[2].get("progress").is_none());
        let stream = message[1].as_u64().unwrap();
        turn = if stream == last { turn + 1 } else { 1 };
        (last, longest) = (stream, longest.max(turn));
    }
    assert!(longest <= 2 * 128, "{longest} results of one stream before any other");
}
