//! A transport of your own: implement three traits, and client and router use it.
//!
//! This one is a pair of channels; yours may use a message broker or a simulated network. A *stream* of your own, such as
//! a serial line, needs none of this: `wamp_transport_rawsocket::connect(AnyStream(stream), ..)` makes a transport of it.
//! `wamp_transport::testing::conformance` tests the guarantees that client and router need; this transport
//! passes.

use tokio::sync::mpsc::{Receiver, Sender, channel};
use wamp_client::{Bytes, Client, Failure, Invocation, Serializer};
use wamp_router::Router;
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, Transport, WriteError, WriteHalf};

/// One end of a connection.
pub struct Channels {
    serializer: Serializer,
    read: ChannelReader,
    write: ChannelWriter,
}

pub struct ChannelReader {
    messages: Receiver<Bytes>,
    max_receive: usize,
    failed: bool,
}

pub struct ChannelWriter {
    /// `None`, if this end is closed.
    messages: Option<Sender<Bytes>>,
    accepted: u64,
}

/// Both ends of a connection, which holds 8 messages in each direction.
pub fn pair(serializer: Serializer) -> (Channels, Channels) {
    let ((forth, to_second), (back, to_first)) = (channel(8), channel(8));
    let end = |receiver, sender| Channels {
        serializer,
        read: ChannelReader { messages: receiver, max_receive: usize::MAX, failed: false },
        write: ChannelWriter { messages: Some(sender), accepted: 0 },
    };
    (end(to_first, forth), end(to_second, back))
}

impl Transport for Channels {
    type Read = ChannelReader;
    type Write = ChannelWriter;

    fn serializer(&self) -> Serializer {
        self.serializer
    }

    fn max_send(&self) -> usize {
        usize::MAX
    }

    /// A channel cannot carry a PING, so a silent peer is not disconnected.
    fn pings(&self) -> bool {
        false
    }

    fn split(self) -> (ChannelReader, ChannelWriter) {
        (self.read, self.write)
    }
}

impl ReadHalf for ChannelReader {
    fn set_max_receive(&mut self, bytes: usize) {
        self.max_receive = bytes;
    }

    /// May be dropped at any time: nothing has been taken from the channel then.
    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        if self.failed {
            return Err(ReadError::Closed);
        }
        let message = self.messages.recv().await.ok_or(ReadError::Closed)?;
        if message.len() > self.max_receive {
            self.failed = true;
            return Err(ReadError::TooLarge { len: message.len(), limit: self.max_receive });
        }
        into.push(Incoming::Message(message));
        Ok(())
    }
}

impl WriteHalf for ChannelWriter {
    /// May be dropped at any time: a message leaves the batch only when there is room for it.
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        while let Some(message) = batch.front() {
            let messages = self.messages.as_ref().ok_or(WriteError::Closed)?;
            let room = messages.reserve().await.map_err(|_| WriteError::Closed)?;
            let mut bytes = Vec::new();
            message.copy_to(&mut bytes);
            self.accepted += bytes.len() as u64;
            room.send(bytes.into());
            batch.pop_front();
        }
        Ok(())
    }

    fn accepted(&self) -> u64 {
        self.accepted
    }

    async fn close(&mut self) {
        self.messages = None;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::default();
    let (ours, theirs) = pair(Serializer::Cbor);
    router.attach(theirs);
    let session = Client::over(ours).await?;

    session.register("com.example.add", add).await?;
    let sum: i64 = session.call("com.example.add").args((40, 2)).await?.decode()?;
    session.leave().await;
    println!("{sum}, over channels");
    Ok(())
}

async fn add(call: Invocation) -> Result<i64, Failure> {
    let (a, b): (i64, i64) = call.args()?;
    Ok(a + b)
}
