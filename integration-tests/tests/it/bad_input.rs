//! A peer that sends nonsense gets the reason, loses its connection, and harms no other peer.

use wamp_proto::message::RequestKind;
use wamp_proto::{Message, Serializer};
use wamp_transport::Incoming;

use crate::support::{Bystander, HELLO, House, Peer, SERIALIZERS, WAYS, bytes};
use crate::wire::{Wire, frame, ws_frame};

const VIOLATION: &str = "wamp.error.protocol_violation";

/// The first message of a client, and the beginning of the ABORT that answers it.
const BEFORE_HELLO: &[(&str, &str, &str)] = &[
    (
        r#"[1,"no.such.realm",{"roles":{"caller":{}}}]"#,
        "wamp.error.no_such_realm",
        "there is no realm \"no.such.realm\"",
    ),
    (r#"[1,"",{"roles":{"caller":{}}}]"#, "wamp.error.no_such_realm", "there is no realm \"\""),
    (r#"[1,"realm1",{"roles":{}}]"#, "wamp.error.no_such_role", "HELLO.Details.roles"),
    (r#"[48,1,{},"com.myapp.longop"]"#, VIOLATION, "CALL before HELLO"),
    (r#"[6,{},"wamp.close.close_realm"]"#, VIOLATION, "GOODBYE before HELLO"),
    (r#"[2,1,{"roles":{"broker":{}}}]"#, VIOLATION, "WELCOME before HELLO"),
    (r#"[1,7,{}]"#, VIOLATION, "HELLO, element 2 (Realm): expected URI"),
    (r#"[1,"realm1",[]]"#, VIOLATION, "HELLO, element 3 (Details): expected dict"),
    (r#"[1,"realm1"]"#, VIOLATION, "HELLO, element 3 (Details): missing"),
    (r#"[999,1]"#, VIOLATION, "expected code of a message, found 999"),
    (r#""hello""#, VIOLATION, "expected list, found string"),
];

/// A message after WELCOME, and the beginning of the text of the ABORT that answers it.
const AFTER_WELCOME: &[(&str, &str)] = &[
    (HELLO, "HELLO after the session was established"),
    (r#"[1,"another.realm",{"roles":{"caller":{}}}]"#, "HELLO after the session was established"),
    // behaviour 60: an unknown code is a violation
    ("[99]", "expected code of a message, found 99"),
    ("[257,1,{},4096]", "expected code of a message, found 257"),
    ("[256,1,{},4096]", "CREDIT by a session that did not announce _progress_credit"),
    ("[-1]", "expected code of a message, found"),
    (r#"["CALL",1,{},"a"]"#, "expected code of a message, found string"),
    ("[]", "missing: expected the code of a message"),
    ("{}", "expected list, found dict"),
    ("null", "expected list, found null"),
    ("[48]", "CALL, element 2 (Request): missing"),
    (r#"[48,"1",{},"a"]"#, "CALL, element 2 (Request): expected integer"),
    (r#"[48,0,{},"a"]"#, "CALL, element 2 (Request): expected integer between 1 and 2^53"),
    (r#"[48,9007199254740993,{},"a"]"#, "CALL, element 2 (Request): expected integer between 1 and 2^53"),
    (r#"[48,1,null,"a"]"#, "CALL, element 3 (Options): expected dict, found null"),
    (r#"[48,1,{},null]"#, "CALL, element 4 (Procedure): expected URI, found null"),
    (r#"[48,1,{},"a",[],{},7]"#, "CALL: expected the end of the message, found another element"),
    (r#"[68,1,1,{}]"#, "INVOCATION, which a client must not send now"),
    (r#"[70,1,{}]"#, "YIELD for the invocation 1, which does not exist"),
];

#[tokio::test]
async fn another_message_instead_of_hello_is_answered_with_abort() {
    let house = House::new().await;
    let mut bystander = Bystander::new(&house.router).await;
    for way in WAYS {
        for serializer in SERIALIZERS {
            for (said, reason, sentence) in BEFORE_HELLO {
                let mut peer = house.connect(way, serializer).await;
                peer.say(said).await;
                let heard = peer.aborted().await;
                let as_told = heard.0 == *reason && heard.1.starts_with(sentence);
                assert!(as_told, "{way:?}, {serializer}, {said}: {heard:?}");
                bystander.progress().await;
            }
        }
    }
    bystander.finish().await;
    assert_eq!(house.router.realm_stats("realm1").unwrap().1.sessions, 2);
}

#[tokio::test]
async fn a_later_violation_is_answered_with_abort() {
    let house = House::new().await;
    let mut bystander = Bystander::new(&house.router).await;
    for way in WAYS {
        for serializer in SERIALIZERS {
            for (said, sentence) in AFTER_WELCOME {
                let mut peer = house.join(way, serializer).await;
                // behaviour 45: in one segment with a valid CALL, which is not processed
                peer.say_all(&[said, r#"[48,1,{},"com.myapp.bystander"]"#]).await;
                let heard = peer.aborted().await;
                let as_told = heard.0 == VIOLATION && heard.1.starts_with(sentence);
                assert!(as_told, "{way:?}, {serializer}, {said}: {heard:?}");
                bystander.progress().await;
            }
        }
    }
    bystander.finish().await;
    let (stats, sizes) = house.router.realm_stats("realm1").unwrap();
    assert_eq!(stats.violations as usize, AFTER_WELCOME.len() * WAYS.len() * SERIALIZERS.len());
    assert_eq!(sizes.sessions, 2);
}

/// Bytes that are invalid in the serializer.
fn garbage(serializer: Serializer) -> &'static [u8] {
    match serializer {
        Serializer::Json => b"[48,1,{},",
        Serializer::MsgPack => b"\xc1\xc1\xc1",
        _ => b"\xff\xff\xff",
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_are_answered_with_abort() {
    let house = House::new().await;
    let mut bystander = Bystander::new(&house.router).await;
    for way in WAYS {
        for serializer in SERIALIZERS {
            for joined in [false, true] {
                for bytes in [garbage(serializer), b""] {
                    let mut peer = house.connect(way, serializer).await;
                    if joined {
                        peer.join().await;
                    }
                    peer.send(bytes).await;
                    let (reason, sentence) = peer.aborted().await;
                    assert_eq!(reason, VIOLATION, "{way:?}, {serializer}");
                    assert!(sentence.len() > 10, "it says nothing: {sentence:?}");
                    bystander.progress().await;
                }
            }
        }
    }
    bystander.finish().await;
}

/// Receives ABORT while garbage continues, and then the end of the connection.
async fn drown(mut peer: Peer, bytes: &[u8]) {
    let Incoming::Message(abort) = peer.incoming_while_sending(bytes).await.unwrap() else {
        panic!("no ABORT")
    };
    assert!(abort.windows(VIOLATION.len()).any(|part| part == VIOLATION.as_bytes()));
    peer.incoming_while_sending(bytes).await.unwrap_err();
}

#[tokio::test]
async fn abort_arrives_also_when_garbage_keeps_coming_and_then_the_connection_ends() {
    let house = House::new().await;
    let bystander = Bystander::new(&house.router).await;
    let bytes = bytes(Serializer::MsgPack, r#"[99,"garbage"]"#);
    let mut drowning = Vec::new();
    for way in WAYS {
        let peer = house.join(way, Serializer::MsgPack).await;
        drowning.push(drown(peer, &bytes));
    }
    // All at once, since each continues as long as the router reads from it.
    let [a, b, c, d, e] = drowning.try_into().ok().unwrap();
    tokio::join!(a, b, c, d, e);
    bystander.finish().await;
}

#[tokio::test]
async fn a_frame_that_breaks_the_transport_is_answered_with_abort_and_an_orderly_end() {
    let house = House::new().await;
    let mut bystander = Bystander::new(&house.router).await;
    // Reserved bits, a reserved type, the 25th bit with others, more than 16 MiB.
    for prefix in [[0x10, 0, 0, 1], [0x03, 0, 0, 1], [0x08, 0, 0, 1], [0x80, 0, 0, 0]] {
        let mut wire = Wire::connect(&house).await;
        wire.join_rawsocket(HELLO).await;
        let mut bytes = prefix.to_vec();
        // So much that it cannot all have been read together with the prefix.
        bytes.resize(1 << 20, b'x');
        wire.write(&bytes).await;
        let abort = wire.text().await;
        assert!(abort.contains("in the frame prefix") && abort.contains(VIOLATION), "{abort}");
        assert_eq!(wire.rest().await, b"");
        bystander.progress().await;
    }
    // An unmasked frame, a reserved opcode, a reserved bit, a fragmented PING, text that is not UTF-8.
    let frames: &[&[u8]] = &[
        b"\x81\x02[]",
        b"\x83\x80\0\0\0\0",
        b"\xc1\x80\0\0\0\0",
        b"\x09\x80\0\0\0\0",
        b"\x81\x82\0\0\0\0\xff\xff",
        // behaviour 53: a binary frame, with JSON
        b"\x82\x82\0\0\0\0[]",
    ];
    for bytes in frames {
        let mut wire = Wire::connect(&house).await;
        wire.join_ws(HELLO).await;
        let mut bytes = bytes.to_vec();
        bytes.resize(1 << 20, b'x');
        wire.write(&bytes).await;
        let (_, abort) = wire.ws_frame().await;
        let abort = String::from_utf8(abort).unwrap();
        assert!(abort.starts_with("[3,") && abort.contains(VIOLATION), "{bytes:02x?}: {abort}");
        assert_eq!(wire.ws_frame().await.0, 0x88, "the closing frame");
        assert_eq!(wire.rest().await, b"");
        bystander.progress().await;
    }
    bystander.finish().await;
}

// behaviour 103
#[tokio::test]
async fn requests_that_cannot_be_are_refused_and_the_session_lives() {
    let house = House::new().await;
    for way in WAYS {
        for serializer in SERIALIZERS {
            let mut owner = house.join(way, serializer).await;
            owner.register("com.myapp.taken").await;
            let mut peer = house.join(way, serializer).await;
            let table = [
                (r#"[48,1,{},"com.myapp.nobody"]"#, RequestKind::Call, "wamp.error.no_such_procedure"),
                (
                    r#"[64,2,{},"com.myapp.taken"]"#,
                    RequestKind::Register,
                    "wamp.error.procedure_already_exists",
                ),
                (r#"[48,3,{},"com myapp"]"#, RequestKind::Call, "wamp.error.invalid_uri"),
                (r##"[48,4,{},"com.#"]"##, RequestKind::Call, "wamp.error.invalid_uri"),
                (r#"[64,5,{},"com..myapp"]"#, RequestKind::Register, "wamp.error.invalid_uri"),
                (r#"[32,6,{},""]"#, RequestKind::Subscribe, "wamp.error.invalid_uri"),
                (
                    r#"[16,7,{"acknowledge":true},"com.myapp."]"#,
                    RequestKind::Publish,
                    "wamp.error.invalid_uri",
                ),
                (r#"[66,8,12345]"#, RequestKind::Unregister, "wamp.error.no_such_registration"),
                (r#"[34,9,12345]"#, RequestKind::Unsubscribe, "wamp.error.no_such_subscription"),
                (
                    r#"[48,10,{"timeout":-1},"com.myapp.taken"]"#,
                    RequestKind::Call,
                    "wamp.error.invalid_argument",
                ),
                (r#"[48,11,{},"a",{}]"#, RequestKind::Call, "wamp.error.invalid_argument"),
                (r#"[48,12,{},"a",[],[]]"#, RequestKind::Call, "wamp.error.invalid_argument"),
                (r#"[48,13,{"disclose_me":1},"a"]"#, RequestKind::Call, "wamp.error.invalid_argument"),
                (
                    r#"[64,14,{"disclose_caller":1},"a"]"#,
                    RequestKind::Register,
                    "wamp.error.invalid_argument",
                ),
                (r#"[32,15,{"get_retained":1},"a"]"#, RequestKind::Subscribe, "wamp.error.invalid_argument"),
                (
                    r#"[16,16,{"acknowledge":true,"exclude":1},"a"]"#,
                    RequestKind::Publish,
                    "wamp.error.invalid_argument",
                ),
                (r#"[32,17,{"match":"prefix"},"a..b"]"#, RequestKind::Subscribe, "wamp.error.invalid_uri"),
                (r#"[32,18,{"match":"regex"},"a"]"#, RequestKind::Subscribe, "wamp.error.invalid_argument"),
            ];
            for (request, (said, kind, error)) in (1..).zip(table) {
                peer.say(said).await;
                let Message::Error(heard) = peer.message().await else { panic!("no ERROR for {said}") };
                let heard = (heard.kind, heard.request.get(), heard.error.to_string());
                assert_eq!(heard, (kind, request, error.to_owned()), "{way:?}, {serializer}, {said}");
            }
            // The owner still has its registration.
            owner.say(r#"[48,2,{},"com.myapp.taken"]"#).await;
            assert!(owner.hear().await.starts_with("[68,1,"));
        }
    }
}

#[tokio::test]
async fn a_bad_message_in_one_segment_with_good_ones_takes_the_answers_with_it() {
    let house = House::new().await;
    let bystander = Bystander::new(&house.router).await;
    // behaviour 45: the answer, byte by byte
    let mut wire = Wire::connect(&house).await;
    wire.join_rawsocket(HELLO).await;
    let said = [r#"[64,1,{},"com.myapp.mine"]"#, "[99]", r#"[48,2,{},"com.myapp.bystander"]"#];
    wire.write(&said.map(frame).concat()).await;
    let rest = wire.rest().await;
    assert_eq!(rest.len(), 4 + usize::from(rest[2]) * 256 + usize::from(rest[3]), "one frame only");
    assert!(rest[4..].starts_with(b"[3,{\"message\":\"expected code of a message, found 99"));

    let mut wire = Wire::connect(&house).await;
    wire.join_ws(HELLO).await;
    wire.write(&said.map(|text| ws_frame(0x81, text.as_bytes())).concat()).await;
    let (_, abort) = wire.ws_frame().await;
    assert!(abort.starts_with(b"[3,{\"message\":\"expected code of a message, found 99"));
    assert_eq!(wire.ws_frame().await.0, 0x88, "the closing frame");
    assert_eq!(wire.rest().await, b"");
    assert_eq!(house.router.realm_stats("realm1").unwrap().1.registrations, 1);
    bystander.finish().await;
}
