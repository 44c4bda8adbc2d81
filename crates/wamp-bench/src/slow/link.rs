//! A caller behind a slow but steady link.

use std::time::Instant;

use tokio::time::timeout;

use super::outcome::{End, Span, Verdict};
use super::proxy::Proxy;
use super::scene::{Callee, RESULT_BYTES, Scene};
use super::{SAME, UNRELATED, caller, scene};
use crate::Failed;
use crate::callee::floods;
use crate::options::{Library, Options};
use crate::target::Target;

/// Bytes a second.
pub(super) const RATE: u64 = 100_000;

/// The part of the link's capacity that the results must fill.
const FILLED: f64 = 0.8;

pub(super) async fn link(options: &Options, name: String) -> Result<Verdict, Failed> {
    let target = Target::start(options).await?;
    let callee = Callee::join(options, &target, Library::Ours).await?;
    let scene = Scene::start(options, target, callee).await?;
    let proxy = Proxy::start(scene.target.url(options.transport()), Some(RATE)).await?;
    let session = scene::join_at(options, &scene.target, proxy.url()).await?;
    let mut results = caller::flood(&session, None).await?;
    let (mut taken, from) = (caller::Taken::default(), Instant::now());
    let _ = timeout(options.pause * 3, async {
        while taken.end.is_none() {
            taken.next(&mut results).await;
        }
    })
    .await;
    let span = Span { from, to: Instant::now() };
    let went_on = floods() == 1;
    let outcome = taken.finish(results, span).await;

    let mut ended = scene.end(name);
    let (unrelated, same) = (ended.unrelated(span), ended.same(span));
    let rate = (outcome.received * RESULT_BYTES as u64) as f64 / (span.to - span.from).as_secs_f64();
    let verdict = &mut ended.verdict;
    verdict.calls(&[outcome], &[End::Dropped]);
    verdict.unrelated(unrelated, Some(UNRELATED));
    verdict.same(same, Some(SAME));
    if !went_on {
        verdict.miss("the callee was stopped before");
    }
    if rate < RATE as f64 * FILLED {
        verdict.miss(format!("{} KB/s came", (rate / 1000.0).round()));
    }
    Ok(ended.verdict)
}
