//! How many connections a router has at once, and what becomes of one too many.
//!
//! It is accepted, told that there is no room, and closed: so a client knows what is the matter, and tries again
//! later. Who does not ask within a moment is closed without a word, and so is whoever comes when enough are
//! being refused already; nobody can take up the rest of the file descriptors like this.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// So many are being refused at the same time.
const REFUSALS: usize = 32;

/// File descriptors that are no connections: listeners, the runtime's own, those that are being refused, files
/// of the program around it.
const RESERVE: usize = 128;

/// The connections of a router.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: Option<usize>,
    now: AtomicUsize,
    being_refused: AtomicUsize,
    refused: AtomicU64,
}

/// What to do with a connection that was accepted.
pub(crate) enum Admission {
    /// Serve it, and keep this until its end.
    Serve(Place),
    /// Say that there is no room, and keep this until that has been said.
    Refuse(Place),
    /// Close it.
    Close,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    of: fn(&Connections) -> &AtomicUsize,
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.of)(&self.connections).fetch_sub(1, Ordering::AcqRel);
    }
}

impl Connections {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        let (now, being_refused, refused) = Default::default();
        Self { limit, now, being_refused, refused }
    }

    /// A connection has been accepted.
    pub(crate) fn admit(self: &Arc<Self>) -> Admission {
        if let Some(place) = self.take(|its| &its.now, self.limit.unwrap_or(usize::MAX)) {
            return Admission::Serve(place);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.take(|its| &its.being_refused, REFUSALS).map_or(Admission::Close, Admission::Refuse)
    }

    fn take(self: &Arc<Self>, of: fn(&Connections) -> &AtomicUsize, limit: usize) -> Option<Place> {
        let more = |taken| (taken < limit).then(|| taken + 1);
        of(self).fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Place { connections: self.clone(), of })
    }

    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::Acquire)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
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
}
