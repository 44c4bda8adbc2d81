use std::future::Future;
use std::pin::pin;
use std::task::Context;

use super::*;

fn batch(messages: &[&str]) -> Batch {
    let mut batch = Batch::new();
    for message in messages {
        batch.push_bytes(message.as_bytes());
    }
    batch
}

fn message(text: &'static str) -> Incoming {
    Incoming::Message(Bytes::from_static(text.as_bytes()))
}

/// Polls once, without a waker.
fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn one_read_brings_all_that_is_there() {
    let (here, there) = pair(Serializer::Json);
    let ((_r, mut write), (mut read, _w)) = (here.split(), there.split());
    let mut out = batch(&["[1]", "[22]"]);
    out.ping(Bytes::from_static(b"!"));
    write.write(&mut out).await.unwrap();
    write.write(&mut batch(&["[333]"])).await.unwrap();
    let mut came = Vec::new();
    read.read(&mut came).await.unwrap();
    assert_eq!(
        came,
        [Incoming::Ping(Bytes::from_static(b"!")), message("[1]"), message("[22]"), message("[333]")]
    );
    assert!(out.is_empty() && write.accepted() > 0);
}

#[tokio::test]
async fn a_writer_waits_for_room_and_a_dropped_write_goes_on_where_it_was() {
    let (here, there) = pair_with(Serializer::Json, 1);
    let ((_r, mut write), (mut read, _w)) = (here.split(), there.split());
    let mut out = batch(&["[1]", "[2]", "[3]"]);
    let mut came = Vec::new();
    for left in [2, 1] {
        assert!(poll(write.write(&mut out)).is_pending());
        assert_eq!(out.len(), left);
        read.read(&mut came).await.unwrap();
    }
    write.write(&mut out).await.unwrap();
    read.read(&mut came).await.unwrap();
    assert_eq!(came, [message("[1]"), message("[2]"), message("[3]")]);
}

#[tokio::test]
async fn a_waiting_writer_is_woken_by_a_read_and_a_waiting_reader_by_a_write() {
    let (here, there) = pair_with(Serializer::Json, 10);
    let ((_r, mut write), (mut read, _w)) = (here.split(), there.split());
    let mut out = batch(&["[1]"; 1000]);
    let reading = async {
        let mut came = Vec::new();
        while came.len() < 1000 {
            read.read(&mut came).await.unwrap();
        }
    };
    let (written, ()) = tokio::join!(write.write(&mut out), reading);
    written.unwrap();
}

#[tokio::test]
async fn messages_written_before_the_end_arrive() {
    let (here, there) = pair(Serializer::Json);
    let ((_r, mut write), (mut read, _w)) = (here.split(), there.split());
    write.write(&mut batch(&["[1]"])).await.unwrap();
    write.close().await;
    assert!(matches!(write.write(&mut batch(&["[2]"])).await, Err(WriteError::Closed)));
    let mut came = Vec::new();
    read.read(&mut came).await.unwrap();
    assert_eq!(came, [message("[1]")]);
    assert!(matches!(read.read(&mut came).await, Err(ReadError::Closed)));
}

#[tokio::test]
async fn each_half_sees_the_other_end_go() {
    let (here, there) = pair(Serializer::Json);
    let (mut read, mut write) = here.split();
    drop(there);
    assert!(matches!(read.read(&mut Vec::new()).await, Err(ReadError::Closed)));
    assert!(matches!(write.write(&mut batch(&["[1]"])).await, Err(WriteError::Closed)));
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_after_those_before_it() {
    let (here, there) = pair(Serializer::Json);
    let ((_r, mut write), (mut read, _w)) = (here.split(), there.split());
    read.set_max_receive(4);
    write.write(&mut batch(&["[22]", "[333]", "[1]"])).await.unwrap();
    let mut came = Vec::new();
    read.read(&mut came).await.unwrap();
    assert_eq!(came, [message("[22]")]);
    let refused = read.read(&mut came).await;
    assert!(matches!(refused, Err(ReadError::TooLarge { len: 5, limit: 4 })), "{refused:?}");
}

/// Everything that waits for a reader is bounded, even items without bytes.
#[tokio::test]
async fn empty_messages_and_pings_are_bounded() {
    let (here, there) = pair(Serializer::Json);
    let ((_r, mut write), (_read, _w)) = (here.split(), there.split());
    let mut out = Batch::new();
    for _ in 0..100_000 {
        out.ping(Bytes::new());
        out.push_bytes(b"");
    }
    assert!(poll(write.write(&mut out)).is_pending());
    assert!(write.pipe.lock().items.len() <= DEFAULT_CAPACITY / PREFIX);
}
