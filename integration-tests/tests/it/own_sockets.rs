//! Listeners, streams and transports that the router has not opened itself.

use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use wamp_proto::Serializer;
use wamp_router::{Limits, ListenError, Router};
use wamp_transport::memory::{self, Memory};
use wamp_transport::socket::AnyStream;
use wamp_transport::{Incoming, Transport};
use wamp_transport_rawsocket as rawsocket;
use wamp_transport_ws::{Config, Role, WebSocket, accept_key};

use crate::support::{Peer, attach_joined, within};
use crate::wire::{HANDSHAKE, UPGRADE, Wire, ws_frame};

#[tokio::test]
async fn a_foreign_listener_is_served_until_the_router_shuts_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::default();
    router.serve(listener).unwrap();
    let socket = TcpStream::connect(address).await.unwrap();
    let config = rawsocket::Config::default();
    let client = within(rawsocket::connect(socket, Serializer::Cbor, &config)).await.unwrap();
    Peer::over(client).join().await;
    assert_eq!(router.stats().connections, 1);
    within(router.shut_down()).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_listener_that_other_machines_reach_is_refused_unless_it_is_allowed() {
    let public = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let address = public.local_addr().unwrap();
    let refused = Router::default().serve(public).unwrap_err();
    assert!(matches!(refused, ListenError::Public(public) if public == address), "{refused}");
    let allowed = Router::builder().allow_anonymous_on_public(true).build();
    allowed.serve(TcpListener::bind("0.0.0.0:0").await.unwrap()).unwrap();
}

/// A pipe whose other end the router has accepted.
async fn accepted(router: &Router) -> Wire<DuplexStream> {
    let (ours, theirs) = duplex(4096);
    within(router.accept(AnyStream(theirs))).await;
    Wire { stream: ours }
}

#[tokio::test]
async fn a_foreign_stream_counts_as_a_connection() {
    let limits = Limits { connections: Some(1), ..Limits::default() };
    let router = Router::builder().limits(limits).build();
    let mut first = accepted(&router).await;
    first.write(&HANDSHAKE).await;
    assert_eq!(first.read(4).await, HANDSHAKE);
    let mut second = accepted(&router).await;
    second.write(&HANDSHAKE).await;
    assert_eq!(second.end().await, [0x7f, 0x40, 0, 0]);
    assert_eq!((router.stats().connections, router.stats().refusals), (1, 1));
    // Over the same stream WebSocket is spoken, too.
    drop(first);
    while router.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    let mut third = accepted(&router).await;
    third.write(UPGRADE.as_bytes()).await;
    assert!(third.response().await.starts_with("HTTP/1.1 101 "));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_stream_has_the_usual_time_for_its_handshake() {
    let router = Router::default();
    let start = Instant::now();
    assert_eq!(accepted(&router).await.end().await, b"");
    assert_eq!(start.elapsed().as_secs(), 10);
}

/// Another server has done the opening handshake.
#[tokio::test]
async fn a_connection_that_was_upgraded_elsewhere_is_a_transport() {
    let router = Router::default();
    let (ours, theirs) = duplex(4096);
    let key = accept_key("dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    router.attach(WebSocket::upgraded(theirs, Role::Server, Serializer::Json, &Config::default()));
    let mut wire = Wire { stream: ours };
    wire.write(&ws_frame(0x81, br#"[1,"realm1",{"roles":{"caller":{}}}]"#)).await;
    assert!(wire.ws_frame().await.1.starts_with(b"[2,"));
}

#[tokio::test]
async fn a_client_in_the_same_program_needs_no_socket() {
    let router = Router::default();
    let mut peer = Peer::over(router.local());
    peer.join().await;
    assert_eq!(router.stats().now.sessions, 1);
}

/// A transport without PINGs.
struct WithoutPings(Memory);

impl Transport for WithoutPings {
    type Read = <Memory as Transport>::Read;
    type Write = <Memory as Transport>::Write;

    fn serializer(&self) -> Serializer {
        self.0.serializer()
    }

    fn max_send(&self) -> usize {
        self.0.max_send()
    }

    fn pings(&self) -> bool {
        false
    }

    fn split(self) -> (Self::Read, Self::Write) {
        self.0.split()
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_whose_transport_has_no_pings_may_be_silent() {
    let router = Router::default();
    let (ours, theirs) = memory::pair(Serializer::Json);
    router.attach(WithoutPings(theirs));
    let mut silent = Peer::over(ours);
    silent.join().await;
    sleep(Duration::from_secs(600)).await;
    silent.say("[34,1,1]").await;
    assert!(matches!(silent.incoming().await, Ok(Incoming::Message(_))));
    // Another one gets a PING.
    let mut other = attach_joined(&router, Serializer::Json).await;
    sleep(Duration::from_secs(31)).await;
    assert!(matches!(other.incoming().await, Ok(Incoming::Ping(_))));
}
