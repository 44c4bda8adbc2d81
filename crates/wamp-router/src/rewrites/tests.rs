use bytes::Bytes;
use wamp_core::Time;
use wamp_core::router::{Config, Join, Realm};
use wamp_proto::{Limits, Message};

use super::*;

const HELLO: &str = r#"[1,"realm1",{"roles":{"callee":{}}}]"#;

fn session(seed: u64) -> SessionKey {
    let hello = Message::decode(Serializer::Json, &Bytes::from(HELLO), &Limits::default());
    let Ok(Message::Hello(hello)) = hello else { panic!("no HELLO") };
    let join = Join {
        details: hello.details,
        serializer: Serializer::Json,
        max_message: 512,
        transport: Default::default(),
    };
    Realm::new(Config::new("realm1"), seed).join(Time::ORIGIN, join).unwrap()
}

fn read(json: &str) -> PlainYield {
    PlainYield::read(Serializer::Json, json.as_bytes(), &Limits::default()).unwrap()
}

/// Handles the frames of one read. Returns whether each was transcoded ahead, and its payload for callers
/// with this serializer.
fn pass(session: SessionKey, frames: &[(&str, Serializer)]) -> Vec<(bool, Option<Vec<u8>>)> {
    let mut rewrites = Rewrites::new(session, Serializer::Json);
    let plain: Vec<_> =
        frames.iter().map(|(json, _)| rewrites.prepare(read(json), json.as_bytes())).collect();
    let all = frames.iter().zip(plain).map(|((json, to), plain)| {
        let payload = rewrites.payload(&plain, json.as_bytes(), *to);
        assert!(
            rewrites.memory.bytes.len() < LOAD + 2 * 4096,
            "payloads that are not transcoded ahead do not accumulate"
        );
        (plain.ahead.is_some(), payload.map(|payload| rewrites.written(payload).to_vec()))
    });
    let all = all.collect();
    rewrites.finish();
    all
}

#[test]
fn the_serializer_of_a_caller_is_known_from_the_second_read_on() {
    let session = session(1);
    let (one, two) = (r#"[70,1,{"progress":true},[1]]"#, r#"[70,2,{"progress":true},["a"]]"#);
    let frames = [(one, Serializer::MsgPack), (two, Serializer::Cbor), (one, Serializer::MsgPack)];
    for known in [false, true, true] {
        let [first, second, third] = pass(session, &frames).try_into().unwrap();
        assert_eq!(first, (known, Some(b"\x91\x01".to_vec())));
        assert_eq!(second, (known, Some(b"\x81\x61a".to_vec())));
        assert_eq!(third, first);
    }
}

#[test]
fn a_call_is_not_mistaken_for_another() {
    let one = r#"[70,1,{"progress":true},[1]]"#;
    assert!(!pass(session(1), &[(one, Serializer::MsgPack)])[0].0);
    assert!(!pass(session(2), &[(one, Serializer::MsgPack)])[0].0, "another session's");
    let same_place = format!(r#"[70,{},{{"progress":true}},[1]]"#, 1 + CALLS);
    assert!(!pass(session(2), &[(&same_place, Serializer::Cbor)])[0].0, "another call's");
    // Even then the realm decides.
    let (ahead, bytes) = pass(session(2), &[(&same_place, Serializer::MsgPack)]).remove(0);
    assert_eq!((ahead, bytes), (true, Some(b"\x91\x01".to_vec())));
}

#[test]
fn a_payload_that_cannot_be_transcoded_is_unchanged() {
    let session = session(3);
    let (good, bad) =
        (r#"[70,1,{"progress":true},[1]]"#, r#"[70,1,{"progress":true},[7,123456789012345678901234567890]]"#);
    let frames = [(good, Serializer::MsgPack), (bad, Serializer::MsgPack), (good, Serializer::MsgPack)];
    for known in [false, true] {
        let good = (known, Some(b"\x91\x01".to_vec()));
        assert_eq!(pass(session, &frames), [good.clone(), (false, None), good]);
    }
}

#[test]
fn a_single_result_is_not_remembered_and_an_empty_one_not_rewritten() {
    let session = session(4);
    for _ in 0..2 {
        let single = ("[70,1,{},[1]]", Serializer::MsgPack);
        assert_eq!(pass(session, &[single]), [(false, Some(b"\x91\x01".to_vec()))]);
    }
    pass(session, &[(r#"[70,1,{"progress":true},[1]]"#, Serializer::MsgPack)]);
    assert!(!pass(session, &[(r#"[70,1,{"progress":true}]"#, Serializer::MsgPack)])[0].0);
}

#[test]
fn memory_is_bounded() {
    let session = session(5);
    let long = format!(r#"[70,1,{{"progress":true}},["{}"]]"#, "x".repeat(4000));
    let frames = vec![(long.as_str(), Serializer::Cbor); 1000];
    let bytes = |all: Vec<(bool, Option<Vec<u8>>)>| {
        assert!(all.iter().all(|(_, bytes)| bytes.as_ref().is_some_and(|bytes| bytes.len() == 4004)));
        all.iter().filter(|(ahead, _)| *ahead).count() * 4004
    };
    assert_eq!(bytes(pass(session, &frames)), 0);
    assert!((LOAD..LOAD + 4004).contains(&bytes(pass(session, &frames))));
    let kept = Rewrites::new(session, Serializer::Json);
    assert!(kept.memory.bytes.capacity() <= 2 * LOAD);
}
