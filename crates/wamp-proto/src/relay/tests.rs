//! [`PlainYield`] and [`PlainReply`], compared with [`Message::decode`].

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::message::{self, Message, ResultDetails, Yield, YieldOptions};
use crate::{ArgsKwargs, MAX_ID, Payload};

/// Compares the two ways for a RESULT, as its caller reads it.
fn agree_at_the_end(serializer: Serializer, frame: &[u8], limits: &Limits) -> bool {
    let Some(plain) = PlainReply::read(serializer, frame, limits) else { return false };
    let decoded = Message::decode_tokens(serializer, &Bytes::copy_from_slice(frame), limits);
    let Ok(Message::Result(long)) = decoded else { panic!("{serializer}: {frame:02x?}: {decoded:?}") };
    let details = ResultDetails { progress: long.details.progress, ..Default::default() };
    assert_eq!(long.details, details, "{serializer}: {frame:02x?}");
    assert_eq!((plain.request, plain.progress), (long.request, long.details.is_progress()));
    assert_eq!(plain.encoded_len(), frame.len());
    let bytes = Bytes::copy_from_slice(&frame[plain.tail()]);
    assert_eq!(plain.payload(serializer, bytes), long.payload, "{serializer}: {frame:02x?}");
    true
}

/// Checks that both ways read the same message. Returns whether the short way recognized it.
fn agree(serializer: Serializer, frame: &[u8], limits: &Limits) -> bool {
    let Some(plain) = PlainYield::read(serializer, frame, limits) else { return false };
    let decoded = Message::decode_tokens(serializer, &Bytes::copy_from_slice(frame), limits);
    let Ok(Message::Yield(long)) = decoded else { panic!("{serializer}: {frame:02x?}: {decoded:?}") };
    let options = YieldOptions { progress: long.options.progress, ..Default::default() };
    assert_eq!(long.options, options, "{serializer}: {frame:02x?}");
    assert_eq!(plain.request, long.request);
    assert_eq!(plain.progress, long.options.progress == Some(true));
    assert_eq!(plain.elements, long.payload.elements());
    assert_eq!(plain.has_payload(), !long.payload.is_empty());
    assert_eq!(frame[plain.tail()], long.payload.tail()[..], "{serializer}: {frame:02x?}");
    assert_eq!(plain.encoded_len(), frame.len());
    for to in Serializer::ALL.iter().filter(|to| **to != serializer) {
        let mut out = b"before".to_vec();
        let found = plain.rewrite(frame, serializer, *to, &mut out);
        let wanted = long.payload.transcode(*to);
        let len = wanted.as_ref().map_or(&[][..], |payload| payload.tail());
        assert_eq!(out, [b"before", len].concat(), "{serializer} to {to}: {frame:02x?}");
        assert_eq!(found, wanted.map(|payload| payload.len()), "{serializer} to {to}: {frame:02x?}");
    }

    let request = RequestId::new(MAX_ID + 1 - long.request.get()).unwrap();
    let details = ResultDetails { progress: plain.progress.then_some(true), ..Default::default() };
    let result = Message::from(message::Result { request, details, payload: long.payload });
    let mut head = Vec::new();
    result.encode_head(serializer, &mut head).unwrap();
    let short = plain.result(request);
    assert_eq!(short.head(serializer).as_ref(), head, "{serializer}");
    let frame = result.encode(serializer).unwrap();
    assert_eq!(short.encoded_len(serializer, plain.tail().len()), frame.len());
    assert!(agree_at_the_end(serializer, &frame, &Limits::default()));

    let Message::Result(message::Result { payload, .. }) = result else { unreachable!() };
    let progress = PlainProgress::new(request, &payload);
    let options = YieldOptions { progress: Some(true), ..Default::default() };
    let long = Message::from(Yield { request, options, payload });
    head.clear();
    long.encode_head(serializer, &mut head).unwrap();
    assert_eq!(progress.head(serializer).as_ref(), head, "{serializer}");
    assert_eq!(progress.encoded_len(serializer), long.encode(serializer).unwrap().len());
    true
}

/// Turns the frame of a YIELD into that of a RESULT, which differs only in the code.
fn as_result(serializer: Serializer, frame: &mut [u8]) {
    let (at, code) = match serializer {
        Serializer::Json => (1, b'5'),
        Serializer::MsgPack => (1, 50),
        Serializer::Cbor => (2, 50),
    };
    if let Some(byte) = frame.get_mut(at) {
        *byte = code;
    }
}

fn ids() -> impl Strategy<Value = RequestId> {
    (0..=53_u32, any::<u64>()).prop_map(|(bits, id)| RequestId::new((id & ((1 << bits) - 1)).max(1)).unwrap())
}

/// Arguments, keywords, and how many of the two are present.
type Contents = (Vec<Vec<String>>, Vec<(String, u64)>, u8);

fn payloads() -> impl Strategy<Value = Contents> {
    (vec(vec(".{0,20}", 0..3), 0..4), vec(("[a-z]{1,8}", any::<u64>()), 0..4), 0..3_u8)
}

fn written(
    serializer: Serializer,
    request: RequestId,
    progress: Option<bool>,
    payload: &Contents,
) -> Vec<u8> {
    let (args, kwargs, elements) = payload;
    let kwargs: std::collections::BTreeMap<_, _> = kwargs.iter().cloned().collect();
    // JSON has no text that begins with U+0000.
    let args: Vec<Vec<String>> =
        args.iter().map(|list| list.iter().map(|text| text.replace('\0', "0")).collect()).collect();
    let payload = match elements {
        0 => Payload::empty(),
        1 => Payload::new(serializer, &args).unwrap(),
        _ => Payload::new(serializer, &ArgsKwargs(&args, &kwargs)).unwrap(),
    };
    let options = YieldOptions { progress, ..Default::default() };
    Message::from(Yield { request, options, payload }).encode(serializer).unwrap().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn our_own_encoding_is_read_the_short_way(
        request in ids(), progress in any::<Option<bool>>(), payload in payloads(), depth in 0..6_usize,
    ) {
        for serializer in Serializer::ALL {
            let frame = written(*serializer, request, progress, &payload);
            prop_assert!(agree(*serializer, &frame, &Limits::default()));
            let limits = Limits { message: frame.len() - 1, ..Limits::default() };
            prop_assert!(!agree(*serializer, &frame, &limits));
            let limits = Limits { depth, ..Limits::default() };
            let long = Message::decode(*serializer, &frame.clone().into(), &limits);
            prop_assert_eq!(agree(*serializer, &frame, &limits), long.is_ok());
            let mut frame = frame;
            as_result(*serializer, &mut frame);
            prop_assert_eq!(agree_at_the_end(*serializer, &frame, &limits), long.is_ok());
        }
    }

    #[test]
    fn a_damaged_frame_is_never_read_as_something_else(
        request in ids(), progress in any::<Option<bool>>(), payload in payloads(),
        spoilt in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        for serializer in Serializer::ALL {
            let mut frame = written(*serializer, request, progress, &payload);
            for (at, byte, how) in &spoilt {
                let at = at.index(frame.len().max(1));
                match how {
                    0 if at < frame.len() => frame[at] = *byte,
                    1 => frame.insert(at, *byte),
                    2 => frame.truncate(at),
                    _ if at < frame.len() => frame[at] ^= 1 << (byte % 8),
                    _ => {}
                }
            }
            agree(*serializer, &frame, &Limits::default());
            as_result(*serializer, &mut frame);
            agree_at_the_end(*serializer, &frame, &Limits::default());
        }
    }
}

/// Checks whether a YIELD in this encoding, and the RESULT like it, is read the short way.
fn spelled(serializer: Serializer, frame: &[u8], short: bool) {
    assert_eq!(agree(serializer, frame, &Limits::default()), short, "{frame:02x?}");
    let is_result = frame.starts_with(b"[50");
    let mut frame = frame.to_vec();
    as_result(serializer, &mut frame);
    assert_eq!(agree_at_the_end(serializer, &frame, &Limits::default()), short || is_result, "{frame:02x?}");
}

/// The encodings of other implementations: some are too unusual for the short way, none is misread.
#[test]
fn other_encodings() {
    for (frame, short) in [
        (r#"[70,1,{}]"#, true),
        (r#"[70,9007199254740992,{"progress":true},[1],{"a":[]}]"#, true),
        (r#"[70,9007199254740993,{"progress":true}]"#, false),
        (r#"[70,0,{}]"#, false),
        (r#"[70,01,{}]"#, false),
        (r#"[70,,{}]"#, false),
        (r#"[70,"#, false),
        (r#"[70,1,{}"#, false),
        (r#"[70,1,{"progress":true}"#, false),
        (r#"[70,1.0,{}]"#, false),
        (r#"[70, 1, {}]"#, false),
        (r#"[70,1,{},[1] ]"#, false),
        (r#"[70,1,{},[ 1 ]]"#, true),
        (r#"[70,1,{},[1], {}]"#, false),
        (r#"[70,1,{},null,{"a":1}]"#, false),
        (r#"[70,1,{},[1],null]"#, false),
        (r#"[70,1,{},[1],{},7]"#, false),
        (r#"[70,1,{},{"a":1}]"#, false),
        (r#"[70,1,{"progress":null}]"#, false),
        (r#"[70,1,{"progress":true,"ppt_scheme":"x"}]"#, false),
        (r#"[70,1,{"progress":true,"progress":false}]"#, false),
        (r#"[50,1,{"progress":true}]"#, false),
        ("[70,1,{},[1]] ", false),
    ] {
        spelled(Serializer::Json, frame.as_bytes(), short);
    }
    assert!(!agree(Serializer::Json, b"[70,1,{},[\"\xff\"]]", &Limits::default()), "not UTF-8");
    for (frame, short) in [
        (&b"\x93\x46\x01\x80"[..], true),
        (b"\x93\x46\xcf\0\0\0\0\0\0\0\x01\x80", true),
        (b"\x95\x46\x01\x80\x91\x01\x80", true),
        (b"\x95\x46\x01\x80\xdd\0\0\0\0\xdf\0\0\0\0", true),
        (b"\xdc\0\x03\x46\x01\x80", false),
        (b"\x93\xcc\x46\x01\x80", false),
        (b"\x94\x46\x01\x80", false),
        (b"\x93\x46\x01\x80\x90", false),
        (b"\x94\x46\x01\x80\xc0", false),
        (b"\x94\x46\x01\x80\x80", false),
        (b"\x94\x46\x01\x80\x91\xc1", false),
        (b"\x96\x46\x01\x80\x90\x80\x01", false),
        (b"\x93\x46\x01\x81\xa8progress\xc0", false),
    ] {
        spelled(Serializer::MsgPack, frame, short);
    }
    for (frame, short) in [
        (&b"\x83\x18\x46\x01\xa0"[..], true),
        (b"\x84\x18\x46\x18\x01\xa0\x9f\x01\xff", true),
        (b"\x85\x18\x46\x01\xa0\x80\xbf\xff", true),
        (b"\x9f\x18\x46\x01\xa0\xff", false),
        (b"\x84\x18\x46\x01\xa0\xc1\x80", false),
        (b"\x84\x18\x46\x01\xa0\x81\xff", false),
        (b"\x84\x18\x46\x01\xa0\xf6", false),
    ] {
        spelled(Serializer::Cbor, frame, short);
    }
}

/// Payloads that make the reader of a result fail, inside an otherwise valid message.
fn poison(serializer: Serializer) -> &'static [&'static [u8]] {
    match serializer {
        Serializer::Json => &[
            b"NaN",
            br#""\ud83d""#,
            br#""\u0000no base64""#,
            br#"{"\u0000AQID":1}"#,
            b"1e400",
            b"\"\xe8\"",
            &[b'9'; 5000],
            &[b'['; 64],
        ],
        Serializer::MsgPack => &[
            b"\xa1\xe8",
            b"\xd9\x01\xe8",
            b"\x81\x01\x02",
            b"\x81\x90\x02",
            b"\xd4\x05\x2a",
            b"\xc7\x05\xff12345",
            b"\xc1",
            &[0x91; 64],
        ],
        Serializer::Cbor => &[
            b"\x61\xe8",
            b"\x7f\x61\xe8\xff",
            b"\xa1\x01\x02",
            b"\xc0\x61x",
            b"\xc2\x61a",
            b"\xd8\x1d\x05",
            b"\xf8\xff",
            &[0x81; 64],
        ],
    }
}

/// Neither way accepts such a value at any place; both name the call.
#[test]
fn values_that_readers_fail_on_take_neither_way() {
    for serializer in Serializer::ALL {
        let (head, open, close): (&[u8], &[&[u8]], &[u8]) = match serializer {
            Serializer::Json => {
                (b"[70,3,{\"progress\":true},", &[b"[", b"[1,{\"a\":[", b"[],{\"a\":"], b"]}]")
            }
            Serializer::MsgPack => (
                b"\x94\x46\x03\x81\xa8progress\xc3",
                &[b"\x91", b"\x92\x01\x81\xa1a\x91", b"\x90\x81\xa1a"],
                b"",
            ),
            Serializer::Cbor => (
                b"\x84\x18\x46\x03\xa1\x68progress\xf5",
                &[b"\x81", b"\x82\x01\xa1\x61a\x81", b"\x80\xa1\x61a"],
                b"",
            ),
        };
        for poison in poison(*serializer) {
            for (index, open) in open.iter().enumerate() {
                let closing: &[u8] = match (serializer, index) {
                    (Serializer::Json, 0) => b"]",
                    (Serializer::Json, 1) => close,
                    (Serializer::Json, _) => b"}",
                    _ => b"",
                };
                let mut frame = [head, *open, *poison, closing, serializer.end()].concat();
                // The third has keywords, and thus one element more.
                if index == 2 && *serializer != Serializer::Json {
                    frame[0] += 1;
                }
                let error =
                    Message::decode(*serializer, &frame.clone().into(), &Limits::default()).unwrap_err();
                let wanted =
                    message::Head::Yield { request: RequestId::new(3).unwrap(), progress: Some(true) };
                assert_eq!(error.head(), Some(&wanted), "{serializer}: {frame:02x?}: {error}");
                assert!(!agree(*serializer, &frame, &Limits::default()), "{serializer}: {frame:02x?}");
                as_result(*serializer, &mut frame);
                assert!(!agree_at_the_end(*serializer, &frame, &Limits::default()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// An accepted payload can be transcoded, the transcoded payload is accepted too, and the way back
    /// restores it.
    #[test]
    fn an_accepted_payload_survives_transcoding_there_and_back(
        bytes in vec(prop_oneof![
            Just(0x9f_u8), Just(0xbf), Just(0xff), Just(0x5f), Just(0x7f), Just(0xc2), Just(0xc3), Just(0x3b),
            Just(0x82), Just(0xa1), Just(0xc0), Just(0xc1), Just(0xc4), Just(0xd8), Just(0x41), Just(0x61),
            Just(0xf9), Just(0xd9), Just(0xdc), Just(0xc7), Just(0xfb), Just(0xcb), any::<u8>(), 0_u8..4,
        ], 0..24),
        text in r#"(\[|\]|\{"a":|\}|,|[0-9]{1,40}|-[0-9]{18,22}|1e[0-9]{3}|"\\u0000[A-Za-z/+=]{0,5}"|"é\\n"|null){0,8}"#,
    ) {
        for serializer in Serializer::ALL {
            let frame = match serializer {
                Serializer::Json => format!("[50,1,{{}},[{text}]]").into_bytes(),
                Serializer::MsgPack => [b"\x94\x32\x01\x80\x91", &bytes[..]].concat(),
                Serializer::Cbor => [b"\x84\x18\x32\x01\xa0\x81", &bytes[..]].concat(),
            };
            let Ok(message) = Message::decode(*serializer, &frame.into(), &Limits::default()) else { continue };
            for to in Serializer::ALL.iter().filter(|to| *to != serializer) {
                let there = match message.encode(*to) {
                    Ok(there) => there,
                    Err(error) => {
                        let known = ["NaN", "an infinity", "U+0000", "64 bits", "only CBOR has"];
                        let error = error.to_string();
                        prop_assert!(known.iter().any(|known| error.contains(known)), "{}: {}", to, error);
                        continue;
                    }
                };
                let read = Message::decode(*to, &there, &Limits::default());
                prop_assert!(read.is_ok(), "{} to {}: {:?}: {:02x?}", serializer, to, read, there);
                let back = read.unwrap().encode(*serializer).unwrap();
                let again = Message::decode(*serializer, &back, &Limits::default());
                prop_assert!(again.is_ok(), "{} to {} and back: {:?}", serializer, to, again);
                prop_assert_eq!(again.unwrap().encode(*to).unwrap(), there);
            }
        }
    }
}

/// A format without heads of its own gets the same heads, and they fit.
#[test]
fn a_head_token_by_token_is_the_same_head() {
    for serializer in Serializer::ALL {
        for request in [1, 9, 200, 1 << 15, 1 << 31, 1 << 53] {
            for (elements, progress) in [(0, false), (1, true), (2, true)] {
                let request = RequestId::new(request).unwrap();
                let result = PlainResult { request, progress, elements, added: 0 };
                let bytes = with_format!(*serializer, F => tokens::<F>(Code::Result, &result));
                assert_eq!(bytes, result.head(*serializer).as_ref(), "{serializer}");
                assert!(bytes.len() <= MAX_HEAD);
            }
        }
    }
}
