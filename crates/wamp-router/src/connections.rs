//! How many connections a router has at once, and what becomes of one too many.
//!
//! * A connection too many is accepted, told that there is no room, and closed, so that the client knows what is
//!   the matter and tries again later. One that asks for nothing within a moment is closed without an answer, and
//!   so is one that comes while enough others are being refused.
//! * Connections that have not joined, newcomers, have at most a quarter of the places. Beyond that the oldest
//!   gives way: the oldest from the same address if that has most of these places itself, so that one machine
//!   cannot drive out others, else the oldest of all. A connection whose session has ended is a newcomer again.
//! * A newcomer has a moment before it has to give way. Until then no more are accepted: they wait in the backlog of
//!   the operating system, which a burst of honest clients fits into.
//!
//! There is no limit on all connections from one address: a proxy, or a network behind one address, may have many.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// So many are being refused at the same time.
const REFUSALS: usize = 32;

/// File descriptors that are no connections: listeners, the runtime's own, those that are being refused, files
/// of the program around it.
const RESERVE: usize = 128;

/// How long no newcomer has to give way.
const MOMENT: Duration = Duration::from_millis(50);

/// What a newcomer that gives way is told.
pub(crate) const TOO_MANY_NEWCOMERS: &str = "there are too many connections that have not joined; try again";

/// The connections of a router.
#[derive(Debug)]
pub(crate) struct Connections {
    /// How many there may be.
    limit: Option<usize>,
    /// Places for those that are served, as many as a semaphore can have where there is no limit.
    places: Arc<Semaphore>,
    /// Places for those that are being refused.
    refusals: Arc<Semaphore>,
    refused: AtomicU64,
    newcomers: Mutex<Newcomers>,
    /// A newcomer has joined or is gone.
    fewer: Notify,
}

/// The connections that have not joined, by age.
#[derive(Debug, Default)]
struct Newcomers {
    next: u64,
    all: BTreeMap<u64, Entry>,
    by_address: HashMap<Option<IpAddr>, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Entry {
    address: Option<IpAddr>,
    since: Instant,
    gives_way: Arc<Notify>,
}

/// What to do with a connection that was accepted.
pub(crate) enum Admission {
    /// Serve it, and keep this until its end.
    Serve(Permit),
    /// Say that there is no room, and keep this until that has been said.
    Refuse(Permit),
    /// Close it.
    Close,
}

/// A place that is taken until it is dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

/// A connection that has not joined, until this is dropped.
#[derive(Debug)]
pub(crate) struct Newcomer {
    connections: Arc<Connections>,
    number: u64,
    gives_way: Arc<Notify>,
}

impl Newcomer {
    /// Waits until the connection has to give way to another one.
    pub(crate) async fn gives_way(&self) {
        self.gives_way.notified().await;
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if self.connections.newcomers().remove(self.number).is_some() {
            self.connections.fewer.notify_one();
        }
    }
}

impl Newcomers {
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.all.remove(&number)?;
        if let Some(same) = self.by_address.get_mut(&entry.address) {
            same.remove(&number);
            if same.is_empty() {
                self.by_address.remove(&entry.address);
            }
        }
        Some(entry)
    }

    /// The newcomer that gives way to one from this address, where there are places for so many.
    fn oldest(&self, address: Option<IpAddr>, quota: usize) -> Option<(u64, Instant)> {
        let same = self.by_address.get(&address).filter(|same| same.len() > quota / 2);
        let number = match same {
            Some(same) => *same.first()?,
            None => *self.all.first_key_value()?.0,
        };
        Some((number, self.all.get(&number)?.since))
    }
}

impl Connections {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        let places = Arc::new(Semaphore::new(places(limit)));
        let refusals = Arc::new(Semaphore::new(REFUSALS));
        let (refused, newcomers, fewer) = Default::default();
        Self { limit, places, refusals, refused, newcomers, fewer }
    }

    /// A connection has been accepted.
    pub(crate) fn admit(&self) -> Admission {
        match self.places.clone().try_acquire_owned() {
            Ok(permit) => Admission::Serve(permit),
            Err(_) => self.refusal().map_or(Admission::Close, Admission::Refuse),
        }
    }

    /// A connection that has a place is refused after all, and told so, which may take a while: it has one of the places
    /// for that from now on. `false`: others have all of those.
    pub(crate) fn refuse(&self, permit: &mut Permit) -> bool {
        let refusal = self.refusal();
        refusal.map(|refusal| *permit = refusal).is_some()
    }

    /// Counts a refusal, and takes a place for it if there is one.
    fn refusal(&self) -> Option<Permit> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.refusals.clone().try_acquire_owned().ok()
    }

    /// How many newcomers there may be.
    fn quota(&self) -> usize {
        self.limit.map_or(usize::MAX, |limit| (limit / 4).max(1))
    }

    /// Waits until there is a place for a newcomer from this address.
    pub(crate) async fn place_for(&self, address: Option<IpAddr>) {
        while let Some(until) = self.wait(address) {
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = self.fewer.notified() => {}
            }
        }
    }

    /// When there is a place for a newcomer from this address, if not now.
    fn wait(&self, address: Option<IpAddr>) -> Option<Instant> {
        let (quota, newcomers) = (self.quota(), self.newcomers());
        if newcomers.all.len() < quota {
            return None;
        }
        let (_, since) = newcomers.oldest(address, quota)?;
        Some(since + MOMENT).filter(|until| *until > Instant::now())
    }

    /// A connection from this address has not joined, or has joined and left. If there are too many of these, the
    /// oldest gives way.
    pub(crate) fn newcomer(self: &Arc<Self>, address: Option<IpAddr>) -> Newcomer {
        let (quota, mut newcomers) = (self.quota(), self.newcomers());
        while newcomers.all.len() >= quota
            && let Some((oldest, _)) = newcomers.oldest(address, quota)
            && let Some(entry) = newcomers.remove(oldest)
        {
            entry.gives_way.notify_one();
        }
        let number = newcomers.next;
        newcomers.next += 1;
        let gives_way = Arc::<Notify>::default();
        newcomers.all.insert(number, Entry { address, since: Instant::now(), gives_way: gives_way.clone() });
        newcomers.by_address.entry(address).or_default().insert(number);
        drop(newcomers);
        Newcomer { connections: self.clone(), number, gives_way }
    }

    fn newcomers(&self) -> MutexGuard<'_, Newcomers> {
        // Nothing that is done under it panics.
        self.newcomers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> usize {
        places(self.limit) - self.places.available_permits()
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// How many places there are.
fn places(limit: Option<usize>) -> usize {
    limit.map_or(Semaphore::MAX_PERMITS, |limit| limit.min(Semaphore::MAX_PERMITS))
}

/// How many connections the process has file descriptors for; `None` if nothing limits them.
#[cfg(unix)]
pub(crate) fn by_file_descriptors() -> Option<usize> {
    let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    Some(less_reserve(usize::try_from(soft).unwrap_or(usize::MAX)))
}

/// How many connections the process has file descriptors for: nobody knows here.
#[cfg(not(unix))]
pub(crate) fn by_file_descriptors() -> Option<usize> {
    None
}

/// A process that may have few has half of them for connections.
fn less_reserve(soft: usize) -> usize {
    soft - RESERVE.min(soft / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_left() {
        assert_eq!([1024, 256, 64, 1, 0].map(less_reserve), [896, 128, 32, 1, 0]);
        #[cfg(unix)]
        assert!(by_file_descriptors() != Some(0));
    }

    #[test]
    fn one_too_many_is_refused_and_many_too_many_are_closed() {
        let connections = Arc::new(Connections::new(Some(2)));
        let served = [connections.admit(), connections.admit()];
        assert!(served.iter().all(|admission| matches!(admission, Admission::Serve(_))));
        let refused: Vec<Admission> = (0..REFUSALS).map(|_| connections.admit()).collect();
        assert!(refused.iter().all(|admission| matches!(admission, Admission::Refuse(_))));
        assert!(matches!(connections.admit(), Admission::Close));
        assert_eq!((connections.now(), connections.refused()), (2, 33));
        drop(refused);
        assert!(matches!(connections.admit(), Admission::Refuse(_)));
        drop(served);
        assert_eq!(connections.now(), 0);
        assert!(matches!(connections.admit(), Admission::Serve(_)));
    }

    fn waits(newcomer: &Newcomer) -> bool {
        let mut gives_way = std::pin::pin!(newcomer.gives_way());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        gives_way.as_mut().poll(&mut cx).is_pending()
    }

    #[test]
    fn the_oldest_newcomer_gives_way_and_others_only_to_their_own_address() {
        let connections = Arc::new(Connections::new(Some(16)));
        let address = |n| Some(IpAddr::from([10, 0, 0, n]));
        let mut honest = vec![connections.newcomer(address(1))];
        let mut crowd: Vec<Newcomer> = (0..3).map(|_| connections.newcomer(address(2))).collect();
        // A quarter of the places is taken.
        crowd.push(connections.newcomer(address(2)));
        assert!(!waits(&crowd[0]), "it is the crowd that gives way to one of the crowd");
        honest.push(connections.newcomer(address(3)));
        assert!(!waits(&honest[0]), "the oldest gives way to one of another address");
        honest.push(connections.newcomer(address(4)));
        assert!(!waits(&crowd[1]));
        assert!(waits(&crowd[2]) && waits(&crowd[3]) && waits(&honest[1]) && waits(&honest[2]));
        // One that joins makes room.
        drop(crowd.remove(2));
        let _another = connections.newcomer(address(5));
        assert!(waits(&crowd[2]) && waits(&honest[1]) && waits(&honest[2]));
        drop((honest, crowd, _another));
        let newcomers = connections.newcomers();
        assert!(newcomers.all.is_empty() && newcomers.by_address.is_empty());
    }

    #[test]
    fn a_newcomer_has_a_moment() {
        let connections = Arc::new(Connections::new(Some(4)));
        assert_eq!(connections.wait(None), None);
        let newcomer = connections.newcomer(None);
        let until = connections.wait(None).expect("the only place is taken");
        assert!(until > Instant::now() && until <= Instant::now() + MOMENT);
        drop(newcomer);
        assert_eq!(connections.wait(None), None);
        // Without a limit there is none for newcomers.
        let connections = Arc::new(Connections::new(None));
        let newcomers: Vec<Newcomer> = (0..1000).map(|_| connections.newcomer(None)).collect();
        assert!(connections.wait(None).is_none() && newcomers.iter().all(waits));
    }
}
