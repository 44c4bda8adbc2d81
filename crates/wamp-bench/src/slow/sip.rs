//! A caller that reads an endless stream slowly, and then drops it.

use std::time::{Duration, Instant};

use super::outcome::{Span, Verdict};
use super::scene::{Callee, Scene};
use super::{caller, scene};
use crate::Failed;
use crate::callee::floods;
use crate::options::{Library, Options};
use crate::target::Target;

/// Items that are read.
const ITEMS: u32 = 60;

/// The time in which all peers must learn that the caller is gone.
const SOON: Duration = Duration::from_secs(5);

pub(super) async fn sip(options: &Options, name: String) -> Result<Verdict, Failed> {
    let target = Target::start(options).await?;
    let callee = Callee::join(options, &target, Library::Ours).await?;
    let scene = Scene::start(options, target, callee).await?;
    let session = scene::join(options, &scene.target).await?;
    let mut results = caller::flood(&session, None).await?;
    let (mut taken, from) = (caller::Taken::default(), Instant::now());
    for _ in 0..ITEMS {
        taken.next(&mut results).await;
        if taken.end.is_some() {
            break;
        }
        tokio::time::sleep(options.pause / 10).await;
    }
    let span = Span { from, to: Instant::now() };
    let went_on = floods() == 1;
    // Without an end this drops the stream.
    let outcome = taken.finish(results, span).await;
    let stopped = soon(|| floods() == 0).await;

    let mut ended = scene.end(name);
    let (unrelated, same) = (ended.unrelated(span), ended.same(span));
    let calls = calls_left(&mut ended.target).await?;
    let verdict = &mut ended.verdict;
    verdict.calls(&[outcome], &[super::outcome::End::Dropped]);
    verdict.unrelated(unrelated, None);
    verdict.same(same, None);
    if !went_on {
        verdict.miss("the callee was stopped before");
    }
    if !stopped {
        verdict.miss("the callee goes on");
    }
    if let Some(calls @ 1..) = calls {
        verdict.miss(format!("{calls} calls are left in the router"));
    }
    Ok(ended.verdict)
}

async fn soon(is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + SOON;
    while !is_so() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    is_so()
}

/// Calls in the router's tables, after some time for their removal; only our own router reports it.
async fn calls_left(target: &mut Target) -> Result<Option<u64>, Failed> {
    let end = Instant::now() + SOON;
    loop {
        let calls = target.calls_in_tables().await?;
        if calls.is_none_or(|calls| calls == 0) || Instant::now() >= end {
            return Ok(calls);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
