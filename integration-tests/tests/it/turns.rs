//! A link on which there is always something to read leaves time for others.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::task::yield_now;
use wamp_proto::Serializer;
use wamp_router::Router;
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, Transport, WriteError, WriteHalf};

/// The number of messages that arrive without a pause.
const MESSAGES: usize = 1000;

const RESULT_BYTES: usize = 64 << 10;

/// A publisher that has written everything in advance, and the number of its messages that were read.
struct Flood(Arc<AtomicUsize>);

impl Transport for Flood {
    type Read = Self;
    type Write = Nowhere;

    fn serializer(&self) -> Serializer {
        Serializer::Json
    }

    fn max_send(&self) -> usize {
        usize::MAX
    }

    fn split(self) -> (Self, Nowhere) {
        (self, Nowhere)
    }
}

impl ReadHalf for Flood {
    fn set_max_receive(&mut self, _: usize) {}

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        let message = match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => r#"[1,"realm1",{"roles":{"publisher":{}}}]"#.to_owned(),
            request @ 1..MESSAGES => {
                format!(r#"[16,{request},{{}},"com.myapp.topic",["{}"]]"#, "x".repeat(RESULT_BYTES))
            }
            _ => pending().await,
        };
        into.push(Incoming::Message(Bytes::from(message)));
        Ok(())
    }
}

/// Accepts every message.
struct Nowhere;

impl WriteHalf for Nowhere {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        batch.clear();
        Ok(())
    }

    fn accepted(&self) -> u64 {
        0
    }

    async fn close(&mut self) {}
}

#[tokio::test]
async fn a_link_that_always_has_something_to_read_lets_others_have_their_turn() {
    let read = Arc::<AtomicUsize>::default();
    let router = Router::default();
    router.attach(Flood(read.clone()));
    let mut turns = 0;
    while read.load(Ordering::Relaxed) < MESSAGES {
        yield_now().await;
        turns += 1;
    }
    // A turn is limited by time; on the slowest machine it handles one message.
    assert!(
        (50..MESSAGES + 10).contains(&turns),
        "{turns} turns beside {MESSAGES} messages of {RESULT_BYTES} bytes"
    );
}
