use std::future::Future;
use std::pin::pin;
use std::task::Waker;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use wamp_proto::Serializer;
use wamp_transport::{ReadHalf, Transport};

use super::*;
use crate::assemble::{Assembler, Item};
use crate::{Config, Reader, Role, WebSocket};

fn pair(buffer: usize, role: Role) -> (DuplexStream, Reader<DuplexStream>, Writer<DuplexStream>) {
    let (ours, theirs) = duplex(buffer);
    let config = Config::default();
    let (read, write) = WebSocket::new(theirs, BytesMut::new(), role, Serializer::Cbor, &config).split();
    (ours, read, write)
}

/// Polls once, without a waker and without tokio's budget; then drops the future.
fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(tokio::task::coop::unconstrained(future)).poll(&mut Context::from_waker(Waker::noop()))
}

fn items(role: Role, wire: &[u8]) -> Vec<Item> {
    let mut assembler = Assembler::new(role, false, usize::MAX, BytesMut::from(wire));
    let mut items = Vec::new();
    loop {
        match assembler.next().unwrap() {
            Item::Missing(_) => return items,
            item => items.push(item),
        }
    }
}

/// A client's end: each payload must be masked exactly once.
#[tokio::test]
async fn a_dropped_write_of_a_client_goes_on_where_it_was() {
    let (mut server, read, mut write) = pair(97, Role::Client);
    let messages = [vec![1; 10], vec![2; 200_000], vec![], vec![3; 70]];
    let mut batch = Batch::new();
    messages.iter().for_each(|message| batch.push_bytes(message));
    batch.ping("hi".into());
    let (mut wire, mut bytes) = (Vec::new(), [0; 31]);
    while poll(write.write(&mut batch)).is_pending() {
        let n = server.read(&mut bytes).await.unwrap();
        wire.extend_from_slice(&bytes[..n]);
    }
    drop((read, write));
    server.read_to_end(&mut wire).await.unwrap();
    let mut came = items(Role::Server, &wire).into_iter();
    assert_eq!(came.next(), Some(Item::Ping("hi".into())));
    assert!(came.eq(messages.map(|message| Item::Message(message.into()))));
}

#[tokio::test]
async fn a_pong_does_not_get_into_a_frame_whose_write_was_given_up() {
    let (mut client, mut read, mut write) = pair(1000, Role::Server);
    let mut batch = Batch::new();
    batch.push_bytes(&[7; 70_000]);
    assert!(poll(write.write(&mut batch)).is_pending());
    client.write_all(&[0x89, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
    let (mut wire, mut bytes) = (Vec::new(), [0; 100]);
    // No task writes, so the reader also sends the rest of the frame.
    while poll(read.read(&mut Vec::new())).is_pending() {
        let Poll::Ready(n) = poll(client.read(&mut bytes)) else { break };
        wire.extend_from_slice(&bytes[..n.unwrap()]);
    }
    assert_eq!(wire[4 + MAX_FRAME..], [0x8a, 2, b'h', b'i']);
    write.close().await;
    client.read_to_end(&mut wire).await.unwrap();
    assert_eq!(wire[8 + MAX_FRAME..], [0x88, 2, 0x03, 0xe8]);
}

/// Two tasks wait for room in the same stream. The clock stands still while a task can go on, so the timeout
/// means that no task was woken.
#[tokio::test(start_paused = true)]
async fn a_writer_and_pongs_do_not_keep_each_other_from_being_woken() {
    let (client, mut read, mut write) = pair(50, Role::Server);
    let (mut from_server, mut to_server) = tokio::io::split(client);
    const ROUNDS: usize = 300;
    let reader = tokio::spawn(async move {
        let mut came = Vec::new();
        while read.read(&mut came).await.is_ok() {}
        came
    });
    let writer = tokio::spawn(async move {
        for round in 0..ROUNDS {
            let mut batch = Batch::new();
            batch.push_bytes(&vec![1; round]);
            write.write(&mut batch).await.unwrap();
            tokio::task::yield_now().await;
        }
        write.close().await;
    });
    let pings = tokio::spawn(async move {
        for _ in 0..ROUNDS {
            to_server.write_all(&[0x89, 0x80, 0, 0, 0, 0, 0x82, 0x81, 0, 0, 0, 0, 0]).await.unwrap();
        }
        to_server
    });
    let all = async {
        let mut wire = Vec::new();
        from_server.read_to_end(&mut wire).await.unwrap();
        writer.await.unwrap();
        pings.await.unwrap().shutdown().await.unwrap();
        (wire, reader.await.unwrap())
    };
    let (wire, came) = tokio::time::timeout(Duration::from_secs(1), all).await.expect("no task was woken");
    assert_eq!(came.len(), ROUNDS);
    let messages = items(Role::Client, &wire);
    let messages = messages.iter().filter(|item| matches!(item, Item::Message(_))).count();
    assert_eq!(messages, ROUNDS);
}
