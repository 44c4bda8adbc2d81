//! Encodings of this crate and of other crates, each read by the other.

#![cfg(all(feature = "json", feature = "msgpack", feature = "cbor"))]

mod tree;

use proptest::collection::vec;
use proptest::prelude::*;
use tree::{Tree, received, trees};
use wamp_proto::{Payload, Serializer};

fn reference(serializer: Serializer, value: &Tree) -> Vec<u8> {
    match serializer {
        Serializer::Json => serde_json::to_vec(&value.for_json()).unwrap(),
        Serializer::MsgPack => rmp_serde::to_vec_named(value).unwrap(),
        Serializer::Cbor => {
            let mut bytes = Vec::new();
            ciborium::into_writer(value, &mut bytes).unwrap();
            bytes
        }
        other => unreachable!("{other}"),
    }
}

proptest! {
    #[test]
    fn encodings_of_other_crates_are_read(values in vec(trees(), 0..5)) {
        for &serializer in Serializer::ALL {
            let bytes = reference(serializer, &Tree::List(values.clone()));
            let payload = received(serializer, &bytes, None).unwrap();
            prop_assert_eq!(&payload.args::<Vec<Tree>>().unwrap(), &values);
        }
    }

    #[test]
    fn our_encodings_are_read_by_other_crates(values in vec(trees(), 1..5)) {
        let values = Tree::List(values);
        for &serializer in Serializer::ALL {
            let payload = Payload::new(serializer, &(&values,)).unwrap();
            let len = payload.args_bytes();
            match serializer {
                Serializer::MsgPack => {
                    let (read,): (Tree,) = rmp_serde::from_slice(len).unwrap();
                    prop_assert_eq!(&read, &values);
                }
                Serializer::Cbor => {
                    let (read,): (Tree,) = ciborium::from_reader(len).unwrap();
                    prop_assert_eq!(&read, &values);
                }
                _ => {
                    // serde_json reads floats inexactly, so the texts are compared.
                    let _: (Tree,) = serde_json::from_slice(len).unwrap();
                    prop_assert_eq!(len, reference(serializer, &Tree::List(vec![values.clone()])));
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_payload_is_not_a_payload(values in vec(trees(), 0..3), at in any::<prop::sample::Index>()) {
        for &serializer in Serializer::ALL {
            let bytes = reference(serializer, &Tree::List(values.clone()));
            prop_assert!(received(serializer, &bytes[..at.index(bytes.len())], None).is_none());
        }
    }

    #[test]
    fn a_changed_payload_is_read_or_refused(
        values in vec(trees(), 1..3),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for &serializer in Serializer::ALL {
            let mut bytes = reference(serializer, &Tree::List(values.clone()));
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let Some(payload) = received(serializer, &bytes, None) else { continue };
            let read = payload.args::<Vec<Tree>>();
            for &to in Serializer::ALL {
                let rewritten = payload.transcode(to);
                // A tree has no integers beyond 64 bits, but CBOR does.
                let is_big = read.as_ref().is_err_and(|error| error.to_string().contains("beyond 64 bits"));
                if to != serializer && to != Serializer::Json && !(is_big && to == Serializer::Cbor) {
                    prop_assert_eq!(read.is_ok(), rewritten.is_ok());
                }
            }
            let _ = payload.args::<Vec<u32>>();
            let _ = payload.decode::<(Option<String>, Option<bool>)>();
        }
    }
}

#[test]
fn floats_stay_floats_and_whole() {
    for value in
        [0.0, -0.0, 1.0, 0.1, 1e16, 1e300, -1.5e-300, f64::MIN_POSITIVE, f64::MAX, 9_007_199_254_740_993.0]
    {
        for &serializer in Serializer::ALL {
            let payload = Payload::new(serializer, &value).unwrap();
            let Tree::Float(read) = payload.decode().unwrap() else { panic!("{payload:?}") };
            assert_eq!(read.to_bits(), value.to_bits());
        }
    }
    assert_eq!(Payload::new(Serializer::Json, &1.0).unwrap().args_bytes(), b"[1.0]");
    assert_eq!(Payload::new(Serializer::Json, &0.5_f32).unwrap().args_bytes(), b"[0.5]");
}

#[test]
fn behaviour_59_a_bomb_is_refused_as_a_payload() {
    let depth = 100_000;
    for (serializer, bytes) in [
        (Serializer::Json, [b"[".repeat(depth), b"]".repeat(depth)].concat()),
        (Serializer::Json, [br#"[{"a":"#.repeat(depth), b"1".to_vec(), b"}]".repeat(depth)].concat()),
        (Serializer::MsgPack, [b"\x91".repeat(depth), b"\x90".to_vec()].concat()),
        (Serializer::MsgPack, [b"\x91\x81\xa1a".repeat(depth), b"\x90".to_vec()].concat()),
        (Serializer::Cbor, [b"\x81".repeat(depth), b"\x80".to_vec()].concat()),
        (Serializer::Cbor, [b"\x9f".repeat(depth), b"\xff".repeat(depth)].concat()),
    ] {
        assert!(received(serializer, &bytes, None).is_none());
    }
}
