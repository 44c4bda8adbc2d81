//! The ends of a connection.

use tokio::task::yield_now;

use super::Wanted;
use super::peer::{Fault, batch, compare, ensure, messages, read_some, spawn, write_all};
use crate::{ReadError, ReadHalf, Transport, WriteHalf};

/// The number of writes after which a connection without a peer must have failed.
const WRITES: usize = 1000;

pub(super) async fn all_that_was_written_before_a_close_arrives<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let long = if wanted.capacity > 1 { 20_000 } else { 300 };
    let sent = messages(wanted.serializer, &[[20; 50].as_slice(), &[long, 3]].concat());
    let ((mut from_read, mut write), (mut read, mut to_write)) = (from.split(), to.split());
    let to_send = sent.clone();
    let closing = spawn(async move {
        write_all(&mut write, &to_send).await?;
        write.close().await;
        let more = write.write(&mut batch(&to_send)).await;
        ensure!(more.is_err(), "a write after close() was successful");
        Ok(write)
    });
    let mut came = Vec::new();
    let end = loop {
        if let Err(end) = read_some(&mut read, &mut came).await? {
            break end;
        }
        ensure!(came.len() <= sent.len(), "more messages arrived than were sent");
    };
    compare(&came, &sent)?;
    ensure!(matches!(end, ReadError::Closed), "after an orderly close, the reader says: {end}");
    ensure!(read_some(&mut read, &mut came).await?.is_err(), "reading went on after the end");
    let _answering = tokio::spawn(async move { to_write.close().await });
    let mut back = Vec::new();
    while read_some(&mut from_read, &mut back).await?.is_ok() {
        ensure!(back.is_empty(), "a message arrived that was never sent");
    }
    let _write = closing.await?;
    Ok(())
}

/// Also by a task that waits.
pub(super) async fn the_end_of_the_peer_is_noticed<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let (mut read, mut write) = from.split();
    let reading = spawn(async move {
        let mut came = Vec::new();
        while read_some(&mut read, &mut came).await?.is_ok() {
            ensure!(came.is_empty(), "a message arrived that was never sent");
        }
        Ok(())
    });
    yield_now().await;
    drop(to.split());
    reading.await?;
    let one = messages(wanted.serializer, &[100]);
    for _ in 0..WRITES {
        if write.write(&mut batch(&one)).await.is_err() {
            return Ok(());
        }
        yield_now().await;
    }
    Err(format!("{WRITES} messages were written to a peer that is gone"))
}

pub(super) async fn discarding_ends_with_the_connection<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let sent = messages(wanted.serializer, &[20_000; 20]);
    let ((from_read, mut write), (mut read, _to_write)) = (from.split(), to.split());
    let discarding = spawn(async move {
        read.discard().await;
        Ok(())
    });
    write_all(&mut write, &sent).await?;
    write.close().await;
    drop((write, from_read));
    discarding.await
}
