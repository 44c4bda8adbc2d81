//! Peers that are slow, and memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::task::yield_now;

use super::Wanted;
use super::peer::{
    Fault, batch, compare, ensure, message, messages, poll_in_task, read_messages, spawn, write_all,
};
use crate::{Allowance, Batch, ReadHalf, Transport, Unfinished, WriteHalf};

/// The length of each message that has no reader, and their number: more than any system buffers.
const LONG: usize = 64 * 1024;
const MANY: usize = 320;

/// The number of polls after which the writer must have stopped.
const POLLS: usize = 2000;

pub(super) async fn a_writer_waits_for_a_peer_that_does_not_read<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let one = message(wanted.serializer, LONG, 1);
    let ((_from_read, mut write), (mut read, _to_write)) = (from.split(), to.split());
    let mut batch = Batch::new();
    (0..MANY).for_each(|_| batch.push_bytes(&one));
    let (mut accepted, mut still) = (0, 0);
    for _ in 0..POLLS {
        match poll_in_task(write.write(&mut batch)).await {
            Poll::Ready(Ok(())) => return Err(format!("{} bytes were accepted", MANY * LONG)),
            Poll::Ready(Err(error)) => return Err(format!("cannot write: {error}")),
            Poll::Pending => yield_now().await,
        }
        still = if write.accepted() == accepted { still + 1 } else { 0 };
        accepted = write.accepted();
    }
    ensure!(still > 0, "accepted() still grows while the peer does not read");
    let writing = spawn(async move {
        write.write(&mut batch).await.map_err(|error| format!("cannot write: {error}"))?;
        Ok(write)
    });
    yield_now().await;
    let came = read_messages(&mut read, MANY).await?;
    ensure!(came.iter().all(|message| *message == one), "a message that had to wait has changed");
    let write = writing.await?;
    ensure!(write.accepted() > accepted, "accepted() has not grown with a write");
    Ok(())
}

pub(super) async fn a_reader_waits_and_is_woken<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let sent = messages(wanted.serializer, &[10, 20, 30]);
    let ((_from_read, mut write), (mut read, _to_write)) = (from.split(), to.split());
    let reading = spawn(async move { read_messages(&mut read, 3).await });
    for one in &sent {
        for _ in 0..10 {
            yield_now().await;
        }
        write_all(&mut write, std::slice::from_ref(one)).await?;
    }
    compare(&reading.await?, &sent)
}

/// Counts the requested memory, and lets each request wait once.
#[derive(Debug, Default)]
struct Counting {
    asked: AtomicUsize,
    held: Mutex<usize>,
}

impl Counting {
    fn held(&self) -> usize {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Allowance for Counting {
    fn poll_grow(&self, cx: &mut Context<'_>, _message: Unfinished, memory: usize) -> Poll<()> {
        if self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = memory;
        Poll::Ready(())
    }

    fn release(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    fn is_scarce(&self) -> bool {
        true
    }
}

/// A transport need not ask.
pub(super) async fn memory_that_was_asked_for_is_given_back<A: Transport, B: Transport>(
    from: A,
    to: B,
    wanted: Wanted,
) -> Result<(), Fault> {
    let sent = messages(wanted.serializer, &[10, 300_000, 10]);
    let ((_from_read, mut write), (mut read, _to_write)) = (from.split(), to.split());
    let counting = Arc::new(Counting::default());
    read.set_allowance(counting.clone());
    let to_send = sent.clone();
    let writing = spawn(async move {
        write.write(&mut batch(&to_send)).await.map_err(|error| format!("cannot write: {error}"))?;
        Ok(write)
    });
    compare(&read_messages(&mut read, 3).await?, &sent)?;
    let _write = writing.await?;
    ensure!(counting.held() == 0, "{} bytes are still counted for a message that is whole", counting.held());
    ensure!(read.unfinished().is_none(), "a message is unfinished after all have arrived");
    Ok(())
}
