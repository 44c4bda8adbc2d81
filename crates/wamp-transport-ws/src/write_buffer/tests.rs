use proptest::prelude::*;

use super::*;

/// All bytes of the buffer, in writes of these lengths.
fn drain(staged: &mut WriteBuffer, mut lengths: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while staged.len() > 0 {
        let mut slices = [IoSlice::new(&[]); 3];
        let filled = staged.slices(&mut slices);
        let most = lengths.next().unwrap_or(usize::MAX);
        let piece: Vec<u8> =
            slices[..filled].iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
        assert!(!piece.is_empty());
        staged.advance(piece.len());
        bytes.extend(piece);
    }
    bytes
}

#[test]
fn a_large_payload_is_not_copied_unless_it_has_to_be() {
    let payload = Bytes::from(vec![b'p'; 10_000]);
    let message = Outgoing { head: b"[1,", payload: &payload, end: b"]" };
    let copied = |role, vectored| {
        let mut staged = WriteBuffer::new(role, vectored);
        staged.data(Opcode::Text, true, &message, 0..message.encoded_len());
        let mut slices = [IoSlice::new(&[]); 5];
        let filled = staged.slices(&mut slices);
        !slices[..filled].iter().any(|slice| slice.as_ptr() == payload.as_ptr())
    };
    assert!(!copied(Role::Server, true));
    assert!(copied(Role::Server, false));
    assert!(copied(Role::Client, true));
}

#[test]
fn no_mask_is_used_twice() {
    let mut staged = WriteBuffer::new(Role::Client, true);
    (0..100).for_each(|_| staged.control(Opcode::Ping, b""));
    let bytes = drain(&mut staged, std::iter::empty());
    let masks: std::collections::HashSet<&[u8]> = bytes.chunks(6).map(|frame| &frame[2..]).collect();
    assert_eq!((bytes.len(), masks.len()), (600, 100));
}

proptest! {
    #[test]
    fn the_bytes_do_not_depend_on_the_lengths_of_writes(
        lengths in proptest::collection::vec(0..6000_usize, 1..10),
        cuts in proptest::collection::vec(1..500_usize, 0..50),
        vectored: bool,
    ) {
        let mut staged = WriteBuffer::new(Role::Server, vectored);
        let mut expected = BytesMut::new();
        for (n, &length) in lengths.iter().enumerate() {
            let payload = Bytes::from(vec![n as u8; length]);
            let message = Outgoing { head: b"[1,", payload: &payload, end: b"]" };
            let all = [b"[1,", &payload[..], b"]"].concat();
            let middle = all.len() / 2;
            for (opcode, fin, part) in
                [(Opcode::Binary, false, 0..middle), (Opcode::Continue, true, middle..all.len())]
            {
                staged.data(opcode, fin, &message, part.clone());
                staged.control(Opcode::Pong, &[7; 3]);
                Header { fin, opcode, mask: None, length: part.len() as u64 }.write(&mut expected);
                expected.extend_from_slice(&all[part]);
                expected.extend_from_slice(&[0x8a, 3, 7, 7, 7]);
            }
        }
        prop_assert_eq!(staged.len(), expected.len());
        prop_assert!(drain(&mut staged, cuts.into_iter()) == expected);
        staged.rest();
        prop_assert_eq!(staged.held(), 0);
    }
}

impl WriteBuffer {
    /// The bytes of memory that it holds.
    pub(crate) fn held(&self) -> usize {
        self.packed.capacity() + self.queue.capacity() * size_of::<Bytes>()
    }
}
