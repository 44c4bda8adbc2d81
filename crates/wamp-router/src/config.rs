//! How a router is to be.

use std::time::Duration;

use wamp_core::router::{self, Credit, Limits as SessionLimits};
use wamp_proto::Uri;

use crate::Router;
use crate::connections::by_file_descriptors;

/// Puts a [`Router`] together.
///
/// With no configuration at all it has the realm `realm1`, open to anonymous sessions.
#[derive(Clone, Debug)]
#[must_use]
#[derive(Default)]
pub struct Builder {
    pub(crate) realms: Vec<router::Config>,
    /// Those of them that take the limits of sessions from here.
    plain: Vec<Uri>,
    pub(crate) limits: Limits,
    pub(crate) session_limits: SessionLimits,
    /// What was said about credit, if anything was.
    credit: Option<Option<Credit>>,
    strict_request_ids: bool,
    pub(crate) anonymous_on_public: bool,
    pub(crate) shutdown: Shutdown,
}

/// How clients are told that the router shuts down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shutdown {
    /// GOODBYE `wamp.close.system_shutdown` for all, as the specification wants.
    #[default]
    Goodbye,
    /// For a router that will be back: the same, but for clients to which a GOODBYE is final, whatever its reason.
    /// Autobahn|JS and wampy.js do not connect again after one. They get the WebSocket status code 1001 ("going
    /// away") without GOODBYE, and so does a WebSocket client that has not joined yet.
    Restart,
}

/// What a link may take of the router, and how long it may take for it.
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
    /// Octets of a message, both ways; 16 MiB by default.
    pub message: usize,
    /// Octets of a message before WELCOME; 64 KiB by default.
    pub message_before_welcome: usize,
    /// Lists and dicts inside each other in a message; 64 by default.
    pub depth: usize,
    /// From the connection to WELCOME; 10 s by default.
    pub join: Duration,
    /// Silence before a PING; 30 s by default. Every byte that comes is a sign of life, also in the middle of a
    /// message.
    pub silence: Duration,
    /// Silence after that PING before the link is given up; 10 s by default.
    pub pong: Duration,
    /// Bytes in a second that a message which has begun to arrive must go on at, on average over each
    /// [`silence`](Self::silence), before the link is given up; 1 KiB by default.
    pub message_rate: usize,
    /// A link whose outbound queue passes so many octets is full: it holds those that feed it, gets no new
    /// calls, and if it does not read its events are dropped. 1 MiB by default, less if [`memory`](Self::memory) is shared by many.
    pub high_water: usize,
    /// It lets them go again below so many octets; 768 KiB by default. Where there is less than the high water
    /// for a link, this is less in the same proportion.
    pub low_water: usize,
    /// Bytes of memory that peers can make the router hold, in all links together: what waits for them, and
    /// messages that are not whole yet. 64 MiB by default.
    ///
    /// Three quarters of it are for outbound queues. The links that have more than 16 KiB queued share these equally,
    /// and each may have 16 KiB in any case. When the whole is used up, unfinished messages go on one at a time, the
    /// nearest to its end first. What exceeds it all the same, by more than a message, is taken from the links that
    /// hold most: they are given up.
    pub memory: usize,
    /// A link whose outbound queue passes so many octets is dropped; 64 MiB by default.
    pub max_link_queue: usize,
    /// A link that holds others and accepts nothing for so long is stalled: its calls with them end, with
    /// ERROR `wamp.error.canceled` and the argument `"slow consumer"`. 5 s by default.
    pub stall: Duration,
    /// A link that accepts nothing for so long, although there is something for it, is dropped; 30 s by default.
    pub give_up: Duration,
    /// Connections that were accepted, at once; `None`: any number. Past it a client is told so (RawSocket error
    /// 4, HTTP 503). By default so many as the process may have file descriptors when the limits are made, less
    /// a reserve of 128, or of half of them. What is [attached](Router::attach) does not count.
    pub connections: Option<usize>,
    /// Octets of a message to a WebSocket peer, which does not say what it takes; 16 MiB by default. What would
    /// be longer becomes ERROR `wamp.error.payload_size_exceeded`, or is dropped and counted if it is an event.
    pub websocket_message: usize,
    /// How long a shutdown waits for the links; 5 s by default.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 16 << 20,
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
        }
    }
}

impl Builder {
    /// Adds a realm, open to anonymous sessions. Without one there is `realm1`.
    pub fn realm(self, name: impl Into<Uri>) -> Self {
        let name = name.into();
        let mut builder = self.realm_with(router::Config::new(name.clone()));
        builder.plain.push(name);
        builder
    }

    /// Adds a realm. A later one of the same name takes its place.
    pub fn realm_with(mut self, config: router::Config) -> Self {
        self.realms.retain(|realm| realm.name != config.name);
        self.plain.retain(|name| *name != config.name);
        self.realms.push(config);
        self
    }

    /// Sets the limits of links.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the limits of sessions, in realms that are added by their name alone.
    pub fn session_limits(mut self, limits: SessionLimits) -> Self {
        self.session_limits = limits;
        self
    }

    /// Sets how far senders of streams may go ahead of their receivers, in realms that are added by their name
    /// alone; `None` for realms without credit.
    pub fn credit(mut self, credit: impl Into<Option<Credit>>) -> Self {
        self.credit = Some(credit.into());
        self
    }

    /// Wants the request ids of every session to be 1, 2, 3, and so on, in realms that are added by their name alone;
    /// see [`router::Config::strict_request_ids`].
    pub fn strict_request_ids(mut self, strict: bool) -> Self {
        self.strict_request_ids = strict;
        self
    }

    /// Lets [`Router::listen`] take addresses that other machines can reach, although everybody there may join.
    pub fn allow_anonymous_on_public(mut self, allow: bool) -> Self {
        self.anonymous_on_public = allow;
        self
    }

    /// Sets how clients are told that the router shuts down.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Makes the router. It listens nowhere yet.
    pub fn build(mut self) -> Router {
        if self.realms.is_empty() {
            self = self.realm("realm1");
        }
        for realm in self.realms.iter_mut().filter(|realm| self.plain.contains(&realm.name)) {
            realm.limits = self.session_limits;
            realm.strict_request_ids = self.strict_request_ids;
            if let Some(credit) = self.credit {
                realm.credit = credit;
            }
        }
        Router::new(self)
    }
}
