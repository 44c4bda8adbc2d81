//! The usual encoding, compared with the decoding token by token.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{ArgsKwargs, MAX_ID, Value};

/// Checks that both decoders read the same message. Returns whether the usual encoding was recognized.
fn agree(serializer: Serializer, frame: &[u8], limits: &Limits) -> bool {
    let frame = Bytes::copy_from_slice(frame);
    let Some(short) = read(serializer, &frame, limits) else { return false };
    let long = Message::decode_tokens(serializer, &frame, limits);
    assert_eq!(Ok(&short), long.as_ref(), "{serializer}: {frame:02x?}");
    let long = long.unwrap();
    assert_eq!(short.payload_tail(), long.payload_tail(), "{serializer}: {frame:02x?}");
    assert_eq!(short.encode(serializer), long.encode(serializer), "{serializer}: {frame:02x?}");
    true
}

fn id() -> impl Strategy<Value = u64> {
    (0..=53_u32, any::<u64>()).prop_map(|(bits, id)| (id & ((1 << bits) - 1)).clamp(1, MAX_ID))
}

/// A message, and whether its encoding is usual.
fn message(
    kind: u8,
    ids: (u64, u64),
    flags: &[Option<bool>; 3],
    uri: &str,
    args: &[u64],
    elements: u8,
    serializer: Serializer,
) -> (Message, bool) {
    let request = RequestId::new(ids.0).unwrap();
    let payload = match elements {
        0 => Payload::empty(),
        1 => Payload::new(serializer, &(Value(args), "text")).unwrap(),
        _ => {
            let kwargs = std::collections::BTreeMap::from([("key", args)]);
            Payload::new(serializer, &ArgsKwargs((1, 2), kwargs)).unwrap()
        }
    };
    let uri = Uri::from(ByteString::from(uri.replace('\0', "0")));
    // The usual encoding has no third flag, and at most one flag is set.
    let has_one = flags[..2].iter().flatten().count() <= 1;
    let is_usual = match kind {
        0 | 1 => true,
        2 | 4 => has_one && flags[2].is_none(),
        3 => has_one,
        _ => flags[2].is_none(),
    };
    let message: Message = match kind {
        0 => {
            let options = YieldOptions { progress: flags[0], ..Default::default() };
            Yield { request, options, payload }.into()
        }
        1 => {
            let details = ResultDetails { progress: flags[0], ..Default::default() };
            Result { request, details, payload }.into()
        }
        2 => {
            let options = CallOptions {
                progress: flags[0],
                receive_progress: flags[1],
                disclose_me: flags[2],
                ..Default::default()
            };
            Call { request, options, procedure: uri, payload }.into()
        }
        3 => {
            let registration = RegistrationId::new(ids.1).unwrap();
            let details =
                InvocationDetails { progress: flags[0], receive_progress: flags[1], ..Default::default() };
            Invocation { request, registration, details, payload }.into()
        }
        4 => {
            let options = PublishOptions {
                acknowledge: flags[0],
                exclude_me: flags[1],
                retain: flags[2],
                ..Default::default()
            };
            Publish { request, options, topic: uri, payload }.into()
        }
        _ => {
            let subscription = SubscriptionId::new(ids.0).unwrap();
            let publication = PublicationId::new(ids.1).unwrap();
            let details = EventDetails { retained: flags[2], ..Default::default() };
            Event { subscription, publication, details, payload }.into()
        }
    };
    (message, is_usual)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_usual_encoding_is_read_as_tokens_are(
        kind in 0..6_u8, ids in (id(), id()), flags in any::<[Option<bool>; 3]>(), uri in "[a-z.]{0,40}|.{0,60}",
        args in vec(any::<u64>(), 0..4), elements in 0..3_u8, depth in 0..6_usize,
        spoilt in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        for serializer in Serializer::ALL {
            let (message, usual) = message(kind, ids, &flags, &uri, &args, elements, *serializer);
            let Ok(frame) = message.encode(*serializer) else { continue };
            let escapes = *serializer == Serializer::Json && frame.contains(&b'\\');
            let is_read = agree(*serializer, &frame, &Limits::default());
            prop_assert_eq!(is_read || escapes || uri.len() > 255, usual || escapes || uri.len() > 255);
            agree(*serializer, &frame, &Limits { depth, ..Limits::default() });
            let mut frame = frame.to_vec();
            for (at, byte, how) in &spoilt {
                let at = at.index(frame.len().max(1));
                match how {
                    0 if at < frame.len() => frame[at] = *byte,
                    1 => frame.insert(at, *byte),
                    2 => frame.truncate(at),
                    _ if at < frame.len() => frame[at] ^= 1 << (byte % 8),
                    _ => {}
                }
                agree(*serializer, &frame, &Limits::default());
            }
        }
    }
}

#[test]
fn other_encodings_are_left_to_tokens() {
    for (frame, is_usual) in [
        (r#"[48,1,{},"com.myapp.add",[1]]"#, true),
        (r#"[48,1,{"receive_progress":false},"com.myapp.add"]"#, true),
        (r#"[48,1,{}, "com.myapp.add"]"#, false),
        (r#"[48,1,{},"com.myapp.\u0061dd"]"#, false),
        (r#"[48,1,{},"com.myapp.add",[1],{"a":1},2]"#, false),
        (r#"[48,1,{},"com.myapp.add",{"a":1}]"#, false),
        (r#"[48,1,{},"com.myapp.add",null]"#, false),
        (r#"[48,1,{"receive_progress":1},"com.myapp.add"]"#, false),
        (r#"[48,1,{"unknown":true},"com.myapp.add"]"#, false),
        (r#"[48,1,{"progress":true,"receive_progress":true},"com.myapp.add"]"#, false),
        (r#"[48,1,{}]"#, false),
        (r#"[48,1.0,{},"a"]"#, false),
        (r#"[48,1e0,{},"a"]"#, false),
        (r#"[48,01,{},"a"]"#, false),
        (r#"[48,0,{},"a"]"#, false),
        (r#"[16,1,{"acknowledge":true},"com.myapp.topic"]"#, true),
        (r#"[36,1,2,{},[]]"#, true),
        (r#"[68,1,2,{"progress":true},[]]"#, true),
        (r#"[6,{},"wamp.close.normal"]"#, false),
    ] {
        assert_eq!(agree(Serializer::Json, frame.as_bytes(), &Limits::default()), is_usual, "{frame}");
    }
    for (frame, is_usual) in [
        (&b"\x94\x30\x01\x80\xa1a"[..], true),
        (b"\x94\x30\x01\x80\xd9\x01a", true),
        (b"\x94\x30\x01\x80\xa1\xe8", false),
        (b"\x94\x30\x01\x80\xa2a", false),
        (b"\x93\x30\x01\x80\xa1a", false),
        (b"\x97\x30\x01\x80\xa1a\x90\x80\x01", false),
        (b"\x96\x30\x01\x80\xa1a\x90\x80", true),
        (b"\x95\x24\x01\xcc\x02\x80\x90", true),
    ] {
        assert_eq!(agree(Serializer::MsgPack, frame, &Limits::default()), is_usual, "{frame:02x?}");
    }
    for (frame, is_usual) in [
        (&b"\x84\x18\x30\x01\xa0\x61a"[..], true),
        (b"\x84\x10\x01\xa0\x61a", true),
        (b"\x84\x18\x10\x01\xa0\x78\x01a", true),
        (b"\x84\x10\x01\xa0\x61\xe8", false),
        (b"\x84\x10\x01\xbf\xff\x61a", false),
        (b"\x9f\x10\x01\xa0\x61a\xff", false),
    ] {
        assert_eq!(agree(Serializer::Cbor, frame, &Limits::default()), is_usual, "{frame:02x?}");
    }
}
