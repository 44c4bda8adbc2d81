//! A peer that plays the router.

use std::collections::VecDeque;

use serde_json::{Value, json};
use wamp_client::{Client, Registration, Serializer, Session};
use wamp_transport::memory::{self, Memory, MemoryReader, MemoryWriter};
use wamp_transport::{Batch, Incoming, ReadHalf, Transport, WriteHalf};

/// The longest wait for a message that is expected at once.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

pub(crate) struct Peer {
    read: MemoryReader,
    write: MemoryWriter,
    came: VecDeque<Value>,
}

/// A session, and the peer at its other end.
pub(crate) async fn joined() -> (Session, Peer) {
    joined_over(memory::DEFAULT_CAPACITY).await
}

/// The same, with a connection that holds this many bytes in each direction.
pub(crate) async fn joined_over(capacity: usize) -> (Session, Peer) {
    let (ours, theirs) = memory::pair_with(Serializer::Json, capacity);
    join(ours, Peer::new(theirs)).await
}

/// A session over one end of a connection, and the peer at the other one.
pub(crate) async fn join<T: Transport>(ours: T, mut peer: Peer) -> (Session, Peer) {
    let welcome = async {
        assert_eq!(peer.next().await[0], 1, "HELLO comes first");
        peer.send(welcome()).await;
    };
    let (session, ()) = tokio::join!(async { Client::over(ours).await }, welcome);
    (session.unwrap(), peer)
}

pub(crate) fn welcome() -> Value {
    let features = json!({"progressive_call_results": true, "call_canceling": true});
    json!([2, 4711, {"roles": {"dealer": {"features": features}, "broker": {}}}])
}

/// Waits until all tasks wait. For tests with a paused clock, which moves only then.
pub(crate) async fn idle() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

impl Peer {
    pub(crate) fn new(transport: Memory) -> Self {
        let (read, write) = transport.split();
        Self { read, write, came: VecDeque::new() }
    }

    /// The next message; null at the end of the connection.
    pub(crate) async fn next(&mut self) -> Value {
        while self.came.is_empty() {
            let mut items = Vec::new();
            // With a time limit, so that a broken test fails instead of hanging.
            let read = tokio::time::timeout(PATIENCE, self.read.read(&mut items)).await;
            if read.expect("nothing comes").is_err() {
                return Value::Null;
            }
            self.came.extend(items.iter().map(|item| match item {
                Incoming::Message(frame) => serde_json::from_slice(frame).unwrap(),
                Incoming::Ping(_) => json!("PING"),
                Incoming::Pong(bytes) => json!(format!("PONG {}", String::from_utf8_lossy(bytes))),
                _ => json!("something else"),
            }));
        }
        self.came.pop_front().unwrap()
    }

    /// Checks that the next message is this one.
    pub(crate) async fn expect(&mut self, message: Value) {
        assert_eq!(self.next().await, message);
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_all(&[message]).await;
    }

    /// Sends messages so that they are read together.
    pub(crate) async fn send_all(&mut self, messages: &[Value]) {
        let mut batch = Batch::new();
        for message in messages {
            batch.push_bytes(message.to_string().as_bytes());
        }
        self.write.write(&mut batch).await.unwrap();
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let mut batch = Batch::new();
        batch.push_bytes(bytes);
        self.write.write(&mut batch).await.unwrap();
    }

    pub(crate) async fn ping(&mut self, bytes: &'static [u8]) {
        let mut batch = Batch::new();
        batch.ping(bytes.into());
        self.write.write(&mut batch).await.unwrap();
    }

    pub(crate) async fn pong(&mut self) {
        let mut batch = Batch::new();
        batch.pong(Default::default());
        self.write.write(&mut batch).await.unwrap();
    }

    /// Sends a PING, unless the client does not read: that could take for ever.
    pub(crate) async fn ping_owned(&mut self, bytes: Vec<u8>) {
        let mut batch = Batch::new();
        batch.ping(bytes.into());
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), self.write.write(&mut batch)).await;
    }

    /// Answers the next REGISTER with this registration.
    async fn registered(&mut self, id: u64) {
        let message = self.next().await;
        assert_eq!(message[0], 64, "{message}");
        self.send(json!([65, message[1], id])).await;
    }

    /// Registers a procedure as registration 7.
    pub(crate) async fn register(
        &mut self,
        register: impl IntoFuture<Output = Result<Registration, wamp_client::RequestError>>,
    ) -> Registration {
        self.register_as(register, 7).await
    }

    /// Registers a procedure as this registration.
    pub(crate) async fn register_as(
        &mut self,
        register: impl IntoFuture<Output = Result<Registration, wamp_client::RequestError>>,
        id: u64,
    ) -> Registration {
        let (registration, ()) = tokio::join!(async { register.await }, self.registered(id));
        registration.unwrap()
    }
}
