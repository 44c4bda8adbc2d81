use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use wamp_proto::Serializer;
use wamp_transport::socket::AnyStream;
use wamp_transport::{Batch, Transport, WriteHalf};

use super::*;
use crate::{Config, Role, WebSocket, Writer};

/// A server's end, and the bare stream of its client.
fn pair(buffer: usize) -> (DuplexStream, Reader<DuplexStream>, Writer<DuplexStream>) {
    let (ours, theirs) = duplex(buffer);
    let config = Config::default();
    let server = WebSocket::new(theirs, BytesMut::new(), Role::Server, Serializer::Cbor, &config);
    let (read, write) = server.split();
    (ours, read, write)
}

/// Polls once, without a waker and without tokio's budget; then drops the future.
fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(tokio::task::coop::unconstrained(future)).poll(&mut Context::from_waker(Waker::noop()))
}

/// A client's frame of spaces.
fn frame(len: usize) -> Vec<u8> {
    let mut frame = vec![0x82];
    match len {
        0..126 => frame.push(0x80 | len as u8),
        126..0x1_0000 => {
            frame.push(0xfe);
            frame.extend((len as u16).to_be_bytes());
        }
        _ => {
            frame.push(0xff);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend((0..len).map(|i| b' ' ^ mask[i % 4]));
    frame
}

fn spaces(len: usize) -> Incoming {
    Incoming::Message(Bytes::from(vec![b' '; len]))
}

impl<S: Socket> Reader<S> {
    /// The bytes of memory in all buffers of the connection.
    fn held(&self) -> usize {
        self.assembler.buffer.capacity() + self.shared.lock().staged.held()
    }
}

/// The memory of an idle session, without its task and its socket.
#[tokio::test]
async fn an_idle_connection_holds_no_buffers_and_little_else() {
    let (mut client, mut read, mut write) = pair(1 << 20);
    let mut came = Vec::new();
    for len in [16, 1000, 200_000] {
        client.write_all(&[frame(len).repeat(3), vec![0x89, 0x80, 0, 0, 0, 0]].concat()).await.unwrap();
        while came.len() < 3 {
            read.read(&mut came).await.unwrap();
        }
        assert_eq!(came, [spaces(len), spaces(len), spaces(len)]);
        came.clear();
        let mut batch = Batch::new();
        (0..3).for_each(|_| batch.push_bytes(&vec![0; len]));
        write.write(&mut batch).await.unwrap();
    }
    assert!(poll(read.read(&mut came)).is_pending());
    assert_eq!(read.held(), 0);
    let fixed =
        size_of_val(&read) + size_of_val(&write) + size_of::<WriteSide<<DuplexStream as Socket>::Write>>();
    assert!(fixed <= 1024, "{fixed}");
}

#[tokio::test]
async fn a_dropped_read_loses_nothing_however_little_comes_at_a_time() {
    let fragments = [vec![0x02, 0x81, 0, 0, 0, 0, b' '], vec![0x80, 0x81, 0, 0, 0, 0, b' ']];
    let ping = vec![0x89, 0x82, 0, 0, 0, 0, b'h', b'i'];
    let bytes = [frame(3), fragments[0].clone(), ping, fragments[1].clone(), frame(130), frame(70_000)];
    let (mut client, mut read, _write) = pair(1);
    let mut came = Vec::new();
    for byte in bytes.concat() {
        client.write_all(&[byte]).await.unwrap();
        let before = came.len();
        let outcome = poll(read.read(&mut came));
        assert_eq!(outcome.is_ready(), came.len() > before);
    }
    assert!(came == [spaces(3), spaces(2), spaces(130), spaces(70_000)]);
}

#[tokio::test]
async fn a_length_that_was_only_announced_allocates_nothing() {
    for announced in [&frame(1 << 20)[..16], &frame(60_000)[..10]] {
        let (mut client, mut read, _write) = pair(1024);
        client.write_all(announced).await.unwrap();
        assert!(poll(read.read(&mut Vec::new())).is_pending());
        assert!(read.held() <= 64, "{}", read.held());
    }
}

#[tokio::test]
async fn reads_grow_and_shrink_with_the_received_bytes() {
    let (mut client, mut read, _write) = pair(1 << 20);
    client.write_all(&frame(1_000).repeat(300)).await.unwrap();
    let mut came = Vec::new();
    while came.len() < 300 {
        assert!(poll(read.read(&mut came)).is_ready());
    }
    assert_eq!(read.piece, LARGE_READ);
    for _ in 0..5 {
        client.write_all(&frame(1)).await.unwrap();
        assert!(poll(read.read(&mut came)).is_ready());
    }
    assert_eq!(read.piece, SMALL_READ);
}

#[tokio::test]
async fn frames_that_are_no_messages_leave_others_their_turn() {
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    let empty = [0x00, 0x80, 0, 0, 0, 0];
    let begin = [0x02, 0x80, 0, 0, 0, 0];
    let fragments = [&begin[..], &empty.repeat(100_000)].concat();
    for flood in [ping.repeat(100_000), fragments] {
        let (mut client, mut read, _write) = pair(1 << 20);
        client.write_all(&flood).await.unwrap();
        let mut turns = 0;
        while read.received() < flood.len() as u64 {
            let before = read.received();
            assert!(poll(read.read(&mut Vec::new())).is_pending());
            assert!(read.received() - before <= 4 * SMALL_FRAMES as u64, "{}", read.received() - before);
            turns += 1;
            tokio::task::yield_now().await;
        }
        assert!(turns >= flood.len() / (4 * SMALL_FRAMES), "{turns}");
    }
}

#[tokio::test]
async fn received_messages_are_returned_before_other_tasks_run() {
    let (mut client, mut read, _write) = pair(1 << 20);
    let message = frame(1_000);
    client.write_all(&message.repeat(100)).await.unwrap();
    // The beginning of another message, without its end.
    client.write_all(&message[..500]).await.unwrap();
    let mut came = Vec::new();
    while came.len() < 100 {
        let before = came.len();
        assert!(poll(read.read(&mut came)).is_ready());
        assert!(came.len() > before);
    }
    assert!(poll(read.read(&mut came)).is_pending());
    assert_eq!(came.len(), 100);
}

#[tokio::test]
async fn of_too_many_pings_the_last_one_is_answered() {
    let (mut client, mut read, _write) = pair(8);
    let ping = |n: u16| [vec![0x89, 0x82, 0, 0, 0, 0], n.to_be_bytes().to_vec()].concat();
    for n in 0..5000 {
        for bytes in ping(n).chunks(8) {
            client.write_all(bytes).await.unwrap();
        }
        assert!(poll(read.read(&mut Vec::new())).is_pending());
    }
    assert!(read.held() <= 3 * 4096, "{}", read.held());
    let mut pongs = Vec::new();
    let mut bytes = [0; 8];
    while let Poll::Ready(Ok(n @ 1..)) = poll(client.read(&mut bytes)) {
        pongs.extend_from_slice(&bytes[..n]);
        assert!(poll(read.read(&mut Vec::new())).is_pending());
    }
    assert_eq!(pongs[..4], [0x8a, 2, 0, 0]);
    assert_eq!(pongs[pongs.len() - 4..], [[0x8a, 2], 4999_u16.to_be_bytes()].concat());
    assert!(pongs.len() < 5000, "{}", pongs.len());
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_after_all_pending_messages() {
    for (close, answer) in [
        (&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9][..], &[0x88, 2, 0x03, 0xe9][..]),
        (&[0x88, 0x80, 0, 0, 0, 0], &[0x88, 0]),
    ] {
        let (mut client, mut read, mut write) = pair(4096);
        client.write_all(&[&[0x82, 0x81, 0, 0, 0, 0, 7][..], close].concat()).await.unwrap();
        let mut came = Vec::new();
        read.read(&mut came).await.unwrap();
        assert_eq!(came, [Incoming::Message(b"\x07"[..].into())]);
        assert!(matches!(read.read(&mut came).await, Err(ReadError::Closed)));
        let mut batch = Batch::new();
        batch.push_bytes(b"\x01");
        write.write(&mut batch).await.unwrap();
        write.close().await;
        // The peer waits for the end of the connection, and nothing else is waited for here.
        assert!(poll(read.discard()).is_ready());
        assert!(write.write(&mut batch).await.is_err(), "closed is closed");
        drop((read, write));
        let mut wire = Vec::new();
        client.read_to_end(&mut wire).await.unwrap();
        assert_eq!(wire, [&[0x82, 1, 1], answer].concat());
    }
}

#[tokio::test]
async fn the_rest_is_read_up_to_a_close_and_not_longer() {
    let (mut client, mut read, mut write) = pair(4096);
    client.write_all(&[0x82, 0x81, 0, 0, 0, 0, 7]).await.unwrap();
    write.close().await;
    assert!(poll(read.discard()).is_pending(), "the peer has not answered");
    client.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).await.unwrap();
    assert!(poll(read.discard()).is_ready());
}

/// A stream that ends, and counts the reads.
struct Ends(Arc<AtomicUsize>);

impl AsyncRead for Ends {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ends {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn nothing_is_discarded_after_the_end() {
    let asked = Arc::<AtomicUsize>::default();
    let stream = AnyStream(Ends(asked.clone()));
    let config = Config::default();
    let server = WebSocket::new(stream, BytesMut::new(), Role::Server, Serializer::Cbor, &config);
    let mut read = server.split().0;
    assert!(matches!(read.read(&mut Vec::new()).await, Err(ReadError::Closed)));
    read.discard().await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
