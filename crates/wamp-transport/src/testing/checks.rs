//! Messages, PINGs, and futures that are dropped.

use std::task::Poll;

use bytes::Bytes;
use tokio::task::yield_now;

use super::Wanted;
use super::peer::{
    Fault, batch, compare, ensure, messages, poll_in_task, poll_once, read_messages, read_some, spawn,
    write_all,
};
use crate::{Batch, Incoming, ReadHalf, Transport, WriteHalf};

/// The lengths at which transports change the form of a frame, and many small ones.
fn lengths(wanted: Wanted) -> Vec<usize> {
    let mut lengths = vec![2, 3, 125, 126, 127, 128, 255, 256, 1000];
    if wanted.capacity > 1 {
        lengths.extend([4095, 16_383, 16_384, 65_535, 65_536, 200_001]);
    }
    lengths.extend([7; 300]);
    lengths
}

/// The number of polls after which missing messages will not arrive any more.
fn most_polls(messages: &[Vec<u8>], wanted: Wanted) -> usize {
    1000 + 8 * messages.iter().map(Vec::len).sum::<usize>() / wanted.capacity
}

pub(super) async fn both_ends_agree<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    for serializer in [from.serializer(), to.serializer()] {
        ensure!(serializer == wanted.serializer, "an end has {serializer} as its serializer");
    }
    ensure!(from.pings() == to.pings(), "one end can carry a PING and the other cannot");
    ensure!(!from.name().is_empty(), "the transport has no name");
    ensure!(from.max_send() >= 512, "messages of {} bytes at most are too short for WAMP", from.max_send());
    Ok(())
}

/// Both directions at the same time, and each half in a task of its own.
pub(super) async fn messages_arrive_whole_and_in_order<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let sent = messages(wanted.serializer, &lengths(wanted));
    let ((mut from_read, mut from_write), (mut to_read, mut to_write)) = (from.split(), to.split());
    let (forth, back, count) = (sent.clone(), sent.clone(), sent.len());
    let writing = spawn(async move {
        write_all(&mut from_write, &forth).await?;
        Ok(from_write)
    });
    let answering = spawn(async move {
        write_all(&mut to_write, &back).await?;
        Ok(to_write)
    });
    let answers = spawn(async move { Ok((read_messages(&mut from_read, count).await?, from_read)) });
    let came = read_messages(&mut to_read, count).await?;
    let (answers, _from_read) = answers.await?;
    // The halves are kept until everything has arrived.
    let _halves = (writing.await?, answering.await?);
    compare(&came, &sent)?;
    compare(&answers, &sent)
}

/// As a driver that has other work meanwhile, or checks whether a batch can be written at once.
pub(super) async fn a_dropped_write_goes_on_where_it_was<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let sent = messages(wanted.serializer, &lengths(wanted));
    let ((_from_read, mut write), (mut read, _to_write)) = (from.split(), to.split());
    let count = sent.len();
    let reading = spawn(async move { Ok((read_messages(&mut read, count).await?, read)) });
    let (dropped, awaited) = sent.split_at(sent.len() / 2);
    let (mut batch, mut polls) = (batch(dropped), 0);
    loop {
        polls += 1;
        ensure!(polls <= most_polls(&sent, wanted), "{} messages are not written", batch.len());
        let (before, accepted) = (batch.len(), write.accepted());
        let polled = poll_in_task(write.write(&mut batch)).await;
        ensure!(batch.len() <= before, "a dropped write has put messages back into its batch");
        ensure!(write.accepted() >= accepted, "accepted() has become less");
        match polled {
            Poll::Ready(written) => {
                written.map_err(|error| format!("cannot write: {error}"))?;
                break;
            }
            Poll::Pending => yield_now().await,
        }
    }
    ensure!(batch.is_empty(), "a write was complete with {} messages left in its batch", batch.len());
    awaited.iter().for_each(|message| batch.push_bytes(message));
    // First a write without a waker, then one that must be woken.
    let _ = poll_once(write.write(&mut batch));
    write.write(&mut batch).await.map_err(|error| format!("cannot write: {error}"))?;
    compare(&reading.await?.0, &sent)
}

pub(super) async fn a_dropped_read_loses_nothing<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let sent = messages(wanted.serializer, &lengths(wanted));
    let ((_from_read, mut write), (mut read, _to_write)) = (from.split(), to.split());
    let (first, rest) = sent.split_at(sent.len() - 10);
    let (first, rest) = (first.to_vec(), rest.to_vec());
    let count = first.len();
    let writing = spawn(async move {
        write_all(&mut write, &first).await?;
        Ok(write)
    });
    let (mut came, mut items, mut polls) = (Vec::new(), Vec::new(), 0);
    while came.len() < count {
        polls += 1;
        ensure!(polls <= most_polls(&sent, wanted), "{} of {count} messages arrived", came.len());
        match poll_in_task(read.read(&mut items)).await {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Err(format!("cannot read: {error}")),
            Poll::Pending => yield_now().await,
        }
        came.extend(items.drain(..).filter_map(|item| match item {
            Incoming::Message(message) => Some(message),
            _ => None,
        }));
    }
    let mut write = writing.await?;
    // First a read without a waker, then one that must be woken.
    ensure!(poll_once(read.read(&mut items)).is_pending(), "a read was complete without a message");
    let reading = spawn(async move { read_messages(&mut read, 10).await });
    yield_now().await;
    write_all(&mut write, &rest).await?;
    came.extend(reading.await?);
    compare(&came, &sent)
}

pub(super) async fn runs_are_the_same_messages<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let long = if wanted.capacity > 1 { 17_000 } else { 300 };
    let sent = messages(wanted.serializer, &[[9; 40].as_slice(), &[300, 9, long], &[5; 40]].concat());
    let ((_from_read, mut write), (mut read, _to_write)) = (from.split(), to.split());
    let to_send = sent.clone();
    let writing = spawn(async move {
        write_all(&mut write, &to_send).await?;
        Ok(write)
    });
    let (mut came, mut items) = (Vec::<Bytes>::new(), Vec::new());
    while came.len() < sent.len() {
        read.read_runs(&mut items).await.map_err(|error| format!("cannot read: {error}"))?;
        ensure!(!items.is_empty(), "a read was successful and returned nothing");
        for item in items.drain(..) {
            match item {
                Incoming::Message(message) => came.push(message),
                Incoming::Run(run) => came.extend(run.messages().map(|range| run.buffer().slice(range))),
                Incoming::Ping(_) | Incoming::Pong(_) => {}
            }
        }
    }
    let _write = writing.await?;
    compare(&came, &sent)
}

pub(super) async fn a_message_beyond_the_limit_ends_reading_after_those_before_it<
    A: Transport,
    B: Transport,
>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let sent = messages(wanted.serializer, &[1000, 10, 1001, 10]);
    let ((_from_read, mut write), (mut read, _to_write)) = (from.split(), to.split());
    read.set_max_receive(1000);
    let to_send = sent.clone();
    // The reader may be gone before everything is written.
    let writing = tokio::spawn(async move {
        let _ = write.write(&mut batch(&to_send)).await;
        write
    });
    let mut came = Vec::new();
    while read_some(&mut read, &mut came).await?.is_ok() {
        ensure!(came.len() <= 2, "a message of 1001 bytes arrived, with a limit of 1000");
    }
    compare(&came, &sent[..2])?;
    let again = read_some(&mut read, &mut came).await?;
    ensure!(again.is_err() && came.len() == 2, "reading went on after an error");
    writing.abort();
    Ok(())
}

/// Either the transport answers by itself, or the reader returns the PING and its driver answers.
pub(super) async fn a_ping_is_answered<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    if !from.pings() {
        return Ok(());
    }
    let sent = messages(wanted.serializer, &[10, 20]);
    let ((mut from_read, mut write), (mut read, mut to_write)) = (from.split(), to.split());
    let answering = tokio::spawn(async move {
        let mut items = Vec::new();
        while read.read(&mut items).await.is_ok() {
            let mut answers = Batch::new();
            for item in items.drain(..) {
                if let Incoming::Ping(payload) = item {
                    answers.pong(payload);
                }
            }
            if !answers.is_empty() && to_write.write(&mut answers).await.is_err() {
                break;
            }
        }
    });
    for payload in [&b"beat"[..], b"", &[b'x'; 125]] {
        let mut batch = batch(&sent);
        batch.ping(Bytes::copy_from_slice(payload));
        // Written while the answer is read: the other end may not read before its answer is taken.
        let writing = spawn(async move {
            write.write(&mut batch).await.map_err(|error| format!("cannot write: {error}"))?;
            Ok(write)
        });
        let mut items = Vec::new();
        while !items.contains(&Incoming::Pong(Bytes::copy_from_slice(payload))) {
            from_read
                .read(&mut items)
                .await
                .map_err(|error| format!("instead of the answer to a PING: {error}"))?;
        }
        write = writing.await?;
    }
    answering.abort();
    Ok(())
}
