use bytes::Bytes;
use wamp_proto::{Limits, Message, Serializer};

use super::*;

/// A RESULT with one argument of this length.
fn result(len: usize) -> Message {
    let frame = format!("[50,7,{{}},[\"{}\"]]", "x".repeat(len));
    Message::decode(Serializer::Json, &Bytes::from(frame), &Limits::default()).unwrap()
}

fn encoded(message: &Message) -> Vec<u8> {
    message.encode(Serializer::Json).unwrap().to_vec()
}

/// Returns the bytes of `slices` and `advance`, taken in steps of this length.
fn drain(batch: &mut Batch, slices: usize, step: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while !batch.is_empty() {
        let mut filled = vec![IoSlice::new(b""); slices];
        let n = batch.slices(&mut filled);
        assert!(n > 0, "{batch:?}");
        let before = out.len();
        for slice in &filled[..n] {
            let left = step - (out.len() - before);
            out.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        let gone = out.len() - before;
        batch.advance(gone);
    }
    out
}

fn prefixed(messages: &[Message]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in messages {
        let bytes = encoded(message);
        out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        out.extend_from_slice(&bytes);
    }
    out
}

fn batch_of(messages: &[Message]) -> Batch {
    let mut batch = Batch::new();
    for message in messages {
        assert_eq!(batch.push(message, Serializer::Json).unwrap(), encoded(message).len());
    }
    batch
}

#[test]
fn messages_leave_unchanged_in_and_outside_of_the_arena() {
    let messages = [result(1), result(COPIED_BELOW), result(3), result(20_000), result(COPIED_BELOW - 50)];
    let mut batch = batch_of(&messages);
    assert_eq!(batch.large.len(), 2);
    for (left, message) in (1..=messages.len()).rev().zip(&messages) {
        assert_eq!(batch.len(), left);
        let before = batch.encoded_len();
        let mut copy = Vec::new();
        batch.front().unwrap().copy_to(&mut copy);
        assert_eq!(copy, encoded(message));
        batch.pop_front();
        assert_eq!(before - batch.encoded_len(), copy.len());
    }
    assert!(batch.front().is_none() && batch.is_empty() && batch.encoded_len() == 0);
}

#[test]
fn runs_of_bytes_leave_in_pieces_of_any_size() {
    let messages = [result(5_000), result(1), result(1), result(6_000), result(7_000), result(2)];
    let wanted = prefixed(&messages);
    for (slices, step) in [(64, usize::MAX), (1, usize::MAX), (2, 3), (64, 1), (3, 4099)] {
        assert_eq!(drain(&mut batch_of(&messages), slices, step), wanted, "{slices} slices, {step} bytes");
    }
}

#[test]
fn small_messages_are_one_slice() {
    let batch = batch_of(&vec![result(16); 1000]);
    let mut slices = [IoSlice::new(b""); 4];
    assert_eq!(batch.slices(&mut slices), 1);
}

#[test]
fn a_large_payload_is_not_copied() {
    let message = result(100_000);
    let batch = batch_of(std::slice::from_ref(&message));
    let outgoing = batch.front().unwrap();
    assert_eq!(outgoing.payload.as_ptr(), message.payload_tail().as_ptr());
    assert_eq!(outgoing.end, b"]");
    assert!(batch.arena.len() < 100);
}

#[test]
fn a_message_beyond_the_limit_leaves_nothing_behind() {
    let mut batch = batch_of(&[result(1)]);
    let len = encoded(&result(100)).len();
    let refused = batch.push_within(&result(100), Serializer::Json, len - 1);
    assert_eq!(refused, Err(PushError::TooLarge { len, limit: len - 1 }));
    assert_eq!(batch.push_within(&result(100), Serializer::Json, len), Ok(len));
    assert_eq!(drain(&mut batch, 8, usize::MAX), prefixed(&[result(1), result(100)]));
}

#[test]
fn a_message_that_cannot_be_written_leaves_nothing_behind() {
    let mut batch = batch_of(&[result(1)]);
    assert!(batch.push(&result(10), Serializer::Cbor).is_err(), "its payload is JSON");
    assert_eq!((batch.len(), batch.encoded_len()), (1, encoded(&result(1)).len()));
    assert_eq!(drain(&mut batch, 8, usize::MAX), prefixed(&[result(1)]));
}

#[test]
fn a_message_that_has_left_in_part_has_no_front() {
    let mut batch = batch_of(&[result(1), result(2)]);
    batch.advance(1);
    assert!(batch.front().is_none() && batch.in_message());
    batch.advance(PREFIX + encoded(&result(1)).len() - 1);
    assert!(batch.front().is_some() && !batch.in_message());
}

/// Behaviour 48: the 25th bit is the length of a message of exactly 2^24 bytes.
#[test]
fn the_prefix_of_a_message_of_2_to_the_24_bytes() {
    for (len, prefix) in [((1 << 24) - 1, [0, 0xff, 0xff, 0xff]), (1 << 24, [8, 0, 0, 0])] {
        let mut batch = Batch::new();
        batch.push_bytes(&vec![b' '; len]);
        batch.push_bytes(b"[1]");
        assert_eq!(batch.longest(), len);
        assert_eq!(batch.front().unwrap().encoded_len(), len);
        let written = drain(&mut batch, 8, usize::MAX);
        assert_eq!(written[..4], prefix);
        assert_eq!(written[written.len() - 7..], *b"\0\0\0\x03[1]");
    }
}

#[test]
fn a_cleared_batch_is_new_and_keeps_its_memory_unless_it_is_much() {
    let mut batch = batch_of(&[result(10), result(9_000)]);
    batch.ping(Bytes::from_static(b"x"));
    batch.advance(3);
    let capacity = batch.capacity();
    batch.clear();
    assert!(
        batch.is_empty() && batch.encoded_len() == 0 && batch.longest() == 0 && batch.total_pushed() == 0
    );
    assert_eq!(batch.capacity(), capacity);
    batch.push_bytes(&vec![0; KEPT_CAPACITY + 1]);
    batch.clear();
    assert_eq!(batch.capacity(), 0);
}

#[test]
fn a_relayed_result_is_the_message_that_it_stands_for() {
    use wamp_proto::relay::PlainYield;
    for len in [0, 100, COPIED_BELOW - 4, COPIED_BELOW, 100_000] {
        for filling in [0, 1, 50] {
            let frame = Bytes::from(format!("  [70,7,{{}},[\"{}\"]]", "x".repeat(len)));
            let plain = PlainYield::read(Serializer::Json, &frame[2..], &Limits::default()).unwrap();
            let payload = plain.tail().start + 2..plain.tail().end + 2;
            let mut batch = batch_of(&vec![result(3); filling]);
            let head = plain.result(plain.request).head(Serializer::Json);
            let length = batch.push_result(&head, &frame, payload);
            let mut wanted = vec![result(3); filling];
            wanted.push(result(len));
            assert_eq!(length, encoded(&wanted[filling]).len());
            assert_eq!((batch.len(), batch.encoded_len()), (filling + 1, batch_of(&wanted).encoded_len()));
            assert_eq!(batch.large.len(), usize::from(len + 4 >= COPIED_BELOW));
            assert_eq!(drain(&mut batch, 3, 1000), prefixed(&wanted));
        }
    }
}

#[test]
fn a_rewritten_result_is_the_message_that_it_stands_for() {
    use wamp_proto::relay::PlainYield;
    for len in [0, 100, COPIED_BELOW, 100_000] {
        for filling in [0, 1, 50] {
            let frame = b"\x94\x46\x07\x80\x90";
            let plain = PlainYield::read(Serializer::MsgPack, frame, &Limits::default()).unwrap();
            let payload = format!("[\"{}\"]", "x".repeat(len));
            let mut batch = batch_of(&vec![result(3); filling]);
            let head = plain.result(plain.request).head(Serializer::Json);
            let length = batch.push_plain(&head, payload.as_bytes());
            let mut wanted = vec![result(3); filling];
            wanted.push(result(len));
            assert_eq!(length, encoded(&wanted[filling]).len());
            assert_eq!((batch.len(), batch.encoded_len()), (filling + 1, batch_of(&wanted).encoded_len()));
            assert_eq!(batch.longest(), batch_of(&wanted).longest());
            assert!(batch.large.is_empty());
            assert_eq!(drain(&mut batch, 3, 1000), prefixed(&wanted));
        }
    }
}

#[test]
fn a_batch_behind_another_is_one_batch() {
    let (first, second) = ([result(1), result(5000)], [result(2), result(70_000), result(3)]);
    for (first, second) in [(&first[..], &second[..]), (&[], &second[..]), (&first[..], &[])] {
        for step in [7, 100_000_000] {
            let (mut batch, mut other) = (batch_of(first), batch_of(second));
            batch.append(&mut other);
            let all = [first, second].concat();
            assert_eq!((other.len(), other.encoded_len(), other.total_pushed()), (0, 0, 0));
            let wanted = batch_of(&all);
            assert_eq!((batch.len(), batch.encoded_len()), (wanted.len(), wanted.encoded_len()));
            assert_eq!((batch.total_pushed(), batch.longest()), (wanted.total_pushed(), wanted.longest()));
            assert_eq!(drain(&mut batch, 2, step), prefixed(&all));
            assert_eq!((batch.len(), batch.encoded_len(), batch.framed_len()), (0, 0, 0));
        }
    }
}

#[test]
fn an_arena_doubles_up_to_a_full_chunk_and_is_kept() {
    let mut batch = batch_of(&[result(10)]);
    assert!(batch.capacity() <= 128);
    while batch.framed_len() < 64 * 1024 {
        batch.push(&result(1000), Serializer::Json).unwrap();
        assert!(batch.capacity() <= (2 * (batch.framed_len() + HEAD)).min(FULL));
    }
    assert_eq!(batch.capacity(), FULL);
    batch.clear();
    assert_eq!(batch.capacity(), FULL);
}

#[test]
fn a_shared_batch_is_the_messages_that_it_stands_for() {
    let (first, second) = ([result(1), result(5000)], [result(2), result(70_000), result(3)]);
    let counted = SharedMemory::default();
    let shared = batch_of(&second).into_shared(&counted);
    assert!(counted.get() >= shared.arena.bytes.len() + 70_000);
    let wanted = batch_of(&second);
    for step in [7, 100_000_000] {
        for _ in 0..2 {
            let mut batch = shared.batch();
            assert_eq!((batch.len(), batch.encoded_len()), (wanted.len(), wanted.encoded_len()));
            assert_eq!((batch.total_pushed(), batch.longest()), (wanted.total_pushed(), wanted.longest()));
            assert_eq!((batch.memory(), batch.shared_memory()), (0, counted.get()));
            assert_eq!(drain(&mut batch, 2, step), prefixed(&second));
            batch.clear();
            assert_eq!((batch.is_shared(), batch.memory()), (false, 0));
        }
    }
    // One by one, as WebSocket takes them.
    let mut batch = shared.batch();
    for message in &second {
        let mut copy = Vec::new();
        batch.front().unwrap().copy_to(&mut copy);
        assert_eq!(copy, encoded(message));
        batch.pop_front();
    }
    assert!(batch.is_empty());
    // With messages before it and behind it.
    let mut batch = batch_of(&first);
    batch.append_shared(&shared);
    assert_eq!(drain(&mut batch, 2, 1000), prefixed(&[&first[..], &second[..]].concat()));
    let mut batch = shared.batch();
    batch.push(&first[0], Serializer::Json).unwrap();
    batch.append(&mut shared.batch());
    assert_eq!(drain(&mut batch, 2, 1000), prefixed(&[&second[..], &first[..1], &second[..]].concat()));
    assert_eq!(drain(&mut shared.batch(), 2, 1000), prefixed(&second), "it is untouched");
}
