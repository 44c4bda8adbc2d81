//! The realms of a router, by their names.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use wamp_core::router::Seeds;
use wamp_proto::Uri;

use crate::realm::Realm;
use crate::realm_config::RealmConfig;

/// The realms. Each has a task for its deadlines, until it has ended.
#[derive(Debug)]
pub(crate) struct Realms(RwLock<HashMap<Uri, Arc<Realm>>>);

impl Realms {
    pub(crate) fn new(configs: Vec<RealmConfig>) -> Self {
        let realms = Self(RwLock::default());
        configs.into_iter().for_each(|config| drop(realms.add(config)));
        realms
    }

    /// Adds a realm.
    pub(crate) fn add(&self, config: RealmConfig) -> Arc<Realm> {
        let realm = Arc::new(Realm::new(config, seeds()));
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
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_with<T>(&self, act: impl FnOnce(&mut HashMap<Uri, Arc<Realm>>) -> T) -> T {
        act(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Seeds for a realm, from the system.
fn seeds() -> Seeds {
    let mut random = [0; 48];
    getrandom::fill(&mut random).expect("a system without random numbers is none to run a router on");
    Seeds::new(random)
}
