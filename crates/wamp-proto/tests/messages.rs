//! Each message as the specification writes it, in each serializer, and frames that are not messages.

use bytes::Bytes;
use wamp_proto::message::{CancelMode, Head, InvocationPolicy, MatchPolicy, Millis, RequestKind};
use wamp_proto::{Limits, Message, Payload, RequestId, Role, Serializer};

/// All 25 messages and the extension, with every known key of their options.
const MESSAGES: &[&str] = &[
    r#"[1,"realm1",{"roles":{"caller":{"features":{"progressive_call_results":true,"call_canceling":false,"_progress_credit":65536}},"callee":{},"publisher":{},"subscriber":{}},"agent":"a","authmethods":["anonymous","ticket"],"authid":"joe","authrole":"user","authextra":{"nonce":"egVDf3DMJh0=","channel_binding":null,"own":[1,{"a":2}]}}]"#,
    r#"[2,9129137332,{"roles":{"dealer":{"features":{"progressive_call_results":true}},"broker":{}},"agent":"a","realm":"realm1","authid":"joe","authrole":"user","authmethod":"ticket","authprovider":"static","authextra":{"verifier":"v"}}]"#,
    r#"[3,{"message":"The realm does not exist."},"wamp.error.no_such_realm"]"#,
    r#"[3,{},"wamp.error.no_such_realm",[1],{"a":2}]"#,
    r#"[4,"wampcra",{"challenge":"c","salt":"s","keylen":32,"iterations":1000,"nonce":"n","kdf":"argon2id13","memory":4096,"channel_binding":"tls-exporter","pubkey":"4a","signature":"fd"}]"#,
    r#"[5,"signature",{"nonce":"n","channel_binding":"tls-exporter","cbind_data":"YQ=="}]"#,
    r#"[6,{"message":"m"},"wamp.close.system_shutdown"]"#,
    r#"[8,48,7814135,{"ppt_scheme":"x"},"com.myapp.error.object_write_protected",["Object is write protected."],{"severity":3}]"#,
    r#"[16,239714735,{"acknowledge":true,"exclude_me":false,"disclose_me":true,"retain":true,"exclude":[7891255,1245751],"exclude_authid":["a"],"exclude_authrole":["b"],"eligible":[3],"eligible_authid":["c"],"eligible_authrole":["d"],"ppt_scheme":"x"},"com.myapp.mytopic1",["Hello"],{"a":1}]"#,
    r#"[17,239714735,4429313566]"#,
    r#"[32,713845233,{"match":"prefix","get_retained":true},"com.myapp"]"#,
    r#"[33,713845233,5512315355]"#,
    r#"[34,85346237,5512315355]"#,
    r#"[35,85346237]"#,
    r#"[35,0,{"subscription":5512315355,"reason":"wamp.subscription.revoked"}]"#,
    r#"[36,5512315355,4429313566,{"topic":"com.myapp","retained":true,"publisher":3,"publisher_authid":"a","publisher_authrole":"b","trustlevel":2},[],{"color":"orange"}]"#,
    r#"[337,4429313566]"#,
    r#"[48,7814135,{"progress":true,"receive_progress":true,"timeout":10000,"disclose_me":true,"ppt_scheme":"x","ppt_serializer":"cbor","ppt_cipher":"c","ppt_keyid":"k"},"com.myapp.user.new",["johnny"],{"firstname":"John"}]"#,
    r#"[49,7814135,{"mode":"killnowait"}]"#,
    r#"[50,7814135,{"progress":true,"callee":3,"callee_authid":"a","callee_authrole":"b"},["Y2010",120]]"#,
    r#"[64,25349185,{"match":"wildcard","invoke":"roundrobin","disclose_caller":true,"forward_timeout":true},"com.myapp..x"]"#,
    r#"[65,25349185,2103333224]"#,
    r#"[66,788923562,2103333224]"#,
    r#"[67,788923562]"#,
    r#"[67,0,{"registration":2103333224,"reason":"wamp.registration.revoked"}]"#,
    r#"[68,6131533,9823526,{"progress":true,"receive_progress":true,"timeout":7,"procedure":"com.myapp.x","caller":3,"caller_authid":"a","caller_authrole":"b"},["johnny"]]"#,
    r#"[69,6131533,{"mode":"kill","reason":"wamp.error.timeout"}]"#,
    r#"[70,6131533,{"progress":true,"ppt_scheme":"x"},[],{"userid":123,"karma":10}]"#,
    r#"[256,6131533,{},98304]"#,
    r#"[256,6131533,{"chunks":true},9007199254740992]"#,
];

fn decode(serializer: Serializer, frame: &Bytes) -> Message {
    Message::decode(serializer, frame, &Limits::default())
        .unwrap_or_else(|error| panic!("{serializer}: {error}"))
}

fn from_json(json: &str) -> Message {
    decode(Serializer::Json, &Bytes::copy_from_slice(json.as_bytes()))
}

fn json(message: &Message) -> String {
    String::from_utf8(message.encode(Serializer::Json).unwrap().to_vec()).unwrap()
}

#[test]
fn each_message_passes_through_each_serializer_unchanged() {
    let mut codes = std::collections::BTreeSet::new();
    for written in MESSAGES {
        let message = from_json(written);
        codes.insert(message.code());
        assert_eq!(json(&message), *written);
        for serializer in Serializer::ALL {
            let frame = message.encode(*serializer).unwrap();
            let again = decode(*serializer, &frame);
            assert_eq!(json(&again), *written, "{serializer}");
            assert_eq!(again.encode(*serializer).unwrap(), frame, "{serializer}");
        }
    }
    assert_eq!(codes.len(), 26);
}

#[test]
fn decoding_returns_the_encoded_values() {
    let Message::Call(call) = from_json(MESSAGES[17]) else { panic!("not a CALL") };
    assert_eq!(call.request, RequestId::new(7_814_135).unwrap());
    assert_eq!(call.options.timeout, Some(Millis(10_000)));
    assert_eq!(call.options.ppt.unwrap().cipher.as_deref(), Some("c"));
    assert_eq!(call.procedure, "com.myapp.user.new");
    assert_eq!(call.payload.args::<(String,)>().unwrap().0, "johnny");
    let Message::Register(register) = from_json(MESSAGES[20]) else { panic!("not a REGISTER") };
    assert_eq!(register.options.policy, Some(MatchPolicy::Wildcard));
    assert_eq!(register.options.invoke, Some(InvocationPolicy::RoundRobin));
    let Message::Cancel(cancel) = from_json(MESSAGES[18]) else { panic!("not a CANCEL") };
    assert_eq!(cancel.options.mode, Some(CancelMode::KillNoWait));
    let Message::Error(error) = from_json(MESSAGES[7]) else { panic!("not an ERROR") };
    assert_eq!(error.kind, RequestKind::Call);
}

#[test]
fn a_credit_with_an_invalid_total_grants_nothing_and_is_no_violation() {
    let table =
        [("0", Some(0)), ("9007199254740992", Some(1 << 53)), ("9007199254740993", None), ("-1", None)];
    let others = [("1.5", None), ("\"7\"", None), ("null", None), ("[[{}]]", None), ("3.0", Some(3))];
    for (total, read) in table.into_iter().chain(others) {
        let Message::Credit(credit) = from_json(&format!("[256,1,{{}},{total}]")) else { panic!("{total}") };
        assert_eq!(credit.total.0, read, "{total}");
        let hello =
            format!(r#"[1,"r",{{"roles":{{"caller":{{"features":{{"_progress_credit":{total}}}}}}}}}]"#);
        let Message::Hello(hello) = from_json(&hello) else { panic!("{total}") };
        assert_eq!(hello.details.roles.get(Role::Caller).unwrap().credit, read, "{total}");
    }
    let truncated = Bytes::from_static(b"[256,1,{},[[");
    Message::decode(Serializer::Json, &truncated, &Limits::default()).unwrap_err();
}

#[test]
fn the_length_of_a_message_is_known_before_it_is_written() {
    for written in MESSAGES {
        let message = from_json(written);
        for serializer in Serializer::ALL {
            let message = message.clone().transcode(*serializer).unwrap();
            assert_eq!(message.encoded_len(*serializer).unwrap(), message.encode(*serializer).unwrap().len());
        }
    }
}

// behaviour 60
#[test]
fn unknown_keys_are_kept_in_every_serializer() {
    let written = r#"[48,1,{"progress":true,"_x":{"y":[1,2.5,"z"]},"rkey":7},"a"]"#;
    let message = from_json(written);
    for serializer in Serializer::ALL {
        let again = decode(*serializer, &message.encode(*serializer).unwrap());
        assert_eq!(json(&again), written, "{serializer}");
        let Message::Call(call) = &again else { panic!("not a CALL") };
        assert_eq!(call.options.extra.keys(), ["_x", "rkey"]);
        assert_eq!(call.options.extra.get::<u32>("rkey").unwrap().unwrap(), 7);
        assert!(call.options.extra.get::<u32>("progress").is_none());
    }
    // More entries than fit into one word of bits.
    let entries: Vec<String> = (0..200).map(|i| format!(r#""k{i}":{i}"#)).collect();
    let many = format!(r#"[50,1,{{{},"progress":true}}]"#, entries.join(","));
    let Message::Result(result) = from_json(&many) else { panic!("not a RESULT") };
    assert!(result.details.is_progress());
    assert_eq!(result.details.extra.len(), 200);
    assert_eq!(result.details.extra.get::<u32>("k199").unwrap().unwrap(), 199);
    assert!(!result.details.extra.contains("progress"));
}

#[test]
fn keys_can_be_added_and_replaced() {
    let Message::Call(mut call) = from_json(r#"[48,1,{"_a":1,"_b":2},"a"]"#) else { panic!("not a CALL") };
    call.options.extra.insert("_b", "two").unwrap();
    call.options.extra.insert("_c", &[3]).unwrap();
    assert_eq!(json(&call.into()), r#"[48,1,{"_a":1,"_b":"two","_c":[3]},"a"]"#);
}

#[test]
fn unknown_features_and_other_types_are_kept_and_not_announced() {
    let written = r#"[1,"r",{"roles":{"caller":{"features":{"progressive_call_results":true,"call_timeout":1,"x":true},"y":2},"supervisor":{"z":3}}}]"#;
    assert_eq!(json(&from_json(written)), written);
}

#[test]
fn a_lenient_option_of_the_wrong_kind_is_kept_to_be_judged_later() {
    for options in [r#"{"timeout":-1}"#, r#"{"timeout":1.5}"#, r#"{"timeout":"1"}"#] {
        let written = format!(r#"[48,1,{options},"a"]"#);
        let Message::Call(call) = from_json(&written) else { panic!("not a CALL") };
        assert_eq!(call.options.timeout, None);
        assert!(call.options.extra.contains("timeout"));
        assert_eq!(json(&call.into()), written);
    }
}

// behaviour 20
#[test]
fn empty_payloads_keep_their_shape_and_keywords_alone_get_a_list() {
    for (written, again) in [
        ("[50,1,{}]", "[50,1,{}]"),
        ("[50,1,{},[]]", "[50,1,{},[]]"),
        ("[50,1,{},[],{}]", "[50,1,{},[],{}]"),
        ("[50,1,{},null]", "[50,1,{}]"),
        (r#"[50,1,{},null,{"a":1}]"#, r#"[50,1,{},[],{"a":1}]"#),
        (" [ 50 , 1 , { } , [ 1 , 2 ] , { \"a\" : 1 } ] ", r#"[50,1,{},[ 1 , 2 ],{ "a" : 1 }]"#),
    ] {
        assert_eq!(json(&from_json(written)), again);
    }
}

// behaviour 58
#[test]
fn text_that_is_not_utf8_is_refused_wherever_it_is() {
    let decode = |frame: &[u8]| {
        Message::decode(Serializer::MsgPack, &Bytes::copy_from_slice(frame), &Limits::default())
    };
    // [48, 1, {}, <URI>], [48, 1, {<key>: 1}, "a"], [50, 1, {}, [<text>]]
    assert_eq!(decode(b"\x94\x30\x01\x80\xa2\xff\xff").unwrap_err().head(), None);
    assert_eq!(decode(b"\x94\x30\x01\x81\xa1\xff\x01\xa1a").unwrap_err().head(), None);
    let error = decode(b"\x94\x32\x01\x80\x91\xa1\xff").unwrap_err();
    assert!(matches!(error.head(), Some(Head::Result { progress: Some(false), .. })), "{error:?}");
    assert_eq!(error.to_string(), "RESULT, element 4 (Arguments): a string that is not UTF-8 at byte 5");
}

// behaviour 59
#[test]
fn bombs_are_refused() {
    let limits = Limits::default();
    for (serializer, open) in
        [(Serializer::Json, &b"["[..]), (Serializer::MsgPack, b"\x91"), (Serializer::Cbor, b"\x81")]
    {
        let bomb = Bytes::from(open.repeat(100_000));
        assert!(Message::decode(serializer, &bomb, &limits).is_err());
        // The same inside a payload, and one level too deep: the message, its arguments, and 63 more.
        for (depth, fits) in [(62, true), (63, false)] {
            let list = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
            let frame = Bytes::from(format!("[50,1,{{}},[{}]]", list(depth)));
            assert_eq!(Message::decode(Serializer::Json, &frame, &limits).is_ok(), fits, "{depth}");
        }
    }
    for frame in [
        &b"\x94\x32\x01\x80\xdd\xff\xff\xff\xff"[..],
        b"\xdd\xff\xff\xff\xff\x32",
        b"\x93\x01\xdb\xff\xff\xff\xff",
    ] {
        assert!(Message::decode(Serializer::MsgPack, &Bytes::copy_from_slice(frame), &limits).is_err());
    }
    let small = Limits { message: 16, ..Limits::default() };
    let frame = Bytes::from_static(b"[50,1,{},[\"0123456789\"]]");
    let error = Message::decode(Serializer::Json, &frame, &small).unwrap_err();
    assert_eq!(error.to_string(), "expected at most 16 bytes, found 24");
}

// behaviour 56
#[test]
fn ids_may_be_whole_floats_and_payloads_keep_their_integers() {
    let frame = Message::from(wamp_proto::message::Registered {
        request: RequestId::new(1).unwrap(),
        registration: wamp_proto::RegistrationId::new(2).unwrap(),
    });
    for (serializer, bytes) in [
        (Serializer::Json, &b"[65,1.0,2e0]"[..]),
        (Serializer::MsgPack, b"\x93\x41\xcb\x3f\xf0\0\0\0\0\0\0\xca\x40\0\0\0"),
        (Serializer::Cbor, b"\x83\x18\x41\xf9\x3c\x00\xfb\x40\0\0\0\0\0\0\0"),
    ] {
        assert_eq!(decode(serializer, &Bytes::copy_from_slice(bytes)), frame, "{serializer}");
    }
    assert!(
        Message::decode(Serializer::Json, &Bytes::from_static(b"[65,1.5,2]"), &Limits::default()).is_err()
    );
    for from in Serializer::ALL {
        let payload = Payload::new(*from, &(u64::MAX, i64::MIN)).unwrap();
        for to in Serializer::ALL {
            let again: (u64, i64) = payload.transcode(*to).unwrap().decode().unwrap();
            assert_eq!(again, (u64::MAX, i64::MIN), "{from} to {to}");
        }
    }
}

#[test]
fn a_failed_encoding_of_a_head_appends_nothing() {
    let Message::Call(mut call) = from_json(r#"[48,1,{},"a",[1]]"#) else { panic!("not a CALL") };
    let mut out = b"before".to_vec();
    assert!(Message::from(call.clone()).encode_head(Serializer::Cbor, &mut out).is_err(), "not transcoded");
    call.procedure = "\0a".into();
    assert!(Message::from(call).encode_head(Serializer::Json, &mut out).is_err());
    assert_eq!(out, b"before");
}

#[test]
fn keys_for_the_other_end_are_forwarded_within_limits() {
    let forwarded = |options: &str| {
        let frame = Bytes::from(format!(r#"[16,1,{options},"com.myapp.topic"]"#));
        let Message::Publish(publish) =
            Message::decode(Serializer::Json, &frame, &Limits::default()).unwrap()
        else {
            panic!("no PUBLISH")
        };
        publish.options.extra.forwarded(&["_retain_ttl"])
    };
    let extra = forwarded(
        r#"{"_traceparent":"00-ab","x":1,"_Up":1,"_ab":2,"_retain_ttl":5,"_tracestate":[1,{"a":2}]}"#,
    );
    assert_eq!(extra.keys(), ["_traceparent", "_tracestate"]);
    assert_eq!(extra.get::<String>("_traceparent").unwrap().unwrap(), "00-ab");
    assert_eq!(extra.detached(), extra);
    assert!(forwarded(r#"{"x":1,"acknowledge":true}"#).is_empty());
    let many: Vec<String> = (0..12).map(|n| format!(r#""_key{n}":{n}"#)).collect();
    assert_eq!(forwarded(&format!("{{{}}}", many.join(","))).len(), 8);
    let long = "x".repeat(400);
    let extra = forwarded(&format!(r#"{{"_one":"{long}","_two":"{long}","_three":3}}"#));
    assert_eq!(extra.keys(), ["_one", "_three"]);
}

#[test]
fn the_time_for_which_an_event_is_kept_is_a_number_of_milliseconds() {
    for (options, expected) in [
        ("{}", None),
        (r#"{"_retain_ttl":null}"#, None),
        (r#"{"_retain_ttl":0}"#, Some(Some(0))),
        (r#"{"_retain_ttl":1500}"#, Some(Some(1500))),
        (r#"{"_retain_ttl":9007199254740993}"#, Some(None)),
        (r#"{"_retain_ttl":-1}"#, Some(None)),
        (r#"{"_retain_ttl":"1"}"#, Some(None)),
    ] {
        let frame = Bytes::from(format!(r#"[16,1,{options},"com.myapp.topic"]"#));
        let Message::Publish(publish) =
            Message::decode(Serializer::Json, &frame, &Limits::default()).unwrap()
        else {
            panic!("no PUBLISH")
        };
        let ttl = publish.options.retain_ttl().map(|ttl| ttl.ok().map(|Millis(millis)| millis));
        assert_eq!(ttl, expected, "{options}");
    }
}

#[test]
fn additions_to_authextra_are_read_by_key() {
    let Message::Hello(hello) = from_json(MESSAGES[0]) else { panic!("not a HELLO") };
    let extra = hello.details.authextra.expect("authextra");
    assert_eq!(extra.keys(), ["nonce", "channel_binding", "own"]);
    assert_eq!(extra.text("nonce").as_deref(), Some("egVDf3DMJh0="));
    assert_eq!([extra.text("channel_binding"), extra.text("own"), extra.text("pubkey")], [None, None, None]);
    let Message::Hello(hello) = from_json(r#"[1,"realm1",{"roles":{},"authextra":{}}]"#) else { panic!() };
    assert!(hello.details.authextra.expect("a dict").is_empty());
    let Message::Hello(hello) = from_json(r#"[1,"realm1",{"roles":{},"authextra":null}]"#) else { panic!() };
    assert_eq!(hello.details.authextra, None);
    let wrong = Bytes::from_static(br#"[1,"realm1",{"roles":{},"authextra":["nonce"]}]"#);
    let error = Message::decode(Serializer::Json, &wrong, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("authextra"), "{error}");
}
