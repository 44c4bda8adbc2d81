//! Memory for messages that are being received.
//!
//! A link asks before its unfinished message takes more memory. If the router has none left, the link waits
//! and its transport does not read. To ensure progress, the message with the fewest missing bytes may
//! continue anyway, among those that wait and those that have already exceeded the limit. A message nearer to
//! its end takes precedence, so all of these together exceed the limit by about one message.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;
use wamp_transport::{Allowance, Unfinished};

use crate::budget::Budget;

/// The unfinished message of a link.
#[derive(Debug)]
pub(crate) struct Receiving {
    budget: Arc<Budget>,
    id: usize,
    /// The memory that it may take, and the bytes received so far.
    memory: AtomicUsize,
    bytes: AtomicUsize,
    is_waiting: AtomicBool,
    place: Mutex<Option<Place>>,
}

/// The least number of bytes that a message lacks, and the id of its link.
type Place = (usize, usize);

/// Messages that wait for memory, and those that have exceeded the limit.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// Their number, so that no lock is needed if there are none.
    count: AtomicUsize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Ordered by the bytes that they lack.
    by_place: BTreeMap<Place, Option<Waker>>,
    /// The time since which at least one has been waiting.
    waiting_since: Option<Instant>,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time since which at least one message has been waiting.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        if self.count.load(Ordering::Relaxed) == 0 { None } else { self.lock().waiting_since }
    }

    /// Wakes the messages that may continue, after memory was freed or the first one is gone.
    pub(crate) fn wake(&self, budget: &Budget) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut inner = self.lock();
        if budget.may_receive(0) {
            let woken: Vec<Waker> = inner.by_place.values_mut().filter_map(Option::take).collect();
            inner.note_waiting();
            drop(inner);
            woken.into_iter().for_each(Waker::wake);
        } else {
            let first = inner.by_place.first_entry().and_then(|mut first| first.get_mut().take());
            inner.note_waiting();
            drop(inner);
            if let Some(waker) = first {
                waker.wake();
            }
        }
    }
}

impl Inner {
    fn note_waiting(&mut self) {
        if self.by_place.values().all(Option::is_none) {
            self.waiting_since = None;
        } else {
            self.waiting_since.get_or_insert_with(Instant::now);
        }
    }
}

impl Receiving {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        let id = budget.holders.next_id();
        Self {
            budget,
            id,
            memory: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            is_waiting: AtomicBool::new(false),
            place: Mutex::new(None),
        }
    }

    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// Returns the memory that it may take.
    pub(crate) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes received so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns whether its link is not read from, for lack of memory.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Relaxed)
    }

    fn place(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grow(&self, memory: usize) {
        let before = self.memory.swap(memory, Ordering::Relaxed);
        self.budget.receive(before, memory);
        self.is_waiting.store(false, Ordering::Relaxed);
    }
}

impl Allowance for Receiving {
    fn poll_grow(&self, cx: &mut Context<'_>, message: Unfinished, memory: usize) -> Poll<()> {
        self.bytes.store(message.bytes, Ordering::Relaxed);
        let held = self.memory();
        if memory <= held {
            return Poll::Ready(());
        }
        let more = memory - held;
        let mut place = self.place();
        if place.is_none() && self.budget.may_receive(more) {
            self.grow(memory);
            return Poll::Ready(());
        }
        let waiters = &self.budget.waiters;
        let mut inner = waiters.lock();
        if let Some(before) = place.take() {
            inner.by_place.remove(&before);
            waiters.count.fetch_sub(1, Ordering::Relaxed);
        }
        if self.budget.may_receive(more) {
            inner.note_waiting();
            drop(inner);
            self.grow(memory);
            return Poll::Ready(());
        }
        let here = (message.missing, self.id);
        let is_first = inner.by_place.first_key_value().is_none_or(|(first, _)| here < *first);
        let waker = (!is_first).then(|| cx.waker().clone());
        inner.by_place.insert(here, waker);
        *place = Some(here);
        waiters.count.fetch_add(1, Ordering::Relaxed);
        inner.note_waiting();
        drop(inner);
        self.budget.pressed.notify_one();
        if is_first {
            self.grow(memory);
            return Poll::Ready(());
        }
        if held == 0 {
            // Received bytes are held already.
            self.grow(message.memory.min(memory));
        }
        self.is_waiting.store(true, Ordering::Relaxed);
        // Memory may have been freed before this one was recorded as waiting.
        if self.budget.may_receive(more) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn release(&self) {
        let mut place = self.place();
        if let Some(place) = place.take() {
            let waiters = &self.budget.waiters;
            let mut inner = waiters.lock();
            inner.by_place.remove(&place);
            waiters.count.fetch_sub(1, Ordering::Relaxed);
            inner.note_waiting();
        }
        self.bytes.store(0, Ordering::Relaxed);
        self.grow(0);
        self.budget.waiters.wake(&self.budget);
    }

    fn is_scarce(&self) -> bool {
        !self.budget.may_receive(0)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;
    use crate::Limits;

    const MIB: usize = 1 << 20;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn budget(limit: usize) -> Arc<Budget> {
        Arc::new(Budget::new(&Limits { memory: limit, ..Limits::default() }))
    }

    /// A message of 16 MiB that is read in pieces, and the bytes received so far.
    struct Upload {
        receiving: Receiving,
        woken: Arc<Woken>,
        bytes: usize,
    }

    impl Upload {
        fn new(budget: &Arc<Budget>) -> Self {
            Self { receiving: Receiving::new(budget.clone()), woken: Arc::default(), bytes: 16 << 10 }
        }

        /// Reads this much more, if it may.
        fn goes_on(&mut self, more: usize) -> bool {
            let waker = self.woken.clone().into();
            let Self { bytes, .. } = *self;
            let message = Unfinished { bytes, missing: 16 * MIB - bytes, memory: bytes };
            let grown = self.receiving.poll_grow(&mut Context::from_waker(&waker), message, bytes + more);
            self.bytes += if grown.is_ready() { more } else { 0 };
            grown.is_ready()
        }

        fn was_woken(&self) -> bool {
            self.woken.0.swap(0, Ordering::Relaxed) > 0
        }
    }

    #[tokio::test]
    async fn many_messages_at_once_stay_near_the_limit_and_each_comes_to_its_end() {
        let budget = budget(64 * MIB);
        let mut uploads: Vec<Upload> = (0..100).map(|_| Upload::new(&budget)).collect();
        let mut rounds = 0;
        while !uploads.is_empty() {
            rounds += 1;
            assert!(rounds < 100_000, "{} do not come to their end", uploads.len());
            let mut any = false;
            for upload in &mut uploads {
                any |= upload.goes_on(64 << 10);
                assert!(budget.receiving() <= 64 * MIB + 17 * MIB, "{}", budget.receiving());
            }
            assert!(any, "no message may continue");
            uploads.retain(|upload| upload.bytes < 16 * MIB);
        }
        assert_eq!((budget.held(), budget.waiters.count.load(Ordering::Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn those_that_wait_go_on_when_there_is_memory_again() {
        let budget = budget(16 * MIB * 4 / 3);
        let (mut a, mut b, mut c) = (Upload::new(&budget), Upload::new(&budget), Upload::new(&budget));
        while a.bytes < 15 * MIB {
            assert!(a.goes_on(MIB));
        }
        // The first one past the limit may continue, since it is the only one.
        while b.bytes < 3 * MIB {
            assert!(b.goes_on(MIB));
        }
        assert!(!c.goes_on(2 * MIB) && c.receiving.is_waiting());
        assert!(budget.waiters.waiting_since().is_some());
        // A message nearer to its end takes precedence, and the other waits.
        assert!(a.goes_on(MIB / 2) && !b.was_woken());
        assert!(!b.goes_on(2 * MIB));
        a.receiving.release();
        assert!(b.was_woken() && c.was_woken());
        assert!(b.goes_on(2 * MIB) && c.goes_on(2 * MIB) && !c.receiving.is_waiting());
        assert_eq!(budget.waiters.waiting_since(), None);
        drop((a, b, c));
        assert_eq!((budget.held(), budget.waiters.count.load(Ordering::Relaxed)), (0, 0));
    }
}
