use bytes::Bytes;
use wamp_proto::{Limits, Message, Serializer};

use super::*;
use crate::SharedMemory;

fn message(json: &str) -> Message {
    Message::decode(Serializer::Json, &Bytes::from(json.to_owned()), &Limits::default()).unwrap()
}

fn result(request: usize, len: usize) -> Message {
    message(&format!("[50,{request},{{}},[\"{}\"]]", "x".repeat(len)))
}

fn abort() -> Message {
    message(r#"[3,{},"wamp.error.protocol_violation"]"#)
}

/// The messages of the queue, as the writer gets them.
fn drain(queue: &mut Queue) -> (Vec<Control>, Vec<Bytes>) {
    let (mut controls, mut messages) = (Vec::new(), Vec::new());
    while let Some(mut batch) = queue.pop() {
        controls.extend(std::iter::from_fn(|| batch.pop_control()));
        while let Some(front) = batch.front() {
            let mut bytes = Vec::new();
            front.copy_to(&mut bytes);
            messages.push(bytes.into());
            batch.pop_front();
        }
        queue.recycle(batch);
    }
    (controls, messages)
}

#[test]
fn messages_leave_in_order_in_chunks_of_about_64_kib() {
    let mut queue = Queue::new(Serializer::Json);
    let sent: Vec<_> = (1..=1000).map(|request| result(request, 500)).collect();
    for message in &sent {
        queue.push(message).unwrap();
    }
    assert_eq!(queue.chunks.len(), queue.encoded_len().div_ceil(CHUNK));
    let (_, came) = drain(&mut queue);
    let wanted: Vec<_> = sent.iter().map(|m| m.encode(Serializer::Json).unwrap()).collect();
    assert_eq!(came, wanted);
}

#[test]
fn bytes_count_until_the_writer_has_written_them() {
    let mut queue = Queue::new(Serializer::Json);
    let one = queue.push(&result(1, 70_000)).unwrap();
    let two = queue.push(&result(2, 10)).unwrap();
    let mut batch = queue.pop().unwrap();
    assert_eq!(queue.encoded_len(), one + two);
    batch.advance(4 + one);
    queue.recycle(batch);
    assert_eq!(queue.encoded_len(), two);
    let batch = queue.pop().unwrap();
    queue.recycle(batch);
    assert_eq!((queue.encoded_len(), queue.is_empty()), (0, true));
}

#[test]
fn a_message_that_is_not_accepted_changes_nothing() {
    let mut queue = Queue::new(Serializer::Cbor);
    assert!(queue.push(&result(1, 10)).is_err(), "its payload is JSON");
    assert!(queue.is_empty() && queue.encoded_len() == 0 && queue.pop().is_none());

    let mut queue = Queue::new(Serializer::Json);
    assert!(matches!(queue.push_within(&result(1, 600), 512), Err(PushError::TooLarge { limit: 512, .. })));
    assert!(queue.is_empty() && queue.encoded_len() == 0 && queue.pop().is_none());
}

/// Behaviour 51: a PONG does not wait for the data.
#[test]
fn ping_and_pong_overtake_a_full_queue() {
    let mut queue = Queue::new(Serializer::Json);
    for request in 1..=300 {
        queue.push(&result(request, 1000)).unwrap();
    }
    queue.pong(Bytes::from_static(b"1"));
    queue.ping(Bytes::from_static(b"2"));
    let mut batch = queue.pop().unwrap();
    assert_eq!(batch.pop_control(), Some(Control::Pong(Bytes::from_static(b"1"))));
    assert_eq!(batch.pop_control(), Some(Control::Ping(Bytes::from_static(b"2"))));
    assert!(batch.encoded_len() < 66_000);
    assert_eq!(queue.pop().unwrap().pop_control(), None);
}

#[test]
fn a_flood_of_pings_leaves_a_bounded_number_of_the_newest_answers() {
    let mut queue = Queue::new(Serializer::Json);
    for n in 0..1000_u32 {
        queue.pong(Bytes::copy_from_slice(&n.to_be_bytes()));
    }
    let (controls, _) = drain(&mut queue);
    assert_eq!(controls.len(), MAX_CONTROLS);
    assert_eq!(controls.last(), Some(&Control::Pong(Bytes::copy_from_slice(&999_u32.to_be_bytes()))));

    for _ in 0..1000 {
        queue.pong(vec![0; 30_000].into());
    }
    assert_eq!((queue.controls.len(), queue.memory()), (MAX_CONTROLS, MAX_CONTROLS * MAX_CONTROL));
}

#[test]
fn the_memory_of_a_queue_is_near_its_bytes_and_nothing_is_left_of_it() {
    for len in [10, 300, 3000, 15_000, 17_000, 70_000, 1 << 20] {
        let mut queue = Queue::new(Serializer::Json);
        // Chunks with the memory that the pool of this thread had for them.
        let pooled = 3 * 82 * 1024;
        let (mut most, mut sum) = (0, 0);
        for request in 1..=100 {
            queue.push(&result(request, len)).unwrap();
            queue.append(batch(&[result(request, len)]));
            sum = queue.encoded_len();
            let factor = if (16 << 10..64 << 10).contains(&len) { 5 } else { 2 };
            assert!(queue.memory() <= factor * sum + pooled, "{} for {sum} of {len}", queue.memory());
            assert!(queue.memory() >= sum);
            most = most.max(queue.memory());
        }
        let taken = queue.pop().unwrap();
        assert!(queue.memory() <= most && queue.memory() + 65_536 + len >= sum);
        queue.recycle(taken);
        drain(&mut queue);
        assert_eq!(queue.memory(), 0);
        queue.push(&result(1, len)).unwrap();
        let taken = queue.pop().unwrap();
        queue.push(&result(2, len)).unwrap();
        queue.abort(&abort()).unwrap();
        queue.recycle(taken);
        drain(&mut queue);
        assert_eq!(queue.memory(), 0);
    }
}

#[test]
fn a_pong_does_not_keep_the_buffer_that_its_ping_came_in() {
    let buffer = Bytes::from(vec![0; 100_000]);
    let mut queue = Queue::new(Serializer::Json);
    queue.pong(buffer.slice(..10));
    assert!(buffer.is_unique());
}

#[test]
fn an_abort_takes_the_place_of_all_that_waits() {
    let mut queue = Queue::new(Serializer::Json);
    for request in 1..=300 {
        queue.push(&result(request, 1000)).unwrap();
    }
    queue.pong(Bytes::from_static(b"1"));
    let len = queue.abort(&abort()).unwrap();
    assert_eq!(queue.encoded_len(), len);
    assert_eq!(queue.push(&result(301, 1)), Ok(0), "closed");
    queue.ping(Bytes::new());
    let (controls, messages) = drain(&mut queue);
    assert_eq!(controls, []);
    assert_eq!(messages, [abort().encode(Serializer::Json).unwrap()]);
    assert!(queue.is_closed() && queue.is_empty());
}

#[test]
fn a_closed_queue_returns_its_messages_and_accepts_none() {
    let mut queue = Queue::new(Serializer::Json);
    queue.push(&result(1, 1)).unwrap();
    queue.close();
    assert_eq!(queue.push(&result(2, 1)), Ok(0));
    assert_eq!(drain(&mut queue).1.len(), 1);
}

#[test]
fn an_idle_queue_holds_no_memory() {
    let mut queue = Queue::new(Serializer::Json);
    for count in [1, 300] {
        for request in 1..=count {
            queue.push(&result(request, 1000)).unwrap();
        }
        queue.ping(Bytes::from_static(b"1"));
        drain(&mut queue);
        assert_eq!((queue.chunks.capacity(), queue.controls.capacity()), (0, 0));
        assert!(pool::take().is_some_and(|batch| batch.capacity() > 0), "another queue may use it");
    }
}

fn batch(results: &[Message]) -> Batch {
    let mut batch = Batch::new();
    for result in results {
        batch.push(result, Serializer::Json).unwrap();
    }
    batch
}

#[test]
fn batches_keep_their_place_among_messages() {
    for len in [10, 5000, 60_000] {
        let sent: Vec<_> = (1..=12).map(|request| result(request, len)).collect();
        let mut queue = Queue::new(Serializer::Json);
        for part in sent.chunks(4) {
            queue.push(&part[0]).unwrap();
            let before = queue.encoded_len();
            assert_eq!(queue.append(batch(&part[1..])), queue.encoded_len() - before);
        }
        let wanted: Vec<_> = sent.iter().map(|m| m.encode(Serializer::Json).unwrap()).collect();
        assert_eq!(queue.encoded_len(), wanted.iter().map(Bytes::len).sum::<usize>());
        if len == 10 {
            assert_eq!(queue.chunks.len(), 1, "what is small leaves with one write");
        }
        assert_eq!(drain(&mut queue).1, wanted);
        assert_eq!(queue.encoded_len(), 0);
    }
}

#[test]
fn a_closed_queue_takes_no_batch() {
    let mut queue = Queue::new(Serializer::Json);
    queue.push(&result(1, 10)).unwrap();
    queue.close();
    let len = queue.encoded_len();
    assert_eq!(queue.append(batch(&[result(2, 10)])), 0);
    assert_eq!(queue.encoded_len(), len);
    assert_eq!(drain(&mut queue).1.len(), 1);
    let mut queue = Queue::new(Serializer::Json);
    assert_eq!(queue.append(Batch::new()), 0);
    assert!(queue.is_empty());
}

#[test]
fn shared_messages_keep_their_place_and_many_are_not_copied() {
    for (bytes, is_copied) in [(10, true), (5000, false), (60_000, false)] {
        let sent: Vec<_> = (1..=12).map(|request| result(request, bytes)).collect();
        let (mut queue, mut other) = (Queue::new(Serializer::Json), Queue::new(Serializer::Json));
        let counted = SharedMemory::default();
        let mut memory = 0;
        for part in sent.chunks(4) {
            queue.push(&part[0]).unwrap();
            let before = queue.encoded_len();
            let shared = batch(&part[1..]).into_shared(&counted);
            assert_eq!(queue.append_shared(&shared), queue.encoded_len() - before);
            other.append_shared(&shared);
            memory += shared.framed_len();
        }
        // Shared memory is counted once, as long as one of the queues has it.
        let copied = if is_copied { 0 } else { memory };
        assert!(queue.memory() + counted.get() >= memory);
        assert!((copied..=copied + copied / 2).contains(&counted.get()), "{}", counted.get());
        assert_eq!((queue.shared_memory(), other.shared_memory()), (counted.get(), counted.get()));
        assert!(is_copied || other.memory() == 0);
        other.clear();
        assert_eq!(queue.shared_memory(), counted.get());
        let wanted: Vec<_> = sent.iter().map(|m| m.encode(Serializer::Json).unwrap()).collect();
        assert_eq!(queue.encoded_len(), wanted.iter().map(Bytes::len).sum::<usize>());
        assert_eq!(queue.chunks.len(), if is_copied { 1 } else { 6 });
        assert_eq!(drain(&mut queue).1, wanted);
        assert_eq!((queue.encoded_len(), queue.waiting_memory, queue.taken_memory), (0, 0, 0));
        assert_eq!(counted.get(), 0);
    }
    let mut queue = Queue::new(Serializer::Json);
    queue.close();
    let counted = SharedMemory::default();
    assert_eq!(queue.append_shared(&batch(&[result(2, 10)]).into_shared(&counted)), 0);
    assert_eq!(counted.get(), 0);
    assert!(queue.is_empty());
}
