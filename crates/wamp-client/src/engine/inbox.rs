//! What waits for somebody in this program: the replies to one call, the events of one subscription.
//!
//! An inbox is counted in octets. The reader fills it and never waits; one consumer empties it. What the consumer
//! takes it owes to the sender, where credit is counted; it is told to give that back once it is worth it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::coop::poll_proceed;
use tokio::time::Instant;
use wamp_proto::Payload;
use wamp_transport::COPIED_BELOW;

use crate::engine::budget::{Budget, LIMIT_OF_CALLS};

/// A queue with room for more items than this is given back when it is empty.
const KEPT_ITEMS: usize = 256;

/// Messages shorter than this share a read buffer with others (see `wamp_transport_rawsocket::Reader`).
const READ_BUFFER: usize = 64 * 1024;

/// A payload that will be kept for a while. One that is less than a quarter of the read buffer that it keeps alive is
/// copied.
pub(crate) fn detach_small(payload: Payload) -> Payload {
    if payload.len() < READ_BUFFER / 4 { payload.detached() } else { payload }
}

/// The memory that a payload of so many bytes which is [kept](detach_small) holds at most. A long one lies in a buffer of its
/// own, which has grown by doubling.
pub(crate) fn held(len: usize) -> usize {
    match len {
        _ if len < READ_BUFFER / 4 => len,
        _ if len < READ_BUFFER => READ_BUFFER,
        _ => len + len / 2,
    }
}

/// A payload for a consumer that waits for it right now and takes it at once; else it will be kept for a while.
pub(crate) fn detach_unless_awaited(payload: Payload, waits: bool) -> Payload {
    if waits { payload } else { detach_small(payload) }
}

/// The last result of a call, which its program may keep for as long as it likes, also if it is there at once. A small
/// one is copied in any case.
pub(crate) fn last(payload: Payload, waits: bool) -> Payload {
    if payload.len() < COPIED_BELOW { payload.detached() } else { detach_unless_awaited(payload, waits) }
}

/// So much is owed at most before it is given back.
const OWED: u64 = 8 * 1024;

/// Nothing is owed for longer than this while items are taken.
const OWED_FOR: Duration = Duration::from_secs(10);

/// Items in order, then one end.
pub(crate) struct Inbox<T, E> {
    state: Mutex<State<T, E>>,
    /// Whoever sends in the other direction may go on, or need not any more.
    pub(crate) other_way: Notify,
    /// What comes is given back at once, as far as the limit allows.
    lends: AtomicBool,
    /// What all inboxes and other things like it hold together.
    budget: Option<Arc<Budget>>,
}

/// While it lives, credit is given back for what comes, although it has not been taken.
pub(crate) struct Lending<'a>(&'a AtomicBool);

impl Drop for Lending<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

struct Item<T> {
    item: T,
    octets: usize,
    /// What it costs of the credit that its sender has.
    cost: u64,
}

struct State<T, E> {
    items: VecDeque<Item<T>>,
    octets: usize,
    limit: usize,
    /// The cost of what has been taken and not been given back, and since when.
    owed: u64,
    owed_since: Option<Instant>,
    end: Option<E>,
    /// Nothing comes after the end, or nobody wants it.
    over: bool,
    consumer: Option<Waker>,
}

/// The limit has been reached; the item is lost.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LimitReached;

/// What a consumer takes out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<T, E> {
    /// An item, and how much credit is to be given back now.
    Item(T, u64),
    End(E),
}

impl<T, E> Inbox<T, E> {
    /// What an item costs beyond its payload: its place in a queue that grows by doubling, and what the allocator
    /// needs.
    const OVERHEAD: usize = 2 * size_of::<Item<T>>() + 32;

    /// An empty one that holds this many octets at most.
    pub(crate) fn new(limit: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            octets: 0,
            limit,
            owed: 0,
            owed_since: None,
            end: None,
            over: false,
            consumer: None,
        };
        let lends = AtomicBool::new(false);
        Self { state: Mutex::new(state), other_way: Notify::new(), lends, budget: None }
    }

    /// One that is also bounded by what a session may hold for its peers.
    pub(crate) fn within(budget: Arc<Budget>, limit: usize) -> Self {
        let mut inbox = Self::new(limit);
        inbox.budget = Some(budget);
        inbox
    }

    /// Appends what `make` makes, of so many octets, unless that is too much. `make` is told whether the consumer
    /// waits for it right now. The consumer is among those to be woken up, which is for the caller to do: once for
    /// all that one read brought, and not under its lock.
    pub(crate) fn push(
        &self,
        octets: usize,
        wakers: &mut Vec<Waker>,
        make: impl FnOnce(bool) -> T,
    ) -> Result<(), LimitReached> {
        self.push_counted(octets, 0, false, wakers, make).map(drop)
    }

    /// The same, for an item that costs so much credit; one that its sender had the credit for is always
    /// admitted. Says how much credit is to be given back now.
    pub(crate) fn push_counted(
        &self,
        octets: usize,
        cost: u64,
        admitted: bool,
        wakers: &mut Vec<Waker>,
        make: impl FnOnce(bool) -> T,
    ) -> Result<u64, LimitReached> {
        let mut state = self.lock();
        if state.over {
            return Ok(0);
        }
        let octets = octets + Self::OVERHEAD;
        let fits = state.octets + octets <= state.limit;
        let has_share = || self.budget.as_ref().is_none_or(|budget| budget.take(octets, LIMIT_OF_CALLS));
        if (!admitted && !fits) || !has_share() {
            return Err(LimitReached);
        }
        let lent = if fits && self.lends.load(Ordering::Relaxed) { cost } else { 0 };
        let cost = cost - lent;
        let waits = state.consumer.is_some() && state.items.is_empty();
        state.octets += octets;
        state.items.push_back(Item { item: make(waits), octets, cost });
        wakers.extend(state.consumer.take());
        Ok(lent)
    }

    /// From now on credit is given back for what comes.
    pub(crate) fn lend(&self) -> Lending<'_> {
        self.lends.store(true, Ordering::Relaxed);
        Lending(&self.lends)
    }

    /// All credit of what waits here, as far as the limit allows; it is to be given back now.
    pub(crate) fn owed(&self) -> u64 {
        let mut state = self.lock();
        if state.octets > state.limit {
            return 0;
        }
        state.items.iter_mut().map(|item| std::mem::take(&mut item.cost)).sum()
    }

    /// Appends the end, which is always admitted. A second one changes nothing.
    pub(crate) fn finish(&self, end: E) {
        self.finish_with(|_| end);
    }

    /// The same. `end` is told whether the consumer waits for it right now.
    pub(crate) fn finish_with(&self, end: impl FnOnce(bool) -> E) {
        let mut state = self.lock();
        if !state.over {
            state.over = true;
            let waits = state.consumer.is_some() && state.items.is_empty();
            state.end = Some(end(waits));
            wake(state);
            self.other_way.notify_waiters();
        }
    }

    /// Whether the end has come; items may be left before it.
    pub(crate) fn is_finished(&self) -> bool {
        self.lock().over
    }

    /// The next item, then the end, once; after it this waits for ever.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Next<T, E>> {
        // A consumer of a flood lets others run now and then.
        let turn = ready!(poll_proceed(cx));
        let mut state = self.lock();
        if let Some(Item { item, octets, cost }) = state.items.pop_front() {
            state.octets -= octets;
            if state.items.is_empty() && state.items.capacity() > KEPT_ITEMS {
                state.items = VecDeque::new();
            }
            self.give_back(octets);
            let owed = if cost > 0 { state.owe(cost) } else { 0 };
            turn.made_progress();
            return Poll::Ready(Next::Item(item, owed));
        }
        if let Some(end) = state.end.take() {
            turn.made_progress();
            return Poll::Ready(Next::End(end));
        }
        match &mut state.consumer {
            Some(waker) => waker.clone_from(cx.waker()),
            slot => *slot = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn give_back(&self, bytes: usize) {
        if let Some(budget) = &self.budget {
            budget.give(bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T, E>> {
        // Nothing in this file panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E> Drop for Inbox<T, E> {
    fn drop(&mut self) {
        let bytes = self.lock().octets;
        self.give_back(bytes);
    }
}

impl<T, E> State<T, E> {
    /// Takes note of what an item has cost. Says what to give back now.
    fn owe(&mut self, cost: u64) -> u64 {
        self.owed += cost;
        let now = Instant::now();
        let since = *self.owed_since.get_or_insert(now);
        if self.owed < OWED && now - since < OWED_FOR {
            return 0;
        }
        self.owed_since = None;
        std::mem::take(&mut self.owed)
    }
}

fn wake<T, E>(mut state: MutexGuard<'_, State<T, E>>) {
    let consumer = state.consumer.take();
    drop(state);
    if let Some(waker) = consumer {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take<T, E>(inbox: &Inbox<T, E>) -> Poll<Next<T, E>> {
        inbox.poll_take(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn items_come_in_order_and_then_the_end_once() {
        let wakers = &mut Vec::new();
        let inbox = Inbox::new(1000);
        inbox.push(10, wakers, |_| 1).unwrap();
        inbox.push(10, wakers, |_| 2).unwrap();
        inbox.finish("end");
        inbox.finish("another");
        assert_eq!(take(&inbox), Poll::Ready(Next::Item(1, 0)));
        assert_eq!(take(&inbox), Poll::Ready(Next::Item(2, 0)));
        assert_eq!(take(&inbox), Poll::Ready(Next::End("end")));
        assert_eq!(take(&inbox), Poll::Pending);
    }

    #[test]
    fn the_limit_counts_octets_and_what_was_taken_is_free_again() {
        let wakers = &mut Vec::new();
        let inbox = Inbox::<i32, ()>::new(2 * (100 + Inbox::<i32, ()>::OVERHEAD));
        inbox.push(100, wakers, |_| 1).unwrap();
        inbox.push(100, wakers, |_| 2).unwrap();
        assert_eq!(inbox.push(10, wakers, |_| 3), Err(LimitReached));
        assert_eq!(take(&inbox), Poll::Ready(Next::Item(1, 0)));
        inbox.push(100, wakers, |_| 3).unwrap();
        inbox.push_counted(100, 164, true, wakers, |_| 4).unwrap();
    }

    #[test]
    fn what_is_owed_is_given_back_when_it_is_much_or_when_it_is_long_ago() {
        let wakers = &mut Vec::new();
        let inbox = Inbox::<_, ()>::new(1000);
        for i in 0..8 {
            inbox.push_counted(10, 1500, true, wakers, |_| i).unwrap();
        }
        for i in 0..5 {
            assert_eq!(take(&inbox), Poll::Ready(Next::Item(i, 0)));
        }
        assert_eq!(take(&inbox), Poll::Ready(Next::Item(5, 9000)));
        assert_eq!(take(&inbox), Poll::Ready(Next::Item(6, 0)));
        inbox.lock().owed_since = Instant::now().checked_sub(OWED_FOR);
        assert_eq!(take(&inbox), Poll::Ready(Next::Item(7, 3000)));
    }
}
