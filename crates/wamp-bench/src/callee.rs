//! The procedures of the callee.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use wamp_client::{Failure, Invocation, Payload, ProgressSender, Session};

use crate::Failed;
use crate::numbered::Template;

/// Numbered progressive results at full speed; called with [`Flood`]. The last result is their number.
pub(crate) const FLOOD: &str = "bench.flood";
/// A progressive result a millisecond, numbered by [`now`]; called with [`Flood`].
pub(crate) const TICK: &str = "bench.tick";
/// Answers with its arguments.
pub(crate) const ECHO: &str = "bench.echo";

/// The size of a flood: bytes of each result; the number of results, `None` for any; milliseconds, `None` for
/// no limit.
pub(crate) type Flood = (usize, Option<u64>, Option<u64>);

/// The number of results between two reads of the clock.
const LOOK: u64 = 16;

/// Registers all of them.
pub(crate) async fn register(session: &Session) -> Result<(), Failed> {
    session.register(FLOOD, flood).await?;
    session.register(TICK, tick).await?;
    session.register(ECHO, echo).await?;
    Ok(())
}

pub(crate) async fn echo(call: Invocation) -> Result<Payload, Failure> {
    Ok(call.payload().clone())
}

/// Nanoseconds since a fixed moment of this process.
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

fn progress(call: &Invocation) -> Result<ProgressSender, Failure> {
    let unwilling = "the caller takes no progressive results";
    call.progress().ok_or_else(|| Failure::new("bench.error.unwilling").arg(unwilling))
}

/// The number of calls of [`FLOOD`] that are being answered in this process.
pub(crate) fn floods() -> usize {
    FLOODS.load(Ordering::Relaxed)
}

static FLOODS: AtomicUsize = AtomicUsize::new(0);

/// Counts a flood until it is dropped.
struct Counted;

impl Counted {
    fn new() -> Self {
        FLOODS.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        FLOODS.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn flood(call: Invocation) -> Result<u64, Failure> {
    let _counted = Counted::new();
    let (bytes, results, millis): Flood = call.args()?;
    let progress = progress(&call)?;
    let results = results.unwrap_or(u64::MAX);
    let (start, time) = (Instant::now(), millis.map_or(Duration::MAX, Duration::from_millis));
    let mut template = Template::new(bytes);
    for number in 0..results {
        if number % LOOK == 0 && start.elapsed() >= time {
            return Ok(number);
        }
        progress.send(template.with(number)).await?;
    }
    Ok(results)
}

async fn tick(call: Invocation) -> Result<u64, Failure> {
    let (bytes, _, millis): Flood = call.args()?;
    let progress = progress(&call)?;
    let mut template = Template::new(bytes);
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticks_wanted = millis.unwrap_or(u64::MAX);
    for _ in 0..ticks_wanted {
        ticks.tick().await;
        progress.send(template.with(now())).await?;
    }
    Ok(ticks_wanted)
}
