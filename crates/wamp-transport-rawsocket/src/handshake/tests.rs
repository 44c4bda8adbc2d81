use super::*;

fn config(max_receive: usize) -> Config {
    Config { max_receive, ..Config::default() }
}

/// Behaviour 48.
#[test]
fn the_announced_length_is_the_power_of_two_within_the_limit() {
    for (limit, field) in [
        (0, 0),
        (511, 0),
        (512, 0),
        (1023, 0),
        (1024, 1),
        (65_535, 6),
        (65_536, 7),
        ((1 << 24) - 1, 14),
        (1 << 24, 15),
        (usize::MAX, 15),
    ] {
        assert_eq!(request(Serializer::Json, limit), [0x7f, field << 4 | 1, 0, 0], "{limit}");
    }
    assert_eq!((length(0), length(15)), (512, 16 * 1024 * 1024));
}

/// Behaviour 49, the server's table: every second byte.
#[test]
fn a_server_answers_every_request() {
    for second in 0..=255_u8 {
        let (answer, outcome) = read_request([0x7f, second, 0, 0], &config(1 << 20));
        match second & 0x0f {
            id @ 1..=3 => {
                assert_eq!(answer, Some([0x7f, 0xb0 | id, 0, 0]));
                let agreed = outcome.unwrap();
                assert_eq!(agreed.serializer.rawsocket_id(), id);
                assert_eq!((agreed.max_send, agreed.max_receive), (512 << (second >> 4), 1 << 20));
            }
            _ => {
                assert_eq!(answer, Some([0x7f, 0x10, 0, 0]));
                assert!(matches!(outcome, Err(HandshakeError::Declined(ErrorCode::SerializerUnsupported))));
            }
        }
    }
}

/// Behaviour 49.
#[test]
fn a_server_says_why_it_refuses() {
    let only_cbor = Config { serializers: vec![Serializer::Cbor], ..config(1 << 24) };
    for (request, answer, code) in [
        ([0x7f, 0xf1, 0, 0], [0x7f, 0x10, 0, 0], ErrorCode::SerializerUnsupported),
        ([0x7f, 0xf3, 1, 0], [0x7f, 0x30, 0, 0], ErrorCode::ReservedBits),
        ([0x7f, 0xf3, 0, 1], [0x7f, 0x30, 0, 0], ErrorCode::ReservedBits),
    ] {
        let (said, outcome) = read_request(request, &only_cbor);
        assert_eq!(said, Some(answer), "{request:02x?}");
        assert!(matches!(outcome, Err(HandshakeError::Declined(c)) if c == code), "{request:02x?}");
    }
    assert!(read_request([0x7f, 0x33, 0, 0], &only_cbor).1.is_ok());
    assert_eq!(refusal(ErrorCode::ConnectionLimit), [0x7f, 0x40, 0, 0]);
}

/// Behaviour 49.
#[test]
fn a_server_does_not_answer_bytes_that_are_no_request() {
    for bytes in [*b"GET ", [0x16, 3, 1, 2], [0x7e, 0xf1, 0, 0]] {
        let (answer, outcome) = read_request(bytes, &Config::default());
        assert_eq!(answer, None);
        assert!(matches!(outcome, Err(HandshakeError::NotRawSocket { bytes: o }) if o == bytes));
    }
}

/// Behaviour 49, the client's table: every second byte.
#[test]
fn a_client_reads_every_reply() {
    for second in 0..=255_u8 {
        let outcome = read_reply([0x7f, second, 0, 0], Serializer::MsgPack, 1 << 20);
        match (second & 0x0f, second >> 4) {
            (2, field) => {
                let agreed = outcome.unwrap();
                assert_eq!((agreed.max_send, agreed.max_receive), (512 << field, 1 << 20));
            }
            (0, 0) => assert!(matches!(outcome, Err(HandshakeError::Illegal { .. }))),
            (0, code) => assert!(matches!(outcome, Err(HandshakeError::Refused(c)) if c.get() == code)),
            (id, _) => assert!(
                matches!(outcome, Err(HandshakeError::OtherSerializer { answered, .. }) if answered == id)
            ),
        }
    }
}

/// Behaviour 49.
#[test]
fn a_client_refuses_reserved_bits_and_other_protocols() {
    for bytes in [[0x7f, 0xf2, 1, 0], [0x7f, 0xf2, 0, 1], [0x7f, 0x10, 0, 1]] {
        let outcome = read_reply(bytes, Serializer::MsgPack, 1 << 20);
        assert!(matches!(outcome, Err(HandshakeError::Illegal { .. })), "{bytes:02x?}");
    }
    let said = |bytes| read_reply(bytes, Serializer::MsgPack, 1 << 20).unwrap_err().to_string();
    assert!(said(*b"HTTP").contains("an HTTP response came"));
    assert!(said([0x15, 3, 3, 0]).contains("a TLS alert came"));
    assert!(said([1, 2, 3, 4]).contains("[01, 02, 03, 04] came"));
}

#[test]
fn refusals_are_said_in_words() {
    let refused = read_reply([0x7f, 0x40, 0, 0], Serializer::Json, 512).unwrap_err();
    assert_eq!(refused.to_string(), "the server refused the connection: maximum connection count reached");
    assert_eq!((ErrorCode::new(0), ErrorCode::new(16)), (None, None));
    for code in 1..=15 {
        assert_eq!(ErrorCode::new(code).map(ErrorCode::get), Some(code));
    }
}
