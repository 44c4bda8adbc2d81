//! Configuration of a router.

use std::time::Duration;

use wamp_core::router::{Credit, Disclosure, Limits as SessionLimits, Meta, Retention};
use wamp_proto::Uri;
use wamp_transport_ws::Origins;

use crate::connections::by_file_descriptors;
use crate::proxies::Proxies;
use crate::realm_config::RealmConfig;
use crate::settings::Settings;
#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsMode};

/// A builder of a [`Router`](crate::Router).
///
/// Without any configuration the router has the realm `realm1`, open to anonymous sessions.
#[derive(Clone, Debug)]
#[must_use]
#[derive(Default)]
pub struct Builder {
    pub(crate) realms: Vec<RealmConfig>,
    /// The realms that use the common limits of sessions.
    plain: Vec<Uri>,
    pub(crate) settings: Settings,
    pub(crate) session_limits: SessionLimits,
    /// The credit setting, if it was set.
    credit: Option<Option<Credit>>,
    strict_request_ids: bool,
    meta: Meta,
    retention: Retention,
    disclosure: Disclosure,
    publisher_disclosure: Disclosure,
}

/// The message to clients when the router shuts down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shutdown {
    /// GOODBYE `wamp.close.system_shutdown` for all clients, as the specification requires.
    #[default]
    Goodbye,
    /// For a router that will restart. The same, except for clients that treat every GOODBYE as final:
    /// Autobahn|JS and wampy.js do not reconnect after one. They get the WebSocket status code 1001 ("going
    /// away") without GOODBYE, and so does a WebSocket client that has not joined yet.
    Restart,
}

/// The limits of a link.
///
/// ```
/// use std::time::Duration;
/// use wamp_router::{Limits, Router};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let limits = Limits { join: Duration::from_secs(3), ..Limits::default() };
/// let router = Router::builder().limits(limits).build();
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest message in either direction, in bytes; 16 MiB by default.
    pub message: usize,
    /// Failed proofs from one address, or one network of IPv6, at once; 10 by default. One is forgiven each 6 s. Beyond
    /// that a client that would have to prove its identity is refused. Behind a proxy all clients have its address, unless
    /// it is one of the [proxies](Builder::proxies).
    pub failed_proofs: usize,
    /// The longest message before WELCOME, in bytes; 64 KiB by default.
    pub message_before_welcome: usize,
    /// The deepest nesting of lists and dicts in a message; 64 by default.
    pub depth: usize,
    /// The time from the connection to WELCOME; 10 s by default.
    pub join: Duration,
    /// The silence after which a PING is sent; 30 s by default. Every received byte ends the silence, also in
    /// the middle of a message.
    pub silence: Duration,
    /// The time after that PING until a silent link is dropped; 10 s by default.
    pub pong: Duration,
    /// The least rate at which a message must arrive, in bytes per second on average over each
    /// [`silence`](Self::silence), before the link is dropped; 1 KiB by default.
    pub message_rate: usize,
    /// The length of an outbound queue above which its link is full, in bytes; 1 MiB by default, less if many
    /// links share [`memory`](Self::memory). A full link holds the sessions that feed it and gets no new
    /// calls. If it does not read either, its events are dropped.
    pub high_water: usize,
    /// The length of an outbound queue below which its link releases the sessions that it holds, in bytes;
    /// 768 KiB by default. If the share of a link is less than the high water, this is less in proportion.
    pub low_water: usize,
    /// The memory that peers can make the router hold, for all links together, in bytes: queued messages and
    /// incomplete incoming messages. 64 MiB by default.
    ///
    /// Three quarters are for outbound queues. The links with more than 16 KiB queued share these equally,
    /// and each link may have 16 KiB in any case. When everything is used up, incomplete messages continue
    /// one at a time, the one nearest to its end first. If the excess is more than a message, the links that
    /// hold most are dropped.
    pub memory: usize,
    /// The length of an outbound queue above which its link is dropped, in bytes; 64 MiB by default.
    pub max_link_queue: usize,
    /// The time after which a link that holds others and accepts no data is stalled; 5 s by default. Its
    /// calls with them end with ERROR `wamp.error.canceled` and the argument `"slow consumer"`.
    pub stall: Duration,
    /// The time after which a link is dropped that accepts no data although some is queued; 30 s by default.
    pub give_up: Duration,
    /// The most accepted connections at a time; `None` for any number. Further clients are told so (RawSocket
    /// error 4, HTTP 503). The default is the limit of file descriptors of the process when the limits are
    /// made, less a reserve of 128, or of half of them. [Attached](crate::Router::attach) connections do not count.
    pub connections: Option<usize>,
    /// The longest message to a WebSocket peer, which does not announce a limit, in bytes; 16 MiB by default.
    /// A longer message becomes ERROR `wamp.error.payload_size_exceeded`; a longer event is dropped and
    /// counted.
    pub websocket_message: usize,
    /// The time for which a shutdown waits for the links; 5 s by default.
    pub shutdown: Duration,
    /// The time over which a shutdown spreads the ends of the sessions, so that the clients do not all come back at once; 0 by
    /// default. Until its own end each session goes on, and no session joins.
    pub shutdown_spread: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 16 << 20,
            failed_proofs: 10,
            message_before_welcome: 64 << 10,
            depth: 64,
            join: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            pong: Duration::from_secs(10),
            message_rate: 1 << 10,
            high_water: 1 << 20,
            low_water: 768 << 10,
            memory: 64 << 20,
            max_link_queue: 64 << 20,
            stall: Duration::from_secs(5),
            give_up: Duration::from_secs(30),
            connections: by_file_descriptors(),
            websocket_message: 16 << 20,
            shutdown: Duration::from_secs(5),
            shutdown_spread: Duration::ZERO,
        }
    }
}

impl Builder {
    /// Adds a realm, open to anonymous sessions. Without any realm there is `realm1`.
    pub fn realm(self, name: impl Into<Uri>) -> Self {
        let name = name.into();
        let mut builder = self.realm_with(RealmConfig::new(name.clone()));
        builder.plain.push(name);
        builder
    }

    /// Adds a realm. It replaces an earlier one of the same name.
    pub fn realm_with(mut self, config: impl Into<RealmConfig>) -> Self {
        let config = config.into();
        self.realms.retain(|realm| realm.name != config.name);
        self.plain.retain(|name| *name != config.name);
        self.realms.push(config);
        self
    }

    /// Sets the limits of links.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets the limits of sessions, for realms that are added by their name alone.
    pub fn session_limits(mut self, limits: SessionLimits) -> Self {
        self.session_limits = limits;
        self
    }

    /// Sets how far senders of streams may send ahead of their receivers, for realms that are added by their
    /// name alone; `None` for realms without credit.
    pub fn credit(mut self, credit: impl Into<Option<Credit>>) -> Self {
        self.credit = Some(credit.into());
        self
    }

    /// Requires the request ids of every session to be 1, 2, 3, and so on, for realms that are added by their
    /// name alone; see [`wamp_core::router::Config::strict_request_ids`].
    pub fn strict_request_ids(mut self, strict: bool) -> Self {
        self.strict_request_ids = strict;
        self
    }

    /// Sets the part of the meta API that every session may use, for realms that are added by their name alone; see
    /// [`wamp_core::router::Config::meta`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use wamp_router::{Meta, Router};
    ///
    /// // Every session may end every other one.
    /// let router = Router::builder().meta(Meta::Control).build();
    /// # }
    /// ```
    pub fn meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }

    /// Sets the limits of retained events, for realms that are added by their name alone.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Sets whether callers are disclosed to callees, for realms that are added by their name alone.
    pub fn caller_disclosure(mut self, disclosure: Disclosure) -> Self {
        self.disclosure = disclosure;
        self
    }

    /// Sets whether publishers are disclosed to subscribers, for realms that are added by their name alone.
    pub fn publisher_disclosure(mut self, disclosure: Disclosure) -> Self {
        self.publisher_disclosure = disclosure;
        self
    }

    /// Lets [`Router::listen`](crate::Router::listen) accept addresses that other machines can reach, although anyone there may
    /// join a realm without a proof.
    pub fn allow_anonymous_on_public(mut self, allow: bool) -> Self {
        self.settings.anonymous_on_public = allow;
        self
    }

    /// Sets the web pages from which browsers may connect; by default those of the same host. Others are refused with
    /// HTTP status 403. Clients that are no browsers are not concerned. Over a loopback address a page of the same host has to
    /// name it by an IP address or as `localhost`, unless the connection comes from one of the
    /// [`proxies`](Self::proxies): any name can be made to lead there.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.settings.origins = origins;
        self
    }

    /// Sets the proxies in front of the router, which tell the addresses of clients; by default there is none.
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.settings.proxies = proxies;
        self
    }

    /// Sets the message to clients when the router shuts down.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.settings.shutdown = shutdown;
        self
    }

    /// Serves `wss://` and `rss://` on the ports of `ws://` and `rs://`: the first byte tells them apart.
    /// [`Server::replace`](wamp_tls::Server::replace) changes the certificate while the router runs.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (chain, key) = (std::fs::read("fullchain.pem")?, std::fs::read("privkey.pem")?);
    /// let server = wamp_tls::Server::new(&wamp_tls::Identity::new(chain, key))?;
    /// let router = wamp_router::Router::builder().tls(server, Default::default()).build();
    /// let address = router.listen("127.0.0.1:8443").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, server: wamp_tls::Server, mode: TlsMode) -> Self {
        self.settings.tls = Some(Tls { server, mode });
        self
    }

    /// Adds the default realm if there is none, and what is set for all realms to those that are known by name alone.
    pub(crate) fn completed(mut self) -> Self {
        if self.realms.is_empty() {
            self = self.realm("realm1");
        }
        for realm in self.realms.iter_mut().filter(|realm| self.plain.contains(&realm.name)) {
            realm.limits = self.session_limits;
            realm.strict_request_ids = self.strict_request_ids;
            realm.meta = self.meta;
            realm.retention = self.retention;
            realm.disclosure = self.disclosure;
            realm.publisher_disclosure = self.publisher_disclosure;
            if let Some(credit) = self.credit {
                realm.credit = credit;
            }
        }
        self
    }
}
