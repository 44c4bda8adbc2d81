//! A new configuration for a router that runs.

use std::sync::{Arc, PoisonError};

use wamp_proto::Uri;

use crate::config::Builder;
use crate::listen::{Address, Bound, ListenError, is_address};
use crate::listeners::Comparison;
use crate::realm_config::RealmConfig;
use crate::router::{Router, RouterState};
use crate::settings::Settings;

/// The changes of a reload, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// The addresses that the router listens on since then.
    pub opened: Vec<Address>,
    /// The addresses that it does not listen on any more.
    pub closed: Vec<Address>,
    /// The realms that were added.
    pub added: Vec<Uri>,
    /// The realms that were removed.
    pub removed: Vec<Uri>,
}

impl Router {
    /// Changes the configuration to this one and the addresses to these, or changes nothing and returns the error.
    ///
    /// * Realms that are new are added. The sessions of realms that are gone end with GOODBYE `wamp.close.close_realm`. In
    ///   those that stay, roles, principals and limits change, as the rules [267](wamp_core::behaviour#rule-267) and
    ///   [268](wamp_core::behaviour#rule-268) say: other sessions go on. An [authenticator](crate::RealmConfig::authenticator)
    ///   and [authorizers](crate::RealmConfig::authorizer) have to be in the new configuration, too.
    /// * [`Limits::memory`](crate::Limits::memory), `connections`, `failed_proofs`, `high_water`, `low_water`, `stall` for
    ///   the memory, and `shutdown` change at once. The other limits of links, TLS, and the kind of shutdown hold for
    ///   connections that begin from then on.
    /// * Addresses are compared as they are written. Connections stay when their address is closed. Listeners of the
    ///   program itself ([`serve`](Self::serve)) stay.
    /// * A connection over an address that other machines can reach does not join without a proof, unless that is allowed
    ///   ([`Builder::allow_anonymous_on_public`]).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wamp_router::Router;
    ///
    /// let router = Router::builder().realm("red").build();
    /// router.listen("127.0.0.1:0").await?;
    /// let builder = Router::builder().realm("red").realm("blue");
    /// let reloaded = router.reload(builder, &["127.0.0.1:0".to_owned()]).await?;
    /// assert_eq!((reloaded.added, reloaded.closed), (vec!["blue".into()], vec![]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// An address cannot be read or needs TLS that is not configured, a new address cannot be listened on, or other
    /// machines can reach an address and everybody may join.
    pub async fn reload(&self, builder: Builder, listen: &[String]) -> Result<Reloaded, ListenError> {
        let state = self.state();
        let _reloading = state.reloading.lock().await;
        if state.is_closing() {
            return Ok(Reloaded::default());
        }
        let Builder { realms, settings, .. } = builder.completed();
        // An address that stays may be one that needs TLS.
        if let Some(wrong) = listen.iter().find(|address| !is_address(address, settings.has_tls())) {
            return Err(ListenError::Address(wrong.clone()));
        }
        let Comparison { kept, gone, new } = state.listeners.compare(listen);
        let is_open = realms.iter().any(RealmConfig::is_open);
        let keeps_private = is_open && !settings.anonymous_on_public;
        let public = kept.iter().find(|listening| keeps_private && listening.is_public());
        if let Some(address) = public.and_then(|listening| listening.tcp) {
            return Err(ListenError::Public(address));
        }
        let mut bound = Vec::new();
        for address in &new {
            bound.push(Bound::new(address, settings.has_tls(), keeps_private).await?);
        }

        // Nothing fails from here on.
        let mut reloaded = Reloaded::default();
        // First, since a realm may admit clients without a proof from now on.
        state.listeners.remove(&gone);
        for listening in gone {
            reloaded.closed.extend(listening.address.clone());
            listening.close().await;
        }
        state.change_settings(settings);
        state.change_realms(realms, &mut reloaded).await;
        state.listeners.rename(state.settings().has_tls());
        reloaded.opened = bound.into_iter().map(|bound| bound.serve(state)).collect();
        Ok(reloaded)
    }
}

impl RouterState {
    fn change_settings(&self, settings: Settings) {
        let limits = settings.limits;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.budget.set_limits(&limits);
        self.connections.set_limit(limits.connections);
        self.attempts.set_limit(limits.failed_proofs);
    }

    async fn change_realms(&self, configs: Vec<RealmConfig>, reloaded: &mut Reloaded) {
        let is_configured = |name: &Uri| configs.iter().any(|config| config.name == *name);
        for realm in self.realms.all() {
            if !is_configured(realm.name()) {
                self.realms.remove(realm.name());
                realm.close().await;
                reloaded.removed.push(realm.name().clone());
            }
        }
        for config in configs {
            match self.realms.get(&config.name) {
                Some(realm) => realm.reconfigure(config).await,
                None => {
                    reloaded.added.push(config.name.clone());
                    let realm = self.realms.add(config);
                    // A shutdown that has begun meanwhile does not know it.
                    if self.is_closing() {
                        realm.with(|machine, now| machine.shut_down(now)).await;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_realm_that_is_added_during_a_shutdown_ends() {
        let router = Router::builder().build();
        router.shut_down().await;
        let builder = Router::builder().realm("late").completed();
        router.state().change_realms(builder.realms, &mut Reloaded::default()).await;
        let realm = router.state().realms.get("late").unwrap();
        assert!(realm.with(|machine, _| machine.has_ended()).await);
    }
}
