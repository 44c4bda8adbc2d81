//! Silent routers, and slow routers and lines.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use wamp_client::{
    CallError, Client, Closed, Connect, ConnectError, Keepalive, RequestError, Serializer, Session,
};
use wamp_transport::memory::{self, Memory};
use wamp_transport::{Batch, ReadHalf, Transport, WriteHalf};

use crate::peer::{Peer, idle, welcome};

const SECOND: Duration = Duration::from_secs(1);

/// A session with a router that announces credit, as ours does.
async fn joined_with(
    capacity: usize,
    settings: impl FnOnce(Connect) -> Connect,
    announced: bool,
) -> (Session, Peer) {
    let (ours, theirs): (Memory, Memory) = memory::pair_with(Serializer::Json, capacity);
    let mut peer = Peer::new(theirs);
    let router = async {
        assert_eq!(peer.next().await[0], 1);
        let mut welcome = welcome();
        if announced {
            welcome[2]["roles"]["dealer"]["features"]["_progress_credit"] = json!(65536);
        }
        peer.send(welcome).await;
    };
    let (session, ()) = tokio::join!(async { settings(Client::over(ours)).await.unwrap() }, router);
    (session, peer)
}

async fn joined() -> (Session, Peer) {
    joined_with(memory::DEFAULT_CAPACITY, |connect| connect, true).await
}

#[tokio::test(start_paused = true)]
async fn a_silent_router_is_asked_after_30_seconds_and_given_up_after_10_more() {
    let (session, mut peer) = joined().await;
    let call = tokio::spawn(session.call("a").into_future());
    peer.next().await;
    let start = Instant::now();
    let closed = session.closed().await;
    assert_eq!(start.elapsed().as_secs(), 40);
    let text = "the router is silent: a PING is not answered, and nothing else came for 40 s";
    assert_eq!(closed.to_string(), text);
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Disconnected { closed: Closed::Silent(_), .. }));
    assert_eq!(error.to_string(), format!("the session is over: {text}"));
    assert_eq!(peer.next().await, json!("PING"));
    peer.expect(json!(null)).await;
}

#[tokio::test(start_paused = true)]
async fn a_router_that_answers_is_kept() {
    let (session, mut peer) = joined().await;
    for _ in 0..20 {
        sleep(30 * SECOND).await;
        peer.expect(json!("PING")).await;
        peer.pong().await;
    }
    // A router that sends something else is kept, too.
    for id in 1..=20 {
        sleep(29 * SECOND).await;
        peer.send(json!([36, 1, id, {}])).await;
    }
    assert!(session.is_open());
    peer.ping(b"nothing before").await;
    peer.expect(json!("PONG nothing before")).await;
}

#[tokio::test(start_paused = true)]
async fn the_times_can_be_set_and_switched_off() {
    let quick = Keepalive::default().silence(2 * SECOND).answer(SECOND);
    let (session, _peer) = joined_with(1 << 16, |connect| connect.keepalive(quick), true).await;
    let start = Instant::now();
    assert!(matches!(session.closed().await, Closed::Silent(_)));
    assert_eq!(start.elapsed().as_secs(), 3);

    let (session, _peer) = joined_with(1 << 16, |connect| connect.keepalive(None), true).await;
    assert!(timeout(3600 * SECOND, session.closed()).await.is_err());

    // A time of zero causes neither a hang nor a flood of PINGs.
    let zero = Keepalive::default().silence(Duration::ZERO).answer(Duration::ZERO).write(Duration::ZERO);
    let (session, _peer) = joined_with(1 << 16, |connect| connect.keepalive(zero), true).await;
    assert!(matches!(session.closed().await, Closed::Silent(_)));
}

#[tokio::test(start_paused = true)]
async fn a_router_that_may_not_survive_a_ping_gets_none_until_it_has_sent_one() {
    let (session, mut peer) = joined_with(1 << 16, |connect| connect, false).await;
    sleep(3600 * SECOND).await;
    assert!(session.is_open());
    peer.ping(b"I know them").await;
    peer.expect(json!("PONG I know them")).await;
    sleep(31 * SECOND).await;
    peer.expect(json!("PING")).await;
    assert!(matches!(session.closed().await, Closed::Silent(_)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_accepts_nothing_is_given_up_after_30_seconds() {
    let (session, _peer) = joined_with(1, |connect| connect, false).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let publish = session.publish("a").arg("x".repeat(1 << 20)).acknowledge();
        waiting.push(tokio::spawn(publish.into_future()));
    }
    let start = Instant::now();
    let closed = session.closed().await;
    assert!((30..=34).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(closed.to_string(), "the router is silent: it has taken nothing for 30 s");
    for publish in waiting {
        let error = publish.await.unwrap().unwrap_err();
        assert!(matches!(error, RequestError::Disconnected { closed: Closed::Silent(_), .. }), "{error}");
    }
}

/// The connection is full before the PING, after it, or never.
#[tokio::test(start_paused = true)]
async fn a_router_that_falls_silent_while_it_is_written_to_is_noticed_in_45_seconds() {
    for room in [0, 10, 20, 29, 30, 31, 39, 60] {
        let (session, _peer) = joined_with(1000 * room + 1, |connect| connect, true).await;
        let publisher = session.clone();
        tokio::spawn(async move {
            while publisher.publish("a").arg("x".repeat(960)).await.is_ok() {
                sleep(SECOND).await;
            }
        });
        let start = Instant::now();
        assert!(matches!(session.closed().await, Closed::Silent(_)));
        assert!(start.elapsed() < 45 * SECOND, "{:?} with room for {room}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_upwards_is_no_silence() {
    let (session, mut peer) = joined_with(1, |connect| connect, true).await;
    for i in 0..20 {
        session.publish("a").args((i, "x".repeat(30 << 10))).await.unwrap();
    }
    for i in 0..20 {
        sleep(20 * SECOND).await;
        loop {
            let message = peer.next().await;
            if message == json!("PING") {
                continue;
            }
            break assert_eq!(message[4][0], i);
        }
    }
    assert!(session.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_downwards_is_no_silence_and_one_that_trickles_is() {
    for (bytes, lasts) in [(40_000, true), (1000, false)] {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let config = wamp_transport_rawsocket::Config::default();
        let router = async {
            let mut request = [0; 4];
            theirs.read_exact(&mut request).await.unwrap();
            theirs.write_all(&[0x7F, 0xF1, 0, 0]).await.unwrap();
            let length = theirs.read_u32().await.unwrap() as usize;
            theirs.read_exact(&mut vec![0; length]).await.unwrap();
            let welcome = welcome().to_string();
            theirs.write_u32(welcome.len() as u32).await.unwrap();
            theirs.write_all(welcome.as_bytes()).await.unwrap();
        };
        let client = async {
            let transport = wamp_transport_rawsocket::connect(ours, Serializer::Json, &config).await;
            Client::over(transport.unwrap()).await.unwrap()
        };
        let (session, ()) = tokio::join!(client, router);
        let event = json!([36, 1, 1, {}, ["x".repeat(20 * bytes)]]).to_string();
        theirs.write_u32(event.len() as u32).await.unwrap();
        for part in event.as_bytes().chunks(bytes) {
            sleep(20 * SECOND).await;
            let _ = theirs.write_all(part).await;
        }
        idle().await;
        assert_eq!(session.is_open(), lasts);
        if !lasts {
            let text = session.closed().await.to_string();
            assert!(text.contains("a message arrives too slowly"), "{text}");
        }
    }
}

/// A session over this transport, with a router that announces nothing.
async fn joined_over<T: Transport>(
    client: impl Future<Output = Result<Session, ConnectError>>,
    router: impl Future<Output = T>,
) -> (Session, (T::Read, T::Write)) {
    let router = async {
        let (mut read, mut write) = router.await.split();
        read.read(&mut Vec::new()).await.unwrap();
        let mut batch = Batch::new();
        batch.push_bytes(welcome().to_string().as_bytes());
        write.write(&mut batch).await.unwrap();
        (read, write)
    };
    tokio::join!(async { client.await.unwrap() }, router)
}

async fn joined_over_websocket() -> (Session, (impl ReadHalf, impl WriteHalf)) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let config = wamp_transport_ws::Config::default();
    let offers = [Serializer::Json];
    let client = async {
        let transport = wamp_transport_ws::connect(ours, "ws://localhost/", &offers, &config).await;
        Client::over(transport.unwrap()).await
    };
    joined_over(client, async { wamp_transport_ws::accept(theirs, &[], &config).await.unwrap() }).await
}

async fn joined_over_rawsocket() -> (Session, (impl ReadHalf, impl WriteHalf)) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let config = wamp_transport_rawsocket::Config::default();
    let client = async {
        let transport = wamp_transport_rawsocket::connect(ours, Serializer::Json, &config).await;
        Client::over(transport.unwrap()).await
    };
    joined_over(client, async { wamp_transport_rawsocket::accept(theirs, &[], &config).await.unwrap() }).await
}

#[tokio::test(start_paused = true)]
async fn every_router_is_asked_over_websocket_and_an_unknown_one_is_not_over_rawsocket() {
    let (session, (mut read, _write)) = joined_over_websocket().await;
    // The transport answers PINGs by itself.
    assert!(timeout(3600 * SECOND, read.read(&mut Vec::new())).await.is_err());
    assert!(session.is_open());
    let start = Instant::now();
    assert!(matches!(session.closed().await, Closed::Silent(_)));
    assert!(start.elapsed() <= 40 * SECOND);

    let (session, (mut read, _write)) = joined_over_rawsocket().await;
    assert!(timeout(3600 * SECOND, read.read(&mut Vec::new())).await.is_err(), "no PING comes");
    assert!(session.is_open());
}
