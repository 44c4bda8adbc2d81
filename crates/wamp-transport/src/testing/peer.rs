//! Operations of the checks on the halves of a connection.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use wamp_proto::Serializer;

use crate::{Batch, Incoming, ReadError, ReadHalf, WriteHalf};

/// A description of the defect of a transport.
pub(super) type Fault = String;

/// Returns a fault unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($fault:tt)+) => {
        if !$condition {
            return Err(format!($($fault)+));
        }
    };
}
pub(super) use ensure;

/// Returns a message of this length, unlike its neighbours; text, if the serializer is one.
pub(super) fn message(serializer: Serializer, length: usize, number: usize) -> Vec<u8> {
    let byte = |at: usize| {
        let mixed = at.wrapping_mul(31).wrapping_add(number * 17 + at / 251);
        if serializer.is_text() { b' ' + (mixed % 90) as u8 } else { mixed as u8 }
    };
    (0..length).map(byte).collect()
}

pub(super) fn messages(serializer: Serializer, lengths: &[usize]) -> Vec<Vec<u8>> {
    lengths.iter().enumerate().map(|(number, length)| message(serializer, *length, number)).collect()
}

pub(super) fn batch(messages: &[Vec<u8>]) -> Batch {
    let mut batch = Batch::new();
    messages.iter().for_each(|message| batch.push_bytes(message));
    batch
}

/// Writes messages, and checks the guarantees of a completed write.
pub(super) async fn write_all(write: &mut impl WriteHalf, messages: &[Vec<u8>]) -> Result<(), Fault> {
    let before = write.accepted();
    let mut batch = batch(messages);
    write.write(&mut batch).await.map_err(|error| format!("cannot write: {error}"))?;
    ensure!(batch.is_empty(), "a write was complete with {} messages left in its batch", batch.len());
    ensure!(write.accepted() > before, "accepted() has not grown with a write");
    Ok(())
}

/// Reads until this many messages have arrived, or the connection ends.
pub(super) async fn read_messages(read: &mut impl ReadHalf, count: usize) -> Result<Vec<Bytes>, Fault> {
    let mut came = Vec::new();
    while came.len() < count {
        if let Err(error) = read_some(read, &mut came).await? {
            return Err(format!("after {} of {count} messages: {error}", came.len()));
        }
    }
    Ok(came)
}

/// Reads once, and appends the messages. The inner error is the end of the connection.
pub(super) async fn read_some(
    read: &mut impl ReadHalf,
    came: &mut Vec<Bytes>,
) -> Result<Result<(), ReadError>, Fault> {
    let mark = Incoming::Message(Bytes::from_static(b"stays"));
    let (mut items, received) = (vec![mark.clone()], read.received());
    let end = read.read(&mut items).await;
    ensure!(items.first() == Some(&mark), "a read removed what was in the vector before");
    ensure!(read.received() >= received, "received() has become less");
    if end.is_ok() {
        ensure!(items.len() > 1, "a read was successful and returned nothing");
    } else {
        ensure!(items.len() == 1, "a read failed and returned messages, which belong into the read before");
    }
    for item in items.drain(..).skip(1) {
        match item {
            Incoming::Message(message) => came.push(message),
            Incoming::Run(_) => return Err("read() returned a run; only read_runs() may".into()),
            Incoming::Ping(_) | Incoming::Pong(_) => {}
        }
    }
    Ok(end)
}

/// Checks that the messages are those that were sent.
pub(super) fn compare(came: &[Bytes], sent: &[Vec<u8>]) -> Result<(), Fault> {
    for (at, (came, sent)) in came.iter().zip(sent).enumerate() {
        ensure!(came.len() == sent.len(), "message {at} has {} bytes instead of {}", came.len(), sent.len());
        if let Some(byte) = came.iter().zip(sent).position(|(came, sent)| came != sent) {
            return Err(format!("message {at} of {} bytes is another from byte {byte} on", sent.len()));
        }
    }
    ensure!(came.len() == sent.len(), "{} messages arrived instead of {}", came.len(), sent.len());
    Ok(())
}

/// Polls a future once, with nothing to wake, and drops it.
pub(super) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let unconstrained = pin!(tokio::task::coop::unconstrained(future));
    unconstrained.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a future once, within its task, and drops it.
pub(super) async fn poll_in_task<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Runs a part of a check in a task of its own, so that only its own wakers wake it.
pub(super) fn spawn<T: Send + 'static>(
    part: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> impl Future<Output = Result<T, Fault>> {
    let part = tokio::spawn(part);
    async { part.await.unwrap_or_else(|error| Err(format!("a task failed: {error}"))) }
}
