//! A client whose messages a test writes itself, as the specification writes them.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use wamp_proto::{Limits, Message, Serializer};
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, Transport, WriteError, WriteHalf};

/// A test that waits longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// HELLO with every role, the features that a call needs, and the extensions `_ping` and `_bare_results`.
pub const HELLO: &str = r#"[1,"realm1",{"roles":{"caller":{"features":{"progressive_call_results":true,"call_canceling":true,"_bare_results":true}},"callee":{"features":{"progressive_call_results":true,"call_canceling":true}},"publisher":{},"subscriber":{}},"_ping":true}]"#;

/// Fails a test that hangs.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it hangs")
}

type Pinned<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

trait AnyRead: Send {
    fn read<'a>(&'a mut self, into: &'a mut Vec<Incoming>) -> Pinned<'a, Result<(), ReadError>>;
}

impl<R: ReadHalf> AnyRead for R {
    fn read<'a>(&'a mut self, into: &'a mut Vec<Incoming>) -> Pinned<'a, Result<(), ReadError>> {
        Box::pin(ReadHalf::read(self, into))
    }
}

trait AnyWrite: Send {
    fn write<'a>(&'a mut self, batch: &'a mut Batch) -> Pinned<'a, Result<(), WriteError>>;
}

impl<W: WriteHalf> AnyWrite for W {
    fn write<'a>(&'a mut self, batch: &'a mut Batch) -> Pinned<'a, Result<(), WriteError>> {
        Box::pin(WriteHalf::write(self, batch))
    }
}

/// A client whose messages a test writes itself, as the specification writes them.
pub struct Peer {
    serializer: Serializer,
    read: Box<dyn AnyRead>,
    write: Box<dyn AnyWrite>,
    out: Batch,
    came: VecDeque<Incoming>,
}

impl Peer {
    pub fn over<T: Transport>(transport: T) -> Self {
        let serializer = transport.serializer();
        let (read, write) = transport.split();
        let (read, write) = (Box::new(read), Box::new(write));
        Self { serializer, read, write, out: Batch::new(), came: VecDeque::new() }
    }

    pub fn serializer(&self) -> Serializer {
        self.serializer
    }

    /// Joins and returns the session id.
    pub async fn join(&mut self) -> u64 {
        self.say(HELLO).await;
        let Message::Welcome(welcome) = self.message().await else { panic!("no WELCOME") };
        welcome.session.get()
    }

    /// Registers a procedure, as the first request of the session, and returns the registration id.
    pub async fn register(&mut self, procedure: &str) -> u64 {
        self.say(&format!(r#"[64,1,{{}},"{procedure}"]"#)).await;
        let Message::Registered(registered) = self.message().await else { panic!("no REGISTERED") };
        registered.registration.get()
    }

    pub async fn say(&mut self, json: &str) {
        self.say_all(&[json]).await;
    }

    /// Sends several messages at once: in one segment, where there are segments.
    pub async fn say_all(&mut self, json: &[&str]) {
        for json in json {
            self.out.push_bytes(&bytes(self.serializer, json));
        }
        within(self.flush()).await.unwrap();
    }

    /// Sends bytes as a message.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.out.push_bytes(bytes);
        within(self.flush()).await.unwrap();
    }

    pub async fn ping(&mut self, payload: &'static [u8]) {
        self.out.ping(Bytes::from_static(payload));
        within(self.flush()).await.unwrap();
    }

    pub async fn pong(&mut self) {
        self.out.pong(Bytes::from_static(b"wamp"));
        within(self.flush()).await.unwrap();
    }

    /// Writes the rest of an earlier call that was dropped.
    pub async fn flush(&mut self) -> Result<(), WriteError> {
        self.write.write(&mut self.out).await
    }

    /// Sends a message that may have to wait for a peer that does not read. Returns `false` if it waits; the
    /// rest is sent with the next message. With the clock paused, waiting means that no task can go on.
    pub async fn says(&mut self, json: &str) -> bool {
        self.out.push_bytes(&bytes(self.serializer, json));
        match tokio::time::timeout(Duration::from_secs(1), self.flush()).await {
            Ok(written) => written.map(|()| true).unwrap(),
            Err(_) => false,
        }
    }

    /// Waits until the router has handled everything sent so far.
    pub async fn settle(&mut self, request: u64) {
        self.say(&format!("[34,{request},1]")).await;
        assert!(self.hear().await.starts_with(&format!("[8,34,{request},")));
    }

    /// The items of one read.
    pub async fn some(&mut self) -> Vec<Incoming> {
        let first = self.incoming().await.unwrap();
        std::iter::once(first).chain(self.came.drain(..)).collect()
    }

    pub async fn incoming(&mut self) -> Result<Incoming, ReadError> {
        if self.came.is_empty() {
            let mut came = Vec::new();
            within(self.read.read(&mut came)).await?;
            self.came.extend(came);
        }
        Ok(self.came.pop_front().unwrap())
    }

    /// The next message. A PING before it is answered.
    pub async fn message(&mut self) -> Message {
        loop {
            match self.incoming().await {
                Ok(Incoming::Message(frame)) => {
                    return Message::decode(self.serializer, &frame, &Limits::default()).unwrap();
                }
                Ok(Incoming::Ping(payload)) => {
                    self.out.pong(payload);
                    within(self.flush()).await.unwrap();
                }
                other => panic!("no message but {other:?}"),
            }
        }
    }

    /// The next message, as the specification writes it.
    pub async fn hear(&mut self) -> String {
        json(&self.message().await)
    }

    #[track_caller]
    pub fn expect<'a>(&'a mut self, json: &'a str) -> impl Future<Output = ()> + Send + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let heard = self.hear().await;
            assert_eq!(heard, json, "at {caller}");
        }
    }

    /// Receives ABORT, and then an orderly end of the connection. Returns the reason and the text.
    pub async fn aborted(&mut self) -> (String, String) {
        let abort = match self.message().await {
            Message::Abort(abort) => abort,
            other => panic!("no ABORT, but {other:?}"),
        };
        self.closed().await;
        (abort.reason.to_string(), abort.details.message.unwrap_or_default().to_string())
    }

    /// The next item, while the same bytes are sent again and again.
    pub async fn incoming_while_sending(&mut self, bytes: &[u8]) -> Result<Incoming, ReadError> {
        let Self { read, write, out, came, .. } = self;
        let flood = async {
            loop {
                out.push_bytes(bytes);
                if write.write(out).await.is_err() {
                    std::future::pending().await
                }
                tokio::task::yield_now().await;
            }
        };
        let mut read_one = Vec::new();
        if came.is_empty() {
            within(async {
                tokio::select! {
                    read = read.read(&mut read_one) => read,
                    () = flood => unreachable!(),
                }
            })
            .await?;
            came.extend(read_one);
        }
        Ok(came.pop_front().unwrap())
    }

    pub async fn closed(&mut self) {
        match self.incoming().await {
            Err(ReadError::Closed) => {}
            other => panic!("not closed but {other:?}"),
        }
    }
}

pub fn json(message: &Message) -> String {
    String::from_utf8(message.encode(Serializer::Json).unwrap().to_vec()).unwrap()
}

/// Any JSON value, a message or not, in this serializer.
pub fn bytes(serializer: Serializer, json: &str) -> Vec<u8> {
    if serializer == Serializer::Json {
        return json.as_bytes().to_vec();
    }
    // As the only argument of a message, since nothing else writes a value.
    let carrier = Bytes::from(format!("[50,1,{{}},[{json}]]"));
    let carrier = Message::decode(Serializer::Json, &carrier, &Limits::default()).unwrap();
    let payload = carrier.payload().transcode(serializer).unwrap();
    // The header of a list of one element has one byte.
    payload.args_bytes()[1..].to_vec()
}
