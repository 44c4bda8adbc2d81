//! A transport over a pair of channels, without PING.

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use wamp_proto::Serializer;
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, Transport, WriteError, WriteHalf};

pub(crate) struct Channels {
    serializer: Serializer,
    read: ChannelReader,
    write: ChannelWriter,
}

pub(crate) struct ChannelReader {
    messages: Receiver<Bytes>,
    max_receive: usize,
    ended: bool,
}

pub(crate) struct ChannelWriter {
    messages: Option<Sender<Bytes>>,
    accepted: u64,
}

impl Channels {
    pub(crate) fn pair(serializer: Serializer) -> (Self, Self) {
        let ((forth, to_second), (back, to_first)) = (channel(8), channel(8));
        let end = |messages, sender| Self {
            serializer,
            read: ChannelReader { messages, max_receive: usize::MAX, ended: false },
            write: ChannelWriter { messages: Some(sender), accepted: 0 },
        };
        (end(to_first, forth), end(to_second, back))
    }
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

    async fn read(&mut self, into: &mut Vec<Incoming>) -> Result<(), ReadError> {
        if self.ended {
            return Err(ReadError::Closed);
        }
        let message = self.messages.recv().await.ok_or(ReadError::Closed)?;
        if message.len() > self.max_receive {
            self.ended = true;
            return Err(ReadError::TooLarge { len: message.len(), limit: self.max_receive });
        }
        into.push(Incoming::Message(message));
        Ok(())
    }
}

impl WriteHalf for ChannelWriter {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        while let Some(message) = batch.front() {
            // There is room first; then the message leaves the batch and enters the channel without a wait.
            let room = self.messages.as_ref().ok_or(WriteError::Closed)?.reserve().await;
            let room = room.map_err(|_| WriteError::Closed)?;
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
