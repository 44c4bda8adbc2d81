//! From each format to each, without a change of any value (behaviour 55, 56, 57, 62).

#![cfg(all(feature = "json", feature = "msgpack", feature = "cbor"))]

mod tree;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tree::{Tree, received, trees};
use wamp_proto::message::{self, ResultDetails, Yield, YieldOptions};
use wamp_proto::relay::PlainYield;
use wamp_proto::{ArgsKwargs, EncodeError, Limits, Message, Payload, RequestId, Serializer};

fn pairs() -> impl Iterator<Item = (Serializer, Serializer)> {
    Serializer::ALL.iter().flat_map(|&from| Serializer::ALL.iter().map(move |&to| (from, to)))
}

/// Checks that a value survives encoding in each format, transcoding to each, and decoding.
fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
    for (from, to) in pairs() {
        let payload = Payload::new(from, &(&value,)).unwrap().transcode(to).unwrap();
        assert_eq!(payload.serializer(), Some(to));
        let read: (T,) = payload.decode().unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
        assert_eq!(read.0, value, "{from} to {to}");
    }
}

proptest! {
    #[test]
    fn any_value_survives_all_nine_pairs(
        args in vec(trees(), 0..4),
        kwargs in vec(("[a-z]{1,8}", trees()), 0..4),
    ) {
        for (from, to) in pairs() {
            let both = ArgsKwargs(&args, Tree::Dict(kwargs.clone()));
            let payload = Payload::new(from, &both).unwrap();
            let rewritten = payload.transcode(to).unwrap();
            // Every format has one way to write a value, so the bytes are those of a fresh payload.
            prop_assert_eq!(&rewritten, &Payload::new(to, &both).unwrap());
            prop_assert_eq!(&rewritten.args::<Vec<Tree>>().unwrap(), &args);
            prop_assert_eq!(rewritten.kwargs::<Tree>().unwrap(), Tree::Dict(kwargs.clone()));
            prop_assert_eq!(rewritten.transcode(from).unwrap(), payload);
        }
    }
}

/// The results made of a YIELD with these arguments: once relayed as bytes, once as a message that is decoded
/// and encoded.
fn results(
    from: Serializer,
    to: Serializer,
    payload: &Payload,
) -> (Result<Vec<u8>, EncodeError>, Result<Vec<u8>, EncodeError>) {
    let options = YieldOptions { progress: Some(true), ..YieldOptions::default() };
    let request = RequestId::new(300).unwrap();
    let frame = Message::from(Yield { request, options, payload: payload.clone() }).encode(from).unwrap();
    let plain = PlainYield::read(from, &frame, &Limits::default()).unwrap();
    let mut short = plain.result(request).head(to).as_ref().to_vec();
    let head = short.len();
    let rewritten = plain.rewrite(&frame, from, to, &mut short).map(|len| {
        assert_eq!(short.len(), head + len);
        short.extend_from_slice(to.end());
        assert_eq!(short.len(), plain.result(request).encoded_len(to, len));
        short
    });
    let details = ResultDetails { progress: Some(true), ..ResultDetails::default() };
    let long = payload.transcode(to).map(|payload| {
        Message::from(message::Result { request, details, payload }).encode(to).unwrap().to_vec()
    });
    (rewritten, long)
}

proptest! {
    #[test]
    fn a_relayed_result_is_the_same_as_one_decoded_and_encoded(
        args in vec(trees(), 0..4),
        kwargs in vec(("[a-z]{1,8}", trees()), 0..4),
        both in any::<bool>(),
        odd in proptest::option::of(prop_oneof![Just(Tree::Float(f64::NAN)), Just(Tree::Text("\0a".into()))]),
    ) {
        for (from, to) in pairs().filter(|(from, to)| from != to) {
            let args: Vec<&Tree> = args.iter().chain(odd.iter().filter(|_| from != Serializer::Json)).collect();
            let payload = match both {
                true => Payload::new(from, &ArgsKwargs(&args, Tree::Dict(kwargs.clone()))),
                false => Payload::new(from, &ArgsKwargs(&args, ())),
            };
            let (short, long) = results(from, to, &payload.unwrap());
            prop_assert_eq!(&short, &long, "{} to {}", from, to);
            let is_odd = odd.is_some() && from != Serializer::Json && to == Serializer::Json;
            prop_assert_eq!(short.is_err(), is_odd);
        }
    }
}

#[test]
fn behaviour_56_integers_survive() {
    survives(vec![0, 1, 23, 24, 255, 256, u64::from(u32::MAX), 1 << 53, (1 << 53) + 1, u64::MAX]);
    survives(vec![-1, -24, -25, -32, -33, -128, -129, i64::from(i32::MIN), i64::MAX, i64::MIN]);
    survives((u64::MAX as u128, i64::MIN as i128));
}

#[test]
fn floats_survive() {
    survives(vec![0.0, 1.0, -1.5, 0.1, 1e16, 1e300, f64::MIN_POSITIVE, f64::MAX]);
    survives(vec![0.1_f32, f32::MAX]);
}

#[test]
fn behaviour_55_binary_survives() {
    survives(serde_bytes::ByteBuf::from((0..=255).collect::<Vec<u8>>()));
    for length in 0..5 {
        survives(serde_bytes::ByteBuf::from(vec![0xff; length]));
    }
    let payload = Payload::new(Serializer::Json, &serde_bytes::Bytes::new(b"\x10\x9f\xff")).unwrap();
    assert_eq!(payload.args_bytes(), br#"["\u0000EJ//"]"#);
}

#[test]
fn behaviour_55_binary_of_other_json_encoders() {
    for text in [r#"["\u0000EJ//"]"#, r#"["\u0000EJ\/\/"]"#] {
        let payload = received(Serializer::Json, text.as_bytes(), None).unwrap();
        assert_eq!(payload.decode::<serde_bytes::ByteBuf>().unwrap(), b"\x10\x9f\xff");
    }
    for text in [r#"["\u0000/w=="]"#, r#"["\u0000/w"]"#] {
        let payload = received(Serializer::Json, text.as_bytes(), None).unwrap();
        assert_eq!(payload.decode::<serde_bytes::ByteBuf>().unwrap(), b"\xff");
    }
}

#[test]
fn behaviour_55_bad_base64_is_an_error_when_it_is_read() {
    let payload = received(Serializer::Json, br#"["\u0000!!!"]"#, None).unwrap();
    let error = payload.decode::<Tree>().unwrap_err();
    assert_eq!(error.to_string(), "argument 1: binary that is not base64 at byte 1");
    assert!(matches!(payload.transcode(Serializer::Cbor), Err(EncodeError::Malformed(_))));
    assert_eq!(payload.transcode(Serializer::Json).unwrap(), payload);
}

#[test]
fn behaviour_55_a_text_that_begins_with_nul_cannot_be_json() {
    assert_eq!(Payload::new(Serializer::Json, "\0text"), Err(EncodeError::NulText));
    for from in [Serializer::MsgPack, Serializer::Cbor] {
        let payload = Payload::new(from, "\0text").unwrap();
        assert_eq!(payload.decode::<String>().unwrap(), "\0text");
        assert_eq!(payload.transcode(Serializer::Json), Err(EncodeError::NulText));
        let key = Payload::new(from, &BTreeMap::from([("\0key", 1)])).unwrap();
        assert_eq!(key.transcode(Serializer::Json), Err(EncodeError::NulText));
    }
    survives("not at the \0 beginning".to_owned());
}

#[test]
fn behaviour_57_nan_and_infinity_cannot_be_json() {
    for (value, text) in
        [(f64::NAN, "NaN"), (f64::INFINITY, "an infinity"), (f64::NEG_INFINITY, "an infinity")]
    {
        assert_eq!(Payload::new(Serializer::Json, &value), Err(EncodeError::NotFinite(text)));
        for (from, to) in [(Serializer::MsgPack, Serializer::Cbor), (Serializer::Cbor, Serializer::MsgPack)] {
            let payload = Payload::new(from, &[value]).unwrap();
            assert_eq!(payload.transcode(Serializer::Json), Err(EncodeError::NotFinite(text)));
            let [read]: [f64; 1] = payload.transcode(to).unwrap().decode().unwrap();
            assert_eq!(read.to_bits(), value.to_bits());
        }
    }
}

#[test]
fn behaviour_57_foreign_keys_become_text() {
    let msgpack = received(Serializer::MsgPack, b"\x91\x84\x01\x01\xff\x02\xc3\x03\xa1a\x04", None).unwrap();
    let json = msgpack.transcode(Serializer::Json).unwrap();
    assert_eq!(json.args_bytes(), br#"[{"1":1,"-1":2,"true":3,"a":4}]"#);
    let cbor = received(Serializer::Cbor, b"\x81\xa1\x81\x01\x01", None).unwrap();
    let error = cbor.transcode(Serializer::Json).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the payload cannot be transcoded: expected string as dict key, found list"
    );
}

#[test]
fn behaviour_57_indefinite_lengths_and_tags_are_read() {
    let cbor =
        received(Serializer::Cbor, b"\x9f\xc1\x01\x9f\x02\xff\xbf\x61a\x7f\x61b\x61c\xff\xff\xf7\xff", None);
    let json = cbor.unwrap().transcode(Serializer::Json).unwrap();
    assert_eq!(json.args_bytes(), br#"[1,[2],{"a":"bc"},null]"#);
}

#[test]
fn behaviour_58_utf8_is_checked_on_reading() {
    for (from, bytes) in [(Serializer::MsgPack, b"\x91\xa1\xff"), (Serializer::Cbor, b"\x81\x61\xff")] {
        let payload = received(from, bytes, None).unwrap();
        assert_eq!(
            payload.decode::<String>().unwrap_err().to_string(),
            "argument 1: a string that is not UTF-8 at byte 1"
        );
        assert!(matches!(payload.transcode(Serializer::Json), Err(EncodeError::Malformed(_))));
    }
    assert!(received(Serializer::Json, b"[\"\xff\"]", None).is_none());
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(u32),
    List(Vec<u8>),
    Tuple(i8, String),
    Struct { a: Option<bool>, b: char },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    Unit,
    Struct { number: u64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    Tuple(u8, u8),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Text(String),
    Both { number: u8, text: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Meters(f64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u8, String);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nothing;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    address: Ipv4Addr,
    any_address: IpAddr,
    shapes: Vec<Shape>,
    internal: (Internal, Internal),
    adjacent: (Adjacent, Adjacent),
    untagged: Vec<Untagged>,
    some: Option<Meters>,
    none: Option<u8>,
    pair: Pair,
    nothing: Nothing,
    unit: (),
    #[serde(with = "serde_bytes")]
    binary: Vec<u8>,
    numbers: BTreeMap<i16, String>,
    switches: BTreeMap<bool, char>,
    array: [u16; 3],
    #[serde(flatten)]
    more: BTreeMap<String, u8>,
}

#[test]
fn structs_enums_options_and_addresses_survive() {
    survives(Everything {
        address: Ipv4Addr::LOCALHOST,
        any_address: "2001:db8::1".parse().unwrap(),
        shapes: vec![
            Shape::Unit,
            Shape::Newtype(7),
            Shape::List(vec![1, 2]),
            Shape::Tuple(-1, "zwei".to_owned()),
            Shape::Struct { a: None, b: 'ß' },
            Shape::Struct { a: Some(true), b: '\u{1}' },
        ],
        internal: (Internal::Unit, Internal::Struct { number: u64::MAX }),
        adjacent: (Adjacent::Unit, Adjacent::Tuple(1, 2)),
        untagged: vec![
            Untagged::Number(1.5),
            Untagged::Text("\u{10ffff}".to_owned()),
            Untagged::Both { number: 1, text: String::new() },
        ],
        some: Some(Meters(1.0)),
        none: None,
        pair: Pair(1, "\"\\\n".to_owned()),
        nothing: Nothing,
        unit: (),
        binary: vec![0, 255],
        numbers: BTreeMap::from([(-1, "minus".to_owned()), (0, String::new())]),
        switches: BTreeMap::from([(true, 'x')]),
        array: [1, 2, 3],
        more: BTreeMap::from([("extra".to_owned(), 1)]),
    });
    for shape in [Shape::Unit, Shape::Newtype(0), Shape::Struct { a: None, b: 'b' }] {
        survives(shape);
    }
    survives(Some(Ipv4Addr::BROADCAST));
    survives(None::<Ipv4Addr>);
}

#[test]
fn enums_are_tagged_outside() {
    let payload = Payload::new(
        Serializer::Json,
        &(Shape::Unit, Shape::Newtype(7), Shape::Tuple(1, "a".to_owned()), Shape::Struct { a: None, b: 'b' }),
    );
    assert_eq!(
        payload.unwrap().args_bytes(),
        br#"["Unit",{"Newtype":7},{"Tuple":[1,"a"]},{"Struct":{"a":null,"b":"b"}}]"#
    );
}

#[test]
fn empty_elements_stay_as_they_are() {
    for (from, args, kwargs) in [
        (Serializer::Json, b"[]".as_slice(), b"{}".as_slice()),
        (Serializer::MsgPack, b"\x90", b"\x80"),
        (Serializer::Cbor, b"\x80", b"\xa0"),
    ] {
        for &to in Serializer::ALL {
            let one = received(from, args, None).unwrap().transcode(to).unwrap();
            assert!(!one.is_empty() && !one.args_bytes().is_empty() && one.kwargs_bytes().is_empty());
            let two = received(from, args, Some(kwargs)).unwrap().transcode(to).unwrap();
            assert_eq!(two.args_bytes(), one.args_bytes());
            assert!(!two.kwargs_bytes().is_empty());
            assert_eq!(Payload::empty().transcode(to).unwrap(), Payload::empty());
        }
    }
}

#[test]
fn behaviour_59_values_of_the_greatest_depth_are_read() {
    for (from, bytes) in [
        (Serializer::Json, [b"[".repeat(128), b"]".repeat(128)].concat()),
        (Serializer::MsgPack, [b"\x91".repeat(127), b"\x90".to_vec()].concat()),
        (Serializer::Cbor, [b"\x9f".repeat(128), b"\xff".repeat(128)].concat()),
    ] {
        let payload = received(from, &bytes, None).unwrap();
        for &to in Serializer::ALL {
            let rewritten = payload.transcode(to).unwrap();
            assert!(
                rewritten.args::<Vec<Tree>>().is_ok() && rewritten.args::<Vec<serde_json::Value>>().is_ok()
            );
        }
    }
}
