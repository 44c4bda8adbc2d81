//! The listeners of a router: which addresses were asked for, and how each one is closed.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::listen::{Address, is_public};

/// The listeners of a router.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<Vec<Listening>>);

/// A listener that is served.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    /// The address as it was asked for; `None` for a listener of the program itself.
    pub(crate) asked: Option<String>,
    pub(crate) address: Option<Address>,
    /// The address, if it is one of TCP.
    pub(crate) tcp: Option<SocketAddr>,
    /// Canceled to close it.
    pub(crate) stop: CancellationToken,
    /// Its task.
    pub(crate) task: TaskTracker,
}

impl Listening {
    /// Closes the listener. When this returns, the address is free.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.task.close();
        self.task.wait().await;
    }

    /// Its clients begin with TLS, or may do so, or not any more.
    fn rename(&mut self, has_tls: bool) {
        if let Some(tcp) = self.tcp.filter(|_| self.address.is_some()) {
            self.address = Some(if has_tls { Address::Tls(tcp) } else { Address::Tcp(tcp) });
        }
    }

    /// Whether other machines can reach it.
    pub(crate) fn is_public(&self) -> bool {
        self.tcp.as_ref().is_some_and(is_public)
    }
}

impl Listeners {
    pub(crate) fn add(&self, listening: Listening) {
        self.lock().push(listening);
    }

    /// Returns those that stay and those that go, if these addresses are asked for, and the addresses that are new.
    pub(crate) fn compare(&self, asked: &[String]) -> Comparison {
        let mut new = asked.to_vec();
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for listening in self.lock().iter() {
            let place = match &listening.asked {
                Some(asked) => new.iter().position(|new| new == asked),
                // It is the program's own.
                None => {
                    kept.push(listening.clone());
                    continue;
                }
            };
            match place {
                Some(place) => {
                    new.remove(place);
                    kept.push(listening.clone());
                }
                None => gone.push(listening.clone()),
            }
        }
        Comparison { kept, gone, new }
    }

    /// Removes these. Others may have been added since the comparison.
    pub(crate) fn remove(&self, gone: &[Listening]) {
        let is_gone = |one: &Listening| gone.iter().any(|gone| TaskTracker::ptr_eq(&gone.task, &one.task));
        self.lock().retain(|one| !is_gone(one));
    }

    /// The clients of all begin with TLS, or may do so, or not any more.
    pub(crate) fn rename(&self, has_tls: bool) {
        self.lock().iter_mut().for_each(|listening| listening.rename(has_tls));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listening>> {
        // Nothing panics while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listeners of a router, compared with the addresses that are asked for.
pub(crate) struct Comparison {
    pub(crate) kept: Vec<Listening>,
    pub(crate) gone: Vec<Listening>,
    pub(crate) new: Vec<String>,
}
