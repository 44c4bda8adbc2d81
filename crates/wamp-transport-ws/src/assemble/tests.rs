use proptest::prelude::*;

use super::*;

const HELLO: Mask = [0x37, 0xfa, 0x21, 0x3d];

fn server(text: bool) -> Assembler {
    Assembler::new(Role::Server, text, 16 << 20, BytesMut::new())
}

fn frame(fin: bool, opcode: Opcode, mask: Option<Mask>, payload: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    Header { fin, opcode, mask, length: payload.len() as u64 }.write(&mut frame);
    let begin = frame.len();
    frame.extend_from_slice(payload);
    apply_mask(&mut frame[begin..], mask.unwrap_or_default());
    frame.to_vec()
}

impl Assembler {
    /// The bytes of memory that it holds.
    fn held(&self) -> usize {
        self.buffer.capacity() + self.message.capacity()
    }
}

/// All items of these bytes, cut at these places, and the end.
fn items(assembler: &mut Assembler, bytes: &[u8], cuts: &[usize]) -> (Vec<Item>, Result<usize, Fault>) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort();
    let (mut items, mut from) = (Vec::new(), 0);
    let mut missing = 0;
    for cut in cuts {
        assembler.buffer.extend_from_slice(&bytes[from..cut]);
        from = cut;
        missing = loop {
            match assembler.next() {
                Ok(Item::Missing(missing)) => break missing,
                Ok(item) => items.push(item),
                Err(fault) => return (items, Err(fault)),
            }
        };
        assembler.rest();
    }
    (items, Ok(missing))
}

/// RFC 6455, 5.7.
#[test]
fn the_examples_of_the_specification() {
    let hello = || Item::Message(Bytes::from_static(b"Hello"));
    let mut client = Assembler::new(Role::Client, true, 1000, BytesMut::new());
    let bytes = b"\x81\x05Hello\x01\x03Hel\x80\x02lo\x89\x05Hello";
    let (came, end) = items(&mut client, bytes, &[]);
    assert_eq!(came, [hello(), hello(), Item::Ping(Bytes::from_static(b"Hello"))]);
    assert_eq!(end.unwrap(), 0);
    let bytes = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let (came, end) = items(&mut server(true), bytes, &[]);
    assert_eq!(came, [hello(), Item::Pong(Bytes::from_static(b"Hello"))]);
    assert_eq!(end.unwrap(), 0);
}

#[test]
fn forbidden_frames_have_a_close_code_each() {
    use Opcode::*;
    let masked = |fin, opcode, payload: &[u8]| frame(fin, opcode, Some(HELLO), payload);
    for (text, bytes, code) in [
        (true, frame(true, Text, None, b"[1]"), close::PROTOCOL),
        (true, frame(true, Ping, None, b""), close::PROTOCOL),
        (true, masked(true, Continue, b"[1]"), close::PROTOCOL),
        (true, [masked(false, Text, b"["), masked(true, Text, b"]")].concat(), close::PROTOCOL),
        (true, [masked(false, Text, b""), masked(false, Text, b"]")].concat(), close::PROTOCOL),
        (true, [masked(false, Text, b"\xc3"), masked(true, Continue, b"")].concat(), close::INVALID),
        (true, masked(true, Text, b"\xed\xa0\x80"), close::INVALID),
        (true, masked(true, Text, &[0xff; 70_000]), close::INVALID),
        (true, masked(true, Binary, b"[1]"), close::UNSUPPORTED),
        (false, masked(false, Text, b"\x81"), close::UNSUPPORTED),
        (true, masked(true, Close, b"\x03"), close::PROTOCOL),
        (true, masked(true, Close, b"\x03\xed"), close::PROTOCOL),
        (true, vec![0x88, 0xfe], close::PROTOCOL),
    ] {
        let (came, end) = items(&mut server(text), &bytes, &[]);
        assert_eq!(came, []);
        assert_eq!(end.unwrap_err().code, code, "{:02x?}", &bytes[..bytes.len().min(20)]);
    }
    let mut client = Assembler::new(Role::Client, true, 1000, BytesMut::new());
    let (_, end) = items(&mut client, &masked(true, Text, b"[1]"), &[]);
    assert_eq!(end.unwrap_err().code, close::PROTOCOL, "a mask from a server");
}

#[test]
fn limits_are_for_a_frame_and_for_the_sum_of_fragments() {
    use Opcode::*;
    let announced = |length: u64| {
        let mut bytes = BytesMut::new();
        Header { fin: true, opcode: Binary, mask: Some(HELLO), length }.write(&mut bytes);
        bytes.to_vec()
    };
    let fragments = |n| [frame(false, Binary, Some(HELLO), &[1; 60]), frame(true, Continue, Some(HELLO), n)];
    for (bytes, length) in [
        (announced(101), 101),
        (announced(1 << 40), 1 << 40),
        (announced(u64::MAX), usize::MAX),
        (fragments(&[2; 41]).concat(), 101),
    ] {
        let mut assembler = server(false);
        assembler.max_receive = 100;
        let fault = items(&mut assembler, &bytes, &[]).1.unwrap_err();
        assert_eq!(fault.code, close::SIZE);
        assert!(matches!(fault.error, ReadError::TooLarge { len: l, limit: 100 } if l == length));
    }
    let mut assembler = server(false);
    assembler.max_receive = 100;
    let (came, end) = items(&mut assembler, &fragments(&[2; 40]).concat(), &[]);
    assert!(came.len() == 1 && end.is_ok());
    assembler.max_receive = usize::MAX;
    let fault = items(&mut assembler, &announced(1 << 63), &[]).1.unwrap_err();
    assert_eq!(fault.code, close::PROTOCOL, "the uppermost bit of a length is 0");
}

#[test]
fn memory_is_allocated_for_received_bytes_only() {
    use Opcode::*;
    let payload = vec![b'x'; 16 << 20];
    let long = frame(true, Binary, Some(HELLO), &payload);
    let begin = frame(false, Binary, Some(HELLO), b"");
    let rest = frame(true, Continue, Some(HELLO), &payload);
    for bytes in [long, [begin, rest].concat()] {
        let mut assembler = server(false);
        let mut came = 0;
        for piece in bytes.chunks(50_000) {
            assembler.buffer.extend_from_slice(piece);
            came += piece.len();
            let item = assembler.next().unwrap();
            assembler.rest();
            if came < bytes.len() {
                assert!(matches!(item, Item::Missing(_)));
                assert!(assembler.held() <= 4 * came, "{} for {came}", assembler.held());
            } else {
                assert!(item == Item::Message(Bytes::from(payload.clone())));
                assert_eq!(assembler.held(), 0);
            }
        }
    }
}

#[test]
fn endless_empty_fragments_take_no_memory() {
    let mut bytes = frame(false, Opcode::Text, Some(HELLO), b"");
    bytes.extend(frame(false, Opcode::Continue, Some(HELLO), b"").repeat(100_000));
    let mut assembler = server(true);
    let (came, end) = items(&mut assembler, &bytes, &[]);
    assert!(came.is_empty() && end.is_ok());
    assert_eq!(assembler.held(), 0);
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let short = proptest::collection::vec(any::<u8>(), 0..300);
    let long = (60_000..200_000_usize, any::<u8>()).prop_map(|(n, byte)| vec![byte; n]);
    prop_oneof![8 => short, 1 => long]
}

/// A message and the places where it is cut into fragments, or a control frame.
type Part = (Vec<u8>, Vec<usize>);

fn fragments((payload, cuts): &Part, mask: Option<Mask>, between: &[u8]) -> Vec<u8> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
    cuts.sort();
    cuts.push(payload.len());
    let (mut bytes, mut from) = (Vec::new(), 0);
    for (n, &cut) in cuts.iter().enumerate() {
        let opcode = if n == 0 { Opcode::Binary } else { Opcode::Continue };
        bytes.extend(frame(n + 1 == cuts.len(), opcode, mask, &payload[from..cut]));
        from = cut;
        if n + 1 < cuts.len() {
            bytes.extend(frame(true, Opcode::Ping, mask, between));
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn messages_however_fragmented_and_cut_are_the_same(
        role in prop_oneof![Just(Role::Server), Just(Role::Client)],
        mask: Mask,
        parts in proptest::collection::vec((payload(), proptest::collection::vec(any::<usize>(), 0..4)), 0..6),
        between in proptest::collection::vec(any::<u8>(), 0..126),
        cuts in proptest::collection::vec(any::<usize>(), 0..40),
    ) {
        let mask = Some(mask).filter(|_| role == Role::Server);
        let mut assembler = Assembler::new(role, false, 16 << 20, BytesMut::new());
        let bytes: Vec<u8> = parts.iter().flat_map(|part| fragments(part, mask, &between)).collect();
        let (came, end) = items(&mut assembler, &bytes, &cuts);
        prop_assert_eq!(end.unwrap(), 0);
        let pings = came.iter().filter(|item| **item == Item::Ping(between.clone().into())).count();
        prop_assert_eq!(pings, parts.iter().map(|(_, cuts)| cuts.len()).sum::<usize>());
        let messages = came.into_iter().filter_map(|item| match item {
            Item::Message(message) => Some(message),
            _ => None,
        });
        prop_assert!(messages.eq(parts.iter().map(|(payload, _)| payload)));
        prop_assert_eq!(assembler.held(), 0);
    }

    #[test]
    fn any_bytes_bring_items_or_an_error_and_take_little_memory(
        text: bool,
        client: bool,
        start in proptest::sample::select(vec![
            vec![], vec![0x81], vec![0x82], vec![0x02, 0x80], vec![0x82, 0xff, 0, 0, 0, 0], vec![0x82, 0xfe],
            vec![0x01, 0x80, 0, 0, 0, 0, 0x00], vec![0x82, 0x7f, 0, 0, 0, 0, 0, 0xff],
        ]),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cuts in proptest::collection::vec(any::<usize>(), 0..10),
    ) {
        let role = if client { Role::Client } else { Role::Server };
        let mut assembler = Assembler::new(role, text, 16 << 20, BytesMut::new());
        let bytes = [start, bytes].concat();
        let _ = items(&mut assembler, &bytes, &cuts);
        prop_assert!(assembler.held() <= 4 * bytes.len() + 64, "{}", assembler.held());
    }
}
