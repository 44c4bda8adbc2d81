//! Peers whose messages a test writes itself, and the ways from them to a router.

use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use wamp_proto::{Limits, Message, Serializer};
use wamp_router::{Address, Router};
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, Transport, WriteError, WriteHalf, memory};
use wamp_transport_rawsocket as rawsocket;
use wamp_transport_ws as ws;

/// Whoever waits longer than this waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

pub const SERIALIZERS: [Serializer; 3] = [Serializer::Json, Serializer::MsgPack, Serializer::Cbor];
pub const WAYS: [Way; 4] = [Way::Memory, Way::WebSocket, Way::RawSocket, Way::Unix];

/// HELLO with every role, and the features that a call needs.
pub const HELLO: &str = r#"[1,"realm1",{"roles":{"caller":{"features":{"progressive_call_results":true,"call_canceling":true}},"callee":{"features":{"progressive_call_results":true,"call_canceling":true}},"publisher":{},"subscriber":{}}}]"#;

/// Fails a test that hangs.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it hangs")
}

/// How a peer reaches the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Memory,
    WebSocket,
    RawSocket,
    Unix,
}

/// A router that listens on TCP and on a Unix socket.
pub struct House {
    pub router: Router,
    /// As `127.0.0.1:41234`.
    pub tcp: String,
    pub unix: PathBuf,
}

impl House {
    pub async fn new() -> Self {
        Self::with(Router::default()).await
    }

    pub async fn with(router: Router) -> Self {
        let Address::Tcp(tcp) = router.listen("127.0.0.1:0").await.unwrap() else { panic!("not TCP") };
        let unix = unix_path();
        router.listen(&format!("unix://{}", unix.display())).await.unwrap();
        Self { router, tcp: tcp.to_string(), unix }
    }

    /// Connects a peer, which has said nothing yet.
    pub async fn connect(&self, way: Way, serializer: Serializer) -> Peer {
        match way {
            Way::Memory => attach(&self.router, serializer),
            Way::WebSocket => {
                let url = format!("ws://{}/any/path", self.tcp);
                let config = ws::Config::default();
                Peer::over(within(ws::connect_tcp(&url, &[serializer], &config)).await.unwrap())
            }
            Way::RawSocket => {
                let config = rawsocket::Config::default();
                Peer::over(within(rawsocket::connect_tcp(&self.tcp, serializer, &config)).await.unwrap())
            }
            Way::Unix => {
                let config = rawsocket::Config::default();
                Peer::over(within(rawsocket::connect_unix(&self.unix, serializer, &config)).await.unwrap())
            }
        }
    }

    /// Connects a peer that has joined.
    pub async fn join(&self, way: Way, serializer: Serializer) -> Peer {
        let mut peer = self.connect(way, serializer).await;
        peer.join().await;
        peer
    }
}

/// A name for a Unix socket that nobody else has.
pub fn unix_path() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("wamp-it-{}-{count}.sock", std::process::id()))
}

/// Connects a peer in memory.
pub fn attach(router: &Router, serializer: Serializer) -> Peer {
    let (ours, theirs) = memory::pair(serializer);
    router.attach(theirs);
    Peer::over(ours)
}

/// Connects a peer in memory that has joined.
pub async fn attach_joined(router: &Router, serializer: Serializer) -> Peer {
    let mut peer = attach(router, serializer);
    peer.join().await;
    peer
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

    /// Joins and gives the session's id.
    pub async fn join(&mut self) -> u64 {
        self.say(HELLO).await;
        let Message::Welcome(welcome) = self.message().await else { panic!("no WELCOME") };
        welcome.session.get()
    }

    /// Registers a procedure, as the first request of the session, and gives the registration's id.
    pub async fn register(&mut self, procedure: &str) -> u64 {
        self.say(&format!(r#"[64,1,{{}},"{procedure}"]"#)).await;
        let Message::Registered(registered) = self.message().await else { panic!("no REGISTERED") };
        registered.registration.get()
    }

    pub async fn say(&mut self, json: &str) {
        self.say_all(&[json]).await;
    }

    /// Says several things at once: in one segment, where there are segments.
    pub async fn say_all(&mut self, json: &[&str]) {
        for json in json {
            self.out.push_octets(&octets(self.serializer, json));
        }
        within(self.flush()).await.unwrap();
    }

    /// Sends a message of which only the octets are known.
    pub async fn send(&mut self, octets: &[u8]) {
        self.out.push_octets(octets);
        within(self.flush()).await.unwrap();
    }

    pub async fn ping(&mut self, payload: &'static [u8]) {
        self.out.ping(Bytes::from_static(payload));
        within(self.flush()).await.unwrap();
    }

    /// Writes what was left over when an earlier call was dropped.
    pub async fn flush(&mut self) -> Result<(), WriteError> {
        self.write.write(&mut self.out).await
    }

    /// Puts a message into what the next [`flush`](Self::flush) writes.
    pub fn stage(&mut self, octets: &[u8]) {
        self.out.push_octets(octets);
    }

    pub async fn incoming(&mut self) -> Result<Incoming, ReadError> {
        if self.came.is_empty() {
            let mut came = Vec::new();
            within(self.read.read(&mut came)).await?;
            self.came.extend(came);
        }
        Ok(self.came.pop_front().unwrap())
    }

    /// The next message.
    pub async fn message(&mut self) -> Message {
        match self.incoming().await {
            Ok(Incoming::Message(frame)) => {
                Message::decode(self.serializer, &frame, &Limits::default()).unwrap()
            }
            other => panic!("no message but {other:?}"),
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

    /// Hears ABORT, and then that the connection is closed in an orderly way. Gives the reason and the sentence.
    pub async fn aborted(&mut self) -> (String, String) {
        let Message::Abort(abort) = self.message().await else { panic!("no ABORT") };
        self.closed().await;
        (abort.reason.to_string(), abort.details.message.unwrap_or_default().to_string())
    }

    /// The next that comes, while the same octets are sent again and again.
    pub async fn incoming_while_sending(&mut self, octets: &[u8]) -> Result<Incoming, ReadError> {
        let Self { read, write, out, came, .. } = self;
        let flood = async {
            loop {
                out.push_octets(octets);
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
pub fn octets(serializer: Serializer, json: &str) -> Vec<u8> {
    if serializer == Serializer::Json {
        return json.as_bytes().to_vec();
    }
    // As the only argument of a message, which has no other way than to be written.
    let carrier = Bytes::from(format!("[50,1,{{}},[{json}]]"));
    let carrier = Message::decode(Serializer::Json, &carrier, &Limits::default()).unwrap();
    let payload = carrier.payload().transcode(serializer).unwrap();
    // The header of a list of one element is one octet long.
    payload.args_octets()[1..].to_vec()
}

/// A progressive call under way, to which nothing may happen.
pub struct Bystander {
    caller: Peer,
    callee: Peer,
    count: usize,
}

impl Bystander {
    pub async fn new(router: &Router) -> Self {
        let mut callee = attach_joined(router, Serializer::Cbor).await;
        let registration = callee.register("com.myapp.bystander").await;
        let mut caller = attach_joined(router, Serializer::Json).await;
        caller.say(r#"[48,1,{"receive_progress":true},"com.myapp.bystander"]"#).await;
        callee.expect(&format!(r#"[68,1,{registration},{{"receive_progress":true}}]"#)).await;
        Self { caller, callee, count: 0 }
    }

    /// Lets the call go on.
    pub async fn progress(&mut self) {
        self.count += 1;
        self.callee.say(&format!(r#"[70,1,{{"progress":true}},[{}]]"#, self.count)).await;
        self.caller.expect(&format!(r#"[50,1,{{"progress":true}},[{}]]"#, self.count)).await;
    }

    /// Lets the call end.
    pub async fn finish(mut self) {
        self.progress().await;
        self.callee.say("[70,1,{},[\"end\"]]").await;
        self.caller.expect("[50,1,{},[\"end\"]]").await;
    }
}
