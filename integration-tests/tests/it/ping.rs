//! PING is answered, during any other traffic.

use tokio::io::{DuplexStream, duplex};
use wamp_proto::Serializer;
use wamp_router::Router;
use wamp_transport::Incoming;
use wamp_transport_ws as ws;

use crate::support::{HELLO, House, Peer, SERIALIZERS, Way, attach_joined, piped};
use crate::wire::{UPGRADE, Wire, frame_of, ws_frame};

const PIPE: usize = 16 << 10;
/// The pipe, the writer's batch, and the buffer of a WebSocket.
const AHEAD: usize = PIPE + (64 << 10) + (64 << 10);
const CHUNKS: usize = 500;

// behaviour 51
#[tokio::test]
async fn a_pong_does_not_wait_for_the_data_in_front_of_it() {
    for way in [Way::Memory, Way::RawSocket] {
        for serializer in SERIALIZERS {
            let router = Router::default();
            let mut callee = attach_joined(&router, serializer).await;
            callee.register("com.myapp.longop").await;
            let mut caller = piped(&router, way, serializer, PIPE).await;
            caller.say(r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#).await;
            callee.hear().await;
            // Half a megabyte for a caller that does not read.
            let filler = "x".repeat(1000);
            for i in 0..CHUNKS {
                callee.say(&format!(r#"[70,1,{{"progress":true}},[{i},"{filler}"]]"#)).await;
            }
            callee.settle(2).await;
            caller.ping(b"now").await;
            // The router has read the PING when the callee receives this.
            caller.say(r#"[48,2,{},"com.myapp.longop"]"#).await;
            assert!(callee.hear().await.starts_with("[68,2,"));

            let mut ahead = 0;
            let mut messages = 0;
            let mut pong_after = None;
            while messages < CHUNKS {
                match caller.incoming().await.unwrap() {
                    Incoming::Message(frame) => {
                        messages += 1;
                        ahead += frame.len();
                    }
                    Incoming::Pong(payload) => {
                        assert_eq!(payload, &b"now"[..]);
                        pong_after = Some(ahead);
                    }
                    other => panic!("{other:?}"),
                }
            }
            let ahead = pong_after.expect("a PONG before the end");
            assert!(ahead <= AHEAD, "{way:?}, {serializer}: {ahead} bytes before the PONG");
        }
    }
}

/// A WebSocket caller by hand, which has called and reads nothing more; and its callee.
async fn websocket(router: &Router) -> (Wire<DuplexStream>, Peer) {
    let mut callee = attach_joined(router, Serializer::Cbor).await;
    callee.register("com.myapp.longop").await;
    let (ours, theirs) = duplex(PIPE);
    let mut wire = Wire { stream: ours };
    wire.write(UPGRADE.as_bytes()).await;
    router.attach(ws::accept(theirs, &[], &ws::Config::default()).await.unwrap());
    wire.response().await;
    wire.write(&ws_frame(0x81, HELLO.as_bytes())).await;
    wire.ws_frame().await;
    wire.write(&ws_frame(0x81, br#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#)).await;
    callee.hear().await;
    (wire, callee)
}

// behaviour 51
#[tokio::test]
async fn a_websocket_pong_does_not_wait_either() {
    let router = Router::default();
    let (mut wire, mut callee) = websocket(&router).await;
    let filler = "x".repeat(1000);
    for i in 0..CHUNKS {
        callee.say(&format!(r#"[70,1,{{"progress":true}},[{i},"{filler}"]]"#)).await;
    }
    callee.settle(2).await;
    wire.write(&ws_frame(0x89, b"now")).await;
    wire.write(&ws_frame(0x81, br#"[48,2,{},"com.myapp.longop"]"#)).await;
    callee.hear().await;
    let mut ahead = 0;
    loop {
        let (first, bytes) = wire.ws_frame().await;
        if first == 0x8a {
            assert_eq!(bytes, b"now");
            break;
        }
        ahead += bytes.len();
    }
    assert!(ahead <= AHEAD, "{ahead} bytes before the PONG");
}

// behaviour 51
#[tokio::test]
async fn a_websocket_pong_comes_between_the_fragments_of_a_long_message() {
    let router = Router::default();
    let (mut wire, mut callee) = websocket(&router).await;
    let filler = "x".repeat(4 << 20);
    callee.say(&format!(r#"[70,1,{{"progress":true}},["{filler}"]]"#)).await;
    // It is being sent: only its first fragment can be, since the peer does not read.
    let (first, fragment) = wire.ws_frame().await;
    assert_eq!(first, 0x01);
    // And our own PING between two fragments of a message of ours.
    let call = br#"[48,2,{},"com.myapp.longop"]"#;
    wire.write(&ws_frame(0x01, &call[..10])).await;
    wire.write(&ws_frame(0x89, b"now")).await;
    wire.write(&ws_frame(0x80, &call[10..])).await;
    callee.hear().await;
    let (mut ahead, mut message, mut ponged) = (0, fragment, false);
    loop {
        let (first, bytes) = wire.ws_frame().await;
        match first {
            0x8a => ponged = true,
            0x00 | 0x80 => {
                message.extend(bytes);
                ahead += usize::from(!ponged);
                if first == 0x80 {
                    break;
                }
            }
            other => panic!("{other:02x}"),
        }
    }
    assert!(ponged && ahead <= 4, "{ahead} fragments before the PONG");
    let head = br#"[50,1,{"progress":true},["xxxx"#;
    assert!(message.starts_with(head) && message.len() == head.len() - 4 + filler.len() + 3);
}

// behaviour 51
#[tokio::test]
async fn each_of_several_pings_in_one_read_is_answered_and_of_too_many_the_latest() {
    let house = House::new().await;
    let mut wire = Wire::connect(&house).await;
    wire.join_rawsocket(HELLO).await;
    for (count, first) in [(6_u8, 0), (16, 0), (40, 24)] {
        let pings: Vec<Vec<u8>> = (0..count).map(|i| frame_of(1, &[i])).collect();
        wire.write(&pings.concat()).await;
        for i in first..count {
            assert_eq!(wire.frame().await, (2, vec![i]), "of {count}");
        }
    }
}
