//! Hostile messages, and messages from a newer version of the protocol.

use wamp_proto::Serializer::{Cbor, Json, MsgPack};
use wamp_proto::uri::UriRules;
use wamp_router::{RealmConfig, Router};

use crate::support::{Bystander, HELLO, House, SERIALIZERS, Way, attach, attach_joined};

// behaviour 58
#[tokio::test]
async fn invalid_utf8_in_uris_and_keys_is_a_violation() {
    let house = House::new().await;
    let mut bystander = Bystander::new(&house.router).await;
    for (serializer, bytes) in [
        (Json, &b"[48,1,{},\"com.\xff\"]"[..]),
        (Json, b"[48,1,{\"\xc3\":1},\"com\"]"),
        // A lone surrogate is not text either.
        (Json, br#"[48,1,{},"com.\ud800"]"#),
        (MsgPack, b"\x94\x30\x01\x80\xa2\xff\xfe"),
        (MsgPack, b"\x94\x30\x01\x81\xa1\xff\x01\xa1a"),
        (Cbor, b"\x84\x18\x30\x01\xa0\x62\xff\xfe"),
        (Cbor, b"\x84\x18\x30\x01\xa1\x61\xff\x01\x61a"),
    ] {
        for way in [Way::Memory, Way::RawSocket, Way::WebSocket] {
            let mut peer = house.join(way, serializer).await;
            // A text frame that is not UTF-8 does not reach the decoder; the outcome is the same.
            peer.send(bytes).await;
            let (reason, _) = peer.aborted().await;
            assert_eq!(reason, "wamp.error.protocol_violation", "{bytes:02x?}");
            bystander.progress().await;
        }
    }
    bystander.finish().await;
}

// behaviour 59
#[tokio::test]
async fn bombs_do_not_go_off() {
    const DEEP: usize = 100_000;
    let house = House::new().await;
    let mut bystander = Bystander::new(&house.router).await;
    let json = |open: &str| [b"[48,1,{},\"a\",", open.repeat(DEEP).as_bytes()].concat();
    let call = |serializer, rest: &[u8]| match serializer {
        MsgPack => [b"\x95\x30\x01\x80\xa1a", rest].concat(),
        _ => [b"\x85\x18\x30\x01\xa0\x61a", rest].concat(),
    };
    for (serializer, bytes) in [
        (Json, "[".repeat(DEEP).into_bytes()),
        (MsgPack, b"\x91".repeat(DEEP)),
        (MsgPack, b"\xdd\xff\xff\xff\xff\x30\x01".to_vec()),
    ] {
        let mut peer = house.join(Way::RawSocket, serializer).await;
        peer.send(&bytes).await;
        let (reason, sentence) = peer.aborted().await;
        assert_eq!(reason, "wamp.error.protocol_violation", "{serializer}: {sentence}");
        bystander.progress().await;
    }
    // In a payload they concern the call only.
    for (serializer, bytes) in [
        (Json, json("[")),
        (Json, json("[{\"a\":")),
        (MsgPack, call(MsgPack, &b"\x91".repeat(DEEP))),
        (MsgPack, call(MsgPack, &b"\x81\xa0".repeat(DEEP))),
        (Cbor, call(Cbor, &b"\x81".repeat(DEEP))),
        (Cbor, call(Cbor, &b"\x9f".repeat(DEEP))),
        (Cbor, call(Cbor, &b"\xc1".repeat(DEEP))),
        (Cbor, call(Cbor, &[b"\x81".to_vec(), b"\xd9\xd9\xf7".repeat(DEEP)].concat())),
        // 2^32-1 elements, entries or bytes are declared, of which ten are there; for CBOR 2^64-1.
        (MsgPack, call(MsgPack, b"\xdd\xff\xff\xff\xff0123456789")),
        (MsgPack, call(MsgPack, b"\x91\xdf\xff\xff\xff\xff0123456789")),
        (MsgPack, call(MsgPack, b"\x91\xc6\xff\xff\xff\xff0123456789")),
        (Cbor, call(Cbor, b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff0123456789")),
        (Cbor, call(Cbor, b"\x81\xbb\xff\xff\xff\xff\xff\xff\xff\xff0123456789")),
        (Cbor, call(Cbor, b"\x81\x5b\xff\xff\xff\xff\xff\xff\xff\xff0123456789")),
    ] {
        let mut peer = house.join(Way::RawSocket, serializer).await;
        peer.send(&bytes).await;
        let error = peer.hear().await;
        assert!(error.starts_with(r#"[8,48,1,{},"wamp.error.invalid_argument""#), "{serializer}: {error}");
        peer.say(r#"[48,2,{},"com.myapp.nobody"]"#).await;
        assert!(peer.hear().await.starts_with("[8,48,2,"), "{serializer}");
        bystander.progress().await;
    }
    bystander.finish().await;

    // 64 levels, the message being the first, are allowed.
    let mut peer = house.join(Way::Memory, Json).await;
    peer.register("com.myapp.deep").await;
    let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    peer.say(&format!(r#"[48,2,{{}},"com.myapp.deep",{}]"#, deep(63))).await;
    assert!(peer.hear().await.ends_with(&format!(",{}]", deep(63))));
    peer.say(&format!(r#"[48,3,{{}},"com.myapp.deep",{}]"#, deep(64))).await;
    let error = peer.hear().await;
    let sentence = r#"["CALL, element 5 (Arguments): nested deeper than the limit"]]"#;
    assert!(error.starts_with("[8,48,3,") && error.ends_with(sentence), "{error}");
}

// behaviour 60
#[tokio::test]
async fn unknown_options_are_tolerated_but_no_unknown_code_and_no_more_elements() {
    let house = House::new().await;
    for serializer in SERIALIZERS {
        let mut peer = house.connect(Way::RawSocket, serializer).await;
        let hello = HELLO.replacen(r#"{"roles":{"#, r#"{"x":[{}],"roles":{"y":{},"publisher2":7,"#, 1);
        peer.say(&hello).await;
        assert!(peer.hear().await.starts_with("[2,"), "{hello}");
        peer.say(r#"[64,1,{"x":1,"_y":{"z":[]}},"com.myapp.more"]"#).await;
        let registered = peer.hear().await;
        assert!(registered.starts_with("[65,1,"), "{registered}");
        peer.say(r#"[48,2,{"x":{},"receive_progress":true},"com.myapp.more",[],{}]"#).await;
        let invocation = peer.hear().await;
        assert!(invocation.starts_with("[68,1,"), "{invocation}");
        peer.say(r#"[70,1,{"progress":true,"x":1},[],{}]"#).await;
        peer.expect(r#"[50,2,{"progress":true},[],{}]"#).await;
        peer.say(r#"[8,68,1,{"x":1},"com.myapp.error",[],{}]"#).await;
        let error = peer.hear().await;
        assert!(error.starts_with("[8,48,2,") && error.ends_with(r#""com.myapp.error",[],{}]"#), "{error}");
        for more in [
            r#"[64,3,{},"com.myapp.other","extra"]"#,
            r#"[48,3,{},"com.myapp.more",[],{},"extra"]"#,
            r#"[16,3,{},"com.myapp.more",[],{},"extra"]"#,
            r#"[70,1,{},[],{},"extra"]"#,
        ] {
            let mut peer = house.join(Way::RawSocket, serializer).await;
            peer.say(more).await;
            let (reason, sentence) = peer.aborted().await;
            assert_eq!(reason, "wamp.error.protocol_violation");
            assert!(
                sentence.ends_with("expected the end of the message, found another element"),
                "{sentence}"
            );
        }
        peer.say("[71,1]").await;
        let (reason, sentence) = peer.aborted().await;
        assert_eq!(reason, "wamp.error.protocol_violation");
        assert!(sentence.contains("71"), "{sentence}");
    }
}

// behaviour 63
#[tokio::test]
async fn uris_are_judged_loosely_or_strictly() {
    let mut strict = RealmConfig::new("strict");
    strict.uri_rules = UriRules::Strict;
    let router = Router::builder().realm("realm1").realm_with(strict).build();
    let mut loose = attach_joined(&router, Json).await;
    let mut strict = attach(&router, Json);
    strict.say(&HELLO.replacen("realm1", "strict", 1)).await;
    strict.hear().await;
    // The URI, and whether it is accepted as the name of a procedure and of a topic.
    let table = [
        ("com.myapp.longop", true, true),
        ("com.myapp.long_op2", true, true),
        ("a", true, true),
        ("com.myapp.LongOp", true, false),
        ("com.myapp.long-op", true, false),
        ("com.myapp.größe", true, false),
        ("com/myapp", true, false),
        ("", false, false),
        ("com..longop", false, false),
        (".com", false, false),
        ("com.", false, false),
        ("com myapp", false, false),
        ("com.\\tmyapp", false, false),
        ("com.#", false, false),
        // Reserved by the protocol, but only as a whole component.
        ("wamp", false, false),
        ("wamp.session.count", false, false),
        ("wampum.shell", true, true),
    ];
    for (request, (uri, loosely, strictly)) in (0..).zip(table) {
        for (peer, taken) in [(&mut loose, loosely), (&mut strict, strictly)] {
            let (register, publish) = (2 * request + 1, 2 * request + 2);
            peer.say(&format!(r#"[64,{register},{{}},"{uri}"]"#)).await;
            let heard = peer.hear().await;
            let expected = format!("[65,{register},");
            assert_eq!(heard.starts_with(&expected), taken, "{uri}: {heard}");
            assert!(taken || heard.contains("wamp.error.invalid_uri"), "{uri}: {heard}");
            peer.say(&format!(r#"[16,{publish},{{"acknowledge":true}},"{uri}"]"#)).await;
            let heard = peer.hear().await;
            assert_eq!(heard.starts_with(&format!("[17,{publish},")), taken, "{uri}: {heard}");
            assert!(taken || heard.contains("wamp.error.invalid_uri"), "{uri}: {heard}");
        }
    }
}

// behaviour 63
#[tokio::test]
async fn a_component_may_be_empty_in_a_pattern_only() {
    let router = Router::default();
    let mut peer = attach_joined(&router, Json).await;
    let table = [
        (r#"{"match":"wildcard"}"#, "com..longop", true),
        (r#"{"match":"prefix"}"#, "com.myapp.", true),
        (r#"{"match":"exact"}"#, "com..longop", false),
        (r#"{"match":"prefix"}"#, "com..myapp", false),
        (r#"{"match":"wildcard"}"#, "com. .longop", false),
    ];
    for (request, (options, uri, taken)) in (1..).zip(table) {
        peer.say(&format!(r#"[64,{request},{options},"{uri}"]"#)).await;
        let heard = peer.hear().await;
        assert_eq!(heard.starts_with("[65,"), taken, "{options}, {uri}: {heard}");
        assert!(taken || heard.contains("wamp.error.invalid_uri"), "{options}, {uri}: {heard}");
    }
    // A name that is called is never a pattern.
    peer.say(r#"[48,6,{},"com..longop"]"#).await;
    assert!(peer.hear().await.contains("wamp.error.invalid_uri"));
}
