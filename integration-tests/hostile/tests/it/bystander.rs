//! Innocent pairs: two sessions of the client library each, one of which calls the other, with the duration of each call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wamp_client::{Invocation, Session, connect};

/// A call that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(40);

/// The pause of a pair between two calls.
const PAUSE: Duration = Duration::from_millis(2);

/// More pairs make longer pauses, so that they do not load the router themselves.
const FAST_PAIRS: usize = 4;

/// The waits of a bystander.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    pub calls: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub longest: Duration,
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let Self { calls, p50, p99, longest } = *self;
        write!(f, "p99 {:.1}, longest {:.1} ms ({calls} calls, p50 {:.1})", ms(p99), ms(longest), ms(p50))
    }
}

pub struct Bystander {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Duration>, String>>,
}

impl Bystander {
    /// Starts pairs that call; returns when the first call of each has been answered.
    pub fn start(url: String, pairs: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (begun, begins) = std::sync::mpsc::channel();
        let thread = {
            let over = over.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(|error| error.to_string())?.block_on(calls(&url, pairs, over, begun))
            })
        };
        let _ = begins.recv();
        Self { over, thread }
    }

    /// Ends after the calls under way.
    pub fn finish(self) -> Result<Waits, String> {
        self.over.store(true, Ordering::Relaxed);
        let mut waits = self.thread.join().map_err(|_| "the bystander panicked".to_owned())??;
        waits.sort();
        let Some(last) = waits.len().checked_sub(1) else { return Ok(Waits::default()) };
        let at = |part: f64| waits[(last as f64 * part) as usize];
        Ok(Waits { calls: waits.len(), p50: at(0.5), p99: at(0.99), longest: at(1.0) })
    }
}

async fn calls(
    url: &str,
    pairs: usize,
    over: Arc<AtomicBool>,
    begun: std::sync::mpsc::Sender<()>,
) -> Result<Vec<Duration>, String> {
    let mut joined = Vec::new();
    for number in 0..pairs {
        let pair = Pair::join(url, number).await?;
        pair.call().await?;
        joined.push(pair);
    }
    let _ = begun.send(());
    let pause = PAUSE * pairs.div_ceil(FAST_PAIRS) as u32;
    let mut calling: JoinSet<_> =
        joined.into_iter().map(|pair| pair.call_until(over.clone(), pause)).collect();
    let mut waits = Vec::new();
    while let Some(ended) = calling.join_next().await {
        waits.extend(ended.map_err(|error| error.to_string())??);
    }
    Ok(waits)
}

struct Pair {
    caller: Session,
    /// It answers until it is dropped.
    _callee: Session,
    procedure: String,
}

impl Pair {
    async fn join(url: &str, number: usize) -> Result<Self, String> {
        let procedure = format!("bystander.add.{number}");
        let join = async || connect(url).await.map_err(|why| format!("a bystander does not join: {why}"));
        let callee = join().await?;
        let add = |call: Invocation| async move {
            let (number,): (u64,) = call.args()?;
            Ok((number + 1,))
        };
        callee.register(procedure.clone(), add).await.map_err(|error| error.to_string())?;
        Ok(Self { caller: join().await?, _callee: callee, procedure })
    }

    async fn call(&self) -> Result<(), String> {
        let call = async { self.caller.call(&*self.procedure).args((1u64,)).await.map(drop) };
        match tokio::time::timeout(PATIENCE, call).await {
            Ok(answer) => answer.map_err(|why| format!("a call of a bystander failed: {why}")),
            Err(_) => Err(format!("a call of a bystander waited for {PATIENCE:?}")),
        }
    }

    async fn call_until(self, over: Arc<AtomicBool>, pause: Duration) -> Result<Vec<Duration>, String> {
        let mut waits = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let start = Instant::now();
            self.call().await?;
            waits.push(start.elapsed());
            tokio::time::sleep(pause).await;
        }
        Ok(waits)
    }
}
