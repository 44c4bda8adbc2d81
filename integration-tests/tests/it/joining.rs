//! From the connection to WELCOME, in time or not, and again on the same connection.

use std::time::Duration;

use tokio::time::Instant;
use wamp_proto::{Message, Serializer};
use wamp_router::{Address, RealmConfig, Router};
use wamp_transport_rawsocket as rawsocket;

use crate::support::{Bystander, HELLO, House, Peer, SERIALIZERS, WAYS, attach, within};
use crate::wire::{HANDSHAKE, Wire, frame, frame_of};

// behaviour 46
#[tokio::test]
async fn a_second_session_on_the_same_connection_begins_anew() {
    let house = House::new().await;
    let mut caller = house.join(WAYS[0], Serializer::Json).await;
    for way in WAYS {
        for serializer in SERIALIZERS {
            let mut peer = house.connect(way, serializer).await;
            let mut ids = Vec::new();
            for session in 0..3 {
                ids.push(peer.join().await);
                // The request ids begin at 1 again, the earlier registration is gone,
                let registration = peer.register("com.myapp.again").await;
                peer.say(r#"[48,2,{"receive_progress":true},"com.myapp.again"]"#).await;
                // and invocation ids begin anew.
                let details = r#"{"receive_progress":true}"#;
                peer.expect(&format!("[68,1,{registration},{details}]")).await;
                if session == 1 {
                    // GOODBYE with a running call, and HELLO in the same write.
                    peer.say_all(&[r#"[6,{},"wamp.close.close_realm"]"#, HELLO]).await;
                    peer.expect(r#"[6,{},"wamp.close.goodbye_and_out"]"#).await;
                    let Message::Welcome(welcome) = peer.message().await else { panic!("no WELCOME") };
                    ids.push(welcome.session.get());
                    // A late answer to the earlier session is a violation in this one.
                    peer.say("[70,1,{}]").await;
                    let (_, sentence) = peer.aborted().await;
                    assert_eq!(sentence, "YIELD for the invocation 1, which does not exist");
                    break;
                }
                peer.say("[70,1,{},[1]]").await;
                peer.expect("[50,2,{},[1]]").await;
                peer.say(r#"[6,{},"wamp.close.close_realm"]"#).await;
                peer.expect(r#"[6,{},"wamp.close.goodbye_and_out"]"#).await;
            }
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 3, "each session has an id of its own");
        }
    }
    caller.say(r#"[48,1,{},"com.myapp.again"]"#).await;
    assert!(caller.hear().await.contains("wamp.error.no_such_procedure"));
}

#[tokio::test]
async fn answers_of_handlers_that_were_at_work_at_goodbye_are_ignored() {
    // More than a peer may send before its first WELCOME.
    let large = format!(r#"[70,2,{{}},["{}"]]"#, "x".repeat(100 << 10));
    let house = House::new().await;
    let bystander = Bystander::new(&house.router).await;
    for way in WAYS {
        for serializer in SERIALIZERS {
            for in_one_write in [false, true] {
                let mut peer = house.join(way, serializer).await;
                peer.register("com.myapp.at.work").await;
                let mut caller = house.join(way, serializer).await;
                for call in 1..=2 {
                    caller.say(&format!(r#"[48,{call},{{}},"com.myapp.at.work"]"#)).await;
                    peer.message().await;
                }
                let said = [
                    r#"[6,{},"wamp.close.close_realm"]"#,
                    "[70,1,{},[1]]",
                    &large,
                    r#"[8,68,1,{},"com.myapp.error"]"#,
                    r#"[48,9,{},"com.myapp.late"]"#,
                    HELLO,
                    r#"[48,1,{},"com.myapp.nobody"]"#,
                ];
                if in_one_write {
                    peer.say_all(&said).await;
                } else {
                    for message in said {
                        peer.say(message).await;
                    }
                }
                peer.expect(r#"[6,{},"wamp.close.goodbye_and_out"]"#).await;
                assert!(matches!(peer.message().await, Message::Welcome(_)));
                assert!(peer.hear().await.contains("wamp.error.no_such_procedure"));
                for call in 1..=2 {
                    let heard = caller.hear().await;
                    assert!(
                        heard.starts_with("[8,48,") && heard.contains("wamp.error.canceled"),
                        "{call}: {heard}"
                    );
                }
            }
        }
    }
    bystander.finish().await;
}

#[tokio::test]
async fn a_ping_behind_goodbye_is_answered_once() {
    let house = House::new().await;
    let mut wire = Wire::connect(&house).await;
    wire.join_rawsocket(HELLO).await;
    let said = [
        frame(r#"[6,{},"wamp.close.close_realm"]"#),
        frame_of(1, b"a"),
        frame(HELLO),
        frame(r#"[48,1,{},"com.myapp.nobody"]"#),
    ];
    wire.write(&said.concat()).await;
    let (mut pongs, mut texts) = (0, Vec::new());
    while texts.len() < 3 {
        match wire.frame().await {
            (2, payload) => {
                assert_eq!(payload, b"a");
                pongs += 1;
            }
            (_, text) => texts.push(String::from_utf8(text).unwrap()),
        }
    }
    assert!(texts[0].contains("goodbye_and_out") && texts[1].starts_with("[2,"), "{texts:?}");
    assert_eq!(pongs, 1);
}

#[tokio::test(start_paused = true)]
async fn without_hello_in_time_the_link_is_aborted() {
    let router = Router::default();
    let bystander = Bystander::new(&router).await;
    let start = Instant::now();
    let mut peer = attach(&router, Serializer::Json);
    let (reason, sentence) = peer.aborted().await;
    assert_eq!((reason.as_str(), sentence.as_str()), ("wamp.error.protocol_violation", "no HELLO in time"));
    assert_eq!(start.elapsed().as_secs(), 10);

    // PINGs do not count, nor does a HELLO that arrives byte by byte.
    let mut peer = attach(&router, Serializer::Json);
    let start = Instant::now();
    for _ in 0..3 {
        peer.ping(b"").await;
        peer.incoming().await.unwrap();
        tokio::time::advance(Duration::from_secs(3)).await;
    }
    peer.aborted().await;
    assert_eq!(start.elapsed().as_secs(), 10);

    // After GOODBYE the link ends in time as well, but without an error.
    let mut peer = attach(&router, Serializer::Json);
    peer.join().await;
    peer.say(r#"[6,{},"wamp.close.close_realm"]"#).await;
    peer.expect(r#"[6,{},"wamp.close.goodbye_and_out"]"#).await;
    let start = Instant::now();
    peer.closed().await;
    assert_eq!(start.elapsed().as_secs(), 10);
    bystander.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_hello_that_comes_too_slowly_is_too_late() {
    let router = Router::default();
    let (ours, theirs) = tokio::io::duplex(4096);
    let mut wire = Wire { stream: ours };
    wire.write(&HANDSHAKE).await;
    router.attach(rawsocket::accept(theirs, &[], &rawsocket::Config::default()).await.unwrap());
    assert_eq!(wire.read(4).await, HANDSHAKE);
    let start = Instant::now();
    for byte in frame(HELLO).into_iter().take(9) {
        wire.write(&[byte]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let text = wire.text().await;
    assert!(text.contains("no HELLO in time"), "{text}");
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(wire.rest().await, b"");
}

#[tokio::test]
async fn a_transport_handshake_takes_no_longer_than_it_may() {
    let limits = wamp_router::Limits { join: Duration::from_millis(50), ..wamp_router::Limits::default() };
    let house = House::with(Router::builder().limits(limits).build()).await;
    for (begun, answer) in [
        (&b""[..], ""),
        (b"\x7f", ""),
        (b"\x7f\xf1\0", ""),
        (b"G", "HTTP/1.1 408 "),
        (b"GET / HTTP/1.1\r\n", "HTTP/1.1 408 "),
    ] {
        let mut wire = Wire::connect(&house).await;
        wire.write(begun).await;
        let end = String::from_utf8(wire.end().await).unwrap();
        assert!(end.starts_with(answer) && end.is_empty() == answer.is_empty(), "{begun:?}: {end}");
    }
    // After the handshake HELLO must follow.
    let mut wire = Wire::connect(&house).await;
    wire.write(&HANDSHAKE).await;
    wire.read(4).await;
    assert!(wire.text().await.contains("no HELLO in time"));
    assert_eq!(wire.rest().await, b"");
}

#[tokio::test]
async fn input_between_abort_and_the_end_is_read_and_ignored() {
    let house = House::new().await;
    for way in WAYS {
        let mut peer: Peer = house.connect(way, Serializer::Json).await;
        peer.say_all(&["[99]", HELLO, r#"[64,1,{},"com.myapp.mine"]"#]).await;
        peer.aborted().await;
    }
    within(house.router.shut_down()).await;
    assert_eq!(house.router.realm_stats("realm1").unwrap().1.sessions, 0);
}

// behaviour 173
#[tokio::test]
async fn only_a_session_with_an_address_shows_one() {
    let mut config = RealmConfig::new("realm1");
    config.meta = wamp_core::router::Meta::Control;
    let router = Router::builder().realm_with(config).build();
    let Address::Tcp(address) = router.listen("127.0.0.1:0").await.unwrap() else { panic!("not TCP") };
    let remote = wamp_client::connect(format!("rs://{address}")).await.unwrap();
    let local = wamp_client::Client::over(router.local()).await.unwrap();
    for (session, has_address) in [(&remote, true), (&local, false)] {
        let details: serde_json::Value =
            local.call("wamp.session.get").arg(session.id().get()).await.unwrap().decode().unwrap();
        let transport = &details["transport"];
        assert_eq!(
            transport["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")),
            has_address
        );
        assert_eq!(transport.get("peer").is_some(), has_address, "{details}");
    }
}
