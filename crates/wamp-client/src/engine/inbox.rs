//! What waits for somebody in this program: the replies to one call, the events of one subscription.
//!
//! An inbox is counted in bytes. The reader fills it and never waits; a consumer empties it. A consumer that keeps a
//! [`Hand`] takes several small items at once and pays the lock only for the first of them. What the consumer takes it
//! owes to the sender, where credit is counted; it is told to give that back once it is worth it.

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

/// A hand holds no more than this many items, with no more than this many bytes and this cost, and no more than a
/// quarter of what the inbox may hold; but one item always.
const HAND_ITEMS: usize = 64;
const HAND_BYTES: usize = 16 * 1024;
const HAND_COST: u64 = OWED;

/// So much is owed at most before it is given back, beside what a hand holds.
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
    bytes: usize,
    /// What it costs of the credit that its sender has.
    cost: u64,
    /// It is several things, which a consumer uses one after another.
    is_several: bool,
}

/// Small items that one consumer has taken out of an inbox and hands out one by one. They count as waiting until the
/// consumer comes back for more. They are lost when this is dropped.
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

    /// An empty one that holds this many bytes at most.
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

    /// One that is also bounded by what a session may hold for its peers.
    pub(crate) fn within(budget: Arc<Budget>, limit: usize) -> Self {
        let mut inbox = Self::new(limit);
        inbox.budget = Some(budget);
        inbox
    }

    /// Appends what `make` makes, of so many bytes, unless that is too much. `make` is told whether the consumer
    /// waits for it right now. The consumer is among those to be woken up, which is for the caller to do: once for
    /// all that one read brought, and not under its lock.
    pub(crate) fn push(
        &self,
        bytes: usize,
        wakers: &mut Vec<Waker>,
        make: impl FnOnce(bool) -> T,
    ) -> Result<(), LimitReached> {
        self.push_counted(bytes, 0, false, wakers, make).map(drop)
    }

    /// The same, for an item that costs so much credit; one that its sender had the credit for is always
    /// admitted. Says how much credit is to be given back now.
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

    /// For appending several items at once.
    pub(crate) fn fill(&self) -> Filling<'_, T, E> {
        Filling { inbox: self, state: self.lock() }
    }

    /// From now on credit is given back for what comes.
    pub(crate) fn lend(&self) -> Lending<'_> {
        self.lends.store(true, Ordering::Relaxed);
        Lending(&self.lends)
    }

    /// All credit of what waits here, as far as the limit allows; it is to be given back now.
    pub(crate) fn owed(&self) -> u64 {
        let mut state = self.lock();
        if state.bytes > state.limit {
            return 0;
        }
        state.items.iter_mut().map(|item| std::mem::take(&mut item.cost)).sum()
    }

    /// Appends the end, which is always admitted, and wakes the consumer. A second one changes nothing.
    pub(crate) fn finish(&self, end: E) {
        let mut wakers = Vec::new();
        self.finish_with(&mut wakers, |_| end);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Appends the end. `end` is told whether the consumer waits for it right now. The consumer is among those to be woken
    /// up, as for [`push`](Self::push).
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

    /// The next item of a hand, which is filled when it is empty; then the end, as [`poll_take`](Self::poll_take) has
    /// it. The credit to be given back now is added to `owed`, also when this waits.
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
            // What it held is taken now.
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

    /// The next item, then the end, once; after it this waits for ever.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Next<T, E>> {
        // A consumer of a flood lets others run now and then.
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

    /// Takes note that so much has been taken. Says what credit to give back now.
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

    /// Whether several things of so many bytes together can be appended as one item. They count as waiting until the
    /// consumer comes back for more, so they are to be no more than a hand holds.
    pub(crate) fn has_room_for_several(&self, several: usize, bytes: usize) -> bool {
        let bytes = bytes + several * Inbox::<T, E>::OVERHEAD;
        bytes <= self.state.limit / 4 && self.state.bytes + bytes <= self.state.limit
    }

    /// Appends several things as one item, for which [there is room](Self::has_room_for_several).
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

#[cfg(test)]
mod tests;
