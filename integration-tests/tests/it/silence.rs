//! A silent link gets a PING.

use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use tokio::time::{Instant, sleep};
use wamp_proto::Serializer;
use wamp_router::Router;
use wamp_transport::Incoming;
use wamp_transport_rawsocket as rawsocket;
use wamp_transport_ws as ws;

use crate::support::{HELLO, Peer, Way, attach_joined, piped, piped_as};
use crate::wire::{HANDSHAKE, UPGRADE, Wire, frame, ws_frame};

const WAYS: [Way; 3] = [Way::Memory, Way::RawSocket, Way::WebSocket];

fn since(start: Instant) -> u64 {
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn after_30_s_of_silence_comes_a_ping_and_10_s_later_the_end() {
    for way in [Way::Memory, Way::RawSocket] {
        let router = Router::default();
        let mut silent = piped(&router, way, Serializer::Json, 4096).await;
        let start = Instant::now();
        silent.register("com.myapp.longop").await;
        let mut caller = attach_joined(&router, Serializer::Json).await;
        caller.say(r#"[48,1,{},"com.myapp.longop"]"#).await;
        silent.hear().await;
        let ends = async {
            let Incoming::Ping(_) = silent.incoming().await.unwrap() else { panic!("no PING") };
            assert_eq!(since(start), 30, "{way:?}");
            silent.incoming().await.unwrap_err();
            assert_eq!(since(start), 40, "{way:?}");
        };
        // A peer that calls it, and answers PINGs, gets an error.
        let learns = async {
            let error = caller.hear().await;
            assert!(error.starts_with(r#"[8,48,1,{},"wamp.error.canceled""#), "{error}");
            assert_eq!(since(start), 40, "{way:?}");
        };
        tokio::join!(ends, learns);
        assert_eq!(router.realm_stats("realm1").unwrap().1.registrations, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn over_rawsocket_only_a_peer_that_knows_pings_is_asked() {
    let hello = HELLO.replace(r#","_ping":true"#, "");
    assert_ne!(hello, HELLO);
    for (way, asked) in [(Way::RawSocket, false), (Way::Memory, true)] {
        let router = Router::default();
        let mut peer = piped_as(&router, way, Serializer::Json, 4096, &hello).await;
        assert_eq!(idle(&mut peer, 50).await.is_some(), asked, "{way:?}");
    }
    // A peer that sends a PING, or an unsolicited PONG, supports them.
    for pings in [true, false] {
        let router = Router::default();
        let mut peer = piped_as(&router, Way::RawSocket, Serializer::Json, 4096, &hello).await;
        assert_eq!(idle(&mut peer, 50).await, None);
        if pings {
            peer.ping(b"there?").await;
            assert_eq!(idle(&mut peer, 1).await, Some(Incoming::Pong(b"there?"[..].into())));
        } else {
            peer.pong().await;
        }
        let Some(Incoming::Ping(_)) = idle(&mut peer, 50).await else { panic!("no PING") };
        peer.incoming().await.unwrap_err();
    }
}

/// The program does not read for this long; only its transport is active.
async fn idle(peer: &mut Peer, seconds: u64) -> Option<Incoming> {
    tokio::time::timeout(Duration::from_secs(seconds), peer.incoming()).await.ok().map(Result::unwrap)
}

#[tokio::test(start_paused = true)]
async fn a_pong_or_anything_else_keeps_the_link() {
    for way in WAYS {
        let router = Router::default();
        let mut peer = piped(&router, way, Serializer::Cbor, 4096).await;
        for _ in 0..3 {
            // A WebSocket answers by itself while it is being read.
            match (way, idle(&mut peer, 35).await) {
                (Way::WebSocket, None) => {}
                (_, Some(Incoming::Ping(_))) => peer.pong().await,
                other => panic!("{other:?}"),
            }
        }
        // A message counts like a PONG.
        if way != Way::WebSocket {
            let Some(Incoming::Ping(_)) = idle(&mut peer, 35).await else { panic!("no PING") };
        }
        peer.settle(1).await;
        // A peer that keeps sending gets no PING.
        for request in 2..10 {
            assert_eq!(idle(&mut peer, 20).await, None);
            peer.settle(request).await;
        }
        assert_eq!(router.realm_stats("realm1").unwrap().1.sessions, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_is_not_even_read_is_given_up() {
    let router = Router::default();
    let mut peer = piped(&router, Way::WebSocket, Serializer::Json, 4096).await;
    sleep(Duration::from_secs(39)).await;
    assert_eq!(router.realm_stats("realm1").unwrap().1.sessions, 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(router.realm_stats("realm1").unwrap().1.sessions, 0);
    peer.incoming().await.unwrap_err();
}

/// The form in which a message of 1 MiB is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Upload {
    RawSocket,
    OneFrame,
    Fragments,
}

const UPLOADS: [Upload; 3] = [Upload::RawSocket, Upload::OneFrame, Upload::Fragments];

/// A publisher that has joined, byte by byte.
async fn publisher(router: &Router, upload: Upload) -> Wire<DuplexStream> {
    let (ours, theirs) = duplex(4096);
    let mut wire = Wire { stream: ours };
    if upload == Upload::RawSocket {
        wire.write(&HANDSHAKE).await;
        router.attach(rawsocket::accept(theirs, &[], &rawsocket::Config::default()).await.unwrap());
        wire.read(4).await;
        wire.write(&frame(HELLO)).await;
        wire.text().await;
    } else {
        wire.write(UPGRADE.as_bytes()).await;
        router.attach(ws::accept(theirs, &[], &ws::Config::default()).await.unwrap());
        wire.response().await;
        wire.write(&ws_frame(0x81, HELLO.as_bytes())).await;
        wire.ws_frame().await;
    }
    wire
}

/// A PUBLISH of 1 MiB with an acknowledgement.
fn long_publish(upload: Upload) -> Vec<u8> {
    let text = format!(r#"[16,1,{{"acknowledge":true}},"com.myapp.topic",["{}"]]"#, "x".repeat(1 << 20));
    match upload {
        Upload::RawSocket => frame(&text),
        Upload::OneFrame => ws_frame(0x81, text.as_bytes()),
        Upload::Fragments => {
            let mut fragments = Vec::new();
            for (index, part) in text.as_bytes().chunks(60_000).enumerate() {
                fragments.extend(ws_frame(u8::from(index == 0), part));
            }
            fragments.extend(ws_frame(0x80, b""));
            fragments
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_of_1_mib_over_100_kbit_per_s_arrives() {
    for upload in UPLOADS {
        let router = Router::default();
        let mut wire = publisher(&router, upload).await;
        let start = Instant::now();
        for second in long_publish(upload).chunks(12_500) {
            wire.write(second).await;
            sleep(Duration::from_secs(1)).await;
        }
        assert!(since(start) > 80);
        // No PING was sent in between.
        let answer = match upload {
            Upload::RawSocket => wire.text().await,
            _ => String::from_utf8(wire.ws_frame().await.1).unwrap(),
        };
        assert!(answer.starts_with("[17,1,"), "{upload:?}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_trickles_ends_its_link() {
    for upload in UPLOADS {
        let router = Router::default();
        let mut wire = publisher(&router, upload).await;
        let start = Instant::now();
        let message = long_publish(upload);
        let mut seconds = message.chunks(1000);
        while router.stats().now.sessions == 1 {
            wire.write(seconds.next().unwrap()).await;
            sleep(Duration::from_secs(1)).await;
        }
        assert!((60..65).contains(&since(start)), "{upload:?}: {} s", since(start));
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stops_ends_its_link_although_its_sender_pings() {
    let router = Router::default();
    let mut wire = publisher(&router, Upload::Fragments).await;
    let start = Instant::now();
    wire.write(&long_publish(Upload::Fragments)[..2 * 60_014]).await;
    while router.stats().now.sessions == 1 {
        wire.write(&ws_frame(0x8a, b"")).await;
        sleep(Duration::from_secs(1)).await;
    }
    assert!((60..65).contains(&since(start)), "{} s", since(start));
}
