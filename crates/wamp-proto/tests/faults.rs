//! Messages with a fault: the faults that concern one request only, and the part of the message that is then
//! known.

#![cfg(all(feature = "json", feature = "msgpack", feature = "cbor"))]

use bytes::Bytes;
use wamp_proto::message::{Head, RequestKind};
use wamp_proto::{DecodeError, Limits, Message, RequestId, Serializer, SubscriptionId, uri};

fn decode(serializer: Serializer, frame: &[u8]) -> Result<Message, DecodeError> {
    Message::decode(serializer, &Bytes::copy_from_slice(frame), &Limits::default())
}

fn json(frame: &str) -> DecodeError {
    decode(Serializer::Json, frame.as_bytes()).expect_err(frame)
}

fn id(id: u64) -> RequestId {
    RequestId::new(id).unwrap()
}

/// Every message with a payload, up to its arguments, and its head.
fn with_payload() -> Vec<(&'static str, Option<Head>)> {
    let request = id(7);
    vec![
        (r#"[48,7,{},"a""#, Some(Head::Call { request })),
        (r#"[16,7,{},"a""#, Some(Head::Publish { request, acknowledge: false })),
        (r#"[16,7,{"x":[],"acknowledge":true},"a""#, Some(Head::Publish { request, acknowledge: true })),
        (r#"[70,7,{}"#, Some(Head::Yield { request, progress: Some(false) })),
        (r#"[70,7,{"progress":true}"#, Some(Head::Yield { request, progress: Some(true) })),
        (
            r#"[8,68,7,{},"a.b""#,
            Some(Head::Error { kind: RequestKind::Invocation, request, error: Some("a.b".into()) }),
        ),
        (r#"[50,7,{"progress":true}"#, Some(Head::Result { request, progress: Some(true) })),
        (r#"[36,9,7,{}"#, Some(Head::Event { subscription: SubscriptionId::new(9).unwrap() })),
        (r#"[68,7,9,{}"#, Some(Head::Invocation { request })),
        // This fault ends the session anyway.
        (r#"[3,{},"a""#, None),
    ]
}

#[test]
fn a_fault_in_the_payload_concerns_the_request() {
    for (begin, head) in with_payload() {
        for payload in [
            r#"[{"mean":NaN}]"#,
            r#"["\ud83d"]"#,
            r#"["\u0000no base64"]"#,
            r#"[],{"\u0000":1}"#,
            r#"[1e400]"#,
            &format!("[{}]", "9".repeat(5000)),
            &format!("{}{}", "[".repeat(64), "]".repeat(64)),
            &format!(r#"[],{{"a":{}{}}}"#, "[".repeat(64), "]".repeat(64)),
            "[1,[2",
            "7",
            "{}",
            "[],[]",
        ] {
            let error = json(&format!("{begin},{payload}]"));
            assert_eq!(error.head(), head.as_ref(), "{begin},{payload}]: {error}");
            assert_eq!(error.reason(), uri::INVALID_ARGUMENT);
        }
    }
}

/// A payload in Latin-1, as some peers send it over RawSocket. The rest of the frame is not checked.
#[test]
fn json_with_invalid_utf8_in_the_payload_has_a_head() {
    for (begin, head) in with_payload() {
        let frame = [begin.as_bytes(), b",[\"st\xe8r\"]]"].concat();
        let error = decode(Serializer::Json, &frame).unwrap_err();
        assert_eq!(error.head(), head.as_ref(), "{error}");
        assert!(error.to_string().contains("text is not UTF-8 at byte"), "{error}");
    }
    for frame in [&b"[48,1,{},\"\xe8\"]"[..], b"[48,1,{},\"a\"]\xe8", b"\xe8"] {
        let error = decode(Serializer::Json, frame).unwrap_err();
        assert_eq!(error.head(), None);
        assert!(error.to_string().contains("not UTF-8"), "{error}");
    }
}

#[test]
fn binary_formats_have_the_same_heads() {
    for serializer in [Serializer::MsgPack, Serializer::Cbor] {
        for (begin, head) in with_payload() {
            let message = decode(Serializer::Json, format!(r#"{begin},["!"]]"#).as_bytes()).unwrap();
            let frame = message.encode(serializer).unwrap().to_vec();
            let at = frame.len() - 1;
            let mut spoilt = frame.clone();
            spoilt[at] = 0xff;
            assert_eq!(decode(serializer, &spoilt).unwrap_err().head(), head.as_ref());
            let mut cut = frame.clone();
            cut.truncate(at);
            assert_eq!(decode(serializer, &cut).unwrap_err().head(), head.as_ref());
        }
    }
}

#[test]
fn a_wrong_value_of_an_option_concerns_the_request() {
    let request = id(7);
    let deep = format!(r#"[48,7,{{"x":{}{}}},"a"]"#, "[".repeat(100), "]".repeat(100));
    let error = Some("a.b".into());
    for (frame, head) in [
        (r#"[48,7,{"receive_progress":"yes"},"a"]"#, Head::Call { request }),
        (r#"[48,7,{"x":NaN},"a"]"#, Head::Call { request }),
        (r#"[48,7,{"timeout":NaN},"a"]"#, Head::Call { request }),
        (&deep, Head::Call { request }),
        (r#"[64,7,{"disclose_caller":1},"a"]"#, Head::Register { request }),
        (r#"[32,7,{"get_retained":1},"a"]"#, Head::Subscribe { request }),
        (r#"[16,7,{"exclude_me":1,"acknowledge":true},"a"]"#, Head::Publish { request, acknowledge: true }),
        (r#"[16,7,{"acknowledge":true,"x":NaN},"a"]"#, Head::Publish { request, acknowledge: true }),
        (r#"[16,7,{"acknowledge":1},"a"]"#, Head::Publish { request, acknowledge: true }),
        (r#"[16,7,{"exclude":["a"]},"a"]"#, Head::Publish { request, acknowledge: false }),
        (r#"[49,7,{"mode":NaN}]"#, Head::Cancel { request }),
        (r#"[69,7,{"reason":1}]"#, Head::Interrupt { request }),
        (r#"[70,7,{"progress":1}]"#, Head::Yield { request, progress: Some(true) }),
        (r#"[70,7,{"ppt_scheme":1}]"#, Head::Yield { request, progress: Some(false) }),
        (r#"[8,68,7,{"ppt_scheme":1},"a.b"]"#, Head::Error { kind: RequestKind::Invocation, request, error }),
        (r#"[256,7,{"chunks":1},5]"#, Head::Credit { request }),
    ] {
        let error = json(frame);
        assert_eq!(error.head(), Some(&head), "{frame}: {error}");
    }
    // It is unknown whether this publisher waits for an answer.
    assert_eq!(json(r#"[16,7,{"x":NaN,"acknowledge":true},"a"]"#).head(), None);
    // A key as long as the message is not repeated in full.
    let long = json(&format!(r#"[48,7,{{"{}":NaN}},"a"]"#, "é".repeat(100_000)));
    assert!(long.to_string().len() < 250, "{long}");
}

#[test]
fn a_fault_of_the_message_itself_concerns_the_link() {
    for frame in [
        "[48,0,{},\"a\"]",
        "[48,1,null,\"a\"]",
        "[48,1,{},null]",
        "[48,1,{},",
        "[48,1,{\"a\":",
        "[48,1,{1:2},\"a\"]",
        "[48,1,{},\"a\"",
        "[48,1,{},\"a\"]]",
        "[8,50,1,{},\"a\",[NaN]]",
        "[1,\"r\",{\"authid\":7}]",
        "[6,{\"message\":7},\"a\"]",
    ] {
        assert_eq!(json(frame).head(), None, "{frame}");
    }
}

#[test]
fn no_message_has_more_elements_than_the_specification_says() {
    for frame in [
        r#"[1,"r",{},1]"#,
        r#"[2,1,{},1]"#,
        r#"[3,{},"a",[],{},1]"#,
        r#"[6,{},"a",1]"#,
        r#"[8,68,7,{},"a",[],{},1]"#,
        r#"[16,7,{},"a",[],{},1]"#,
        r#"[17,7,7,1]"#,
        r#"[32,7,{},"a",1]"#,
        r#"[33,7,7,1]"#,
        r#"[34,7,7,1]"#,
        r#"[35,7,{},1]"#,
        r#"[36,7,7,{},[],{},1]"#,
        r#"[48,7,{},"a",[],{},1]"#,
        r#"[48,7,{},"a",[],{},null]"#,
        r#"[49,7,{},1]"#,
        r#"[50,7,{},[],{},1]"#,
        r#"[64,7,{},"a",1]"#,
        r#"[65,7,7,1]"#,
        r#"[66,7,7,1]"#,
        r#"[67,7,{},1]"#,
        r#"[68,7,7,{},[],{},1]"#,
        r#"[69,7,{},1]"#,
        r#"[70,7,{},[],{},1]"#,
        r#"[256,7,{},1,1]"#,
    ] {
        let error = json(frame);
        assert!(
            error.to_string().ends_with("expected the end of the message, found another element"),
            "{error}"
        );
        assert_eq!(error.head(), None);
        assert!(error.message().is_some());
    }
}

/// wampy.js encodes unset options in this way, as msgpackr's `undefined`.
#[test]
fn an_option_of_a_type_that_wamp_does_not_have_counts_as_absent() {
    // [32, 1, {match: undefined, get_retained: undefined}, "a"]
    let frame = b"\x94\x20\x01\x82\xa5match\xd4\0\0\xacget_retained\xd4\0\0\xa1a";
    let Message::Subscribe(subscribe) = decode(Serializer::MsgPack, frame).unwrap() else { panic!() };
    assert_eq!((subscribe.options.policy, subscribe.options.get_retained), (None, None));
    assert!(subscribe.options.extra.is_empty());

    // [48, 1, {timeout: undefined, _x: undefined, receive_progress: true}, "a"]
    for (serializer, frame) in [
        (
            Serializer::MsgPack,
            &b"\x94\x30\x01\x83\xa7timeout\xd4\0\0\xa2_x\xd4\0\0\xb0receive_progress\xc3\xa1a"[..],
        ),
        (Serializer::Cbor, b"\x84\x18\x30\x01\xa3\x67timeout\xf7\x62_x\xe0\x70receive_progress\xf5\x61a"),
        (
            Serializer::Cbor,
            b"\x84\x18\x30\x01\xa3\x67timeout\xd8\x1d\x05\x62_x\xd8\x1d\x05\x70receive_progress\xf5\x61a",
        ),
    ] {
        let Message::Call(call) = decode(serializer, frame).unwrap() else { panic!("{serializer}") };
        assert_eq!((call.options.timeout, call.options.receive_progress), (None, Some(true)));
        assert!(call.options.extra.keys().is_empty(), "{serializer}: {:?}", call.options.extra);
    }
    // [16, 1, {exclude: [undefined]}, "a"]: a list, but not of ids.
    let error = decode(Serializer::MsgPack, b"\x94\x10\x01\x81\xa7exclude\x91\xd4\0\0\xa1a").unwrap_err();
    assert!(error.head().is_some());
    // Unreadable features are not announced.
    let frame = b"\x93\x01\xa1r\x81\xa5roles\x82\xa6caller\x81\xa8features\xd4\0\0\xa6callee\x81\xa8features\x81\xaccall_timeout\xd4\0\0";
    let Message::Hello(hello) = decode(Serializer::MsgPack, frame).unwrap() else { panic!() };
    assert!(!hello.details.roles.is_empty());
}

/// Otherwise an event for some sessions would go to all.
#[test]
fn a_list_of_receivers_is_absent_only_if_it_is_null_or_undefined() {
    // [16, 1, {eligible: VALUE}, "a"]
    for (serializer, begin, absent, other) in [
        (
            Serializer::MsgPack,
            &b"\x94\x10\x01\x81\xa8eligible"[..],
            [&b"\xd4\0\0"[..], b"\xc0"],
            [&b"\xd4\x01\0"[..], b"\xd5\0\0\0", b"\xc7\x01\x05\0"],
        ),
        (
            Serializer::Cbor,
            b"\x84\x10\x01\xa1\x68eligible",
            [b"\xf7", b"\xf6"],
            [b"\xe0", b"\xd8\x1d\x05", b"\xf8\x20"],
        ),
    ] {
        let topic = if serializer == Serializer::Cbor { &b"\x61a"[..] } else { b"\xa1a" };
        let decode = |value: &[u8]| decode(serializer, &[begin, value, topic].concat());
        for value in absent {
            let Message::Publish(publish) = decode(value).unwrap() else { panic!() };
            assert!(publish.options.receivers.is_none_or(|receivers| receivers.eligible.is_none()));
        }
        for value in other {
            let error = decode(value).unwrap_err();
            assert_eq!(
                error.head(),
                Some(&Head::Publish { request: id(1), acknowledge: false }),
                "{value:02x?}"
            );
            assert!(error.to_string().contains("eligible"), "{error}");
        }
    }
}

// behaviour 150
#[test]
fn binary_in_the_place_of_arguments_needs_the_name_of_its_algorithm() {
    for options in ["{}", r#"{"enc_algo":null}"#, r#"{"enc_key":"k"}"#, r#"{"x":{"enc_algo":"cryptobox"}}"#] {
        let frame = format!(r#"[70,1,{options},"\u0000AQID"]"#);
        let error = decode(Serializer::Json, frame.as_bytes()).unwrap_err();
        assert_eq!(error.head(), Some(&Head::Yield { request: id(1), progress: Some(false) }), "{options}");
        assert_eq!(error.reason(), uri::INVALID_ARGUMENT);
        assert!(error.to_string().contains("\"enc_algo\", found binary"), "{error}");
    }
    // The last of equal keys counts, as for the value.
    for (options, fits) in [
        (r#"{"enc_algo":"cryptobox","enc_algo":null}"#, false),
        (r#"{"enc_algo":null,"enc_algo":"cryptobox"}"#, true),
        (r#"{"x":{},"enc_\u0061lgo":"cryptobox"}"#, true),
    ] {
        let frame = format!(r#"[48,1,{options},"a","\u0000AQID"]"#);
        assert_eq!(decode(Serializer::Json, frame.as_bytes()).is_ok(), fits, "{options}");
    }
    let whole = decode(Serializer::MsgPack, b"\xc4\x03\x01\x02\x03").unwrap_err();
    assert_eq!((whole.head(), whole.reason()), (None, uri::INVALID_ARGUMENT));
}

/// The facts of the specification's test vectors about options (`tests/vectors.rs` reads the vectors themselves).
#[test]
fn an_option_of_the_wrong_type_is_named() {
    let publish = |options: &str| {
        (format!(r#"[16,7,{options},"a"]"#), Head::Publish { request: id(7), acknowledge: false })
    };
    let event = |details: &str| {
        let subscription = wamp_proto::SubscriptionId::new(1).unwrap();
        (format!("[36,1,2,{details},[3]]"), Head::Event { subscription })
    };
    let subscribe = |options: &str| (format!(r#"[32,7,{options},"a"]"#), Head::Subscribe { request: id(7) });
    for (key, (frame, head)) in [
        (
            "acknowledge",
            (r#"[16,7,{"acknowledge":"x"},"a"]"#.into(), Head::Publish { request: id(7), acknowledge: true }),
        ),
        (
            "acknowledge",
            (r#"[16,7,{"acknowledge":1},"a"]"#.into(), Head::Publish { request: id(7), acknowledge: true }),
        ),
        ("exclude_me", publish(r#"{"exclude_me":"x"}"#)),
        ("exclude", publish(r#"{"exclude":"x"}"#)),
        ("exclude", publish(r#"{"exclude":["x"]}"#)),
        ("exclude_authid", publish(r#"{"exclude_authid":"x"}"#)),
        ("exclude_authid", publish(r#"{"exclude_authid":[1]}"#)),
        ("exclude_authrole", publish(r#"{"exclude_authrole":"x"}"#)),
        ("eligible", publish(r#"{"eligible":"x"}"#)),
        ("eligible_authid", publish(r#"{"eligible_authid":1}"#)),
        ("eligible_authrole", publish(r#"{"eligible_authrole":[1]}"#)),
        ("retain", publish(r#"{"retain":"x"}"#)),
        ("get_retained", subscribe(r#"{"get_retained":"x"}"#)),
        ("publisher", event(r#"{"publisher":"x"}"#)),
        ("publisher_authid", event(r#"{"publisher_authid":1}"#)),
        ("publisher_authrole", event(r#"{"publisher_authrole":1}"#)),
        ("topic", event(r#"{"topic":1}"#)),
        ("retained", event(r#"{"retained":"x"}"#)),
    ] {
        let error = decode(Serializer::Json, frame.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(&format!("key \"{key}\"")), "{frame}: {error}");
        assert_eq!(error.head(), Some(&head), "{frame}");
    }
    // Options of links between routers are not built, and are kept like others that are not known.
    let frame = br#"[16,7,{"forward_for":[{"session":1,"authid":"a","authrole":"router"}]},"a"]"#;
    let Message::Publish(publish) = decode(Serializer::Json, frame).unwrap() else { panic!() };
    assert!(publish.options.extra.contains("forward_for"));
}

// behaviour 150
#[test]
fn nothing_follows_a_binary_and_it_is_a_plain_one() {
    let binary = |rest: &str| format!(r#"[16,1,{{"enc_algo":"cryptobox"}},"a","\u0000AQID"{rest}]"#);
    assert!(decode(Serializer::Json, binary("").as_bytes()).is_ok());
    for rest in [r#",{"a":1}"#, ",{}", ",[]"] {
        let error = decode(Serializer::Json, binary(rest).as_bytes()).unwrap_err();
        assert_eq!(error.head(), Some(&Head::Publish { request: id(1), acknowledge: false }), "{rest}");
    }
    // Neither as keywords, nor broken base64.
    for payload in [r#"[],"\u0000AQID""#, r#""\u0000AQI""#, r#""AQID""#] {
        let frame = format!(r#"[16,1,{{"enc_algo":"cryptobox"}},"a",{payload}]"#);
        let error = decode(Serializer::Json, frame.as_bytes()).unwrap_err();
        assert_eq!(error.head(), Some(&Head::Publish { request: id(1), acknowledge: false }), "{payload}");
    }
    // CBOR: tagged, it is an array of numbers.
    let head = b"\x85\x10\x01\xa1\x68enc_algo\x69cryptobox\x61a";
    for (payload, fits) in [(&b"\x43\x01\x02\x03"[..], true), (b"\xd8\x40\x43\x01\x02\x03", false)] {
        assert_eq!(decode(Serializer::Cbor, &[head, payload].concat()).is_ok(), fits, "{payload:02x?}");
    }
}

#[test]
fn a_list_in_options_has_a_bound() {
    for key in
        ["exclude", "exclude_authid", "exclude_authrole", "eligible", "eligible_authid", "eligible_authrole"]
    {
        let item =
            if key.ends_with("id") && key != "exclude" || key.ends_with("role") { "\"\"" } else { "1" };
        for (count, fits) in [(1024, true), (1025, false)] {
            let list = vec![item; count].join(",");
            let frame = format!(r#"[16,7,{{"{key}":[{list}]}},"a"]"#);
            let decoded = decode(Serializer::Json, frame.as_bytes());
            assert_eq!(decoded.is_ok(), fits, "{key}, {count}");
            if let Err(error) = decoded {
                assert!(error.head().is_some() && error.to_string().contains("at most 1024"), "{error}");
            }
        }
    }
    let list = vec!["\"\""; 1025].join(",");
    assert_eq!(json(&format!(r#"[1,"r",{{"roles":{{}},"authmethods":[{list}]}}]"#)).head(), None);
}

#[test]
fn a_hello_is_not_read_where_the_session_is_open() {
    let limits = Limits { hello: false, ..Limits::default() };
    let read = |frame: &'static [u8]| Message::decode(Serializer::Json, &Bytes::from_static(frame), &limits);
    let error = read(br#"[1,"realm1",{"roles":{"caller":{}}}]"#).unwrap_err();
    assert_eq!(error.to_string(), "HELLO after the session was established");
    assert_eq!(error.head(), None);
    assert_eq!(read(b"[1,").unwrap_err(), error, "the rest is not checked");
    assert!(read(br#"[48,1,{},"a"]"#).is_ok());
}
