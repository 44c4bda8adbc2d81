//! A router, the ways to reach it, and a bystander that must not be affected.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use wamp_proto::Serializer;
use wamp_router::{Address, Router};
use wamp_transport::memory;
use wamp_transport::socket::{dial_tcp, dial_unix};
use wamp_transport_rawsocket as rawsocket;
use wamp_transport_tungstenite::{self as tungstenite, WebSocketConfig};
use wamp_transport_ws as ws;

pub use crate::peer::{HELLO, Peer, bytes, within};

pub const SERIALIZERS: [Serializer; 3] = [Serializer::Json, Serializer::MsgPack, Serializer::Cbor];
pub const WAYS: [Way; 5] = [Way::Memory, Way::WebSocket, Way::Tungstenite, Way::RawSocket, Way::Unix];

/// The way of a peer to the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Memory,
    WebSocket,
    /// WebSocket without a socket, with `wamp-transport-tungstenite` at the peer's end.
    Tungstenite,
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

    /// Connects a peer, which has sent nothing yet.
    pub async fn connect(&self, way: Way, serializer: Serializer) -> Peer {
        match way {
            Way::Memory => attach(&self.router, serializer),
            Way::WebSocket => {
                let url = format!("ws://{}/any/path", self.tcp);
                let config = ws::Config::default();
                Peer::over(
                    within(ws::connect(self.dial().await, &url, &[serializer], &config)).await.unwrap(),
                )
            }
            Way::Tungstenite => {
                let url = format!("ws://{}/any/path", self.tcp);
                let (config, offers) = (WebSocketConfig::default(), [serializer]);
                let connecting = tungstenite::connect(self.dial().await, &url, &offers, config);
                Peer::over(within(connecting).await.unwrap())
            }
            Way::RawSocket => {
                let config = rawsocket::Config::default();
                Peer::over(within(rawsocket::connect(self.dial().await, serializer, &config)).await.unwrap())
            }
            Way::Unix => {
                let config = rawsocket::Config::default();
                let socket = within(dial_unix(&self.unix)).await.unwrap();
                Peer::over(within(rawsocket::connect(socket, serializer, &config)).await.unwrap())
            }
        }
    }

    /// Connects over TCP.
    pub async fn dial(&self) -> TcpStream {
        within(dial_tcp(&self.tcp)).await.unwrap()
    }

    /// Connects a peer that has joined.
    pub async fn join(&self, way: Way, serializer: Serializer) -> Peer {
        let mut peer = self.connect(way, serializer).await;
        peer.join().await;
        peer
    }
}

/// A path for a Unix socket that is not in use.
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

/// Connects a peer that has joined over a pipe of this many bytes each way, without other buffers: unread
/// bytes wait in the router.
pub async fn piped(router: &Router, way: Way, serializer: Serializer, capacity: usize) -> Peer {
    let mut peer = connected(router, way, serializer, capacity).await;
    peer.join().await;
    peer
}

/// The same, with another HELLO.
pub async fn piped_as(
    router: &Router,
    way: Way,
    serializer: Serializer,
    capacity: usize,
    hello: &str,
) -> Peer {
    let mut peer = connected(router, way, serializer, capacity).await;
    peer.say(hello).await;
    assert!(peer.hear().await.starts_with("[2,"));
    peer
}

/// Connects a peer over a pipe, which has sent nothing yet.
pub async fn connected(router: &Router, way: Way, serializer: Serializer, capacity: usize) -> Peer {
    let (ours, theirs) = tokio::io::duplex(capacity);
    match way {
        Way::Memory => {
            let (ours, theirs) = memory::pair_with(serializer, capacity);
            router.attach(theirs);
            Peer::over(ours)
        }
        Way::WebSocket => {
            let (config, offers) = (ws::Config::default(), [serializer]);
            let (ours, theirs) = tokio::join!(
                ws::connect(ours, "ws://pipe/", &offers, &config),
                ws::accept(theirs, &[], &config)
            );
            router.attach(theirs.unwrap());
            Peer::over(ours.unwrap())
        }
        Way::Tungstenite => {
            let (config, offers) = (WebSocketConfig::default(), [serializer]);
            let (ours, theirs) = tokio::join!(
                tungstenite::connect(ours, "ws://pipe/", &offers, config),
                tungstenite::accept(theirs, &offers, config)
            );
            router.attach(theirs.unwrap());
            Peer::over(ours.unwrap())
        }
        Way::RawSocket | Way::Unix => {
            let config = rawsocket::Config::default();
            let (ours, theirs) = tokio::join!(
                rawsocket::connect(ours, serializer, &config),
                rawsocket::accept(theirs, &[], &config)
            );
            router.attach(theirs.unwrap());
            Peer::over(ours.unwrap())
        }
    }
}

/// A running progressive call, which must not be affected.
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
