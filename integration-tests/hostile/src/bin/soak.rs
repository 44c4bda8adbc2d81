//! Random clients against a router in this process, for a given time; then nothing of them may be left.
//!
//! `soak SECONDS [CLIENTS [SEED]]`, such as `cargo run -p wamp-hostile-tests --profile hostile --bin soak --
//! 900 12`. Clients register, call, stream, cancel and publish, over both transports and in all serializers.
//! Each lives for some seconds. Then it leaves, drops its session, or stops its thread for a while and breaks
//! its connection. In the end every table in `Router::stats` is empty, and resident memory is at most 64 MiB
//! above the start.

use std::collections::VecDeque;
use std::future::IntoFuture;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::time::{sleep, timeout};
use wamp_client::{Failure, Invocation, InvocationPolicy, MatchPolicy, Serializer, Session, connect};
use wamp_router::{Address, Router, RouterStats};

/// A call that is not answered for this long is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// The time after the last client in which the router must remove all entries.
const QUIET: Duration = Duration::from_secs(50);

/// The observations of the clients.
#[derive(Default)]
struct Seen {
    clients: AtomicU64,
    results: AtomicU64,
    errors: AtomicU64,
    progress: AtomicU64,
    stuck: AtomicU64,
    disordered: AtomicU64,
}

static SEEN: Seen = Seen {
    clients: AtomicU64::new(0),
    results: AtomicU64::new(0),
    errors: AtomicU64::new(0),
    progress: AtomicU64::new(0),
    stuck: AtomicU64::new(0),
    disordered: AtomicU64::new(0),
};

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Some(Ok(seconds)), clients, seed) = (numbers.next(), numbers.next(), numbers.next()) else {
        say("usage: soak SECONDS [CLIENTS [SEED]]");
        return ExitCode::FAILURE;
    };
    let clients = clients.and_then(Result::ok).unwrap_or(12) as usize;
    let seed = seed.and_then(Result::ok).unwrap_or_else(|| fastrand::u64(..));
    say(&format!("seed {seed}"));
    match soak(Duration::from_secs(seconds), clients, seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("FAILED: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn soak(time: Duration, clients: usize, seed: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let _inside = runtime.enter();
    let router = Router::builder().realm("realm1").build();
    let address = runtime.block_on(router.listen("127.0.0.1:0")).map_err(|error| error.to_string())?;
    let Address::Tcp(address) = address else { return Err("not TCP".to_owned()) };
    let (before, start) = (resident(), Instant::now());
    let mut peak = before;
    let mut rng = Rng::with_seed(seed);
    let mut threads = VecDeque::new();
    let mut said = Instant::now();
    while start.elapsed() < time {
        threads.retain(|thread: &std::thread::JoinHandle<()>| !thread.is_finished());
        while threads.len() < clients {
            let (port, rng) = (address.port(), rng.fork());
            threads.push_back(std::thread::spawn(move || live(port, rng)));
        }
        peak = peak.max(resident());
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            say(&format!("{:4.0} s: {}", start.elapsed().as_secs_f64(), report(&router.stats(), peak)));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for thread in threads {
        thread.join().map_err(|_| "a client panicked".to_owned())?;
    }
    let quiet = Instant::now();
    while left(&router.stats()) != [0; LEFT] && quiet.elapsed() < QUIET {
        std::thread::sleep(Duration::from_millis(100));
    }
    let (stats, after) = (router.stats(), resident());
    say(&format!("in the end: {}, {after:.0} MiB, {before:.0} before", report(&stats, peak)));
    runtime.block_on(router.shut_down());
    let (stuck, disordered) = (SEEN.stuck.load(Ordering::Relaxed), SEEN.disordered.load(Ordering::Relaxed));
    match () {
        () if left(&stats) != [0; LEFT] => {
            Err(format!("all clients have gone, and the router holds {stats:?}"))
        }
        () if stuck + disordered > 0 => {
            Err(format!("{stuck} calls were stuck, {disordered} streams out of order"))
        }
        () if after > before + 64.0 => Err(format!("{after:.0} MiB are resident, {before:.0} MiB were")),
        () => Ok(()),
    }
}

const LEFT: usize = 9;

/// Counters that must be zero in the end.
fn left(stats: &RouterStats) -> [usize; LEFT] {
    [
        stats.now.sessions,
        stats.now.calls,
        stats.now.registrations,
        stats.now.topics,
        stats.now.held,
        stats.now.starved,
        stats.connections,
        stats.memory.queued,
        stats.memory.receiving,
    ]
}

fn report(stats: &RouterStats, peak: f64) -> String {
    let Seen { clients, results, errors, progress, stuck, .. } = &SEEN;
    let seen = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    format!(
        "{} clients, {} results, {} progressive, {} errors, {} stuck; now {} sessions, {} calls, {} held; at most {peak:.0} MiB",
        seen(clients),
        seen(results),
        seen(progress),
        seen(errors),
        seen(stuck),
        stats.now.sessions,
        stats.now.calls,
        stats.now.held,
    )
}

/// The resident memory of this process, in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

/// One client, in a runtime of its own, so that it can stop and break off.
fn live(port: u16, mut rng: Rng) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    count(&SEEN.clients);
    let Some(session) = runtime.block_on(join(port, &mut rng)) else { return };
    let time = Duration::from_millis(rng.u64(100..8000));
    let start = Instant::now();
    runtime.block_on(async {
        while start.elapsed() < time {
            step(&session, &mut rng).await;
        }
        match rng.u32(..4) {
            0 => drop(session.leave().await),
            1 => drop(session),
            2 => {}
            // Nothing is read meanwhile.
            _ => std::thread::sleep(Duration::from_millis(rng.u64(..20_000))),
        }
    });
    // Everything open breaks here.
    drop(runtime);
}

async fn join(port: u16, rng: &mut Rng) -> Option<Session> {
    let scheme = if rng.bool() { "ws" } else { "rs" };
    let serializer = [Serializer::Json, Serializer::MsgPack, Serializer::Cbor][rng.usize(..3)];
    let session = connect(format!("{scheme}://127.0.0.1:{port}")).serializer(serializer).await.ok()?;
    for kind in 0..rng.u32(..5) {
        let register = match kind {
            0 => session.register("soak.shared", work).invoke(InvocationPolicy::RoundRobin),
            1 => session.register(format!("soak.one.{}", rng.u32(..40)), work),
            2 => {
                session.register(format!("soak..any{}", rng.u32(..10)), work).matching(MatchPolicy::Wildcard)
            }
            _ => session.register(format!("soak.pre{}", rng.u32(..5)), work).matching(MatchPolicy::Prefix),
        };
        // Another client may have it.
        let _ = register.await;
    }
    for _ in 0..rng.u32(..3) {
        let _ = session.subscribe(format!("soak.topic.{}", rng.u32(..20)), |_| async {}).await;
    }
    Some(session)
}

/// This many results of this length, with a pause after each.
async fn work(call: Invocation) -> Result<(u64, String), Failure> {
    let (number, size, pause): (u64, usize, u64) = call.args()?;
    if let Some(progress) = call.progress() {
        for index in 0..number {
            progress.send((index, "x".repeat(size))).await?;
            if pause > 0 {
                sleep(Duration::from_millis(pause)).await;
            }
        }
    }
    if number == 13 { Err(Failure::new("soak.error.thirteen")) } else { Ok((number, "y".repeat(size))) }
}

async fn step(session: &Session, rng: &mut Rng) {
    let procedure = match rng.u32(..6) {
        0 | 1 => "soak.shared".to_owned(),
        2 => format!("soak.one.{}", rng.u32(..40)),
        3 => format!("soak.x.any{}", rng.u32(..10)),
        4 => format!("soak.pre{}.x", rng.u32(..5)),
        _ => "soak.no.such".to_owned(),
    };
    let size = [0, 10, 1000, 70_000, 400_000][rng.usize(..5)];
    let (number, pause) = (rng.u64(..20), [0, 0, 5][rng.usize(..3)]);
    let call = session.call(procedure).args((number, size, pause));
    match rng.u32(..6) {
        0 | 1 => match timeout(STUCK, call.into_future()).await {
            Ok(Ok(_)) => count(&SEEN.results),
            Ok(Err(_)) => count(&SEEN.errors),
            Err(_) => count(&SEEN.stuck),
        },
        2 | 3 => {
            let (upto, slow) = (rng.u64(..25), rng.u32(..4) == 0);
            let Ok(mut stream) = call.progressive::<(u64, String)>().await else {
                return count(&SEEN.errors);
            };
            let read = async {
                let mut next = 0;
                while next < upto
                    && let Some(item) = stream.next().await
                {
                    let Ok((index, _)) = item else { break };
                    if index != next {
                        count(&SEEN.disordered);
                    }
                    next = index + 1;
                    count(&SEEN.progress);
                    if slow {
                        sleep(Duration::from_millis(20)).await;
                    }
                }
            };
            if timeout(STUCK, read).await.is_err() {
                count(&SEEN.stuck);
            }
        }
        4 => {
            let topic = format!("soak.topic.{}", rng.u32(..20));
            let _ = session.publish(topic).args((1, "z".repeat(size))).await;
        }
        // Canceled after a moment.
        _ => drop(timeout(Duration::from_millis(rng.u64(..30)), call.into_future()).await),
    }
    if !session.is_open() {
        sleep(Duration::from_millis(100)).await;
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
