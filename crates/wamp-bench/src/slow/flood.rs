//! A callee floods a caller that stops reading, while others go on.

use std::time::Duration;

use tokio::time::timeout;

use super::outcome::{End, Outcome, Verdict};
use super::scene::{Callee, RESULT_BYTES, Scene};
use super::{SAME, UNRELATED, caller, foreign};
use crate::Failed;
use crate::options::{Library, Options, Stop};
use crate::target::Target;

/// The longest wait of the others for a callee without credit, while one caller does not read.
const SHARE: Duration = Duration::from_secs(2);

pub(super) async fn flood(
    options: &Options,
    name: String,
    by: Library,
    of: Library,
    stop: Stop,
) -> Result<Verdict, Failed> {
    let target = Target::start(options).await?;
    let callee = Callee::join(options, &target, of).await?;
    let scene = Scene::start(options, target, callee).await?;
    let called = async {
        match by {
            Library::Ours => ours(options, &scene.target, stop).await,
            Library::Foreign => foreign::call(options, &scene.target, RESULT_BYTES).await,
        }
    };
    let outcome = timeout(scene.patience(), called).await.map_err(|_| "it never ended")??;
    let (span, mut ended) = (outcome.span, scene.end(name));
    let (unrelated, same) = (ended.unrelated(span), ended.same(span));
    let verdict = &mut ended.verdict;
    let (mebibytes, ends): (u64, &[End]) = match (by, of) {
        (Library::Ours, Library::Ours) => (2, &[End::Result]),
        (Library::Foreign, Library::Ours) => (4, &[End::Result, End::Canceled]),
        (_, Library::Foreign) => (8, &[End::Result, End::Canceled, End::Lagged]),
    };
    verdict.calls(&[outcome], ends);
    verdict.growth_below(mebibytes);
    verdict.unrelated(unrelated, Some(UNRELATED));
    match of {
        Library::Ours => verdict.same(same, Some(SAME)),
        Library::Foreign => verdict.same_at_most(same, SHARE),
    }
    Ok(ended.verdict)
}

async fn ours(options: &Options, target: &Target, stop: Stop) -> Result<Outcome, Failed> {
    let way = caller::way(options, target, stop).await?;
    let session = caller::join(options, target, way.as_ref()).await?;
    let results = caller::flood(&session, Some(options.results)).await?;
    Ok(caller::stop_and_go(options, results, way.as_ref()).await)
}
