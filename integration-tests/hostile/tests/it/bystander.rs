//! An innocent pair: two sessions of the client library that call each other, with the duration of each call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wamp_client::{Invocation, connect};

/// A call that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(40);

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
    /// Starts to call; returns after the first answer.
    pub fn start(url: String) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (begun, begins) = std::sync::mpsc::channel();
        let thread = {
            let over = over.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(|error| error.to_string())?.block_on(calls(&url, &over, begun))
            })
        };
        let _ = begins.recv();
        Self { over, thread }
    }

    /// Ends after the call under way.
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
    over: &AtomicBool,
    begun: std::sync::mpsc::Sender<()>,
) -> Result<Vec<Duration>, String> {
    let callee = connect(url).await.map_err(|error| format!("the bystander does not join: {error}"))?;
    let add = |call: Invocation| async move {
        let (number,): (u64,) = call.args()?;
        Ok((number + 1,))
    };
    callee.register("bystander.add", add).await.map_err(|error| error.to_string())?;
    let caller = connect(url).await.map_err(|error| format!("the bystander does not join: {error}"))?;
    let mut waits = Vec::new();
    let call =
        || async { caller.call("bystander.add").args((1u64,)).await.map_err(|error| error.to_string()) };
    call().await?;
    let _ = begun.send(());
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        match tokio::time::timeout(PATIENCE, call()).await {
            Ok(answer) => answer.map_err(|why| format!("a call of the bystander failed: {why}"))?,
            Err(_) => return Err(format!("a call of the bystander waited for {PATIENCE:?}")),
        };
        waits.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(waits)
}
