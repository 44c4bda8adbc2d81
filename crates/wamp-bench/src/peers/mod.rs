//! Comparison with gRPC and NATS in the same run.
//!
//! Each peer is used through its own Rust client, in the same arrangement as ours: both ends are in this process, and
//! the router, the gRPC relay or the NATS server between them is a process of its own. The peers take turns
//! within each repetition, and ratios are taken within a repetition.

mod events;
mod grpc;
mod nats;
mod ours;
mod table;

use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::Failed;
use crate::options::{Options, Peer, Transport};
use crate::order::Wrong;
use crate::process;
use crate::report::{Times, complain, say};

pub(crate) use grpc::relay;
use table::{Figure, Table};

/// Connections of the callers of many streams.
const CONNECTIONS: usize = 16;

/// Streams of each of them.
const STREAMS: usize = 16;

/// A scenario; each peer takes part that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
    /// One call with results of this many bytes, end to end.
    Stream(Transport, usize),
    /// Many such calls at once.
    Fan,
    /// Plain calls, this many outstanding.
    Calls(usize),
    /// Events of this many bytes, to this many subscribers.
    Events(usize, usize),
}

impl Scenario {
    const ALL: [Self; 11] = [
        Self::Stream(Transport::Rs, 16),
        Self::Stream(Transport::Rs, 1024),
        Self::Stream(Transport::Rs, 65_536),
        Self::Stream(Transport::Ws, 16),
        Self::Calls(1),
        Self::Calls(64),
        Self::Events(16, 1),
        Self::Events(16, 100),
        Self::Events(1024, 100),
        Self::Events(16, 1000),
        Self::Fan,
    ];

    /// The figures of its lines.
    fn figures(self) -> &'static [Figure] {
        use Figure::{ClientsCpu, Jain, P50, P99, Rate, RouterCpu};
        match self {
            Self::Calls(1) => &[P50, P99],
            Self::Fan => &[Rate, Jain],
            _ => &[Rate, ClientsCpu, RouterCpu],
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(Transport::Rs, size) => write!(f, "stream, {size} B"),
            Self::Stream(Transport::Ws, size) => write!(f, "stream, {size} B, ours over WebSocket"),
            Self::Fan => write!(f, "{} streams over {CONNECTIONS} connections, 16 B", CONNECTIONS * STREAMS),
            Self::Calls(1) => write!(f, "calls one at a time, 16 B"),
            Self::Calls(many) => write!(f, "calls, {many} outstanding, 16 B"),
            Self::Events(size, subscribers) => write!(f, "events to {subscribers}, {size} B"),
        }
    }
}

/// The result of one peer in one repetition.
#[derive(Clone, Debug, Default)]
struct Measured {
    /// Results, calls or events received.
    count: u64,
    secs: f64,
    times: Option<Times>,
    /// CPU seconds.
    clients: Option<f64>,
    router: Option<f64>,
    shares: Vec<f64>,
    wrong: Wrong,
}

/// Measures the time, and the CPU time, of a part of a run.
struct Meter {
    router: Option<u32>,
    start: Instant,
    before: (Option<f64>, Option<f64>),
}

impl Meter {
    fn start(router: Option<u32>) -> Self {
        let before = (process::cpu(Some(std::process::id())), process::cpu(router));
        Self { router, start: Instant::now(), before }
    }

    fn end(self, count: u64, wrong: Wrong) -> Measured {
        let secs = self.start.elapsed().as_secs_f64();
        let since = |now: Option<f64>, before: Option<f64>| now.zip(before).map(|(now, then)| now - then);
        let clients = since(process::cpu(Some(std::process::id())), self.before.0);
        let router = since(process::cpu(self.router), self.before.1);
        Measured { count, secs, clients, router, wrong, ..Measured::default() }
    }
}

/// Prints the table. Returns whether nothing was lost and nothing failed.
pub(crate) async fn run(options: &Options) -> Result<bool, Failed> {
    let takes_part = |peer: &Peer| options.peer.is_empty() || options.peer.contains(peer);
    let mut peers: Vec<_> = Peer::ALL.into_iter().filter(takes_part).collect();
    if peers.contains(&Peer::Nats)
        && let Err(error) = nats::version(options).await
    {
        complain(&format!("skipped NATS: {error} (--nats-server names the program)"));
        peers.retain(|peer| *peer != Peer::Nats);
    }
    say(table::HEAD);
    let mut passed = true;
    let wanted = |scenario: &Scenario| {
        options.row.as_ref().is_none_or(|text| scenario.to_string().contains(text.as_str()))
    };
    for scenario in Scenario::ALL.into_iter().filter(wanted) {
        let mut table = Table::default();
        for repetition in 0..options.reps {
            let mut turn = peers.clone();
            if repetition % 2 == 1 {
                turn.reverse();
            }
            table.begin();
            for peer in turn {
                match measure(peer, scenario, options).await {
                    Ok(Some(measured)) => table.add(peer, measured),
                    Ok(None) => {}
                    Err(error) => {
                        say(&format!("| {scenario} | failed: {peer:?}: {error} | | | | | |"));
                        passed = false;
                    }
                }
            }
        }
        table.lines(scenario).iter().for_each(|line| say(line));
        passed &= table.is_complete();
    }
    Ok(passed)
}

/// `None` if the peer has no counterpart.
async fn measure(peer: Peer, scenario: Scenario, options: &Options) -> Result<Option<Measured>, Failed> {
    match peer {
        Peer::Ours => ours::measure(scenario, options).await.map(Some),
        Peer::Grpc => grpc::measure(scenario, options).await,
        Peer::Nats => nats::measure(scenario, options).await,
    }
}

/// The time to run before measuring.
fn warm_up(options: &Options) -> Duration {
    options.secs / 5
}

/// Makes calls for a while, `many` at a time: `call` makes the one with this number and checks its answer.
async fn call_all<C, F>(many: usize, time: Duration, call: C) -> Result<Vec<Duration>, Failed>
where
    C: Fn(u64) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), Failed>> + Send,
{
    let end = Instant::now() + time;
    let tasks = (0..many as u64).map(|task| {
        let call = call.clone();
        tokio::spawn(async move {
            let (mut times, mut number) = (Vec::new(), task);
            while Instant::now() < end {
                let start = Instant::now();
                call(number).await?;
                times.push(start.elapsed());
                number += many as u64;
            }
            Ok::<_, Failed>(times)
        })
    });
    let all = try_join_all(tasks.collect::<Vec<_>>()).await?;
    let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// Measures calls, after a part that does not count.
async fn measure_calls<C, F>(
    many: usize,
    options: &Options,
    router: Option<u32>,
    call: C,
) -> Result<Measured, Failed>
where
    C: Fn(u64) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), Failed>> + Send,
{
    call_all(many, warm_up(options), call.clone()).await?;
    let meter = Meter::start(router);
    let times = call_all(many, options.secs, call).await?;
    let measured = meter.end(times.len() as u64, Wrong::default());
    Ok(Measured { times: Times::of(times), ..measured })
}

/// Measures many streams at once: `stream` takes all of one on the connection with this index for this long, and
/// returns how many results came.
async fn measure_fan<S, F>(options: &Options, router: Option<u32>, stream: S) -> Result<Measured, Failed>
where
    S: Fn(usize, Duration) -> F,
    F: Future<Output = Result<(u64, Wrong), Failed>> + Send + 'static,
{
    stream(0, warm_up(options)).await?;
    let meter = Meter::start(router);
    let tasks = (0..CONNECTIONS * STREAMS).map(|at| tokio::spawn(stream(at % CONNECTIONS, options.secs)));
    let (mut shares, mut wrong) = (Vec::new(), Wrong::default());
    for task in tasks.collect::<Vec<_>>() {
        let (results, its_wrong) = task.await??;
        wrong.add(its_wrong);
        shares.push(results as f64);
    }
    let measured = meter.end(shares.iter().sum::<f64>() as u64, wrong);
    Ok(Measured { shares, ..measured })
}

/// The error for a wrong answer.
fn check(number: u64, size: usize, answer: (u64, usize)) -> Result<(), Failed> {
    if answer == (number, size) {
        Ok(())
    } else {
        Err(format!("expected number {number} with {size} bytes, got {answer:?}").into())
    }
}
