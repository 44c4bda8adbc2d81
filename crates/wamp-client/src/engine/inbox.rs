//! Items that wait for a consumer in this program: the replies to one call, or the events of one
//! subscription.
//!
//! An inbox is counted in bytes. The reader fills it and never waits; a consumer empties it. A consumer with
//! a [`Hand`] takes several small items at once and needs the lock only for the first of them. Where credit
//! is counted, the cost of taken items is owed to the sender, and is given back when it is worth a message.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::coop::{RestoreOnPending, poll_proceed};
use tokio::time::Instant;
use wamp_proto::Payload;
use wamp_transport::COPIED_BELOW;

use crate::engine::budget::{Budget, LIMIT_OF_CALLS};

/// An empty queue with room for more items than this is freed.
const KEPT_ITEMS: usize = 256;

/// Messages shorter than this share a read buffer with others (see `wamp_transport_rawsocket::Reader`).
const READ_BUFFER: usize = 64 * 1024;

/// Detaches a payload that will be kept for a while: it is copied if it is less than a quarter of its read
/// buffer.
pub(crate) fn detach_small(payload: Payload) -> Payload {
    if payload.len() < READ_BUFFER / 4 { payload.detached() } else { payload }
}

/// The most memory that a [detached](detach_small) payload of `len` bytes holds. A long one has a buffer of
/// its own, which has grown by doubling.
pub(crate) fn held(len: usize) -> usize {
    match len {
        _ if len < READ_BUFFER / 4 => len,
        _ if len < READ_BUFFER => READ_BUFFER,
        _ => len + len / 2,
    }
}

/// Prepares a payload for its consumer, which either waits for it now and takes it at once, or takes it
/// later.
pub(crate) fn detach_unless_awaited(payload: Payload, waits: bool) -> Payload {
    if waits { payload } else { detach_small(payload) }
}

/// Prepares the last result of a call, which the program may keep. A small one is always copied.
pub(crate) fn last(payload: Payload, waits: bool) -> Payload {
    if payload.len() < COPIED_BELOW { payload.detached() } else { detach_unless_awaited(payload, waits) }
}

/// The limits of a hand: items, their bytes and their cost; and at most a quarter of the inbox's limit. One
/// item is always allowed.
const HAND_ITEMS: usize = 64;
const HAND_BYTES: usize = 16 * 1024;
const HAND_COST: u64 = OWED;

/// The most that is owed before it is given back, besides the items of a hand.
const OWED: u64 = 8 * 1024;

/// Nothing is owed for longer than this while items are taken.
const OWED_FOR: Duration = Duration::from_secs(10);

/// Items in order, then one end.
pub(crate) struct Inbox<T, E> {
    state: Mutex<State<T, E>>,
    /// The sender in the other direction may continue, or need not any more.
    pub(crate) other_way: Notify,
    /// Credit of arriving items is given back at once, as far as the limit allows.
    lends: AtomicBool,
    /// The sum over all inboxes and other users of the budget.
    budget: Option<Arc<Budget>>,
}

/// While it lives, credit is given back for items that have not been taken.
pub(crate) struct Lending<'a>(&'a AtomicBool);

impl Drop for Lending<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

struct Item<T> {
    item: T,
    bytes: usize,
    /// Its cost in the sender's credit.
    cost: u64,
    /// The item has several parts, which a consumer uses one after another.
    is_several: bool,
}

/// Small items that one consumer has taken from an inbox and delivers one by one. They count as waiting until
/// the consumer asks for more. They are lost when this is dropped.
pub(crate) struct Hand<T> {
    items: VecDeque<T>,
    bytes: usize,
    cost: u64,
}

impl<T> Hand<T> {
    pub(crate) const fn new() -> Self {
        Self { items: VecDeque::new(), bytes: 0, cost: 0 }
    }
}

struct State<T, E> {
    items: VecDeque<Item<T>>,
    bytes: usize,
    limit: usize,
    /// The cost of taken items that was not given back, and since when.
    owed: u64,
    owed_since: Option<Instant>,
    end: Option<E>,
    /// The end has come, or the consumer is gone.
    over: bool,
    consumer: Option<Waker>,
}

/// The limit has been reached; the item is lost.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LimitReached;

/// The result of a consumer's poll.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<T, E> {
    /// An item, and the credit to give back now.
    Item(T, u64),
    End(E),
}

impl<T, E> Inbox<T, E> {
    /// The memory of an item beyond its payload: its place in a queue that grows by doubling, and the
    /// allocator's overhead.
    const OVERHEAD: usize = 2 * size_of::<Item<T>>() + 32;

    /// Creates an empty inbox with this limit in bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            bytes: 0,
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

    /// Creates an inbox that is also bounded by the budget of its session.
    pub(crate) fn within(budget: Arc<Budget>, limit: usize) -> Self {
        let mut inbox = Self::new(limit);
        inbox.budget = Some(budget);
        inbox
    }

    /// Appends the item that `make` builds if `len` fits the limit. The argument of `make` says whether the
    /// consumer waits for the item now. The consumer is added to those that the caller wakes: once for a
    /// whole read, and not under the lock.
    pub(crate) fn push(
        &self,
        bytes: usize,
        wakers: &mut Vec<Waker>,
        make: impl FnOnce(bool) -> T,
    ) -> Result<(), LimitReached> {
        self.push_counted(bytes, 0, false, wakers, make).map(drop)
    }

    /// As [`push`](Self::push), for an item with a cost in credit; an item for which its sender had credit is
    /// always admitted. Returns the credit to give back now.
    pub(crate) fn push_counted(
        &self,
        bytes: usize,
        cost: u64,
        admitted: bool,
        wakers: &mut Vec<Waker>,
        make: impl FnOnce(bool) -> T,
    ) -> Result<u64, LimitReached> {
        self.fill().push(bytes, cost, admitted, wakers, make)
    }

    /// Locks the inbox, to append several items at once.
    pub(crate) fn fill(&self) -> Filling<'_, T, E> {
        Filling { inbox: self, state: self.lock() }
    }

    /// From now on credit is given back for items when they arrive.
    pub(crate) fn lend(&self) -> Lending<'_> {
        self.lends.store(true, Ordering::Relaxed);
        Lending(&self.lends)
    }

    /// Returns the credit of all waiting items, as far as the limit allows, to be given back now.
    pub(crate) fn owed(&self) -> u64 {
        let mut state = self.lock();
        if state.bytes > state.limit {
            return 0;
        }
        state.items.iter_mut().map(|item| std::mem::take(&mut item.cost)).sum()
    }

    /// Appends the end, which is always admitted, and wakes the consumer. A second end has no effect.
    pub(crate) fn finish(&self, end: E) {
        let mut wakers = Vec::new();
        self.finish_with(&mut wakers, |_| end);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Appends the end. The argument of `end` says whether the consumer waits for it now. The consumer is
    /// added to those to wake, as for [`push`](Self::push).
    pub(crate) fn finish_with(&self, wakers: &mut Vec<Waker>, end: impl FnOnce(bool) -> E) {
        let mut state = self.lock();
        if !state.over {
            state.over = true;
            let waits = state.consumer.is_some() && state.items.is_empty();
            state.end = Some(end(waits));
            wakers.extend(state.consumer.take());
            drop(state);
            self.other_way.notify_waiters();
        }
    }

    /// Whether the end has come; items may be left before it.
    pub(crate) fn is_finished(&self) -> bool {
        self.lock().over
    }

    /// Returns the next item of a hand, which is filled when it is empty; then the end, as
    /// [`poll_take`](Self::poll_take) does. Adds the credit to give back now to `owed`, also when this waits.
    pub(crate) fn poll_next(
        &self,
        cx: &mut Context<'_>,
        hand: &mut Hand<T>,
        owed: &mut u64,
    ) -> Poll<Next<T, E>> {
        let turn = ready!(poll_proceed(cx));
        if let Some(item) = hand.items.pop_front() {
            turn.made_progress();
            return Poll::Ready(Next::Item(item, 0));
        }
        let mut state = self.lock();
        if hand.bytes > 0 {
            // The items of the hand are now taken.
            *owed +=
                self.take_out(&mut state, std::mem::take(&mut hand.bytes), std::mem::take(&mut hand.cost));
        }
        let (mut bytes, mut cost, mut is_several) = (0, 0, false);
        let most = HAND_BYTES.min(state.limit / 4);
        while let Some(next) = state.items.front()
            && hand.items.len() < HAND_ITEMS
            && (bytes + next.bytes <= most && cost + next.cost <= HAND_COST
                || next.is_several && hand.items.is_empty())
            && let Some(next) = state.items.pop_front()
        {
            bytes += next.bytes;
            cost += next.cost;
            is_several |= next.is_several;
            hand.items.push_back(next.item);
        }
        if let Some(item) = hand.items.pop_front() {
            if hand.items.is_empty() && !is_several {
                *owed += self.take_out(&mut state, bytes, cost);
            } else {
                (hand.bytes, hand.cost) = (bytes, cost);
            }
            turn.made_progress();
            return Poll::Ready(Next::Item(item, 0));
        }
        let mut taken = self.poll_one(cx, state, turn);
        if let Poll::Ready(Next::Item(_, more)) = &mut taken {
            *owed += std::mem::take(more);
        }
        taken
    }

    /// Returns the next item, then the end, once; after that this waits for ever.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Next<T, E>> {
        // A consumer of a flood yields to other tasks now and then.
        let turn = ready!(poll_proceed(cx));
        self.poll_one(cx, self.lock(), turn)
    }

    fn poll_one(
        &self,
        cx: &mut Context<'_>,
        mut state: MutexGuard<'_, State<T, E>>,
        turn: RestoreOnPending,
    ) -> Poll<Next<T, E>> {
        if let Some(Item { item, bytes, cost, .. }) = state.items.pop_front() {
            let owed = self.take_out(&mut state, bytes, cost);
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

    /// Records the cost of taken items. Returns the credit to give back now.
    fn take_out(&self, state: &mut State<T, E>, bytes: usize, cost: u64) -> u64 {
        state.bytes -= bytes;
        if state.items.is_empty() && state.items.capacity() > KEPT_ITEMS {
            state.items = VecDeque::new();
        }
        self.give_back(bytes);
        if cost > 0 { state.owe(cost) } else { 0 }
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

/// An inbox whose lock is held, for appending.
pub(crate) struct Filling<'a, T, E> {
    inbox: &'a Inbox<T, E>,
    state: MutexGuard<'a, State<T, E>>,
}

impl<T, E> Filling<'_, T, E> {
    /// Appends an item, as [`Inbox::push_counted`] has it.
    pub(crate) fn push(
        &mut self,
        bytes: usize,
        cost: u64,
        admitted: bool,
        wakers: &mut Vec<Waker>,
        make: impl FnOnce(bool) -> T,
    ) -> Result<u64, LimitReached> {
        let bytes = bytes + Inbox::<T, E>::OVERHEAD;
        self.add(Item { item: (), bytes, cost, is_several: false }, admitted, wakers, make)
    }

    /// Returns whether several parts with these bytes together can be appended as one item. They count as
    /// waiting until the consumer asks for more, so they must fit into a hand.
    pub(crate) fn has_room_for_several(&self, several: usize, bytes: usize) -> bool {
        let bytes = bytes + several * Inbox::<T, E>::OVERHEAD;
        bytes <= self.state.limit / 4 && self.state.bytes + bytes <= self.state.limit
    }

    /// Appends several parts as one item, after a check with
    /// [`has_room_for_several`](Self::has_room_for_several).
    pub(crate) fn push_several(
        &mut self,
        several: usize,
        bytes: usize,
        cost: u64,
        wakers: &mut Vec<Waker>,
        make: impl FnOnce() -> T,
    ) -> Result<u64, LimitReached> {
        let bytes = bytes + several * Inbox::<T, E>::OVERHEAD;
        let place = Item { item: (), bytes, cost, is_several: true };
        self.add(place, true, wakers, |_| make())
    }

    fn add(
        &mut self,
        place: Item<()>,
        admitted: bool,
        wakers: &mut Vec<Waker>,
        make: impl FnOnce(bool) -> T,
    ) -> Result<u64, LimitReached> {
        let Self { inbox, state } = self;
        if state.over {
            return Ok(0);
        }
        let Item { bytes, cost, is_several, .. } = place;
        let fits = state.bytes + bytes <= state.limit;
        let has_share = || inbox.budget.as_ref().is_none_or(|budget| budget.take(bytes, LIMIT_OF_CALLS));
        if (!admitted && !fits) || !has_share() {
            return Err(LimitReached);
        }
        let lent = if fits && inbox.lends.load(Ordering::Relaxed) { cost } else { 0 };
        let cost = cost - lent;
        let waits = state.consumer.is_some() && state.items.is_empty();
        state.bytes += bytes;
        state.items.push_back(Item { item: make(waits), bytes, cost, is_several });
        wakers.extend(state.consumer.take());
        Ok(lent)
    }
}

impl<T, E> Drop for Inbox<T, E> {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.give_back(bytes);
    }
}

impl<T, E> State<T, E> {
    /// Records the cost of an item. Returns the credit to give back now.
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

#[cfg(test)]
mod tests;
