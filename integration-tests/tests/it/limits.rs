//! The limits of the router's builder, and the test that reaches each. This module has the tests that fit no
//! other.
//!
//! | limit | test |
//! |---|---|
//! | `message` | `sizes::exactly_16_mib_pass_on_rawsocket_and_no_byte_more`, `a_message_may_be_shorter_or_flatter_than_usual` |
//! | `message_before_welcome` | `sizes::before_welcome_messages_have_at_most_64_kib`, and the same |
//! | `depth` | `hostile::bombs_do_not_go_off`, and the same |
//! | `join` | `joining::without_hello_in_time_the_link_is_aborted`, `joining::a_transport_handshake_takes_no_longer_than_it_may` |
//! | `silence`, `pong` | `silence::after_30_s_of_silence_comes_a_ping_and_10_s_later_the_end`, `silence_may_be_shorter_than_usual`, `stalled::a_held_callee_is_not_asked_whether_it_is_there` |
//! | `message_rate` | `silence::an_upload_that_trickles_ends_its_link` |
//! | `high_water`, `low_water` | `slow::a_caller_that_does_not_read_holds_its_callee_and_loses_nothing`, `slow::events_for_a_slow_subscriber_are_dropped_and_its_session_stays`, `stalled::a_call_goes_to_a_callee_that_reads` |
//! | `memory` | `all_slow_links_together_have_no_more_than_the_router_allows`, module `memory` |
//! | `max_link_queue` | `slow::a_queue_that_many_fill_at_once_has_an_end` |
//! | `stall` | `stalled::a_caller_that_holds_its_callee_and_accepts_nothing_loses_its_call_after_5_s` |
//! | `give_up` | `slow::a_link_that_never_reads_is_dropped_and_its_callee_interrupted` |
//! | `connections` | `one_connection_too_many_is_told_so`; the default: `wamp-cli`, `it_has_connections_for_half_of_few_file_descriptors_and_says_so_to_one_too_many` |
//! | `websocket_message` | `a_websocket_peer_gets_no_message_above_the_limit_that_was_set_for_it` |
//! | `shutdown` | `a_shutdown_may_wait_shorter_than_usual` |
//! | `holding`, `holding_window` | `stalled::an_innocent_caller_waits_once_for_a_caller_with_many_stalled_streams`; `wamp-core`, `slow::the_share_comes_back_with_time` |
//! | `calls`, `progressive_calls`, `invocations`, `registrations`, `subscriptions` | `wamp-core`, `calls::each_limit_is_reached_and_answered` |
//! | `invocations_from_one_caller` | `wamp-core`, `slow::one_caller_does_not_get_all_of_a_callee` |
//! | `kill_timeout` | `limits_of_sessions_are_those_of_the_builder_or_of_the_realm` |

use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep};
use wamp_proto::Serializer;
use wamp_router::{Limits, RealmConfig, Router, SessionLimits};
use wamp_transport::Incoming;

use crate::support::{HELLO, House, Way, attach, attach_joined, piped, within};
use crate::wire::{HANDSHAKE, UPGRADE, Wire};

const SECOND: Duration = Duration::from_secs(1);
/// RawSocket's error code for it.
const CONNECTION_LIMIT: [u8; 4] = [0x7f, 0x40, 0, 0];

async fn house(set: impl FnOnce(&mut Limits)) -> House {
    let mut limits = Limits::default();
    set(&mut limits);
    House::with(Router::builder().limits(limits).build()).await
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let house = house(|limits| limits.connections = Some(2)).await;
    let first = house.join(Way::RawSocket, Serializer::Json).await;
    let mut second = house.join(Way::WebSocket, Serializer::Json).await;
    // An attached link takes no file descriptor that the router knows of.
    attach_joined(&house.router, Serializer::Json).await;
    for unix in [false, true] {
        let answer = refusal(&house, unix, &HANDSHAKE).await;
        assert_eq!(answer, CONNECTION_LIMIT);
        let answer = String::from_utf8(refusal(&house, unix, UPGRADE.as_bytes()).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nthere are too many connections\n"), "{answer}");
    }
    let stats = house.router.stats();
    assert_eq!((stats.connections, stats.refusals, stats.now.sessions), (2, 4, 2));
    second.settle(1).await;
    // A connection that leaves makes room.
    drop(first);
    within(async {
        while house.router.stats().connections > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    house.join(Way::Unix, Serializer::Json).await;
    drop(second);
    within(house.router.shut_down()).await;
    assert_eq!(house.router.stats().connections, 0);
}

/// Connects, sends this, and returns everything received until the end.
async fn refusal(house: &House, unix: bool, said: &[u8]) -> Vec<u8> {
    if unix {
        let mut wire = Wire { stream: within(UnixStream::connect(&house.unix)).await.unwrap() };
        wire.write(said).await;
        wire.rest().await
    } else {
        let mut wire = Wire { stream: within(TcpStream::connect(&house.tcp)).await.unwrap() };
        wire.write(said).await;
        wire.rest().await
    }
}

#[tokio::test]
async fn a_silent_surplus_connection_is_closed_without_an_answer_and_their_number_is_bounded() {
    let house = house(|limits| limits.connections = Some(0)).await;
    let start = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(Wire::connect(&house).await);
    }
    // Past 32 they are closed at once.
    for wire in &mut silent[32..] {
        assert_eq!(wire.end().await, b"");
    }
    assert!(start.elapsed() < SECOND * 3 / 2);
    for wire in &mut silent[..32] {
        assert_eq!(wire.end().await, b"");
    }
    let waited = start.elapsed();
    assert!((SECOND * 2..SECOND * 10).contains(&waited), "{waited:?}");
    assert_eq!(refusal(&house, false, &HANDSHAKE).await, CONNECTION_LIMIT);
    assert_eq!(house.router.stats().refusals, 41);
}

// behaviour 50
#[tokio::test]
async fn a_websocket_peer_gets_no_message_above_the_limit_that_was_set_for_it() {
    let house = house(|limits| limits.websocket_message = 512).await;
    let mut callee = house.join(Way::RawSocket, Serializer::Json).await;
    callee.register("com.myapp.longop").await;
    let mut caller = house.join(Way::WebSocket, Serializer::Json).await;
    let mut large = house.join(Way::RawSocket, Serializer::Json).await;
    let filler = "x".repeat(600);
    caller.say(r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#).await;
    callee.hear().await;
    callee.say(&format!(r#"[70,1,{{"progress":true}},["{filler}"]]"#)).await;
    let error = caller.hear().await;
    assert!(error.starts_with(r#"[8,48,1,{},"wamp.error.payload_size_exceeded""#), "{error}");
    callee.expect(r#"[69,1,{"mode":"killnowait","reason":"wamp.error.payload_size_exceeded"}]"#).await;
    for (peer, request) in [(&mut caller, 2), (&mut large, 1)] {
        peer.say(&format!(r#"[32,{request},{{}},"com.myapp.topic"]"#)).await;
        peer.hear().await;
    }
    callee.say(&format!(r#"[16,2,{{}},"com.myapp.topic",["{filler}"]]"#)).await;
    callee.say(r#"[16,3,{},"com.myapp.topic",[3]]"#).await;
    assert!(large.hear().await.ends_with("x\"]]"));
    assert!(large.hear().await.ends_with(",[3]]"));
    assert!(caller.hear().await.ends_with(",[3]]"));
    assert_eq!(house.router.stats().total.events_dropped, 1);
}

#[tokio::test]
async fn a_message_may_be_shorter_or_flatter_than_usual() {
    let house = house(|limits| {
        limits.message = 2000;
        limits.message_before_welcome = 1000;
        limits.depth = 6;
    })
    .await;
    for way in [Way::Memory, Way::WebSocket] {
        let mut peer = house.connect(way, Serializer::Json).await;
        let long = format!("{{\"x\":\"{}\",", "x".repeat(1000));
        peer.say(&HELLO.replacen('{', &long, 1)).await;
        assert!(peer.aborted().await.1.contains("1000"), "{way:?}");

        let mut peer = house.join(way, Serializer::Json).await;
        peer.say(&format!(r#"[48,1,{{}},"com.myapp.nobody",["{}"]]"#, "x".repeat(1900))).await;
        assert!(peer.hear().await.contains("wamp.error.no_such_procedure"), "{way:?}");
        peer.say(&format!(r#"[48,2,{{}},"com.myapp.nobody",["{}"]]"#, "x".repeat(2000))).await;
        assert!(peer.aborted().await.1.contains("2000"), "{way:?}");

        let mut peer = house.join(way, Serializer::Json).await;
        peer.say(r#"[48,1,{},"com.myapp.nobody",[[[[[]]]]]]"#).await;
        assert!(peer.hear().await.contains("wamp.error.no_such_procedure"), "{way:?}");
        peer.say(r#"[48,2,{},"com.myapp.nobody",[[[[[[]]]]]]]"#).await;
        assert!(peer.hear().await.contains("nested deeper"), "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_may_be_shorter_than_usual() {
    let limits = Limits { silence: 3 * SECOND, pong: 2 * SECOND, ..Limits::default() };
    let router = Router::builder().limits(limits).build();
    let mut peer = attach_joined(&router, Serializer::Json).await;
    let start = Instant::now();
    let Incoming::Ping(_) = peer.incoming().await.unwrap() else { panic!("no PING") };
    assert_eq!(start.elapsed().as_secs(), 3);
    peer.incoming().await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_may_wait_shorter_than_usual() {
    let limits = Limits { shutdown: SECOND, ..Limits::default() };
    let router = Router::builder().limits(limits).build();
    let _mute = piped(&router, Way::RawSocket, Serializer::Json, 64).await;
    let start = Instant::now();
    router.shut_down().await;
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn limits_of_sessions_are_those_of_the_builder_or_of_the_realm() {
    let limits = SessionLimits { registrations: 1, ..SessionLimits::default() };
    let mut own = RealmConfig::new("own");
    own.limits.registrations = 2;
    own.kill_timeout = SECOND;
    let builder = Router::builder().session_limits(limits).realm("realm1").realm_with(own);
    let router = builder.build();
    for (realm, most) in [("realm1", 1), ("own", 2)] {
        let mut peer = attach(&router, Serializer::Json);
        peer.say(&HELLO.replacen("realm1", realm, 1)).await;
        peer.hear().await;
        for request in 1..=most {
            peer.say(&format!(r#"[64,{request},{{}},"com.myapp.p{request}"]"#)).await;
            assert!(peer.hear().await.starts_with("[65,"), "{realm}");
        }
        peer.say(&format!(r#"[64,{},{{}},"com.myapp.more"]"#, most + 1)).await;
        assert!(peer.hear().await.contains("wamp.error.unavailable"), "{realm}");
        if realm == "own" {
            // Its callee does not answer a kill.
            peer.say(r#"[48,4,{},"com.myapp.p1"]"#).await;
            peer.hear().await;
            peer.say(r#"[49,4,{"mode":"kill"}]"#).await;
            assert!(peer.hear().await.starts_with("[69,1,"));
            let start = Instant::now();
            assert!(peer.hear().await.contains("wamp.error.canceled"));
            assert_eq!(start.elapsed(), SECOND);
        }
    }
    let only = Router::builder().session_limits(limits).build();
    let mut peer = attach_joined(&only, Serializer::Json).await;
    peer.register("com.myapp.p1").await;
    peer.say(r#"[64,2,{},"com.myapp.p2"]"#).await;
    assert!(peer.hear().await.contains("wamp.error.unavailable"));
}

#[tokio::test(start_paused = true)]
async fn all_slow_links_together_have_no_more_than_the_router_allows() {
    const SLOW: usize = 20;
    const QUEUED: usize = 512 << 10;
    const HIGH: usize = 256 << 10;
    let mut limits = Limits {
        memory: QUEUED,
        high_water: HIGH,
        low_water: HIGH / 4 * 3,
        stall: Duration::from_secs(1 << 20),
        ..Limits::default()
    };
    limits.give_up = limits.stall;
    limits.silence = limits.stall;
    let router = Router::builder().limits(limits).build();
    let filler = "x".repeat(1000);
    let mut pairs = Vec::new();
    let mut most = Vec::new();
    for i in 0..SLOW {
        let mut callee = piped(&router, Way::Memory, Serializer::Json, 4096).await;
        callee.register(&format!("com.myapp.p{i}")).await;
        let mut caller = piped(&router, Way::Memory, Serializer::Json, 4096).await;
        caller.say(&format!(r#"[48,1,{{"receive_progress":true}},"com.myapp.p{i}"]"#)).await;
        callee.hear().await;
        let (before, mut sent) = (router.stats().bytes_queued, 0);
        while callee.says(&format!(r#"[70,1,{{"progress":true}},[{sent},"{filler}"]]"#)).await {
            sent += 1;
        }
        most.push(router.stats().bytes_queued.saturating_sub(before));
        pairs.push((caller, callee, sent));
    }
    let queued = router.stats().bytes_queued;
    assert!(queued < QUEUED + SLOW * (32 << 10), "{queued}");
    assert!(most[0] > HIGH - (4 << 10), "the first link has its high water: {most:?}");
    assert!(most[SLOW - 1] >= 16 << 10 && most[SLOW - 1] < 40 << 10, "the last has a little: {most:?}");
    // In the end every caller reads, and has everything.
    for (mut caller, mut callee, sent) in pairs {
        let ends = async {
            callee.flush().await.unwrap();
            callee.say("[70,1,{},[\"end\"]]").await;
        };
        let reads = async {
            for i in 0..=sent {
                caller.expect(&format!(r#"[50,1,{{"progress":true}},[{i},"{filler}"]]"#)).await;
            }
            caller.expect("[50,1,{},[\"end\"]]").await;
        };
        tokio::join!(ends, reads);
    }
    sleep(SECOND).await;
    let stats = router.stats();
    assert_eq!((stats.bytes_queued, stats.now.held, stats.total.slow_consumers), (0, 0, 0));
}
