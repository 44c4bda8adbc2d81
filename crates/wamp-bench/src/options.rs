//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use wamp_client::Serializer;

/// Measures a WAMP router with our own client library, and the cost of a slow peer for the others.
///
/// Without --router it measures our own router, in a process of its own. Without a scenario it runs all fast ones.
#[derive(Clone, Debug, Parser)]
#[command(name = "wamp-bench", version)]
pub(crate) struct Options {
    /// The scenarios to measure; all fast ones by default. `slow` stands for all scenarios that are listed after it.
    pub(crate) scenarios: Vec<Scenario>,

    /// Another router: rs://HOST:PORT, ws://HOST:PORT/PATH or unix:///PATH.
    #[arg(long, value_name = "URL")]
    pub(crate) router: Option<String>,

    /// The process of that router, for its CPU time and memory.
    #[arg(long, requires = "router")]
    pub(crate) pid: Option<u32>,

    /// The realm to join.
    #[arg(long, default_value = "realm1")]
    pub(crate) realm: String,

    /// How to reach our own router. By default a few rows are measured over WebSocket too.
    #[arg(long, value_enum, conflicts_with = "router")]
    pub(crate) transport: Option<Transport>,

    /// json, msgpack or cbor. By default msgpack, and a few rows in the others.
    #[arg(long)]
    pub(crate) serializer: Option<Serializer>,

    /// The callee's serializer, if it differs: the router then transcodes.
    #[arg(long, value_name = "SERIALIZER")]
    pub(crate) callee_serializer: Option<Serializer>,

    /// Bytes of a result, at least 16; may be given several times.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(16..=8_388_608))]
    pub(crate) payload: Vec<u32>,

    /// How long each figure is measured.
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub(crate) secs: Duration,

    /// How often each figure is measured; the median is printed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reps: u32,

    /// idle: sessions.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) sessions: usize,

    /// registrations: how many, against 10.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) registrations: usize,

    /// slow: results of 1 KiB that a callee floods.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) results: u64,

    /// slow: for how many seconds a peer stops reading. `sip` takes six times as long, `link` three times.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub(crate) pause: Duration,

    /// flood: whose library the caller is. By default both, if there is a --python.
    #[arg(long, value_enum)]
    pub(crate) caller: Option<Library>,

    /// flood: whose library the callee is. By default both, if there is a --python.
    #[arg(long, value_enum)]
    pub(crate) callee: Option<Library>,

    /// How our own peer stops reading; by default both ways.
    #[arg(long, value_enum)]
    pub(crate) stop: Option<Stop>,

    /// crowd: slow callers at once.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) callers: u64,

    /// stalled: streams of the one caller.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) streams: u64,

    /// The Python interpreter with Autobahn, for peers that are foreign.
    #[arg(long, value_name = "PATH")]
    pub(crate) python: Option<String>,

    /// peers: the program nats-server.
    #[cfg(feature = "peers")]
    #[arg(long, value_name = "PATH", env = "NATS_SERVER", default_value = "nats-server")]
    pub(crate) nats_server: String,

    /// peers: only the rows with this text in their name.
    #[cfg(feature = "peers")]
    #[arg(long, value_name = "TEXT")]
    pub(crate) row: Option<String>,

    /// peers: a peer that takes part; may be given several times. All by default.
    #[cfg(feature = "peers")]
    #[arg(long, value_enum)]
    pub(crate) peer: Vec<Peer>,
}

impl Options {
    /// The chosen transport, or that of the URL of another router.
    pub(crate) fn transport(&self) -> Transport {
        let ws = self.router.as_deref().is_some_and(|url| url.starts_with("ws://"));
        self.transport.unwrap_or(if ws { Transport::Ws } else { Transport::Rs })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// One call, progressive results at full speed.
    Stream,
    /// 256 streams over 16 connections.
    Fan,
    /// Plain calls, one at a time and 64 outstanding.
    Calls,
    /// One progressive result a millisecond, one way.
    Latency,
    /// Memory of an idle session.
    Idle,
    /// Sessions joined and left per second.
    Join,
    /// A call among many registrations, exact, by prefix, by wildcard.
    Registrations,
    /// The speed of this machine without WAMP.
    Null,
    /// The cost of a slow peer for the others: all of the following.
    Slow,
    /// A callee floods a caller that stops reading.
    Flood,
    /// The same with many slow callers at once.
    Crowd,
    /// One caller with many stalled streams to a foreign callee.
    Stalled,
    /// A caller floods the callee of a two-way call that stops reading.
    Duplex,
    /// A caller reads an endless stream an item a second, and then drops it.
    Sip,
    /// A caller behind a link of 100 KB/s.
    Link,
    /// The same work done by gRPC and NATS, with ratios.
    #[cfg(feature = "peers")]
    Peers,
    /// The gRPC relay.
    #[cfg(feature = "peers")]
    #[value(hide = true)]
    GrpcRelay,
    /// The router to be measured.
    #[value(hide = true)]
    Router,
    /// The blind relay.
    #[value(hide = true)]
    Relay,
}

impl Scenario {
    pub(crate) fn is_slow(&self) -> bool {
        use Scenario::{Crowd, Duplex, Flood, Link, Sip, Slow, Stalled};
        matches!(self, Slow | Flood | Crowd | Stalled | Duplex | Sip | Link)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// RawSocket.
    Rs,
    /// WebSocket.
    Ws,
}

/// A way to do the work of `peers`.
#[cfg(feature = "peers")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Our client and our router.
    Ours,
    /// tonic at both ends of a relay.
    Grpc,
    /// async-nats at both ends of a nats-server.
    Nats,
}

#[cfg(feature = "peers")]
impl Peer {
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Grpc, Self::Nats];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Library {
    /// Our client.
    Ours,
    /// Autobahn|Python.
    Foreign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stop {
    /// The application takes no items.
    App,
    /// The socket is not read.
    Socket,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("expected a positive number of seconds".to_owned()),
    }
}
