//! The memory that all peers together can make the router hold.

use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};
use wamp_proto::Serializer;
use wamp_router::{Limits, Router};
use wamp_transport_rawsocket as rawsocket;
use wamp_transport_ws as ws;

use crate::support::{HELLO, Peer, Way, attach_joined, piped};
use crate::wire::{HANDSHAKE, UPGRADE, Wire, frame, ws_frame};

const SECOND: Duration = Duration::from_secs(1);
const MEMORY: usize = 4 << 20;
const MESSAGE: usize = 256 << 10;

fn router() -> Router {
    let limits = Limits {
        memory: MEMORY,
        message: MESSAGE,
        high_water: 64 << 10,
        low_water: 48 << 10,
        ..Limits::default()
    };
    Router::builder().limits(limits).build()
}

fn held(router: &Router) -> usize {
    let memory = router.stats().memory;
    memory.queued + memory.receiving
}

/// A peer that has joined, byte by byte, over a pipe that can hold a whole message.
async fn wire(router: &Router, is_websocket: bool) -> Wire<DuplexStream> {
    let (ours, theirs) = duplex(2 * MESSAGE);
    let mut wire = Wire { stream: ours };
    if is_websocket {
        wire.write(UPGRADE.as_bytes()).await;
        router.attach(ws::accept(theirs, &[], &ws::Config::default()).await.unwrap());
        wire.response().await;
        wire.write(&ws_frame(0x81, HELLO.as_bytes())).await;
        wire.ws_frame().await;
    } else {
        wire.write(&HANDSHAKE).await;
        router.attach(rawsocket::accept(theirs, &[], &rawsocket::Config::default()).await.unwrap());
        wire.read(4).await;
        wire.write(&frame(HELLO)).await;
        wire.text().await;
    }
    wire
}

/// A long PUBLISH with an acknowledgement; in fragments over WebSocket, so that its length is not known.
fn publish(is_websocket: bool) -> Vec<u8> {
    let filler = "x".repeat(MESSAGE - 100);
    let text = format!(r#"[16,1,{{"acknowledge":true}},"com.myapp.topic",["{filler}"]]"#);
    if !is_websocket {
        return frame(&text);
    }
    let mut all = Vec::new();
    for (index, part) in text.as_bytes().chunks(10_000).enumerate() {
        all.extend(ws_frame(u8::from(index == 0), part));
    }
    all.extend(ws_frame(0x80, b""));
    all
}

#[tokio::test(start_paused = true)]
async fn unfinished_messages_have_a_common_limit_and_others_come_through() {
    for is_websocket in [false, true] {
        let router = router();
        let message = publish(is_websocket);
        let mut halves = Vec::new();
        for _ in 0..30 {
            let mut half = wire(&router, is_websocket).await;
            half.write(&message[..message.len() - 1]).await;
            sleep(SECOND / 100).await;
            assert!(held(&router) <= MEMORY * 5 / 4, "{}", held(&router));
            halves.push(half);
        }
        assert!(router.stats().memory.receiving > MEMORY / 2, "{:?}", router.stats().memory);
        assert_eq!(router.stats().now.sessions, 30);
        // Small messages do not wait at all, and a long one not for long.
        let mut small = attach_joined(&router, Serializer::Json).await;
        small.settle(1).await;
        let start = Instant::now();
        let mut honest = wire(&router, is_websocket).await;
        honest.write(&message).await;
        let answer = async {
            match is_websocket {
                false => honest.text().await,
                true => String::from_utf8(honest.ws_frame().await.1).unwrap(),
            }
        };
        let answer = timeout(40 * SECOND, answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("it waits: {is_websocket}, {:?}", router.stats()));
        assert!(answer.starts_with("[17,1,"), "{answer}");
        assert!(start.elapsed() < 30 * SECOND, "{:?}", start.elapsed());
        assert!(router.stats().gave_way > 0);
        // In the end nothing is left.
        drop(halves);
        sleep(SECOND).await;
        assert_eq!(held(&router), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn many_long_messages_at_once_all_arrive() {
    for is_websocket in [false, true] {
        let router = router();
        let message = publish(is_websocket);
        let mut tasks = Vec::new();
        for _ in 0..40 {
            let mut wire = wire(&router, is_websocket).await;
            let message = message.clone();
            tasks.push(tokio::spawn(async move {
                for part in message.chunks(10_000) {
                    wire.write(part).await;
                    sleep(SECOND / 50).await;
                }
                let answer = match is_websocket {
                    false => wire.text().await,
                    true => String::from_utf8(wire.ws_frame().await.1).unwrap(),
                };
                assert!(answer.starts_with("[17,1,"), "{answer}");
            }));
        }
        let start = Instant::now();
        while tasks.iter().any(|task| !task.is_finished()) {
            assert!(held(&router) <= MEMORY * 5 / 4, "{}", held(&router));
            assert!(start.elapsed() < 60 * SECOND);
            sleep(SECOND / 100).await;
        }
        for task in tasks {
            assert!(task.await.is_ok(), "{is_websocket}, {:?}", router.stats());
        }
        assert_eq!(router.stats().gave_way, 0);
    }
}

async fn caller(router: &Router, calls: usize) -> Peer {
    let mut caller = piped(router, Way::RawSocket, Serializer::Json, 4096).await;
    for request in 1..=calls {
        caller.say(&format!(r#"[48,{request},{{}},"com.myapp.big"]"#)).await;
    }
    caller
}

#[tokio::test(start_paused = true)]
async fn last_replies_to_callers_that_do_not_read_have_a_common_limit() {
    const CALLERS: usize = 20;
    const CALLS: usize = 20;
    let router = router();
    let mut callee = piped(&router, Way::RawSocket, Serializer::Json, 1 << 20).await;
    callee.register("com.myapp.big").await;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(caller(&router, CALLS).await);
    }
    let filler = "x".repeat(MESSAGE - 100);
    let start = Instant::now();
    let (mut most, mut answered) = (0, 0);
    while answered < CALLERS * CALLS {
        answered += 1;
        let reply = format!(r#"[70,{answered},{{}},["{filler}"]]"#);
        while !callee.says(&reply).await {
            most = most.max(held(&router));
            if timeout(SECOND, callee.flush()).await.is_ok_and(|flushed| flushed.is_ok()) {
                break;
            }
        }
        most = most.max(held(&router));
        assert!(start.elapsed() < 60 * SECOND, "{answered} in {:?}", start.elapsed());
    }
    assert!(most <= MEMORY * 5 / 4 + 2 * MESSAGE, "{most}");
    drop((callers, callee));
    sleep(SECOND).await;
    assert_eq!(held(&router), 0);
}
