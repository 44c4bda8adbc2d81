//! The realms of a router, by their names.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};

use wamp_core::router::Seeds;
use wamp_proto::Uri;

use crate::realm::Realm;
use crate::realm_config::RealmConfig;
use crate::router::RouterState;

/// The realms. Each has a task for its deadlines, until it has ended.
#[derive(Debug)]
pub(crate) struct Realms {
    realms: RwLock<HashMap<Uri, Arc<Realm>>>,
    router: Weak<RouterState>,
}

impl Realms {
    /// Creates the realms of a router.
    pub(crate) fn new(configs: Vec<RealmConfig>, router: Weak<RouterState>) -> Self {
        let realms = Self { realms: RwLock::default(), router };
        configs.into_iter().for_each(|config| drop(realms.add(config)));
        realms
    }

    /// Adds a realm.
    pub(crate) fn add(&self, config: RealmConfig) -> Arc<Realm> {
        let realm = Arc::new_cyclic(|this| Realm::new(config, seeds(), this.clone(), self.router.clone()));
        tokio::spawn(realm.clone().watch_deadlines());
        self.write_with(|realms| realms.insert(realm.name().clone(), realm.clone()));
        realm
    }

    /// Removes a realm. Its sessions stay.
    pub(crate) fn remove(&self, name: &Uri) -> Option<Arc<Realm>> {
        self.write_with(|realms| realms.remove(name))
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Realm>> {
        self.read().get(name).cloned()
    }

    /// Returns all realms.
    pub(crate) fn all(&self) -> Vec<Arc<Realm>> {
        self.read().values().cloned().collect()
    }

    // Nothing panics while holding the lock.

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Uri, Arc<Realm>>> {
        self.realms.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_with<T>(&self, act: impl FnOnce(&mut HashMap<Uri, Arc<Realm>>) -> T) -> T {
        act(&mut self.realms.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Seeds for a realm, from the system.
fn seeds() -> Seeds {
    let mut random = [0; 48];
    getrandom::fill(&mut random).expect("a system without random numbers is none to run a router on");
    Seeds::new(random)
}
