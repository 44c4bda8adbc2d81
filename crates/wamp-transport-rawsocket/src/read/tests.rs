use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncWriteExt, DuplexStream, ReadBuf, duplex};

use super::*;

fn pair(buffer: usize) -> (DuplexStream, Reader<DuplexStream>) {
    let (write, read) = duplex(buffer);
    (write, Reader::new(read, BytesMut::new(), 1 << 24))
}

/// Polls a read once, without a waker.
fn poll(reader: &mut Reader<DuplexStream>) -> (Poll<Result<(), ReadError>>, Vec<Incoming>) {
    let mut into = Vec::new();
    // Without tokio's budget, which would make a test that reads a lot wait at random places.
    let read = tokio::task::coop::unconstrained(reader.read(&mut into));
    let outcome = pin!(read).poll(&mut Context::from_waker(Waker::noop()));
    (outcome, into)
}

fn frame(len: usize) -> Vec<u8> {
    let mut frame = frame::prefix(Kind::Message, len).unwrap().to_vec();
    frame.resize(PREFIX + len, b' ');
    frame
}

/// Behaviour 59.
#[tokio::test]
async fn a_length_that_was_only_announced_allocates_nothing() {
    let (mut write, mut reader) = pair(1024);
    write.write_all(&[0x08, 0, 0, 0, b'[', b'1']).await.unwrap();
    assert!(poll(&mut reader).0.is_pending());
    assert!(reader.buffer.capacity() <= SMALL_READ, "{}", reader.buffer.capacity());
}

/// Behaviours 48 and 59.
#[tokio::test]
async fn the_buffer_of_a_large_message_grows_with_its_received_bytes() {
    let (mut write, mut reader) = pair(1 << 20);
    let frame = frame(1 << 24);
    let mut sent = 0;
    for piece in frame.chunks(100_000) {
        write.write_all(piece).await.unwrap();
        sent += piece.len();
        let (outcome, into) = poll(&mut reader);
        if sent < frame.len() {
            assert!(outcome.is_pending());
            assert!(reader.buffer.capacity() <= 4 * sent + 2 * LARGE_READ, "{sent}");
        } else {
            assert!(matches!(&into[..], [Incoming::Message(m)] if m[..] == frame[PREFIX..]));
        }
    }
    assert_eq!(sent, frame.len());
}

#[tokio::test]
async fn an_idle_reader_holds_no_buffer() {
    let (mut write, mut reader) = pair(1 << 20);
    for _ in 0..10 {
        write.write_all(&frame(200_000)).await.unwrap();
        assert!(poll(&mut reader).0.is_ready());
    }
    assert!(poll(&mut reader).0.is_pending());
    assert_eq!(reader.buffer.capacity(), 0);
}

#[tokio::test]
async fn a_small_message_does_not_share_the_buffer_of_a_large_one() {
    let (mut write, mut reader) = pair(1 << 20);
    write.write_all(&[frame(200_000), frame(3), frame(4)].concat()).await.unwrap();
    let lengths = |into: Vec<Incoming>| -> Vec<usize> {
        into.iter().map(|i| if let Incoming::Message(m) = i { m.len() } else { 0 }).collect()
    };
    assert_eq!(lengths(poll(&mut reader).1), [200_000]);
    assert_eq!(lengths(poll(&mut reader).1), [3, 4]);
}

#[tokio::test]
async fn reads_grow_and_shrink_with_the_received_bytes() {
    let (mut write, mut reader) = pair(1 << 20);
    write.write_all(&frame(1_000).repeat(300)).await.unwrap();
    let mut came = 0;
    while came < 300 {
        let (outcome, into) = poll(&mut reader);
        assert!(matches!(outcome, Poll::Ready(Ok(()))));
        came += into.len();
    }
    assert_eq!(reader.piece, LARGE_READ);
    for _ in 0..5 {
        write.write_all(&frame(1)).await.unwrap();
        assert!(poll(&mut reader).0.is_ready());
    }
    assert_eq!(reader.piece, SMALL_READ);
}

#[tokio::test]
async fn one_call_brings_a_bounded_number_of_frames() {
    let (mut write, mut reader) = pair(1 << 20);
    reader.piece = LARGE_READ;
    write.write_all(&[0; 4 * (MAX_FRAMES + 1)]).await.unwrap();
    assert_eq!(poll(&mut reader).1.len(), MAX_FRAMES);
    assert_eq!(poll(&mut reader).1, [Incoming::Message(bytes::Bytes::new())]);
}

/// The result of `read_runs`, message by message.
fn flat(items: &[Incoming]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for item in items {
        match item {
            Incoming::Message(message) => all.push(message.to_vec()),
            Incoming::Run(run) => all.extend(run.messages().map(|range| run.buffer()[range].to_vec())),
            Incoming::Ping(payload) => all.push([b"PING ", &payload[..]].concat()),
            other => panic!("{other:?}"),
        }
    }
    all
}

#[tokio::test]
async fn messages_that_come_together_are_one_run() {
    let (mut write, mut reader) = pair(1 << 20);
    let mut bytes = Vec::new();
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    for n in 0..10 {
        let message = vec![b'a' + n; n.into()];
        bytes.extend(frame::prefix(Kind::Message, message.len()).unwrap());
        bytes.extend(&message);
        wanted.push(message);
        if n == 5 {
            bytes.extend(frame::prefix(Kind::Ping, 1).unwrap());
            bytes.push(b'x');
            wanted.push(b"PING x".to_vec());
        }
    }
    for (step, items) in [(bytes.len(), 3), (3, 0)] {
        let mut came = Vec::new();
        for piece in bytes.chunks(step) {
            write.write_all(piece).await.unwrap();
            let mut into = Vec::new();
            let read = tokio::task::coop::unconstrained(reader.read_runs(&mut into));
            let _ = pin!(read).poll(&mut Context::from_waker(Waker::noop()));
            came.append(&mut into);
        }
        assert_eq!(flat(&came), wanted);
        if items > 0 {
            assert_eq!(came.len(), items, "{came:?}");
            assert!(matches!(&came[0], Incoming::Run(_)));
        }
    }
}

/// A forbidden frame ends a run, and the next read finds it.
#[tokio::test]
async fn a_run_ends_before_a_faulty_frame() {
    for wrong in [[0x00, 0, 1, 0], [0x03, 0, 0, 0], [0x80, 0, 0, 0], [0x08, 0, 0, 0]] {
        let (mut write, mut reader) = pair(1 << 20);
        reader.set_max_receive(255);
        let mut bytes = [frame(255), frame(3)].concat();
        bytes.extend(wrong);
        bytes.resize(bytes.len() + 256, 0);
        write.write_all(&bytes).await.unwrap();
        let mut into = Vec::new();
        reader.read_runs(&mut into).await.unwrap();
        assert_eq!(flat(&into).iter().map(Vec::len).collect::<Vec<_>>(), [255, 3], "{wrong:02x?}");
        let error = reader.read_runs(&mut into).await.unwrap_err();
        assert!(matches!(error, ReadError::TooLarge { .. } | ReadError::Violation(_)), "{error}");
    }
}

/// Frames a little longer than a read are read one at a time, each into a buffer of its size.
#[tokio::test]
async fn frames_of_the_same_length_are_read_one_at_a_time() {
    let (mut write, mut reader) = pair(1 << 20);
    for len in [70_000, 70_000, 70_000, 100, 1 << 18, 100] {
        write.write_all(&frame(len)).await.unwrap();
    }
    for (len, usual) in [(70_000, Some(70_004)), (70_000, Some(70_004)), (70_000, Some(70_004))] {
        let (_, into) = poll(&mut reader);
        assert!(matches!(&into[..], [Incoming::Message(m)] if m.len() == len), "{}", into.len());
        assert_eq!(reader.usual, usual);
        assert!(reader.buffer.is_empty());
    }
    let mut all = 0;
    while all < 3 {
        all += poll(&mut reader).1.len();
        assert_eq!(reader.usual, None);
    }
}

/// A stream that ends once.
struct Ends(usize);

impl AsyncRead for Ends {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0 += 1;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn nothing_is_discarded_after_the_end() {
    let mut reader = Reader::new(Ends(0), BytesMut::new(), 512);
    assert!(matches!(reader.read(&mut Vec::new()).await, Err(ReadError::Closed)));
    reader.discard().await;
    assert_eq!(reader.stream.0, 1);
}

#[tokio::test]
async fn a_ping_is_short() {
    for kind in [Kind::Ping, Kind::Pong] {
        for (length, expected) in [(MAX_CONTROL, true), (MAX_CONTROL + 1, false)] {
            let mut bytes = frame::prefix(kind, length).unwrap().to_vec();
            bytes.resize(PREFIX + length, 0);
            let mut came = Vec::new();
            let read = Reader::new(&bytes[..], BytesMut::new(), usize::MAX).fill(&mut came, false).await;
            assert_eq!(read.is_ok(), expected, "{read:?}");
        }
    }
    let read = frame::prefix(Kind::Ping, 1 << 24).unwrap();
    let error = Reader::new(&read[..], BytesMut::new(), usize::MAX).fill(&mut Vec::new(), false).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("a PING of 16777216 bytes, with a limit of 4096"), "{error}");
}
