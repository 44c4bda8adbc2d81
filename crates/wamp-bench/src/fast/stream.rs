//! One call with many progressive results.

use std::time::{Duration, Instant};

use wamp_client::Session;

use super::{Bench, Case};
use crate::Failed;
use crate::callee::{self, FLOOD, Flood, TICK};
use crate::locks::LockMeter;
use crate::numbered::Numbered;
use crate::order::{Order, Wrong};
use crate::report::{Row, Times};
use crate::target::Target;

/// A caller's record of one stream.
pub(crate) struct Streamed {
    pub(crate) results: u64,
    pub(crate) wrong: Wrong,
}

/// Calls [`FLOOD`] for this time, and checks each result.
pub(crate) async fn take_all(
    caller: &Session,
    procedure: &str,
    payload: usize,
    time: Duration,
) -> Result<Streamed, Failed> {
    let wanted: Flood = (payload, None, Some(time.as_millis() as u64));
    let mut results = caller.call(procedure).args(wanted).progressive::<Numbered>().await?;
    let mut order = Order::default();
    while let Some(result) = results.next().await {
        let result = result?;
        if result.bytes != payload {
            return Err(format!("a result of {} bytes instead of {payload}", result.bytes).into());
        }
        order.see(result.number);
    }
    let sent = results.finish().await?;
    Ok(Streamed { results: order.seen(), wrong: order.wrong_of(sent) })
}

pub(super) async fn stream(bench: &Bench<'_>, case: Case) -> Result<Row, Failed> {
    let null = bench.null.stream(case.frame()?, bench.options.secs).await?;
    let mut target = Target::start(bench.options).await?;
    let (callee, caller) = (case.join_callee(&target).await?, case.join_caller(&target).await?);
    callee::register(&callee).await?;
    take_all(&caller, FLOOD, case.payload, bench.warm_up()).await?;

    let locks = LockMeter::start(&mut target).await?;
    let (cpu, start) = (target.cpu(), Instant::now());
    let streamed = take_all(&caller, FLOOD, case.payload, bench.options.secs).await?;
    let (rate, used) = (streamed.results as f64 / start.elapsed().as_secs_f64(), spent(&target, cpu));
    let mut own = vec![("MB/s", rate * case.payload as f64 / 1e6)];
    own.extend(locks.end(&mut target, streamed.results as f64).await?);
    let row = Row {
        rate: Some(rate),
        of_null: null.rate.map(|null| rate / null),
        cpu: used.map(|used| used * 1e6 / streamed.results as f64),
        memory: target.memory().map(|bytes| bytes as f64),
        wrong: Some(streamed.wrong),
        own,
        ..Row::default()
    };
    caller.leave().await;
    callee.leave().await;
    Ok(row)
}

pub(super) async fn latency(bench: &Bench<'_>, case: Case) -> Result<Row, Failed> {
    let null = bench.null.latency(case.frame()?, bench.options.secs).await?;
    let target = Target::start(bench.options).await?;
    let (callee, caller) = (case.join_callee(&target).await?, case.join_caller(&target).await?);
    callee::register(&callee).await?;
    tick(&caller, case.payload, bench.warm_up()).await?;
    let times = Times::of(tick(&caller, case.payload, bench.options.secs).await?);
    let of_null = times.zip(null.times).map(|(times, null)| times.p50 / null.p50);
    let memory = target.memory().map(|bytes| bytes as f64);
    caller.leave().await;
    callee.leave().await;
    Ok(Row { times, of_null, memory, ..Row::default() })
}

/// From the callee's `send` until the caller has the value.
async fn tick(caller: &Session, payload: usize, time: Duration) -> Result<Vec<Duration>, Failed> {
    let wanted: Flood = (payload, None, Some(time.as_millis() as u64));
    let mut results = caller.call(TICK).args(wanted).progressive::<Numbered>().await?;
    let mut times = Vec::new();
    while let Some(result) = results.next().await {
        times.push(Duration::from_nanos(callee::now().saturating_sub(result?.number)));
    }
    let sent: u64 = results.finish().await?;
    if sent != times.len() as u64 {
        return Err(format!("{} results of {sent}", times.len()).into());
    }
    Ok(times)
}

/// The CPU seconds of the router since `before`.
pub(super) fn spent(target: &Target, before: Option<f64>) -> Option<f64> {
    target.cpu().zip(before).map(|(now, before)| now - before)
}
