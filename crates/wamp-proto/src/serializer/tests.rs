//! The readers and writers, compared with each other. `tests/formats.rs` compares them with other crates.

mod border;

use proptest::collection::vec;
use proptest::prelude::*;

use super::cbor::Cbor;
use super::json::Json;
use super::msgpack::MsgPack;
use super::transcode::transcode;
use super::{Format, MAX_DEPTH, Reader, Token};
use crate::error::{EncodeError, Fault};

/// Skips one value.
fn skip<F: Format>(bytes: &[u8]) -> Result<usize, Fault> {
    let mut reader = F::reader(bytes, 64)?;
    reader.skip()?;
    Ok(reader.position())
}

/// Reads one value token by token.
fn walk<F: Format>(bytes: &[u8]) -> Result<usize, String> {
    let mut reader = F::reader(bytes, 64).map_err(|fault| fault.to_string())?;
    transcode::<_, Cbor>(&mut reader, &mut Vec::new()).map_err(|error| error.to_string())?;
    Ok(reader.position())
}

/// Checks one value as in a payload.
fn check<F: Format>(bytes: &[u8]) -> Result<usize, Fault> {
    let mut reader = F::reader(bytes, 64)?;
    reader.check()?;
    Ok(reader.position())
}

/// Checks that a value accepted in payloads is well-formed and can be transcoded to every format that can
/// express it.
fn check_agrees_with_walk<F: Format>(bytes: &[u8]) {
    let Ok(checked) = check::<F>(bytes) else { return };
    assert_eq!(skip::<F>(bytes), Ok(checked), "{bytes:02x?}");
    match walk::<F>(bytes) {
        Ok(walked) => assert_eq!(walked, checked, "{bytes:02x?}"),
        Err(error) => assert!(error.contains("which only CBOR has"), "{error} in {bytes:02x?}"),
    }
    for depth in [0, 1, 2] {
        let (mut checking, mut skipping) =
            (F::reader(bytes, depth).unwrap(), F::reader(bytes, depth).unwrap());
        assert_eq!(checking.check().is_ok(), skipping.skip().is_ok(), "{bytes:02x?}");
    }
}

/// Checks that every readable value can be skipped and ends at the same byte, and that every skippable value
/// can be read, except for values that WAMP lacks.
fn skip_agrees_with_walk<F: Format>(bytes: &[u8]) {
    check_agrees_with_walk::<F>(bytes);
    const CONTENTS: [&str; 10] = [
        "not UTF-8",
        "extension type",
        "simple value, which",
        "with an unsupported tag",
        "which only CBOR has",
        "integer of too many",
        "beyond the range of floats",
        "big number",
        "base64",
        "as dict key",
    ];
    match (skip::<F>(bytes), walk::<F>(bytes)) {
        (Ok(skipped), Ok(walked)) => assert_eq!(skipped, walked, "{bytes:02x?}"),
        (Ok(_), Err(error)) => {
            assert!(CONTENTS.iter().any(|content| error.contains(content)), "{error} in {bytes:02x?}");
        }
        (Err(fault), Ok(_)) => panic!("read, but not passed over: {fault} in {bytes:02x?}"),
        (Err(_), Err(_)) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn behaviour_57_random_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..64)) {
        skip_agrees_with_walk::<MsgPack>(&bytes);
        skip_agrees_with_walk::<Cbor>(&bytes);
        skip_agrees_with_walk::<Json>(&bytes);
    }

    #[test]
    fn behaviour_57_random_structures_are_read_or_refused(
        bytes in vec(prop_oneof![
            Just(0x9f), Just(0xbf), Just(0xff), Just(0x5f), Just(0x7f), Just(0xc2), Just(0x82), Just(0xa1),
            Just(0x41), Just(0x61), Just(0xf9), Just(0xd9), Just(0xdc), Just(0xc7), any::<u8>(), 0_u8..4,
            Just(0xc0), Just(0xc1), Just(0xc3), Just(0xc4), Just(0xd8), Just(0x40), Just(37), Just(70),
        ], 0..24)
    ) {
        skip_agrees_with_walk::<MsgPack>(&bytes);
        skip_agrees_with_walk::<Cbor>(&bytes);
    }

    #[test]
    fn json_is_accepted_as_by_serde_json(text in r#"[ \[\]{},:"\\u0d8c1eE.+\-nulltruefalse\t/]{0,24}"#) {
        json_agrees(&text);
    }

    #[test]
    fn json_strings_are_read_as_by_serde_json(
        text in r#""([ -~é]|\\["\\/bfnrtux]|\\u(d[89a-f]|00)[0-9a-f]{2}){0,20}""#
    ) {
        json_agrees(&text);
    }

    #[test]
    fn json_strings_are_written_as_by_serde_json(
        text in r#"[a-z]{0,40}([\x00-\x1f"\\/\x7fé€]{0,4}[ -~]{0,40}){0,4}"#
    ) {
        let mut written = b"before".to_vec();
        match Json::text(&mut written, &text) {
            Ok(()) => {
                let wanted = serde_json::to_string(&text).unwrap();
                assert_eq!(String::from_utf8(written).unwrap(), format!("before{wanted}"));
            }
            Err(error) => assert!(text.starts_with('\0') && error == EncodeError::NulText),
        }
    }

    #[test]
    fn json_numbers_are_read_as_by_serde_json(
        text in r"-?(0|[1-9][0-9]{0,25}|[0-9]{1,3})(\.[0-9]{0,20})?([eE][+-]?[0-9]{0,2})?"
    ) {
        json_agrees(&text);
    }
}

fn json_agrees(text: &str) {
    let reference = serde_json::from_str::<serde_json::Value>(text);
    let mut reader = Json::reader(text.as_bytes(), 64).unwrap();
    let passed = reader.skip().and_then(|()| reader.finish());
    skip_agrees_with_walk::<Json>(text.as_bytes());
    assert_eq!(passed.is_ok(), reference.is_ok(), "{text:?}: {passed:?}, {reference:?}");
    let Ok(reference) = reference else { return };
    let token = Json::reader(text.as_bytes(), 64).unwrap().value();
    match (token, reference) {
        (Ok(Token::Text(ours)), serde_json::Value::String(theirs)) => assert_eq!(ours, theirs),
        (Ok(Token::Unsigned(ours)), theirs) => assert_eq!(Some(ours), theirs.as_u64()),
        (Ok(Token::Signed(ours)), theirs) => assert_eq!(Some(ours), theirs.as_i64()),
        (Ok(Token::Big(ours)), theirs) => {
            assert!(theirs.is_f64());
            assert_eq!(ours.to_string(), text.trim());
        }
        (Ok(Token::Float(ours)), theirs) => {
            assert!(theirs.is_f64());
            assert_eq!(ours.to_bits(), text.trim().parse::<f64>().unwrap().to_bits());
        }
        (Ok(Token::Binary(_)) | Err(_), serde_json::Value::String(theirs)) => {
            assert!(theirs.starts_with('\0'))
        }
        (Ok(token), theirs) => assert!(!theirs.is_string() && !theirs.is_number(), "{token:?}"),
        (Err(fault), theirs) => panic!("{fault} instead of {theirs}"),
    }
}

#[test]
fn json_is_read_strictly() {
    for text in [
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{1:2}",
        "{\"a\":}",
        "01",
        "-01",
        "+1",
        ".5",
        "1.",
        "1e",
        "-",
        "0x10",
        "NaN",
        "Infinity",
        "nul",
        "True",
        "'a'",
        "\"\t\"",
        "\"\\x\"",
        r#""\u12""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        "[1]]",
        "[",
        "{",
        "\"",
        "",
        " ",
        "[}",
        "{]",
        "// a\n1",
        "\u{feff}1",
    ] {
        let mut reader = Json::reader(text.as_bytes(), 64).unwrap();
        assert!(reader.skip().and_then(|()| reader.finish()).is_err(), "passed over {text}");
        let mut reader = Json::reader(text.as_bytes(), 64).unwrap();
        let read = transcode::<_, Cbor>(&mut reader, &mut Vec::new()).is_ok() && reader.finish().is_ok();
        assert!(!read, "read {text}");
    }
    assert!(matches!(Json::reader(b"\"\xff\"", 64).map(drop), Err(Fault::Malformed { at: 1, .. })));
}

#[test]
fn positions_are_those_of_the_values() {
    let text = b" [ 1 , [ ] , { \"a\" : 2 } ] ";
    let mut reader = Json::reader(text, 64).unwrap();
    assert_eq!(reader.position(), 1);
    let Ok(Token::List(mut list)) = reader.value() else { panic!() };
    let mut found = Vec::new();
    while reader.element(&mut list).unwrap() {
        let start = reader.position();
        reader.skip().unwrap();
        found.push(&text[start..reader.position()]);
    }
    assert_eq!(found, [b"1".as_slice(), b"[ ]", b"{ \"a\" : 2 }"]);
    reader.finish().unwrap();
}

#[test]
fn behaviour_59_nesting_ends_at_the_limit() {
    fn bomb<F: Format>(open: &[u8], close: &[u8], depth: usize) -> Vec<u8> {
        [open.repeat(depth), close.repeat(depth)].concat()
    }
    fn check<F: Format>(open: &[u8], close: &[u8]) {
        for depth in [1, 63, 64, 65, 129, 100_000] {
            let bytes = bomb::<F>(open, close, depth);
            assert_eq!(skip::<F>(&bytes).is_ok(), depth <= 64, "{depth}");
            assert_eq!(walk::<F>(&bytes).is_ok(), depth <= 64, "{depth}");
            // The limit holds for any configured depth.
            let mut reader = F::reader(&bytes, usize::MAX).unwrap();
            assert_eq!(reader.skip().err(), (depth > MAX_DEPTH).then_some(Fault::TooDeep));
        }
    }
    check::<Json>(b"[", b"]");
    check::<Cbor>(b"\x9f", b"\xff");
}

#[test]
fn behaviour_59_nesting_of_definite_lengths_ends_at_the_limit() {
    for depth in [1, 63, 64, 65, 100_000] {
        let msgpack = [[0x91].repeat(depth - 1), vec![0x90]].concat();
        let cbor = [[0x81].repeat(depth - 1), vec![0x80]].concat();
        let dicts = [[0x81, 0xa0].repeat(depth - 1), vec![0x80]].concat();
        assert_eq!(skip::<MsgPack>(&msgpack).is_ok(), depth <= 64);
        assert_eq!(walk::<MsgPack>(&msgpack).is_ok(), depth <= 64);
        assert_eq!(skip::<MsgPack>(&dicts).is_ok(), depth <= 64);
        assert_eq!(skip::<Cbor>(&cbor).is_ok(), depth <= 64);
        assert_eq!(walk::<Cbor>(&cbor).is_ok(), depth <= 64);
    }
    // Tags do not count as nesting, and a long chain of them is skipped in a loop.
    let tags = [[0xc6].repeat(100_000), vec![0x01]].concat();
    assert_eq!(skip::<Cbor>(&tags), Ok(100_001));
}

#[test]
fn behaviour_59_declared_lengths_cost_nothing() {
    let cbor: [&[u8]; 7] = [
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01",
        b"\x9a\xff\xff\xff\xff\x01\x02\x03",
        b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x7a\xff\xff\xff\xff\x61",
        b"\x5f\x5a\xff\xff\xff\xff\x61",
        b"\xc2\x5a\xff\xff\xff\xff\x61",
    ];
    for bytes in cbor {
        assert_eq!(skip::<Cbor>(bytes), Err(Fault::Truncated), "{bytes:02x?}");
        assert!(walk::<Cbor>(bytes).is_err());
    }
    let msgpack: [&[u8]; 5] = [
        b"\xdd\xff\xff\xff\xff\x01\x02\x03\x04\x05",
        b"\xdf\xff\xff\xff\xff\x01\x02\x03\x04\x05",
        b"\xdb\xff\xff\xff\xff\x61",
        b"\xc6\xff\xff\xff\xff\x61",
        b"\xc9\xff\xff\xff\xff\x61",
    ];
    for bytes in msgpack {
        assert_eq!(skip::<MsgPack>(bytes), Err(Fault::Truncated), "{bytes:02x?}");
        assert!(walk::<MsgPack>(bytes).is_err());
    }
}

fn one<F: Format>(bytes: &[u8]) -> Result<Token<'_>, Fault> {
    F::reader(bytes, 64)?.value()
}

#[test]
fn cbor_values_of_other_encoders() {
    assert_eq!(one::<Cbor>(b"\xf9\x3c\x00"), Ok(Token::Float(1.0)));
    assert_eq!(one::<Cbor>(b"\xf9\xc4\x00"), Ok(Token::Float(-4.0)));
    assert_eq!(one::<Cbor>(b"\xf9\x00\x01"), Ok(Token::Float(5.960_464_477_539_063e-8)));
    assert_eq!(one::<Cbor>(b"\xf9\x7b\xff"), Ok(Token::Float(65504.0)));
    assert_eq!(one::<Cbor>(b"\xf9\x7c\x00"), Ok(Token::Float(f64::INFINITY)));
    assert!(matches!(one::<Cbor>(b"\xf9\x7e\x00"), Ok(Token::Float(value)) if value.is_nan()));
    assert_eq!(one::<Cbor>(b"\xfa\x47\xc3\x50\x00"), Ok(Token::Float(100_000.0)));
    assert_eq!(one::<Cbor>(b"\xf7"), Ok(Token::Null));
    assert_eq!(one::<Cbor>(b"\x18\x05"), Ok(Token::Unsigned(5)));
    assert_eq!(one::<Cbor>(b"\xc1\x1a\x51\x4b\x67\xb0"), Ok(Token::Unsigned(1_363_896_240)));
    assert_eq!(one::<Cbor>(b"\xd9\xd9\xf7\x63abc"), Ok(Token::Text("abc".into())));
    assert_eq!(one::<Cbor>(b"\x7f\x65strea\x64ming\xff"), Ok(Token::Text("streaming".into())));
    assert_eq!(
        one::<Cbor>(b"\x5f\x42\x01\x02\x43\x03\x04\x05\xff"),
        Ok(Token::Binary(vec![1, 2, 3, 4, 5].into()))
    );
    assert_eq!(one::<Cbor>(b"\xc2\x42\x01\x00"), Ok(Token::Unsigned(256)));
    assert_eq!(one::<Cbor>(b"\xc3\x42\x01\x00"), Ok(Token::Signed(-257)));
    assert_eq!(one::<Cbor>(b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff"), Ok(Token::Signed(i64::MIN)));
    for (big, digits) in [
        (b"\x3b\x80\x00\x00\x00\x00\x00\x00\x00".as_slice(), "-9223372036854775809"),
        (b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "-18446744073709551616"),
        (b"\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00", "18446744073709551616"),
        (b"\xc3\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00", "-18446744073709551617"),
    ] {
        let Ok(Token::Big(value)) = one::<Cbor>(big) else { panic!("{digits}") };
        assert_eq!(value.to_string(), digits);
        let (mut cbor, mut json) = (Vec::new(), Vec::new());
        Cbor::big(&mut cbor, &value).unwrap();
        Json::big(&mut json, &value).unwrap();
        assert_eq!((cbor.as_slice(), json.as_slice()), (big, digits.as_bytes()));
        assert_eq!(one::<Json>(&json), Ok(Token::Big(value.clone())));
        let refused = MsgPack::big(&mut Vec::new(), &value);
        assert_eq!(refused, Err(EncodeError::Integer(digits.to_owned())));
    }
    for refused in [
        b"\xf0".as_slice(),  // simple(16)
        b"\xf8\xff",         // simple(255)
        b"\xc2\x01",         // a bignum that is not a byte string
        b"\xd9\x01\x02\x80", // a set
        b"\xc4\x82\x01\x02", // a decimal
        b"\x61\xff",         // invalid UTF-8
    ] {
        let fault = one::<Cbor>(refused);
        assert!(matches!(fault, Err(Fault::Malformed { .. } | Fault::Foreign { .. })), "{refused:02x?}");
        assert_eq!(skip::<Cbor>(refused), Ok(refused.len()), "{refused:02x?}");
    }
    for malformed in [
        b"\x1c".as_slice(), // reserved
        b"\xff",            // break outside
        b"\x1f",            // an integer of indefinite length
        b"\xf8\x14",        // `false` in two bytes
        b"\x7f\x41a\xff",   // a binary chunk in a text
        b"\x5f\x5f\xff\xff",
        b"\xbf\x61a\xff", // a key and no value
        b"\x82\x01\xff",
        b"\xc1\xff",
    ] {
        assert!(matches!(skip::<Cbor>(malformed), Err(Fault::Malformed { .. })), "{malformed:02x?}");
        assert!(walk::<Cbor>(malformed).is_err());
    }
}

#[test]
fn msgpack_values_of_other_encoders() {
    assert_eq!(one::<MsgPack>(b"\xca\x3f\x80\x00\x00"), Ok(Token::Float(1.0)));
    assert_eq!(one::<MsgPack>(b"\xd3\x00\x00\x00\x00\x00\x00\x00\x05"), Ok(Token::Unsigned(5)));
    assert_eq!(one::<MsgPack>(b"\xff"), Ok(Token::Signed(-1)));
    assert_eq!(one::<MsgPack>(b"\xd9\x01a"), Ok(Token::Text("a".into())));
    for refused in [b"\xd4\x01\x02".as_slice(), b"\xd6\xff\0\0\0\0", b"\xc7\x02\x01\x00\x00", b"\xa1\xff"] {
        let fault = one::<MsgPack>(refused);
        assert!(matches!(fault, Err(Fault::Malformed { .. } | Fault::Foreign { .. })), "{refused:02x?}");
        assert_eq!(skip::<MsgPack>(refused), Ok(refused.len()), "{refused:02x?}");
    }
    assert!(matches!(skip::<MsgPack>(b"\xc1"), Err(Fault::Malformed { .. })));
}

#[test]
fn integers_are_written_as_short_as_they_can() {
    for (value, msgpack, cbor) in [
        (0_i64, 1, 1),
        (23, 1, 1),
        (24, 1, 2),
        (127, 1, 2),
        (128, 2, 2),
        (255, 2, 2),
        (256, 3, 3),
        (65_535, 3, 3),
        (65_536, 5, 5),
        (4_294_967_295, 5, 5),
        (4_294_967_296, 9, 9),
        (-1, 1, 1),
        (-24, 1, 1),
        (-25, 1, 2),
        (-32, 1, 2),
        (-33, 2, 2),
        (-128, 2, 2),
        (-129, 3, 2),
        (-256, 3, 2),
        (-32_769, 5, 3),
        (i64::MIN, 9, 9),
    ] {
        let (mut m, mut c) = (Vec::new(), Vec::new());
        MsgPack::signed(&mut m, value);
        Cbor::signed(&mut c, value);
        assert_eq!((m.len(), c.len()), (msgpack, cbor), "{value}");
    }
}

#[test]
fn headers_are_mended() {
    fn check<F: Format>(announced: Option<usize>, count: usize) {
        let (mut mended, mut known) = (vec![0xaa], vec![0xaa]);
        for (out, len) in [(&mut mended, announced), (&mut known, Some(count))] {
            let mut outer = F::begin_list(out, Some(1));
            F::element(out, &mut outer);
            let mut list = F::begin_list(out, len);
            for _ in 0..count {
                F::element(out, &mut list);
                F::null(out);
            }
            F::end_list(out, list);
            F::end_list(out, outer);
            let mut dict = F::begin_dict(out, len);
            for _ in 0..count {
                F::entry(out, &mut dict);
                F::text(out, "").unwrap();
                F::colon(out);
                F::bool(out, true);
            }
            F::end_dict(out, dict);
        }
        assert_eq!(mended, known, "{announced:?}, {count}");
    }
    for announced in [None, Some(0), Some(2), Some(20), Some(70_000)] {
        for count in [0, 1, 15, 16, 23, 24, 255, 256, 65_535, 65_536] {
            check::<MsgPack>(announced, count);
            check::<Cbor>(announced, count);
            check::<Json>(announced, count);
        }
    }
}
