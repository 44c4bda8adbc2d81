//! What waits for somebody in this program: the replies to one call, the events of one subscription.
//!
//! An inbox is counted in octets. The reader fills it and never waits; one consumer empties it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop::poll_proceed;
use wamp_proto::Payload;

/// What an item costs beyond its payload, so that empty ones are bounded too.
const OVERHEAD: usize = 64;

/// A payload shorter than this is copied when it is to wait, so that it does not keep a read buffer alive.
const DETACHED_BELOW: usize = 4 * 1024;

/// A payload that will be kept for a while.
pub(crate) fn to_keep(payload: Payload) -> Payload {
    if payload.len() < DETACHED_BELOW { payload.detached() } else { payload }
}

/// Items in order, then one end.
pub(crate) struct Inbox<T, E> {
    state: Mutex<State<T, E>>,
}

struct State<T, E> {
    items: VecDeque<(T, usize)>,
    octets: usize,
    limit: usize,
    end: Option<E>,
    /// Nothing comes after the end, or nobody wants it.
    over: bool,
    consumer: Option<Waker>,
}

/// The limit has been reached; the item is lost.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// What a consumer takes out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T, E> {
    Item(T),
    End(E),
}

impl<T, E> Inbox<T, E> {
    /// An empty one that holds this many octets at most.
    pub(crate) fn new(limit: usize) -> Self {
        let state =
            State { items: VecDeque::new(), octets: 0, limit, end: None, over: false, consumer: None };
        Self { state: Mutex::new(state) }
    }

    /// Appends what `make` makes of a payload, unless that is too much.
    pub(crate) fn push(&self, payload: Payload, make: impl FnOnce(Payload) -> T) -> Result<(), Full> {
        let mut state = self.lock();
        if state.over {
            return Ok(());
        }
        let cost = payload.len() + OVERHEAD;
        if state.octets + cost > state.limit {
            return Err(Full);
        }
        // A consumer that waits right now takes the item at once.
        let waits = state.consumer.is_some() && state.items.is_empty();
        let payload = if waits { payload } else { to_keep(payload) };
        state.octets += cost;
        state.items.push_back((make(payload), cost));
        wake(state);
        Ok(())
    }

    /// Appends the end, which is always admitted. A second one changes nothing.
    pub(crate) fn finish(&self, end: E) {
        let mut state = self.lock();
        if !state.over {
            state.over = true;
            state.end = Some(end);
            wake(state);
        }
    }

    /// Whether the end has come; items may be left before it.
    pub(crate) fn is_finished(&self) -> bool {
        self.lock().over
    }

    /// The next item, then the end, once; after it this waits for ever.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Taken<T, E>> {
        // A consumer of a flood lets others run now and then.
        let turn = ready!(poll_proceed(cx));
        let mut state = self.lock();
        if let Some((item, cost)) = state.items.pop_front() {
            state.octets -= cost;
            turn.made_progress();
            return Poll::Ready(Taken::Item(item));
        }
        if let Some(end) = state.end.take() {
            turn.made_progress();
            return Poll::Ready(Taken::End(end));
        }
        match &mut state.consumer {
            Some(waker) => waker.clone_from(cx.waker()),
            slot => *slot = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State<T, E>> {
        // Nothing in this file panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake<T, E>(mut state: MutexGuard<'_, State<T, E>>) {
    let consumer = state.consumer.take();
    drop(state);
    if let Some(waker) = consumer {
        waker.wake();
    }
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use wamp_proto::Serializer;

    use super::*;

    fn payload(octets: usize) -> Payload {
        Payload::new(Serializer::Json, &"x".repeat(octets - 4)).unwrap()
    }

    fn take<T, E>(inbox: &Inbox<T, E>) -> Poll<Taken<T, E>> {
        inbox.poll_take(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn items_come_in_order_and_then_the_end_once() {
        let inbox = Inbox::new(1000);
        inbox.push(payload(10), |_| 1).unwrap();
        inbox.push(payload(10), |_| 2).unwrap();
        inbox.finish("end");
        inbox.finish("another");
        assert_eq!(take(&inbox), Poll::Ready(Taken::Item(1)));
        assert_eq!(take(&inbox), Poll::Ready(Taken::Item(2)));
        assert_eq!(take(&inbox), Poll::Ready(Taken::End("end")));
        assert_eq!(take(&inbox), Poll::Pending);
    }

    #[test]
    fn the_limit_counts_octets_and_what_was_taken_is_free_again() {
        let inbox = Inbox::<_, ()>::new(2 * (100 + OVERHEAD));
        inbox.push(payload(100), |_| 1).unwrap();
        inbox.push(payload(100), |_| 2).unwrap();
        assert_eq!(inbox.push(payload(10), |_| 3), Err(Full));
        assert_eq!(take(&inbox), Poll::Ready(Taken::Item(1)));
        inbox.push(payload(100), |_| 3).unwrap();
    }
}
