//! The limit of connections, and the treatment of those beyond it.
//!
//! * A connection beyond the limit is accepted, told that there is no room, and closed, so that the client knows the
//!   reason and can try again later. It is closed without an answer if it sends nothing within a moment, or if enough
//!   others are being refused at the same time.
//! * Newcomers, the connections that have not joined, have at most a quarter of the places. Beyond that the oldest
//!   newcomer gives way: the oldest one from the same address if that address has most of these places, so that one
//!   machine cannot displace others, otherwise the oldest of all. A connection whose session has ended is a
//!   newcomer again.
//! * A newcomer has a moment before it must give way. Until then no more connections are accepted: they wait in the
//!   backlog of the operating system, which is large enough for a burst of honest clients.
//!
//! There is no limit for one address, since a proxy or a whole network may be behind it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The most connections that are being refused at a time.
const REFUSALS: usize = 32;

/// File descriptors that are not connections: listeners, the runtime's own, connections being refused, and
/// files of the surrounding program.
const RESERVE: usize = 128;

/// The time for which a newcomer need not give way.
const MOMENT: Duration = Duration::from_millis(50);

/// The text for a newcomer that gives way.
pub(crate) const TOO_MANY_NEWCOMERS: &str = "there are too many connections that have not joined; try again";

/// The connections of a router.
#[derive(Debug)]
pub(crate) struct Connections {
    /// Places for served connections.
    places: Arc<Places>,
    /// Places for connections that are being refused.
    refusals: Arc<Places>,
    refused: AtomicU64,
    newcomers: Mutex<Newcomers>,
    /// Notified when a newcomer has joined or is gone.
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

/// The decision about an accepted connection.
pub(crate) enum Admission {
    /// Serve it, and keep the permit until its end.
    Serve(Permit),
    /// Say that there is no room, and keep the permit until that is done.
    Refuse(Permit),
    /// Close it.
    Close,
}

/// Places, and how many of them are taken. There may be more taken than there are, after their number was lowered.
#[derive(Debug)]
struct Places {
    /// `usize::MAX` without a limit.
    limit: AtomicUsize,
    taken: AtomicUsize,
}

impl Places {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: AtomicUsize::new(limit), taken: AtomicUsize::new(0) })
    }

    fn take(self: &Arc<Self>) -> Option<Permit> {
        let limit = self.limit.load(Ordering::Relaxed);
        let one_more = |taken: usize| (taken < limit).then(|| taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Permit(self.clone()))
    }
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Places>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that was accepted from a listener or the program.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) permit: Permit,
    pub(crate) newcomer: Newcomer,
    /// Whether other machines can reach its listener.
    pub(crate) is_public: bool,
}

/// A connection that has not joined, until this is dropped.
#[derive(Debug)]
pub(crate) struct Newcomer {
    connections: Arc<Connections>,
    number: u64,
    gives_way: Arc<Notify>,
}

impl Newcomer {
    /// Waits until the connection must give way to another one.
    pub(crate) async fn gives_way(&self) {
        self.gives_way.notified().await;
    }

    /// Changes its address to that of the client behind a proxy. It keeps its age, and nothing gives way for it.
    pub(crate) fn move_to(&self, address: Option<IpAddr>) {
        let mut newcomers = self.connections.newcomers();
        // It may have to give way already.
        if let Some(entry) = newcomers.remove(self.number) {
            newcomers.insert(self.number, Entry { address, ..entry });
        }
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
    fn insert(&mut self, number: u64, entry: Entry) {
        self.by_address.entry(entry.address).or_default().insert(number);
        self.all.insert(number, entry);
    }

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

    /// Returns the newcomer that gives way to one from this address, and the time of its arrival.
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
        let (refused, newcomers, fewer) = Default::default();
        let (places, refusals) = (Places::new(limit.unwrap_or(usize::MAX)), Places::new(REFUSALS));
        Self { places, refusals, refused, newcomers, fewer }
    }

    /// Changes the limit. Connections beyond it stay.
    pub(crate) fn set_limit(&self, limit: Option<usize>) {
        self.places.limit.store(limit.unwrap_or(usize::MAX), Ordering::Relaxed);
        self.fewer.notify_one();
    }

    /// Decides about an accepted connection.
    pub(crate) fn admit(&self) -> Admission {
        match self.places.take() {
            Some(permit) => Admission::Serve(permit),
            None => self.refusal().map_or(Admission::Close, Admission::Refuse),
        }
    }

    /// Moves the permit of a connection that is refused after all to the places of refusals, since the
    /// refusal may take a while. Returns `false` if these are all taken.
    pub(crate) fn refuse(&self, permit: &mut Permit) -> bool {
        let refusal = self.refusal();
        refusal.map(|refusal| *permit = refusal).is_some()
    }

    /// Counts a refusal, and takes a place for it if there is one.
    fn refusal(&self) -> Option<Permit> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.refusals.take()
    }

    /// Returns the most newcomers at a time.
    fn quota(&self) -> usize {
        match self.places.limit.load(Ordering::Relaxed) {
            usize::MAX => usize::MAX,
            limit => (limit / 4).max(1),
        }
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

    /// Returns the time at which there is a place for a newcomer from this address, if there is none now.
    fn wait(&self, address: Option<IpAddr>) -> Option<Instant> {
        let (quota, newcomers) = (self.quota(), self.newcomers());
        if newcomers.all.len() < quota {
            return None;
        }
        let (_, since) = newcomers.oldest(address, quota)?;
        Some(since + MOMENT).filter(|until| *until > Instant::now())
    }

    /// Adds a connection from this address that has not joined, or has joined and left. If there are too many
    /// of these, the oldest gives way.
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
        newcomers.insert(number, Entry { address, since: Instant::now(), gives_way: gives_way.clone() });
        drop(newcomers);
        Newcomer { connections: self.clone(), number, gives_way }
    }

    fn newcomers(&self) -> MutexGuard<'_, Newcomers> {
        // Nothing panics while holding it.
        self.newcomers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> usize {
        self.places.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Returns how many connections the process has file descriptors for; `None` if they are not limited.
#[cfg(unix)]
pub(crate) fn by_file_descriptors() -> Option<usize> {
    let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    Some(less_reserve(usize::try_from(soft).unwrap_or(usize::MAX)))
}

/// Returns how many connections the process has file descriptors for, which is unknown on this system.
#[cfg(not(unix))]
pub(crate) fn by_file_descriptors() -> Option<usize> {
    None
}

/// A process with few descriptors has half of them for connections.
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

    #[test]
    fn a_limit_that_is_lowered_lets_connections_stay_and_one_that_is_raised_lets_more_in() {
        let connections = Arc::new(Connections::new(Some(2)));
        let mut served = vec![connections.admit(), connections.admit()];
        connections.set_limit(Some(1));
        assert!(matches!(connections.admit(), Admission::Refuse(_)) && connections.now() == 2);
        served.pop();
        assert!(matches!(connections.admit(), Admission::Refuse(_)) && connections.now() == 1);
        connections.set_limit(None);
        served.extend((0..100).map(|_| connections.admit()));
        assert!(served.iter().all(|admission| matches!(admission, Admission::Serve(_))));
        assert_eq!((connections.now(), connections.quota()), (101, usize::MAX));
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
        assert!(!waits(&crowd[0]), "one of the crowd gives way to another of the crowd");
        honest.push(connections.newcomer(address(3)));
        assert!(!waits(&honest[0]), "the oldest gives way to one of another address");
        honest.push(connections.newcomer(address(4)));
        assert!(!waits(&crowd[1]));
        assert!(waits(&crowd[2]) && waits(&crowd[3]) && waits(&honest[1]) && waits(&honest[2]));
        // A connection that joins makes room.
        drop(crowd.remove(2));
        let _another = connections.newcomer(address(5));
        assert!(waits(&crowd[2]) && waits(&honest[1]) && waits(&honest[2]));
        drop((honest, crowd, _another));
        let newcomers = connections.newcomers();
        assert!(newcomers.all.is_empty() && newcomers.by_address.is_empty());
    }

    #[test]
    fn a_newcomer_behind_a_proxy_keeps_its_place_and_displaces_none() {
        let connections = Arc::new(Connections::new(Some(8)));
        let address = |n| Some(IpAddr::from([10, 0, 0, n]));
        let (first, second) = (connections.newcomer(address(1)), connections.newcomer(address(9)));
        second.move_to(address(2));
        assert!(waits(&first) && waits(&second));
        assert_eq!(connections.newcomers().by_address.len(), 2);
        assert!(!connections.newcomers().by_address.contains_key(&address(9)));
        let third = connections.newcomer(address(3));
        assert!(!waits(&first) && waits(&second));
        // One that has to give way stays so.
        first.move_to(address(4));
        let fourth = connections.newcomer(address(5));
        assert!(!waits(&second), "it is the oldest");
        drop((first, second, third, fourth));
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
        // Without a limit there is none for newcomers either.
        let connections = Arc::new(Connections::new(None));
        let newcomers: Vec<Newcomer> = (0..1000).map(|_| connections.newcomer(None)).collect();
        assert!(connections.wait(None).is_none() && newcomers.iter().all(waits));
    }
}
