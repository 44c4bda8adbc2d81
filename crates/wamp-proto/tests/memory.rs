//! A declared length reserves nothing. This test is alone in its binary, since it measures the whole process.

#![cfg(all(feature = "json", feature = "msgpack", feature = "cbor", target_os = "linux"))]

mod tree;

use tree::{Tree, received};
use wamp_proto::Serializer;

/// Returns the largest address space that this process has had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn behaviour_59_declared_lengths_reserve_nothing() {
    let before = peak();
    for (serializer, bytes) in [
        (Serializer::MsgPack, b"\xdd\xff\xff\xff\xff\x01\x02\x03\x04\x05".as_slice()),
        (Serializer::MsgPack, b"\x91\xdf\xff\xff\xff\xff\x01\x02\x03\x04\x05"),
        (Serializer::MsgPack, b"\x91\xc6\xff\xff\xff\xff\x01"),
        (Serializer::Cbor, b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff\x01"),
        (Serializer::Cbor, b"\x81\x5b\x00\x00\x00\xff\xff\xff\xff\xff\x01"),
        (Serializer::Cbor, b"\x81\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    ] {
        assert!(received(serializer, bytes, None).is_none());
    }
    // Well-formed, and small in spite of all the lists.
    let bytes = [vec![0xdd, 0, 1, 0x86, 0xa0], vec![0x90; 100_000]].concat();
    let lists: Vec<Tree> = received(Serializer::MsgPack, &bytes, None).unwrap().args().unwrap();
    assert_eq!(lists.len(), 100_000);
    assert!(peak() - before < 64 << 10, "{} KiB more", peak() - before);
}
