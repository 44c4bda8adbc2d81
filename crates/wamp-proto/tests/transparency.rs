//! Payload transparency: one binary in the place of the arguments, in each message that has a payload and in each
//! serializer (behaviour 150).
#![cfg(all(feature = "json", feature = "msgpack", feature = "cbor"))]

use bytes::Bytes;
use wamp_proto::message::{Ppt, PptForm, Publish};
use wamp_proto::{Arguments, Limits, Message, Payload, Serializer};

const JSON: [&str; 7] = [
    r#"[8,48,7814135,{"enc_algo":"xbr","enc_key":"k","enc_serializer":"cbor"},"com.myapp.error","\u0000AQID"]"#,
    r#"[16,239714735,{"acknowledge":true,"enc_algo":"cryptobox","enc_serializer":"msgpack"},"com.myapp.mytopic1","\u0000AQID"]"#,
    r#"[36,5512315355,4429313566,{"topic":"com.myapp.mytopic1","enc_algo":"mqtt"},"\u0000AQID"]"#,
    r#"[48,7814135,{"receive_progress":true,"enc_algo":"x_","enc_serializer":"x_my"},"com.myapp.ping","\u0000AQID"]"#,
    r#"[50,7814135,{"progress":true,"enc_algo":"cryptobox"},"\u0000AQID"]"#,
    r#"[68,6131533,9823526,{"procedure":"com.myapp.ping","enc_algo":"cryptobox"},"\u0000AQID"]"#,
    r#"[70,6131533,{"enc_algo":"cryptobox","enc_key":"a key"},"\u0000AQID"]"#,
];

fn decode(serializer: Serializer, frame: &[u8]) -> Message {
    Message::decode(serializer, &Bytes::copy_from_slice(frame), &Limits::default()).unwrap()
}

fn ppt(message: &Message) -> Option<&Ppt> {
    match message {
        Message::Error(message) => message.details.ppt.as_deref(),
        Message::Publish(message) => message.options.ppt.as_deref(),
        Message::Event(message) => message.details.ppt.as_deref(),
        Message::Call(message) => message.options.ppt.as_deref(),
        Message::Result(message) => message.details.ppt.as_deref(),
        Message::Invocation(message) => message.details.ppt.as_deref(),
        Message::Yield(message) => message.options.ppt.as_deref(),
        _ => None,
    }
}

// behaviour 150
#[test]
fn a_binary_payload_is_the_same_bytes_in_every_message_and_serializer() {
    for json in JSON {
        let message = decode(Serializer::Json, json.as_bytes());
        let ppt = ppt(&message).expect("it has options");
        assert_eq!(
            (ppt.form(), ppt.check(message.payload())),
            (Some(PptForm::Transparency), Ok(())),
            "{json}"
        );
        for from in Serializer::ALL {
            let frame = message.encode(*from).unwrap();
            let decoded = decode(*from, &frame);
            assert!(decoded.payload().is_binary() && !decoded.payload().is_empty(), "{json}");
            assert_eq!(decoded.payload().as_binary().as_deref(), Some([1, 2, 3].as_slice()), "{json}");
            for to in Serializer::ALL {
                let there = decoded.clone().transcode(*to).unwrap().encode(*to).unwrap();
                assert_eq!(there, message.encode(*to).unwrap(), "{json}");
                assert_eq!(decode(*to, &there).encode(Serializer::Json).unwrap(), json);
            }
        }
    }
}

// behaviour 150
#[test]
fn a_binary_payload_of_any_length_is_carried() {
    for len in [0, 1, 255, 256, 65_535, 65_536, 1 << 20] {
        let binary: Vec<u8> = (0..len).map(|i| i as u8).collect();
        for from in Serializer::ALL {
            let payload = Payload::from_binary(*from, &binary);
            for to in Serializer::ALL {
                let carried = payload.transcode(*to).unwrap();
                assert_eq!(carried.as_binary().as_deref(), Some(&*binary), "{from} to {to}, {len}");
                assert_eq!(carried.clone().explicit(*to), carried);
            }
        }
    }
    // CBOR in several pieces.
    let frame = b"\x84\x18\x46\x01\xa1\x68enc_algo\x69cryptobox\x5f\x42\x01\x02\x41\x03\xff";
    assert_eq!(decode(Serializer::Cbor, frame).payload().as_binary().as_deref(), Some([1, 2, 3].as_slice()));
}

// behaviour 150
#[test]
fn arguments_are_no_binary_and_a_binary_is_no_arguments() {
    for serializer in Serializer::ALL.iter().copied() {
        let arguments = [
            Payload::empty(),
            Payload::new(serializer, &(serde_bytes::Bytes::new(&[1]),)).unwrap(),
            Payload::new(serializer, &("\u{1}", 2)).unwrap(),
            Arguments::new(serializer).kwarg("a", &1).finish().unwrap(),
        ];
        for payload in arguments {
            assert!(!payload.is_binary() && payload.as_binary().is_none(), "{serializer}");
        }
        let binary = Payload::from_binary(serializer, &[1, 2]);
        assert!(binary.decode::<Vec<u8>>().is_err() && binary.args::<Vec<u8>>().is_err());
        assert!(binary.decode::<()>().is_err() && binary.decode::<Option<u8>>().is_err());
        assert!(binary.decode::<std::collections::BTreeMap<String, u8>>().is_err());
        assert_eq!(binary.decode::<Payload>().unwrap(), binary);
        assert_eq!(Payload::new(serializer, &binary).unwrap(), binary);
        let error = binary.args::<(u8,)>().unwrap_err();
        assert_eq!(error.to_string(), "expected list of arguments, found binary");
    }
}

// behaviour 150
#[test]
fn options_of_payload_transparency_are_checked_with_their_payload() {
    let (binary, arguments) =
        (Payload::from_binary(Serializer::Json, &[1]), Payload::new(Serializer::Json, &(1,)).unwrap());
    let read = |options: &str| {
        let frame = format!(r#"[70,1,{options}]"#);
        ppt(&decode(Serializer::Json, frame.as_bytes())).cloned().unwrap_or_default()
    };
    for (options, named) in [
        (r#"{"enc_algo":"invalid"}"#, "enc_algo"),
        (r#"{"enc_algo":""}"#, "enc_algo"),
        (r#"{"enc_algo":"x_a"}"#, "enc_algo"),
        (r#"{"enc_algo":"x_1a"}"#, "enc_algo"),
        (r#"{"enc_algo":"x_aB"}"#, "enc_algo"),
        (r#"{"enc_algo":"cryptobox","enc_serializer":"xml"}"#, "enc_serializer"),
        (r#"{"enc_algo":"cryptobox","enc_serializer":""}"#, "enc_serializer"),
        (r#"{"enc_key":"k"}"#, "enc_algo"),
        (r#"{"enc_serializer":"json"}"#, "enc_algo"),
        (r#"{"enc_algo":"cryptobox","ppt_scheme":"x"}"#, "ppt_"),
    ] {
        let error = read(options).check(&binary).unwrap_err();
        assert!(error.contains(named), "{options}: {error}");
    }
    for algorithm in ["cryptobox", "mqtt", "xbr", "x_", "x_ab", "x_a_1"] {
        let ppt = read(&format!(r#"{{"enc_algo":"{algorithm}"}}"#));
        assert_eq!(ppt.check(&binary), Ok(()), "{algorithm}");
        assert!(ppt.check(&arguments).is_err() && ppt.check(&Payload::empty()).is_err());
    }
    for options in ["{}", r#"{"enc_algo":null,"ppt_scheme":null}"#] {
        assert_eq!((read(options).form(), read(options).check(&arguments)), (None, Ok(())));
    }
    assert_eq!(read(r#"{"ppt_serializer":"cbor"}"#).form(), Some(PptForm::Passthru));
    // The type of each.
    for key in ["enc_algo", "enc_key", "enc_serializer"] {
        let frame = Bytes::from(format!(r#"[70,1,{{"enc_algo":"cryptobox","{key}":7}},"\u0000AQID"]"#));
        let error = Message::decode(Serializer::Json, &frame, &Limits::default()).unwrap_err();
        assert!(
            error.to_string().contains(&format!("key \"{key}\": expected string, found integer")),
            "{error}"
        );
    }
}

// behaviour 150
#[test]
fn a_testament_can_have_a_binary_payload() {
    let json = r#"[16,1,{"enc_algo":"cryptobox"},"com.a","\u0000AQID"]"#;
    let Message::Publish(publish) = decode(Serializer::Json, json.as_bytes()) else { panic!() };
    for serializer in Serializer::ALL {
        let call = publish.to_testament(*serializer, None).unwrap();
        let read = Publish::from_testament(&call).unwrap();
        assert_eq!(read.payload.as_binary().as_deref(), Some([1, 2, 3].as_slice()));
        assert_eq!(read.options, publish.options);
    }
}
