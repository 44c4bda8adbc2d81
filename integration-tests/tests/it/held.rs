//! A session that is held because of another still gets answers to its own requests.

use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};
use wamp_proto::Serializer;
use wamp_router::{Limits, Router};
use wamp_transport::Incoming;
use wamp_transport_rawsocket as rawsocket;

use crate::support::{HELLO, Peer, Way, attach_joined, piped};
use crate::wire::{HANDSHAKE, Wire, frame};

const SECOND: Duration = Duration::from_secs(1);
const HIGH: usize = 32 << 10;
const WAYS: [Way; 3] = [Way::Memory, Way::RawSocket, Way::WebSocket];

fn router() -> Router {
    let limits = Limits { high_water: HIGH, low_water: HIGH / 4 * 3, ..Limits::default() };
    Router::builder().limits(limits).build()
}

/// Reads a little each second, so that the link makes progress.
async fn sips(mut wire: Wire<DuplexStream>) {
    loop {
        wire.read(1000).await;
        sleep(SECOND).await;
    }
}

/// A callee that is held by its only caller, which slowly reads a stream or a last reply.
async fn held(router: &Router, way: Way, serializer: Serializer, is_last: bool) -> Peer {
    let mut callee = piped(router, way, serializer, 4 << 20).await;
    callee.register("com.myapp.get").await;
    let (ours, theirs) = duplex(1000);
    let mut caller = Wire { stream: ours };
    caller.write(&HANDSHAKE).await;
    router.attach(rawsocket::accept(theirs, &[], &rawsocket::Config::default()).await.unwrap());
    caller.read(4).await;
    caller.write(&frame(HELLO)).await;
    caller.text().await;
    caller.write(&frame(r#"[48,1,{"receive_progress":true},"com.myapp.get"]"#)).await;
    callee.hear().await;
    if is_last {
        callee.say(&format!(r#"[70,1,{{}},["{}"]]"#, "x".repeat(1 << 20))).await;
    } else {
        let chunk = format!(r#"[70,1,{{"progress":true}},["{}"]]"#, "x".repeat(900));
        callee.say_all(&vec![&*chunk; 2 * HIGH / chunk.len()]).await;
    }
    tokio::spawn(sips(caller));
    callee
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_held_callee_are_answered_soon() {
    for way in WAYS {
        for serializer in [Serializer::Json, Serializer::MsgPack, Serializer::Cbor] {
            for is_last in [false, true] {
                for (ask, answer) in [
                    (r#"[32,2,{},"com.myapp.topic"]"#, "[33,2,"),
                    (r#"[48,2,{},"com.myapp.time"]"#, "[50,2,"),
                    (r#"[16,2,{"acknowledge":true},"com.myapp.topic"]"#, "[17,2,"),
                ] {
                    let router = router();
                    let mut time = attach_joined(&router, Serializer::Json).await;
                    time.register("com.myapp.time").await;
                    tokio::spawn(async move {
                        time.hear().await;
                        time.say("[70,1,{},[1]]").await;
                        std::future::pending::<()>().await;
                    });
                    let mut callee = held(&router, way, serializer, is_last).await;
                    sleep(SECOND / 20).await;
                    assert_eq!(router.stats().now.held, 1, "{way:?}, {serializer}, {is_last}");
                    let start = Instant::now();
                    callee.say(ask).await;
                    let heard = loop {
                        let heard = callee.hear().await;
                        if !heard.starts_with("[69,1,") {
                            break heard;
                        }
                    };
                    assert!(heard.starts_with(answer), "{heard}");
                    let waited = start.elapsed();
                    assert!(waited < 5 * SECOND / 2, "{way:?}, {serializer}, {is_last}, {ask}: {waited:?}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_callee_that_only_answers_stays_held_and_its_pings_are_answered() {
    let router = router();
    let mut callee = held(&router, Way::RawSocket, Serializer::Json, false).await;
    sleep(SECOND / 20).await;
    for _ in 0..5 {
        callee.say(r#"[70,1,{"progress":true},["more"]]"#).await;
        callee.ping(b"there?").await;
        let pong = timeout(SECOND / 2, callee.incoming()).await;
        assert_eq!(pong.expect("no PONG").unwrap(), Incoming::Pong("there?".into()));
        sleep(SECOND).await;
    }
    let stats = router.stats();
    assert_eq!((stats.now.held, stats.total.holds, stats.total.slow_consumers), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn messages_read_ahead_keep_their_place() {
    for way in WAYS {
        let router = router();
        let mut callee = piped(&router, way, Serializer::Json, 4 << 20).await;
        callee.register("com.myapp.get").await;
        let mut caller = piped(&router, way, Serializer::Json, 1000).await;
        caller.say(r#"[48,1,{"receive_progress":true},"com.myapp.get"]"#).await;
        callee.hear().await;
        let filler = "x".repeat(900);
        for i in 0..200 {
            callee.say(&format!(r#"[70,1,{{"progress":true}},[{i},"{filler}"]]"#)).await;
            if i % 10 == 0 {
                sleep(SECOND / 10).await;
            }
        }
        callee.say("[70,1,{},[\"end\"]]").await;
        callee.say(r#"[6,{},"wamp.close.close_realm"]"#).await;
        assert!(router.stats().now.held == 1, "{way:?}");
        for i in 0..200 {
            caller.expect(&format!(r#"[50,1,{{"progress":true}},[{i},"{filler}"]]"#)).await;
        }
        caller.expect("[50,1,{},[\"end\"]]").await;
        assert!(callee.hear().await.starts_with("[6,"));
        callee.join().await;
    }
}
