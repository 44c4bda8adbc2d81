//! A router that runs, its configuration, and the change of that.

use std::error::Error;
use std::time::Duration;

use wamp_router::{Address, Builder, Reloaded, Router};

#[cfg(feature = "admin")]
use crate::admin::Admin;
use crate::config::{Config, Faults};
use crate::log::Log;
use crate::options::{LogFormat, Settings};
use crate::systemd;
use crate::terminal::say;
#[cfg(feature = "tls-dev")]
use crate::tls_dev::DevCertificate;

/// A router and the configuration that it runs with.
pub(crate) struct Running {
    pub(crate) router: Router,
    config: Config,
    log: Log,
    #[cfg(feature = "admin")]
    admin: Admin,
}

/// Returns the router of a configuration, which does not listen yet.
fn builder(config: &Config) -> Builder {
    let mut builder = Router::builder()
        .limits(config.limits)
        .allow_anonymous_on_public(config.allow_anonymous_on_public)
        .shutdown(config.shutdown.into())
        .origins(config.origins.clone())
        .proxies(config.proxies.clone());
    if let Some(files) = &config.tls {
        builder = builder.tls(files.server.clone(), config.tls_mode);
    }
    config.realms.iter().cloned().fold(builder, Builder::realm_with)
}

/// Returns the addresses that the router opens itself, and whether there are sockets of systemd, too.
fn addresses(config: &Config) -> (Vec<String>, bool) {
    let (own, of_systemd): (Vec<_>, Vec<_>) =
        config.listen.iter().cloned().partition(|address| address != systemd::SOCKETS);
    (own, !of_systemd.is_empty())
}

impl Running {
    /// Starts the router and announces its addresses.
    pub(crate) async fn start(config: Config, log: Log) -> Result<Self, Box<dyn Error>> {
        let router = builder(&config).build();
        let (own, has_sockets) = addresses(&config);
        let mut opened = if has_sockets { systemd::serve_sockets(&router)? } else { Vec::new() };
        for address in &own {
            opened.push(router.listen(address).await?);
        }
        #[cfg(feature = "admin")]
        let mut admin = Admin::new(router.clone());
        #[cfg(feature = "admin")]
        let lines = {
            let change = admin.prepare(&config).await?;
            admin.commit(change).await
        };
        // None is announced before all are there.
        announce(&opened);
        #[cfg(feature = "tls-dev")]
        if config.is_dev
            && let Ok(files) = DevCertificate::get()
        {
            say(&format!("Clients trust its certificate with --ca {}", files.authority.display()));
        }
        #[cfg(feature = "admin")]
        lines.iter().for_each(|line| say(line));
        let realms: Vec<_> = config.realms.iter().map(|realm| realm.name.as_str()).collect();
        let limit =
            config.limits.connections.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            addresses = list(&opened),
            realms = realms.join(", "),
            connections = limit,
            connections_from = if config.has_connections { "configuration" } else { "file descriptors" },
            "started"
        );
        if let Some(public) = opened.iter().find(|address| is_open_to_others(address, &config)) {
            tracing::warn!(address = %public, "other machines can join without a proof, as the configuration allows");
        }
        Ok(Self {
            router,
            config,
            log,
            #[cfg(feature = "admin")]
            admin,
        })
    }

    /// Reads the configuration again. If anything in it is wrong, nothing changes, and the log has all faults.
    pub(crate) async fn reload(&mut self, settings: &Settings) {
        const AS_BEFORE: &str = "the router goes on with the configuration that it has";
        let (config, faults) = Config::load(settings);
        log_faults(&faults);
        let Some(config) = config else {
            tracing::error!("the new configuration cannot be used: {AS_BEFORE}");
            return;
        };
        // Before anything changes, since it can fail.
        #[cfg(feature = "admin")]
        let change = match self.admin.prepare(&config).await {
            Ok(change) => change,
            Err(error) => {
                tracing::error!("{error}: {AS_BEFORE}");
                return;
            }
        };
        match self.router.reload(builder(&config), &addresses(&config).0).await {
            Ok(reloaded) => {
                #[cfg(feature = "admin")]
                self.admin.commit(change).await.iter().for_each(|line| say(line));
                self.reloaded(config, &reloaded);
            }
            Err(error) => tracing::error!("{error}: {AS_BEFORE}"),
        }
    }

    /// Returns the longest time of a shutdown.
    pub(crate) fn shutdown_time(&self) -> Duration {
        let limits = &self.config.limits;
        limits.shutdown.saturating_add(limits.shutdown_spread)
    }

    fn reloaded(&mut self, config: Config, reloaded: &Reloaded) {
        for setting in self.fixed(&config) {
            tracing::warn!(setting, "this setting changes only when the router is started again");
        }
        if config.log != self.config.log {
            self.log.set_filter(&config.log);
        }
        self.config = config;
        announce(&reloaded.opened);
        tracing::info!(
            opened = list(&reloaded.opened),
            closed = list(&reloaded.closed),
            realms_added = realms(&reloaded.added),
            realms_removed = realms(&reloaded.removed),
            sessions = self.router.stats().now.sessions,
            "reloaded the configuration"
        );
    }

    /// Returns the settings that differ and cannot change while the router runs.
    fn fixed(&self, new: &Config) -> Vec<String> {
        let old = &self.config;
        let mut fixed = Vec::new();
        let word = |format| format == LogFormat::Json;
        if word(old.log_format) != word(new.log_format) {
            fixed.push("log.format".to_owned());
        }
        if addresses(old).1 != addresses(new).1 {
            fixed.push(format!("listen = \"{}\"", systemd::SOCKETS));
        }
        for realm in &new.realms {
            let same = old.realms.iter().find(|old| old.name == realm.name);
            match same.map(|old| (old.credit, realm.credit)) {
                Some((Some(old), Some(new))) if old.window != new.window => {
                    fixed.push(format!("realm.credit.window of {}", realm.name));
                }
                Some((old, new)) if old.is_some() != new.is_some() => {
                    fixed.push(format!("realm.credit of {}", realm.name));
                }
                _ => {}
            }
        }
        fixed
    }
}

/// Logs each fault of a configuration.
fn log_faults(faults: &Faults) {
    for (is_error, line) in faults.to_lines() {
        match is_error {
            true => tracing::error!("{line}"),
            false => tracing::warn!("{line}"),
        }
    }
}

fn announce(addresses: &[Address]) {
    for address in addresses {
        say(&format!("Listening on {address}"));
    }
}

fn list(addresses: &[Address]) -> String {
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    shown.join(", ")
}

fn realms(names: &[wamp_proto::Uri]) -> String {
    let names: Vec<_> = names.iter().map(wamp_proto::Uri::as_str).collect();
    names.join(", ")
}

/// Whether clients on other machines may join a realm without a proof.
fn is_open_to_others(address: &Address, config: &Config) -> bool {
    let is_public = address.tcp().is_some_and(|address| !address.ip().is_loopback());
    is_public && config.realms.iter().any(|realm| realm.principals().anonymous().is_some())
}
