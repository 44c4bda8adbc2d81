//! Plain calls.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use wamp_client::Session;

use super::stream::spent;
use super::{Bench, Case};
use crate::Failed;
use crate::callee::{self, ECHO};
use crate::locks::LockMeter;
use crate::numbered::{Numbered, Template};
use crate::order::Wrong;
use crate::report::{Row, Times};
use crate::target::Target;

pub(super) async fn calls(bench: &Bench<'_>, case: Case, many: usize) -> Result<Row, Failed> {
    let secs = bench.options.secs;
    let null = bench.null.calls(case.frame()?, many, secs).await?;
    let mut target = Target::start(bench.options).await?;
    let (callee, caller) = (case.join_callee(&target).await?, case.join_caller(&target).await?);
    callee::register(&callee).await?;
    call_all(&caller, ECHO.to_owned().into(), case.payload, many, bench.warm_up()).await?;

    let locks = LockMeter::start(&mut target).await?;
    let (cpu, start) = (target.cpu(), Instant::now());
    let times = call_all(&caller, ECHO.to_owned().into(), case.payload, many, secs).await?;
    let (count, elapsed) = (times.len() as f64, start.elapsed().as_secs_f64());
    let (rate, times) = (count / elapsed, Times::of(times));
    let by_time = times.zip(null.times).map(|(times, null)| times.p50 / null.p50);
    Ok(Row {
        rate: Some(rate),
        times,
        of_null: if many == 1 { by_time } else { null.rate.map(|null| rate / null) },
        cpu: spent(&target, cpu).map(|used| used * 1e6 / count),
        memory: target.memory().map(|bytes| bytes as f64),
        // Each answer was compared with its question.
        wrong: Some(Wrong::default()),
        // Each call is a CALL and a YIELD.
        own: locks.end(&mut target, 2.0 * count).await?,
    })
}

/// The procedure of the n-th call.
pub(super) struct Procedures(Box<dyn Fn(u64) -> String + Send + Sync>);

impl From<String> for Procedures {
    fn from(name: String) -> Self {
        Self(Box::new(move |_| name.clone()))
    }
}

impl Procedures {
    pub(super) fn new(name: impl Fn(u64) -> String + Send + Sync + 'static) -> Self {
        Self(Box::new(name))
    }
}

/// Makes calls for this time, this many at once on one session, and checks each answer. Returns the duration
/// of each.
pub(super) async fn call_all(
    caller: &Session,
    procedures: Procedures,
    payload: usize,
    many: usize,
    time: Duration,
) -> Result<Vec<Duration>, Failed> {
    let end = Instant::now() + time;
    let procedures = std::sync::Arc::new(procedures);
    let tasks = (0..many as u64).map(|task| {
        let (caller, procedures) = (caller.clone(), procedures.clone());
        tokio::spawn(async move {
            let (mut times, mut template, mut number) = (Vec::new(), Template::new(payload), task);
            while Instant::now() < end {
                let name = procedures.0(number);
                let start = Instant::now();
                let answer: Numbered = caller.call(name).arg(template.with(number)).await?.decode()?;
                times.push(start.elapsed());
                if answer != (Numbered { number, bytes: payload }) {
                    return Err(format!("call {number} has the answer {}", answer.number).into());
                }
                number += many as u64;
            }
            Ok::<_, Failed>(times)
        })
    });
    let all = try_join_all(tasks).await?;
    let mut times = Vec::new();
    for one in all {
        times.extend(one?);
    }
    Ok(times)
}
