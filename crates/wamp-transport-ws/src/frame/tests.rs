use super::*;

const HELLO: Mask = [0x37, 0xfa, 0x21, 0x3d];

/// RFC 6455, 5.7, and the borders between the forms of a length.
#[test]
fn headers_both_ways() {
    use Opcode::*;
    for (fin, opcode, mask, length, bytes) in [
        (true, Text, None, 5, &[0x81, 0x05][..]),
        (true, Text, Some(HELLO), 5, &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]),
        (false, Text, None, 3, &[0x01, 0x03]),
        (true, Continue, None, 2, &[0x80, 0x02]),
        (true, Ping, None, 5, &[0x89, 0x05]),
        (true, Pong, Some(HELLO), 5, &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d]),
        (true, Close, None, 125, &[0x88, 0x7d]),
        (true, Binary, None, 125, &[0x82, 0x7d]),
        (true, Binary, None, 126, &[0x82, 0x7e, 0, 126]),
        (true, Binary, None, 256, &[0x82, 0x7e, 1, 0]),
        (false, Continue, Some(HELLO), 0xffff, &[0x00, 0xfe, 0xff, 0xff, 0x37, 0xfa, 0x21, 0x3d]),
        (true, Binary, None, 0x1_0000, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]),
        (true, Binary, Some([0; 4]), u64::MAX, &[[0x82, 0xff].as_slice(), &[0xff; 8], &[0; 4]].concat()),
    ] {
        let header = Header { fin, opcode, mask, length };
        let mut written = BytesMut::new();
        header.write(&mut written);
        assert_eq!(&written[..], bytes);
        assert_eq!(Header::parse(bytes), Ok(Some((header, bytes.len()))));
        assert_eq!(Header::parse(&[bytes, b"payload"].concat()), Ok(Some((header, bytes.len()))));
        for cut in 0..bytes.len() {
            assert_eq!(Header::parse(&bytes[..cut]), Ok(None), "{bytes:02x?} up to {cut}");
        }
    }
}

#[test]
fn everything_else_is_a_violation() {
    for (bytes, words) in [
        (&[0xc1, 0][..], "reserved bits"),
        (&[0xa1, 0], "reserved bits"),
        (&[0x91, 0], "reserved bits"),
        (&[0x83, 0], "reserved type"),
        (&[0x87, 0], "reserved type"),
        (&[0x8b, 0], "reserved type"),
        (&[0x8f, 0], "reserved type"),
        (&[0x08, 0], "in fragments"),
        (&[0x09, 0], "in fragments"),
        (&[0x0a, 0], "in fragments"),
        (&[0x88, 126], "125"),
        (&[0x89, 127], "125"),
    ] {
        let error = Header::parse(bytes).unwrap_err();
        assert!(error.contains(words), "{bytes:02x?}: {error}");
    }
    let good = (0..=255).filter(|&first| Header::parse(&[first, 0]).is_ok()).count();
    assert_eq!(good, 3 + 6, "all six types, and fragments of those that are no control frames");
}

/// RFC 6455, 5.2, forbids it to senders.
#[test]
fn a_length_that_is_longer_than_it_needs_to_be_is_taken_all_the_same() {
    let table: [(&[u8], u64); 3] = [
        (&[0x82, 126, 0, 125], 125),
        (&[0x82, 126, 0, 0], 0),
        (&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 0xffff),
    ];
    for (bytes, length) in table {
        let (header, end) = Header::parse(bytes).unwrap().unwrap();
        assert_eq!((header.length, end), (length, bytes.len()));
    }
}

/// RFC 6455, 5.3.
#[test]
fn a_mask_is_applied_byte_by_byte() {
    let mut hello = *b"\x7f\x9f\x4d\x51\x58";
    apply_mask(&mut hello, HELLO);
    assert_eq!(&hello, b"Hello");
    for length in 0..70 {
        for begin in 0..8 {
            let mut bytes: Vec<u8> = (0..begin + length).map(|i| i as u8).collect();
            apply_mask(&mut bytes[begin..], HELLO);
            let masked = |i: usize| i as u8 ^ if i < begin { 0 } else { HELLO[(i - begin) % 4] };
            assert!(bytes.iter().enumerate().all(|(i, &byte)| byte == masked(i)), "{begin} {length}");
        }
    }
}
