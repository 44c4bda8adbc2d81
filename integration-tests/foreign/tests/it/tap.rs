//! A way into the router that records everything the router sends.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use wamp_proto::{Limits, Message, Serializer};
use wamp_router::Router;
use wamp_transport::{Batch, Control, Transport, WriteError, WriteHalf};
use wamp_transport_ws::WebSocket;

use crate::process::PATIENCE;

/// Serves one connection, over WebSocket.
pub struct Tap {
    address: SocketAddr,
    said: mpsc::Receiver<String>,
}

impl Tap {
    pub async fn open(router: &Router) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (write_down, said) = mpsc::channel(64);
        let router = router.clone();
        tokio::spawn(async move {
            let Ok((stream, _)) = listener.accept().await else { return };
            let config = wamp_transport_ws::Config::default();
            if let Ok(inner) = wamp_transport_ws::accept(stream, &[], &config).await {
                router.attach(Tapped { inner, write_down });
            }
        });
        Ok(Self { address, said })
    }

    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    /// Waits for the end of the connection and returns all messages that the router has sent, in JSON.
    pub async fn all(mut self) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        let ended = async {
            while let Some(message) = self.said.recv().await {
                all.push(message);
            }
        };
        timeout(PATIENCE, ended).await.map_err(|_| "the router does not end the caller's connection")?;
        Ok(all)
    }
}

struct Tapped {
    inner: WebSocket<TcpStream>,
    write_down: mpsc::Sender<String>,
}

struct Writer {
    serializer: Serializer,
    inner: <WebSocket<TcpStream> as Transport>::Write,
    write_down: mpsc::Sender<String>,
    /// Recorded, and forwarded.
    passing: Batch,
}

impl Transport for Tapped {
    type Read = <WebSocket<TcpStream> as Transport>::Read;
    type Write = Writer;

    fn serializer(&self) -> Serializer {
        self.inner.serializer()
    }

    fn max_send(&self) -> usize {
        self.inner.max_send()
    }

    fn split(self) -> (Self::Read, Writer) {
        let serializer = self.inner.serializer();
        let (read, inner) = self.inner.split();
        (read, Writer { serializer, inner, write_down: self.write_down, passing: Batch::new() })
    }
}

impl WriteHalf for Writer {
    async fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        while let Some(control) = batch.pop_control() {
            match control {
                Control::Ping(payload) => self.passing.ping(payload),
                Control::Pong(payload) => self.passing.pong(payload),
            }
        }
        while let Some(message) = batch.front() {
            let mut bytes = Vec::with_capacity(message.encoded_len());
            message.copy_to(&mut bytes);
            self.passing.push_bytes(&bytes);
            batch.pop_front();
            // No row has more messages than this; a missing one would fail the row.
            let _ = self.write_down.try_send(in_json(self.serializer, bytes));
        }
        self.inner.write(&mut self.passing).await
    }

    fn accepted(&self) -> u64 {
        self.inner.accepted()
    }

    async fn close(&mut self) {
        self.inner.close().await;
    }
}

pub fn in_json(serializer: Serializer, bytes: Vec<u8>) -> String {
    let message = Message::decode(serializer, &bytes.into(), &Limits::default());
    let message = message.map_err(|error| error.to_string());
    let json = message.and_then(|message| {
        let json = message.transcode(Serializer::Json).and_then(|message| message.encode(Serializer::Json));
        json.map_err(|error| error.to_string())
    });
    json.map_or_else(|error| error, |json| String::from_utf8_lossy(&json).into_owned())
}
