//! The values that a payload may have: those that make some reader fail, each beside a harmless neighbour.

use super::super::cbor::Cbor;
use super::super::json::Json;
use super::super::msgpack::MsgPack;
use super::super::{Format, Reader};
use super::check;

fn table<F: Format>(good: &[&[u8]], bad: &[&[u8]]) {
    for (bytes, is_good) in good.iter().map(|o| (o, true)).chain(bad.iter().map(|o| (o, false))) {
        assert_eq!(check::<F>(bytes).is_ok(), is_good, "{bytes:02x?}: {:?}", check::<F>(bytes));
        // A list within the limit of depth.
        let mut list = Vec::new();
        let mut outer = F::begin_list(&mut list, Some(1));
        F::element(&mut list, &mut outer);
        let mut dict = F::begin_dict(&mut list, Some(1));
        F::entry(&mut list, &mut dict);
        F::text(&mut list, "key").unwrap();
        F::colon(&mut list);
        list.extend_from_slice(bytes);
        F::end_dict(&mut list, dict);
        F::end_list(&mut list, outer);
        assert_eq!(check::<F>(&list).is_ok(), is_good, "within: {bytes:02x?}");
    }
}

#[test]
fn msgpack_that_every_reader_survives() {
    let long = ["é".repeat(40).into_bytes(), vec![0xe9]].concat();
    table::<MsgPack>(
        &[
            b"\xa2\xc3\xa9",
            b"\xd9\x01a",
            &[b"\xd9\x50", &long[..80]].concat(),
            b"\x81\xa0\x01",
            b"\xc4\x01\xff",
            b"\xcb\x7f\xf8\0\0\0\0\0\0",
            b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        ],
        &[
            b"\xa1\xe9",
            b"\xd9\x01\xe9",
            b"\xda\0\x01\xe9",
            b"\xdb\0\0\0\x01\xe9",
            &[b"\xd9\x51", &long[..]].concat(),
            b"\x81\x01\x01",
            b"\x81\xc0\x01",
            b"\x81\xc4\x01a\x01",
            b"\xde\0\x01\x90\x01",
            b"\x81\xa1\xe9\x01",
            b"\xd4\x05\x2a",
            b"\xd4\0\0",
            b"\xc7\x03\xff\0\0\0",
            b"\xd6\xff\0\0\0\0",
            b"\xc9\0\0\0\0\x01",
        ],
    );
}

#[test]
fn cbor_that_every_reader_survives() {
    table::<Cbor>(
        &[
            b"\x62\xc3\xa9",
            b"\x7f\x61a\x62\xc3\xa9\xff",
            b"\xbf\x61a\x01\xff",
            b"\xf7",
            b"\xf9\x7e\0",
            b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xc0\x742013-03-21T20:04:00Z",
            b"\xc1\xfb\x41\xd4\x52\xd9\xec\x20\0\0",
            b"\xc2\x49\x01\0\0\0\0\0\0\0\0",
            b"\xc4\x82\x21\x19\x6a\xb3",
            b"\xc4\x82\x21\xc2\x49\x01\0\0\0\0\0\0\0\0",
            b"\xd8\x25\x500123456789abcdef",
            b"\xd8\x46\x440123",
            b"\xd8\x20\x63a:b",
            b"\xd9\xd9\xf7\x01",
        ],
        &[
            b"\x61\xe9",
            b"\x7f\x61a\x61\xe9\xff",
            b"\x7f\x61\xc3\x61\xa9\xff",
            b"\xa1\x01\x01",
            b"\xa1\x41a\x01",
            b"\xbf\x81\x01\x01\xff",
            b"\xa1\xc2\x41\x01\x01",
            b"\xa1\x61\xe9\x01",
            b"\xf8\xff",
            b"\xe0",
            b"\xc0\x63abc",
            b"\xc0\x01",
            b"\xc1\x61a",
            b"\xc1\xfb\x7f\xf0\0\0\0\0\0\0",
            b"\xc1\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xc2\x61a",
            b"\xc2\x01",
            b"\xc4\x83\x21\x01\x01",
            b"\xc4\x82\x61a\x01",
            b"\xc5\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\xd8\x25\x42\0\0",
            b"\xd8\x46\x43012",
            b"\xd8\x1d\x05",
            b"\xd8\x1c\x80",
            b"\xd9\x01\x02\x81\x80",
            b"\xd8\x23\x61(",
            b"\xd9\xd9\xf7\xd9\xd9\xf7\x01",
        ],
    );
    let tags = [b"\xd9\xd9\xf7".repeat(100_000), b"\x01".to_vec()].concat();
    assert!(check::<Cbor>(&tags).is_err());
    let long = [b"\xc2\x58\x7e\x01".as_slice(), &[0; 125]].concat();
    assert!(check::<Cbor>(&long).is_err());
    let zeros = [b"\xc2\x58\x7e\0".as_slice(), &[1; 125]].concat();
    assert_eq!(check::<Cbor>(&zeros), Ok(zeros.len()));
}

#[test]
fn json_that_every_reader_survives() {
    table::<Json>(
        &[
            br#""\u0000""#,
            br#""\u0000/w==""#,
            br#""a\u0000""#,
            br#"{"a\u0000":1}"#,
            br#""\ud83d\ude00""#,
            b"18446744073709551617",
        ],
        &[
            "\"\\u00004\u{8594}\u{5404}\"".as_bytes(),
            br#""\u00004\u8594\u5404""#,
            br#""\u0000/w""#,
            br#"{"\u0000":1}"#,
            br#""\ud83d""#,
            br#""\ude00\ud83d""#,
            b"NaN",
            b"-Infinity",
            b"1e400",
        ],
    );
}

/// A check is bounded by the bytes that are present, not by declared lengths or depths.
#[test]
fn a_check_ends_at_the_limit() {
    for depth in [1, 64, 65, 100_000] {
        for (open, close) in [(b"\x91".as_slice(), b"".as_slice()), (b"\x81\xa0", b"")] {
            let bytes = [open.repeat(depth), b"\xc0".to_vec(), close.repeat(depth)].concat();
            assert_eq!(MsgPack::reader(&bytes, 64).unwrap().check().is_ok(), depth <= 64);
        }
        for open in [b"\x81".as_slice(), b"\x9f", b"\xa1\x60", b"\xbf\x60"] {
            let close = if open[0] & 31 == 31 { b"\xff".repeat(depth) } else { Vec::new() };
            let bytes = [open.repeat(depth), b"\xf6".to_vec(), close].concat();
            assert_eq!(Cbor::reader(&bytes, 64).unwrap().check().is_ok(), depth <= 64);
        }
    }
    assert!(check::<MsgPack>(b"\xdd\xff\xff\xff\xff\x01").is_err());
    assert!(check::<Cbor>(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_err());
    assert!(check::<Cbor>(b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x60\x01").is_err());
}
